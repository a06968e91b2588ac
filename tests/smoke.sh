# shellcheck shell=bash
# The built program from outside: its commands, and its window on a private screen. Sourced by run.sh.

# expect NAME COMMAND…: one counted step; its output is shown when it fails.
expect() {
    local name=$1 log=$LOGS/smoke.log
    shift
    if "$@" >"$log" 2>&1; then
        TIER_PASSED=$((TIER_PASSED + 1))
    else
        TIER_FAILED=$((TIER_FAILED + 1))
        echo "failed: $name"
        sed 's/^/    /' "$log" | tail -20
    fi
}

exits_with() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    echo "exit status $status, wanted $wanted"
    [[ $status -eq $wanted ]]
}

# in_private_home PROGRAM ARGUMENT…: with a home of its own, so that no saved store or theme of the user's shows.
# It replaces the shell it runs in, so that in the background its process id is the program's.
in_private_home() {
    mkdir -p "$WORK/home"
    exec env -u WAYLAND_DISPLAY HOME="$WORK/home" XDG_CONFIG_HOME="$WORK/home/config" XDG_DATA_HOME="$WORK/home/data" \
        XDG_CACHE_HOME="$WORK/home/cache" XDG_STATE_HOME="$WORK/home/state" LIBGL_ALWAYS_SOFTWARE=1 "$@"
}

advisor() { (in_private_home timeout 60 "$ADVISOR" "$@"); }

says() {
    local wanted=$1
    shift
    "$@" | grep -iF -- "$wanted"
}

commands_tier() {
    local out=$WORK/reports
    mkdir -p "$out"
    expect "--version names the program" says medusa-advisor advisor --version
    expect "checks lists the catalogue" says pg-missing-index advisor checks
    expect "checks ID prints one in full" says "lack of an index" advisor checks pg-missing-index
    expect "grants postgres prints a grant" says "grant " advisor grants postgres
    expect "demo writes every format" advisor demo --out "$out/r.pdf" --out "$out/r.md" --out "$out/r.json" --out "$out/r.html"
    expect "the PDF opens" is_pdf "$out/r.pdf"
    expect "the Markdown starts with a title" grep -q -m1 '^# ' "$out/r.md"
    expect "the JSON names its schema" grep -q 'medusa-advisor.report/1' "$out/r.json"
    expect "the HTML is a page" grep -qi '<html' "$out/r.html"
    expect "a wrong option exits with 2" exits_with 2 advisor --no-such-option
    expect "a missing snapshot is an error in words" refuses_missing_snapshot "$out"
    expect "an unreachable store exits with 3" exits_with 3 advisor audit --postgres postgres://a:b@127.0.0.1:1/x --window 5s
}

is_pdf() {
    [[ $(head -c 5 "$1") == %PDF- ]] || return 1
    if command -v pdftotext >/dev/null; then
        pdftotext "$1" - | grep Medusa
    fi
}

refuses_missing_snapshot() {
    local status=0
    advisor report "$1/none.snapshot" --out "$1/none.pdf" 2>"$1/stderr" || status=$?
    cat "$1/stderr"
    [[ $status -ne 0 && -s $1/stderr && ! -e $1/none.pdf ]] && ! grep -q panicked "$1/stderr"
}

window_tier() {
    if [[ $(uname -s) != Linux ]]; then
        skip window "a private screen (Xvfb) exists on Linux only"
        return
    fi
    if ! start_display; then
        skip window "Xvfb is not installed or did not start"
        return
    fi
    look_at_window "a first start"
    look_at_window "the demo store" demo
    save_in_window
}

# save_in_window: the report by the dialog that zenity shows, and by a typed path where nothing shows one. No portal is reached in either.
save_in_window() {
    local without_bus=(env DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent) out=$WORK/saved
    if ! find_program xdotool >/dev/null; then
        skip window "xdotool is not installed, so nothing can be clicked or typed"
        return
    fi
    mkdir -p "$out"
    if find_program zenity >/dev/null; then
        open_export "${without_bus[@]}" "$ADVISOR" demo
        expect "saving opens zenity's dialog" wait_for 30 window_of_class zenity
        type_path "$(window_of_class zenity)" "$out/by-dialog.pdf"
        expect "the report is where the dialog said" wait_for 120 is_pdf "$out/by-dialog.pdf"
        close_export
    else
        skip window "zenity is not installed, so its dialog is not tried"
    fi
    open_export "${without_bus[@]}" PATH=/nonexistent "$ADVISOR" demo
    sleep 3
    screenshot "$WORK/window-path.png"
    type_path "$WINDOW" "$out/by-path.pdf"
    expect "the report is where the path said" wait_for 120 is_pdf "$out/by-path.pdf"
    close_export
}

# open_export PROGRAM ARGUMENT…: opens the Export page and presses Save, the button at the right end of its top bar. Sets WINDOW.
open_export() {
    in_private_home "$@" >"$LOGS/window.log" 2>&1 &
    EXPORT_PID=$!
    wait_for 30 drawn_or_ended "$EXPORT_PID" || true
    sleep 3
    WINDOW=$(xdotool search --onlyvisible --pid "$EXPORT_PID" | tail -1)
    xdotool windowmove "$WINDOW" 0 0 windowfocus "$WINDOW" key ctrl+6
    sleep 3
    xdotool mousemove 1202 28 click 1
}

close_export() {
    kill "$EXPORT_PID" 2>/dev/null || true
    wait "$EXPORT_PID" 2>/dev/null || true
    if grep -i panicked "$LOGS/window.log"; then
        TIER_FAILED=$((TIER_FAILED + 1))
    fi
    sleep 0.5
}

window_of_class() { xdotool search --onlyvisible --class "$1" | tail -1 | grep .; }

# type_path WINDOW PATH: into the field that has the focus, in place of what it proposes.
type_path() {
    sleep 1
    xdotool windowfocus "$1"
    sleep 0.3
    xdotool key ctrl+a
    xdotool type --delay 20 "$2"
    sleep 0.5
    xdotool key Return
}

# look_at_window NAME ARGUMENT…: it draws, stays up, and rests when nobody touches it.
look_at_window() {
    local name=$1 pid
    shift
    in_private_home "$ADVISOR" "$@" >"$LOGS/window.log" 2>&1 &
    pid=$!
    wait_for 30 drawn_or_ended "$pid" || true
    expect "$name draws a window" screen_is_drawn
    sleep 3
    expect "$name stays up" kill -0 "$pid"
    expect "$name rests when idle" is_idle "$pid" 5
    screenshot "$WORK/window-${1:-start}.png"
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    grep -i panicked "$LOGS/window.log" && TIER_FAILED=$((TIER_FAILED + 1))
    sleep 0.5
}

# drawn_or_ended PID: waits no longer for a program that has ended; the next step reports that.
drawn_or_ended() { screen_is_drawn || ! kill -0 "$1" 2>/dev/null; }

# The screen's pixels are the last 1280 × 800 × 4 bytes of the file; an empty screen has one colour.
screen_is_drawn() {
    local colours
    colours=$(tail -c 4096000 "$SERVICES/screen/Xvfb_screen0" | od -An -v -tx4 -w4 | sort -u | head -100 | wc -l)
    echo "$colours colours on screen"
    ((colours > 30))
}

# is_idle PID SECONDS: at most 1 % of one processor.
is_idle() {
    local before after per_second
    kill -0 "$1" || return 1
    per_second=$(getconf CLK_TCK)
    before=$(ticks "$1")
    sleep "$2"
    after=$(ticks "$1")
    echo "$((after - before)) ticks of $((per_second * $2)) used"
    ((after - before <= per_second * $2 / 100))
}

# User and system time of a process; its name may hold spaces, so count from behind the closing bracket.
ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{print $12 + $13}'; }

screenshot() {
    if command -v import >/dev/null; then
        import -window root "$1" 2>/dev/null || true
    fi
}
