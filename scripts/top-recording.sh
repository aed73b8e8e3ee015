#!/usr/bin/env bash
# Records `dquery top` in tmux as text: a run with failures, retries and a worker that dies.
#
#   scripts/top-recording.sh [FILE]      docs/top.txt unless another file is named
#
# DHUB_BIN is where the three programs are; without it they are built.
set -euo pipefail
file=${1:-$(dirname "$0")/../docs/top.txt}
file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")
cd "$(dirname "$0")/.."

if [ -z "${DHUB_BIN:-}" ]; then
    cargo build --quiet --locked --bins
    DHUB_BIN=${CARGO_TARGET_DIR:-$PWD/target}/debug
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/dhub-top.XXXXXX")
export PATH=$DHUB_BIN:$PATH XDG_RUNTIME_DIR=$work DHUB_DIR=$work/keys LC_ALL=C.UTF-8
unset DHUB_HUB DHUB_ACCESS DHUB_INSECURE DHUB_WORKER NO_COLOR TMUX
tmux() { command tmux -u -S "$work/tmux" "$@"; }
cleanup() {
    trap - EXIT
    tmux kill-server 2>/dev/null || true
    # shellcheck disable=SC2046 # several processes
    kill -CONT $(jobs -p) 2>/dev/null || true
    # The first lets the pool's tasks end, the second ends them.
    for _ in 1 2; do
        # shellcheck disable=SC2046
        kill $(jobs -p) 2>/dev/null || true
        sleep 0.3
    done
    wait
    rm -rf "$work"
}
trap cleanup EXIT INT TERM
cd "$work"

screen() { tmux capture-pane -p; }
# Waits until the screen has all of these.
shows() {
    local now text
    for _ in $(seq 600); do
        now=$(screen)
        for text in "$@"; do
            [[ $now == *"$text"* ]] || { sleep 0.1; continue 2; }
        done
        return
    done
    echo "top-recording.sh: the screen never had: $*" >&2
    screen >&2
    exit 1
}
keys() { tmux send-keys "$@"; }
shoot() { # TITLE
    {
        printf '\n## %s\n\n' "$1"
        screen | sed 's/^/    /; s/ *$//'
    } >>"$work/recording"
}

cat >run.sh <<'SCRIPT'
name=$1 attempt=$2
echo "step 1 of $name"
case $name in
    *13) sleep 0.2; echo "no input file for $name" >&2; exit 3 ;;
    *7) sleep 0.3; if [ "$attempt" = 1 ]; then echo "lost the licence server" >&2; exit 75; fi ;;
    slow) sleep 600 ;;
    *) sleep 0.$((RANDOM % 5 + 1)) ;;
esac
SCRIPT
{
    echo '{"name": "slow", "priority": 1}'
    seq -f '{"name": "sim-%04g", "retries": 1}' 900
    echo '{"name": "merge", "needs": ["sim-0013", "sim-0014"]}'
    echo '{"name": "report", "needs": ["merge"]}'
} >tasks.jsonl

dhub -f run.db --host login3 -p $((20000 + RANDOM % 10000)) --worker-timeout 4s --retry-delay 2s 2>hub.log &
hub=$!
until dquery --timeout 1s status >/dev/null 2>&1; do
    kill -0 $hub || { cat hub.log >&2; exit 1; }
    sleep 0.1
done
dquery addfile tasks.jsonl 2>/dev/null
kworker --name node1:4711 -j 6 -- bash run.sh '{}' '{attempt}' 2>/dev/null &
kworker --name node2:2211 -j 4 -- bash run.sh '{}' '{attempt}' 2>/dev/null &
dying=$!

tmux -f /dev/null new-session -d -x 80 -y 24 "dquery top; echo left with exit code \$?; exec sleep 600"
shows 'sim-0001' '10 of 10 slots busy' ' 8 s'
shoot 'dquery top in a window of 80x24'

# As a machine that loses its power: guardian and pool at once.
disown "$dying"
pool=$(pgrep -P "$dying")
kill -9 "$dying" "$pool"
keys 2
shows 'lost'
shoot '2: the workers; node2 has just died, and what it ran is ready again'

keys 1
shows 'sim-0001'
keys f f
shows 'only failed' 'sim-0013'
shoot 'f f: only what failed'

keys Enter
shows 'attempt 2 wrote'
shoot 'Enter: one task, why it failed, and what its attempts wrote'

keys Escape
shows 'only failed'
keys f a
shows 'slow'
keys s s s
shows 'by time' 'slow                            running'
shoot 's s s: the longest first'

keys c
shows "cancel 'slow'?"
shoot 'c: a question before anything is done'

keys y
shows "'slow' is cancelled"
shoot 'y: and what came of it'

keys / '*-00?7' Enter
shows 'only *-00?7' 'sim-0007'
shoot '/ *-00?7 Enter: only some names'

tmux resize-window -x 40 -y 10
shows 'TASK                STATE'
shoot 'the same in a window of 40x10'

tmux resize-window -x 120 -y 30
keys Escape s s s
shows 'WHY' 'sim-0002'
kill -STOP $hub
shows 'no answer for 6 s'
keys '?'
shows 'quit; the run goes on'
shoot 'the hub hangs; keys are answered all the same. ? is the help'

kill -CONT $hub
keys Escape q
shows 'left with exit code 0'

{
    cat <<'TEXT'
# dquery top

What `dquery top` shows, recorded in tmux by `scripts/top-recording.sh`: 903 tasks on two pools. Tasks whose number ends in 7 fail at their first
attempt, those that end in 13 at each; one worker dies.
TEXT
    cat "$work/recording"
} >"$file"
