#!/usr/bin/env bash
# Renders the icon to the sizes desktops ask for. Needs rsvg-convert (Debian: librsvg2-bin; macOS: brew install librsvg).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
for size in 16 24 32 48 64 128 256 512; do
    rsvg-convert -w "$size" -h "$size" -o "$size.png" medusa-advisor.svg
done
