#!/usr/bin/env bash
# Measures a pool: tasks that do nothing beside xargs, and what an idle pool costs.
#
#   scripts/bench-pool.sh [-n SLOTS] [-t TASKS] [-r RUNS] [--idle SECONDS] [--bin DIR] [--only speed|idle] [-- OPTION...]
#
# Speed: `kworker -j N -- /bin/true NAME` and `xargs -P N -n 1 /bin/true` over the same names, in turn; the ratio
# of each pair, and their median. The hub has a file, on a disk. Idle: the processor time of a pool of 100 slots that has
# nothing to do, and the connections of one of 1,000 slots.
#
# OPTIONs are for the pool whose speed is measured.
# --bin: a directory with dhub, dquery and kworker, instead of building them. Other work on the machine shows in
# the rates and hardly in the ratios.
set -euo pipefail
cd "$(dirname "$0")/.."

slots=2 tasks=20000 runs=5 idle=30 bin= only=
while [ $# -gt 0 ]; do
    case $1 in
        --) shift && break ;;
        -n) slots=$2 ;;
        -t) tasks=$2 ;;
        -r) runs=$2 ;;
        --idle) idle=$2 ;;
        --bin) bin=$(cd "$2" && pwd) ;;
        --only) only=$2 ;;
        *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
    esac
    shift 2
done

options=("$@")
target=${CARGO_TARGET_DIR:-$PWD/target}
if [ -z "$bin" ]; then
    cargo build --quiet --release --locked -p dhub -p dquery -p kworker
    bin=$target/release
fi
mkdir -p "$target"
dir=$(mktemp -d "$target/bench-pool.XXXXXX")
# Sockets live below it, and their paths have to be short.
run=$(mktemp -d)
export XDG_RUNTIME_DIR=$run HOME=$run
unset DHUB_HUB DHUB_ACCESS DHUB_INSECURE DHUB_DIR DHUB_WORKER RUST_LOG
hub= pool=
stop() {
    for process in $pool $hub; do
        kill "$process" 2>/dev/null && wait "$process" 2>/dev/null || true
    done
    pool= hub=
}
trap 'stop; rm -rf "$dir" "$run"' EXIT

start_hub() {
    rm -f "$dir"/run.db*
    "$bin/dhub" -f "$dir/run.db" --insecure 2>"$dir/hub.log" &
    hub=$!
    for _ in $(seq 100); do
        "$bin/dquery" --timeout 1s status >/dev/null 2>&1 && return
        sleep 0.1
    done
    cat "$dir/hub.log" >&2
    exit 1
}

now() { date +%s%N; }
median() { sort -n | awk '{a[NR] = $1} END {print NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2}'; }
# Processor time of these processes so far, in ticks.
ticks() { cat "${@/#//proc/}" | awk '{sub(/.*\) /, ""); all += $12 + $13} END {print all}'; }
# A process and all below it.
family() {
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do family "$child"; done
}

speed() {
    seq -f 't%.0f' "$tasks" >"$dir/names"
    for i in $(seq "$runs"); do
        begin=$(now)
        xargs -P "$slots" -n 1 /bin/true <"$dir/names"
        xargs_ns=$(($(now) - begin))
        start_hub
        "$bin/dquery" addfile "$dir/names" >/dev/null 2>&1
        begin=$(now)
        "$bin/kworker" -j "$slots" --until-done "${options[@]}" -- /bin/true {} 2>"$dir/pool.log" || { cat "$dir/pool.log" >&2; exit 1; }
        pool_ns=$(($(now) - begin))
        cpu=$(ticks "$hub/stat")
        stop
        awk -v i="$i" -v n="$tasks" -v x="$xargs_ns" -v k="$pool_ns" -v c="$cpu" -v hz="$(getconf CLK_TCK)" 'BEGIN {
            printf "%d: xargs %.0f/s, kworker %.0f/s, ratio %.2f; the hub %.0f us a task\n", i, n / x * 1e9, n / k * 1e9, x / k, c / hz * 1e6 / n }'
    done | tee "$dir/speed"
    sed 's/.*ratio \([0-9.]*\).*/\1/' "$dir/speed" | median |
        sed "s/^/median ratio to xargs at N = $slots, $tasks tasks: /"
}

# A pool of that many slots, over TCP.
idle_pool() {
    endpoint=$("$bin/dquery" status --json | grep -o 'tcp://[^"]*' | head -1)
    "$bin/kworker" -s "$endpoint" -j "$1" -- /bin/true {} 2>"$dir/pool.log" &
    pool=$!
    for _ in $(seq 100); do
        "$bin/dquery" status --json 2>/dev/null | grep -q '"workers_total": *1' && return
        sleep 0.1
    done
    cat "$dir/pool.log" >&2
    exit 1
}

idle() {
    start_hub
    idle_pool 100
    sleep 3
    mapfile -t files < <(family "$pool" | sed 's/$/\/stat/')
    before=$(ticks "${files[@]}") hub_before=$(ticks "$hub/stat")
    sleep "$idle"
    after=$(ticks "${files[@]}") hub_after=$(ticks "$hub/stat")
    awk -v p="$((after - before))" -v h="$((hub_after - hub_before))" -v s="$idle" -v hz="$(getconf CLK_TCK)" 'BEGIN {
        printf "an idle pool of 100 slots: %.2f %% of a core, its hub %.2f %%, over %d s\n", p / hz / s * 100, h / hz / s * 100, s }'
    kill "$pool" && wait "$pool" || true
    idle_pool 1000
    sleep 1
    connections=0
    for process in $(family "$pool"); do
        for socket in $(readlink /proc/"$process"/fd/* | sed -n 's/^socket:\[\([0-9]*\)\]$/\1/p'); do
            # Established TCP.
            if awk -v inode="$socket" '$10 == inode && $4 == "01" {found = 1} END {exit !found}' /proc/net/tcp /proc/net/tcp6; then
                connections=$((connections + 1))
            fi
        done
    done
    echo "a pool of 1,000 slots: $connections TCP connections (requests and reports)"
    stop
}

case $only in
    speed) speed ;;
    idle) idle ;;
    *) speed && idle ;;
esac
