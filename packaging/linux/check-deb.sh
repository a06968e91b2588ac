#!/usr/bin/env bash
# Installs a package, starts what it brought, removes it and looks for what was left: packaging/linux/check-deb.sh FILE.deb
# Runs as root, best in a throw-away machine; refuses where the package is installed already.
set -euo pipefail
DEB=$(realpath "${1:?the .deb to check}")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/packages.sh
source tests/packages.sh
# shellcheck source=tests/services.sh
source tests/services.sh
# shellcheck source=tests/smoke.sh
source tests/smoke.sh

if [[ $EUID -ne 0 ]]; then
    echo "Installing a package takes root." >&2
    exit 2
fi
if dpkg -s medusa-advisor >/dev/null 2>&1; then
    echo "medusa-advisor is installed here already; this check would remove it." >&2
    exit 2
fi

WORK=$(mktemp -d)
SERVICES=$WORK/services LOGS=$WORK TIER_PASSED=0 TIER_FAILED=0
ADVISOR=/usr/bin/medusa-advisor
mkdir "$SERVICES"
finish() {
    local status=$?
    trap - EXIT
    stop_services
    dpkg --purge medusa-advisor >/dev/null 2>&1 || true
    rm -rf "$WORK"
    exit "$status"
}
trap finish EXIT

installs() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends "$DEB"; }
removes() { dpkg --purge medusa-advisor; }
left_over() { find /usr /etc /opt /var/lib -name '*medusa-advisor*' -not -path "$DEB" 2>/dev/null | sort; }
nothing_left() { diff "$WORK/before" <(left_over); }

left_over >"$WORK/before"
expect "installs with its dependencies" installs
expect "is where the system looks" test -x "$ADVISOR"
expect "its files are intact" dpkg --verify medusa-advisor
if command -v desktop-file-validate >/dev/null; then
    expect "the desktop entry is valid" desktop-file-validate /usr/share/applications/medusa-advisor.desktop
fi
expect "--version" says medusa-advisor advisor --version
expect "checks" says pg-missing-index advisor checks
if start_display; then
    look_at_window "the installed window"
else
    echo "skipped: the window: Xvfb is not installed"
fi
expect "uninstalls" removes
expect "leaves nothing behind" nothing_left
echo "$TIER_PASSED passed, $TIER_FAILED failed"
((TIER_FAILED == 0))
