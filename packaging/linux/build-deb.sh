#!/usr/bin/env bash
# Builds the Debian package: packaging/linux/build-deb.sh [--profile dist|release|dev]
# Prints the path of the .deb last. Needs Rust, a C compiler and dpkg-deb; downloads nothing beyond crates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PROFILE=dist
if [[ ${1:-} == --profile && -n ${2:-} ]]; then
    PROFILE=$2
elif [[ $# -gt 0 ]]; then
    echo "Usage: $0 [--profile dist|release|dev]" >&2
    exit 2
fi
VERSION=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
MAINTAINER="The Medusa Advisor authors <medusa-advisor@users.noreply.github.com>"
ARCH=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

# What the window loads at run time (the linker does not know), besides the C library.
DEPENDS="libgcc-s1, libgl1, libegl1, libx11-6, libx11-xcb1, libxcursor1, libxi6, libxrandr2, libxkbcommon0, \
libxkbcommon-x11-0, libwayland-client0, libwayland-egl1"
# File dialogs go through the portal (reached by libdbus) or zenity, saved passwords into the keyring. Without them paths are typed and
# passwords asked for.
RECOMMENDS="ca-certificates, libdbus-1-3, xdg-desktop-portal | zenity, gnome-keyring | kwalletmanager"

cargo build --locked --profile "$PROFILE" >&2
TARGET=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
BUILT=$TARGET/${PROFILE/#dev/debug}/medusa-advisor
ROOT=$(mktemp -d)
trap 'rm -rf "$ROOT"' EXIT
chmod 755 "$ROOT"

put() { install -D -m "$1" "$2" "$ROOT/$3"; }
put 755 "$BUILT" usr/bin/medusa-advisor
put 644 packaging/linux/medusa-advisor.desktop usr/share/applications/medusa-advisor.desktop
put 644 packaging/linux/medusa-advisor.metainfo.xml usr/share/metainfo/io.github.medusa_advisor.MedusaAdvisor.metainfo.xml
put 644 packaging/icon/medusa-advisor.svg usr/share/icons/hicolor/scalable/apps/medusa-advisor.svg
for size in 16 24 32 48 64 128 256 512; do
    put 644 "packaging/icon/$size.png" "usr/share/icons/hicolor/${size}x$size/apps/medusa-advisor.png"
done
put 644 packaging/linux/copyright usr/share/doc/medusa-advisor/copyright
put 644 packaging/linux/medusa-advisor.1 usr/share/man/man1/medusa-advisor.1
put 644 CHANGELOG.md usr/share/doc/medusa-advisor/changelog
cat >"$ROOT/usr/share/doc/medusa-advisor/changelog.Debian" <<CHANGES
medusa-advisor ($VERSION-1) unstable; urgency=medium

  * The changes are in changelog.gz.

 -- $MAINTAINER  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
CHANGES
chmod 644 "$ROOT/usr/share/doc/medusa-advisor/changelog.Debian"
gzip -9n "$ROOT"/usr/share/man/man1/*.1 "$ROOT"/usr/share/doc/medusa-advisor/changelog*
strip --strip-unneeded "$ROOT/usr/bin/medusa-advisor"

# The newest C library symbol the program uses is the oldest C library it runs with.
GLIBC=$(objdump -T "$BUILT" | { grep -oE 'GLIBC_[0-9.]+' || true; } | sort -uV | tail -1)
mkdir "$ROOT/DEBIAN"
cat >"$ROOT/DEBIAN/control" <<CONTROL
Package: medusa-advisor
Version: $VERSION-1
Architecture: $ARCH
Maintainer: $MAINTAINER
Installed-Size: $(du -sk --exclude DEBIAN "$ROOT" | cut -f1)
Depends: libc6 (>= ${GLIBC#GLIBC_}), $DEPENDS
Recommends: $RECOMMENDS
Section: database
Priority: optional
Description: finds what slows a Medusa.js store down, with the exact fix
 Audits a Medusa.js store across its CDN, Redis, Postgres and application
 without changing anything, ranks what to fix by measured cost and exports a
 report as PDF, Markdown, HTML or JSON. Has a window and the same audit as a
 command.
CONTROL
(cd "$ROOT" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$ROOT/DEBIAN/md5sums"
find "$ROOT" -type d -exec chmod 755 {} +
mkdir -p "$TARGET/debian"
DEB=$TARGET/debian/medusa-advisor_$VERSION-1_$ARCH.deb
dpkg-deb --root-owner-group -Zxz --build "$ROOT" "$DEB" >&2
echo "$DEB"
