#!/usr/bin/env bash
# The main job from start to end: counts the lines of every header file below /usr/include, one
# task a file; then a total for each folder; then the grand total, checked against a plain wc.
#
#   scripts/demo.sh [FOLDER]     another folder than /usr/include
#   scripts/demo.sh --check      the same with the programs of the tests and a small folder
set -euo pipefail

# One task: the worker runs this script with the task's name. Results lie in $OUT.
if [ "${1:-}" = --step ]; then
    name=$2
    result() { printf '%s/%s' "$OUT" "$(printf %s "$1" | tr / %)"; }
    case $name in
        lines:*) wc -l <"${name#lines:}" >"$(result "$name")" ;;
        *) # The sum of those that this task needed: its own line in the task file names them.
            awk -F, -v name="$name" '$1 == name { for (i = 2; i <= NF; i++) print $i }' "$OUT/../tasks.txt" |
                while IFS= read -r need; do cat "$(result "$need")"; done |
                awk '{ sum += $1 } END { print sum + 0 }' >"$(result "$name")" ;;
    esac
    exit
fi

cd "$(dirname "$0")/.."
self=$PWD/scripts/demo.sh
folder=/usr/include
if [ "${1:-}" = --check ]; then
    build=debug
    folder=/usr/include/linux
    [ -d "$folder" ] || folder=$PWD/proto
    cargo build --quiet --locked --bins
else
    build=release
    folder=${1:-$folder}
    echo "building ..."
    cargo build --quiet --locked --release --bins
fi
bin=${CARGO_TARGET_DIR:-$PWD/target}/$build
work=${CARGO_TARGET_DIR:-$PWD/target}/demo
rm -rf "$work" && mkdir -p "$work/results"
export OUT=$work/results PATH=$bin:$PATH

# A directory of its own for sockets and keys, so that hubs of yours that run are left alone.
XDG_RUNTIME_DIR=$(mktemp -d "${TMPDIR:-/tmp}/dhub-demo.XXXXXX")
export XDG_RUNTIME_DIR DHUB_DIR=$XDG_RUNTIME_DIR/keys
unset DHUB_HUB DHUB_ACCESS DHUB_INSECURE DHUB_WORKER
cleanup() {
    trap - EXIT
    # shellcheck disable=SC2046 # several processes
    kill $(jobs -p) 2>/dev/null || true
    wait
    rm -rf "$XDG_RUNTIME_DIR"
}
trap cleanup EXIT INT TERM

echo "listing the header files below $folder ..."
find -L "$folder" -type f -name '*.h' ! -name '*,*' 2>/dev/null | LC_ALL=C sort >"$work/files.txt"
if [ "$folder" = "$PWD/proto" ]; then
    find "$folder" -maxdepth 2 -type f ! -name '*,*' | LC_ALL=C sort >"$work/files.txt"
fi
# Totals come first in the file: the order of its lines does not matter.
awk '{
    dir = $0; sub("/[^/]*$", "", dir)
    files[dir] = files[dir] ",lines:" $0
    if (!(dir in seen)) { seen[dir] = 1; total = total ",folder:" dir }
    lines = lines "lines:" $0 "\n"
} END {
    print "total" total
    for (dir in files) print "folder:" dir files[dir]
    printf "%s", lines
}' "$work/files.txt" >"$work/tasks.txt"

dhub -f "$work/run.db" &
hub=$!
until dquery --timeout 1s status >/dev/null 2>&1; do
    kill -0 $hub 2>/dev/null || exit 1
    sleep 0.1
done
dquery addfile "$work/tasks.txt"

kworker -j 2 --until-done -- "$self" --step {} &
first=$!
kworker -j 2 --until-done -- "$self" --step {} &
second=$!
sleep 1
dquery status
dquery wait
wait $first
wait $second
dquery status

total=$(cat "$OUT/total")
plain=$(tr '\n' '\0' <"$work/files.txt" | xargs -0 cat | wc -l)
kill $hub && wait $hub || true
echo
echo "$(wc -l <"$work/files.txt") files have $total lines; wc says $plain"
echo "results in $work/results, the hub's file is $work/run.db"
[ "$total" = "$plain" ]
