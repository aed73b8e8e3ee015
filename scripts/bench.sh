#!/usr/bin/env bash
# Measures the hub beside a raw ZeroMQ echo, and prints the table of docs/performance.md.
#
#   scripts/bench.sh [--json FILE] [--compare FILE] [--runs N] [--dir DIR] [--endpoint URL] [CASE...]
#
# Ratios are to the echo of the same moment: figures of different machines can be compared by them.
# --dir: where the hubs' files go; a disk, not memory. --endpoint: another hub that speaks the dwork
# dialect and runs already.
#
#   scripts/bench.sh --growth [--json FILE] [--dir DIR] [--divide N]
#
# Memory, file and restarts of a hub with ten million tasks; needs 10 GiB of disk and of memory.
#
#   scripts/bench.sh --look [--dir DIR]
#
# How fast status and list answer while a run with a million tasks goes on, and what they cost it.
#
#   scripts/bench.sh --crowd [--connections N] [--rounds N]
#
# The pace of a pool beside a thousand hostile connections of each role, against that of the pool alone.
#
# Each takes some ten minutes; nothing else should run meanwhile.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --release --locked -p dhub -p dquery -p bench
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
dir=$target/bench
mkdir -p "$dir"
if [ "${1:-}" = --growth ]; then
    shift
    exec "$target/release/dhub-bench" growth --dir "$dir" "$@"
fi
if [ "${1:-}" = --look ]; then
    shift
    exec "$target/release/dhub-bench" look --dir "$dir" "$@"
fi
if [ "${1:-}" = --crowd ]; then
    shift
    cargo build --quiet --release --locked -p kworker -p e2e --bin kworker --bin dhub-siege
    DHUB_BIN_DIR=$target/release exec "$target/release/dhub-siege" pace "$@"
fi
exec "$target/release/dhub-bench" table --dir "$dir" "$@"
