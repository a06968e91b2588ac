#!/usr/bin/env bash
# Pictures of every page on a private screen, dark and light, of the demo store.
#
# scripts/screenshots.sh [FOLDER] [WIDTHxHEIGHT] [SCALE]
#
# FOLDER is assets/screenshots by default. The audit in progress and the comparison need services or two audits: they are drawn by
# examples/look.rs with sample data. Programs are taken from target/debug, or from ADVISOR and LOOK. Needs Xvfb, xdotool, ImageMagick;
# with pdftoppm (poppler-utils) it pictures the report too.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-assets/screenshots} size=${2:-1280x800} scale=${3:-1}
target=${CARGO_TARGET_DIR:-target}
advisor=${ADVISOR:-$target/debug/medusa-advisor} look=${LOOK:-$target/debug/examples/look}
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
mkdir -p "$folder"

Xvfb -displayfd 3 -screen 0 "${size}x24" -nolisten tcp 3>"$work/display" >"$work/xvfb.log" 2>&1 &
pids+=($!)
for _ in $(seq 50); do [[ -s $work/display ]] && break; sleep 0.1; done
DISPLAY=:$(head -1 "$work/display")
export DISPLAY LIBGL_ALWAYS_SOFTWARE=1 WINIT_X11_SCALE_FACTOR=$scale LOOK_SIZE
LOOK_SIZE=$(awk -v s="$scale" -F x '{ printf "%dx%d", $1 / s, $2 / s }' <<<"$size")
unset WAYLAND_DISPLAY

# begin THEME KIND: a home of its own, with one saved store or none.
begin() {
    export MEDUSA_ADVISOR_HOME=$work/$1-$2
    mkdir -p "$MEDUSA_ADVISOR_HOME/config/stores"
    echo "{\"theme\":\"$1\"}" >"$MEDUSA_ADVISOR_HOME/config/settings.json"
    if [[ $2 == stores ]]; then
        cat >"$MEDUSA_ADVISOR_HOME/config/stores/northwind.json" <<'JSON'
{"id":"northwind","name":"Northwind Outfitters","environment":"production",
 "postgres":{"host":"db.northwind.internal","port":5432,"database":"medusa","user":"medusa_advisor","tls":"verify-full","ca_file":null},
 "redis":[{"host":"cache.northwind.internal","port":6379,"database":0,"user":"","is_tls":true,"ca_file":null}],
 "cloudflare":null,"shop":null,"keep_secrets":"ask_each_time","limits":{}}
JSON
    fi
}

# open_window PROGRAM ARGUMENT…: starts it, waits until it has drawn, gives it the keyboard.
open_window() {
    "$@" >"$work/window.log" 2>&1 &
    window_pid=$!
    pids+=("$window_pid")
    for _ in $(seq 100); do
        window=$(xdotool search --onlyvisible --pid "$window_pid" 2>/dev/null | tail -1) && [[ -n $window ]] && break
        sleep 0.1
    done
    xdotool windowmove "$window" 0 0 windowsize "$window" "${size%x*}" "${size#*x}" windowfocus "$window"
    xdotool mousemove "${size%x*}" "${size#*x}"
    sleep 2
}

close_window() {
    kill "$window_pid" 2>/dev/null || true
    wait "$window_pid" 2>/dev/null || true
}

picture() {
    sleep "${2:-0.7}"
    import -window root "$folder/$1-$theme.png"
    echo "$folder/$1-$theme.png"
}

# wait_for_page: until the preview's first page is there, white in both themes; a debug build takes its time.
wait_for_page() {
    local at
    at=$(awk -v s="$scale" 'BEGIN { printf "1x1+%d+%d", 700 * s, 150 * s }')
    for _ in $(seq "${EXPORT_WAIT:-300}"); do
        [[ $(import -window root -crop "$at" +repage txt:- | grep -c -i '#FFFFFF') -gt 0 ]] && return
        sleep 1
    done
    echo "the preview was not ready" >&2
}

# go NAME: by the list of Ctrl K.
go() {
    xdotool key ctrl+k
    sleep 0.5
    xdotool type --delay 30 "$1"
    sleep 0.4
    xdotool key Return
    sleep 0.4
}

# click X Y in points of a window as wide as the screen.
click() {
    xdotool mousemove "$(awk -v a="$1" -v s="$scale" 'BEGIN { print int(a * s) }')" "$(awk -v a="$2" -v s="$scale" 'BEGIN { print int(a * s) }')" click 1
    sleep 0.3
    xdotool mousemove "${size%x*}" "${size#*x}"
}

for theme in ${THEMES:-dark light}; do
    begin "$theme" none
    open_window "$advisor"
    picture first-run
    close_window

    begin "$theme" stores
    open_window "$advisor" demo
    picture overview
    xdotool key ctrl+1
    picture stores
    xdotool key ctrl+3
    picture findings
    for layer in CDN Redis Postgres Application; do
        go "metrics $layer"
        picture "metrics-$(tr '[:upper:]' '[:lower:]' <<<"$layer")"
    done
    xdotool key ctrl+6
    wait_for_page
    picture export
    xdotool key ctrl+comma
    picture settings
    go "checks page"
    picture checks
    close_window

    for page in audit compare connect; do
        open_window "$look" "$page" "$theme"
        picture "$page"
        close_window
    done
done

# The report on paper: the pages that begin a part, found by their headings.
if command -v pdftoppm >/dev/null; then
    "$advisor" demo --out "$work/report.pdf" >/dev/null
    paper() { pdftoppm -r 90 -f "$2" -l "$2" -png -singlefile "$work/report.pdf" "$folder/report-$1" 2>/dev/null; }
    pdftotext -layout "$work/report.pdf" "$work/report.txt" 2>/dev/null
    page_of() { awk -v RS='\f' -v heading="$1" '$0 ~ "(^|\n) *" heading " *\n" { print NR; exit }' "$work/report.txt"; }
    paper cover 1
    for part in Summary "Ranked plan" Findings Charts "Not checked" "Method and limits"; do
        page=$(page_of "$part")
        [[ -z $page ]] || paper "$(tr '[:upper:] ' '[:lower:]-' <<<"$part")" "$page"
    done
fi
