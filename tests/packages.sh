# shellcheck shell=bash
# Installs what building and testing need, on Debian and Ubuntu; elsewhere says what to install. Sourced, not run.
# Nothing that is installed is started: the tests bring up their own private servers.

# find_program NAME: its path, also where servers hide from ordinary users.
find_program() {
    local folder
    command -v "$1" 2>/dev/null && return
    for folder in /usr/sbin /usr/local/sbin /sbin /opt/homebrew/bin /opt/homebrew/sbin /usr/local/bin; do
        if [[ -x $folder/$1 ]]; then
            echo "$folder/$1"
            return
        fi
    done
    return 1
}

# What a cold build of everything and the servers of the live tests take at most, in GiB.
# shellcheck disable=SC2034 # read where this is sourced
BUILDING_GIB=7 TESTING_GIB=6

# free_gib FOLDER: what is free on its disk, in whole GiB.
free_gib() { df -Pk "$1" | awk 'NR == 2 {print int($4 / 1048576)}'; }

# require_room FOLDER GIB WHAT_FOR
require_room() {
    local free
    free=$(free_gib "$1")
    if ((free < $2)); then
        echo "The disk of $1 has $free GiB free, and $3 takes up to $2 GiB: it would end in the middle. Free some, or name another disk" \
            "(CARGO_TARGET_DIR for building, TMPDIR for the servers)." >&2
        return 1
    fi
}

# postgres_bin: the folder of the newest Postgres server's programs, or the one ADVISOR_POSTGRES_BIN names.
postgres_bin() {
    local folder
    if [[ -n ${ADVISOR_POSTGRES_BIN:-} ]]; then
        echo "$ADVISOR_POSTGRES_BIN"
        return
    fi
    for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
        /usr/local/opt/postgresql@*/bin | sort -rV); do
        if [[ -x $folder/initdb && -x $folder/postgres ]]; then
            echo "$folder"
            return
        fi
    done
    if folder=$(command -v initdb 2>/dev/null) && [[ -x $(dirname "$folder")/postgres ]]; then
        dirname "$folder"
        return
    fi
    return 1
}

# postgres_has EXTENSION: whether the newest Postgres offers it.
postgres_has() {
    local bin share
    bin=$(postgres_bin) || return 1
    share=$("$bin/pg_config" --sharedir 2>/dev/null) || share=${bin%/bin}
    [[ -f $share/extension/$1.control || -f /usr/share/postgresql/$(basename "$(dirname "$bin")")/extension/$1.control ]]
}

library_known() { { ldconfig -p 2>/dev/null || /sbin/ldconfig -p 2>/dev/null; } | grep -F "$1" >/dev/null; }

# Each line: the package, then the command that succeeds when it is not needed.
building_needs() {
    cat <<'NEEDS'
build-essential|find_program cc
pkg-config|find_program pkg-config
ca-certificates|test -e /etc/ssl/certs/ca-certificates.crt
git|find_program git
NEEDS
}

testing_needs() {
    cat <<'NEEDS'
postgresql|postgres_bin
postgresql-contrib|postgres_has pg_stat_statements
pgbouncer|find_program pgbouncer
redis-server|find_program redis-server
redis-tools|find_program redis-cli
nginx-light|find_program nginx
varnish|find_program varnishd
squid|find_program squid
openssl|find_program openssl
jq|find_program jq
python3-venv|python3 -m ensurepip --version
xvfb|find_program Xvfb
xauth|find_program xauth
xdotool|find_program xdotool
imagemagick|find_program import
poppler-utils|find_program pdftotext
dbus|find_program dbus-run-session
gnome-keyring|find_program gnome-keyring-daemon
libsecret-tools|find_program secret-tool
zenity|find_program zenity
libgl1|library_known libGL.so.1
libegl1|library_known libEGL.so.1
libgl1-mesa-dri|library_known libEGL_mesa.so.0
mesa-vulkan-drivers|ls /usr/share/vulkan/icd.d/lvp_icd*.json
libvulkan1|library_known libvulkan.so.1
libx11-6|library_known libX11.so.6
libx11-xcb1|library_known libX11-xcb.so.1
libxcursor1|library_known libXcursor.so.1
libxrandr2|library_known libXrandr.so.2
libxi6|library_known libXi.so.6
libxkbcommon0|library_known libxkbcommon.so.0
libxkbcommon-x11-0|library_known libxkbcommon-x11.so.0
libwayland-client0|library_known libwayland-client.so.0
libwayland-egl1|library_known libwayland-egl.so.1
NEEDS
}

# missing_packages: reads needs, prints the packages whose probe fails.
missing_packages() {
    local package probe
    while IFS='|' read -r package probe; do
        # shellcheck disable=SC2086 # the probe is a command with its words
        $probe >/dev/null 2>&1 || echo "$package"
    done
}

# install_packages PACKAGE…: by apt, as root or through sudo; prints what to do where neither works and fails.
install_packages() {
    local as_root=()
    if [[ $# -eq 0 ]]; then
        return 0
    fi
    if ! command -v apt-get >/dev/null; then
        advise_elsewhere "$@"
        return 1
    fi
    if [[ $EUID -ne 0 ]]; then
        if command -v sudo >/dev/null && { [[ -t 0 ]] || sudo -n true 2>/dev/null; }; then
            as_root=(sudo)
        else
            echo "Missing: $*. As root, run: apt-get install -y --no-install-recommends $*" >&2
            return 1
        fi
    fi
    echo "Installing: $*"
    "${as_root[@]+"${as_root[@]}"}" bash -c "$(declare -f install_quietly); install_quietly $*"
}

# Runs as root. Debian starts a server when its package is installed; policy-rc.d is the documented way to say no.
install_quietly() {
    local policy=/usr/sbin/policy-rc.d service own_policy=
    export DEBIAN_FRONTEND=noninteractive
    if [[ ! -e $policy ]]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        own_policy=yes
    fi
    { apt-get update -qq && apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$@"; } >/tmp/advisor-apt.$$ 2>&1
    local result=$?
    [[ -n $own_policy ]] && rm -f "$policy"
    # Neither now nor at the next boot: what was installed for the tests is not a service of this machine.
    for service in postgresql pgbouncer redis-server nginx varnish squid; do
        if [[ $result -eq 0 && " $* " == *" $service"[\ -]* ]] && command -v systemctl >/dev/null; then
            systemctl disable --quiet "$service" 2>/dev/null || true
        fi
    done
    [[ $result -ne 0 ]] && tail -20 /tmp/advisor-apt.$$ >&2
    rm -f /tmp/advisor-apt.$$
    return $result
}

advise_elsewhere() {
    cat >&2 <<ADVICE
This script installs packages on Debian and Ubuntu only. Here, install what these stand for: $*
  macOS:   xcode-select --install
           brew install postgresql@17 pgbouncer redis nginx varnish squid poppler imagemagick
  Fedora:  dnf install gcc pkgconf-pkg-config postgresql-server postgresql-contrib pgbouncer redis nginx varnish squid \\
             xorg-x11-server-Xvfb xdotool poppler-utils ImageMagick mesa-dri-drivers mesa-vulkan-drivers libxkbcommon-x11 \\
             dbus-daemon gnome-keyring libsecret zenity
  Arch:    pacman -S base-devel postgresql pgbouncer valkey nginx varnish squid xorg-server-xvfb xdotool poppler imagemagick \\
             gnome-keyring libsecret zenity
What is still missing is skipped below, by name.
ADVICE
}

# install_hypopg: the extension is packaged once for each Postgres version, so it comes after the server.
install_hypopg() {
    local version
    if postgres_has hypopg || ! command -v apt-get >/dev/null; then
        return 0
    fi
    version=$(basename "$(dirname "$(postgres_bin)")")
    install_packages "postgresql-$version-hypopg"
}

# require_rust: the compiler Cargo.toml asks for, or what to do about it.
require_rust() {
    local wanted have
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! command -v cargo >/dev/null && [[ -x $HOME/.cargo/bin/cargo ]]; then
        export PATH="$HOME/.cargo/bin:$PATH"
    fi
    if ! command -v cargo >/dev/null; then
        echo "Rust is missing. Install Rust $wanted or newer from https://rustup.rs and run this again." >&2
        return 1
    fi
    have=$(rustc --version | cut -d' ' -f2)
    if [[ $(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -1) != "$wanted" ]]; then
        echo "Rust $have is too old: $wanted or newer is needed. With rustup: rustup update stable" >&2
        return 1
    fi
}
