#!/usr/bin/env bash
# Measures the Python executor beside ProcessPoolExecutor, dask.distributed and dispy, and prints the tables of
# docs/performance.md.
#
#   scripts/bench-python.sh [-n CALLS] [-r RUNS] [--dir DIR]
#
# 20,000 calls, 3 runs each, in turn; takes some ten minutes, most of it the peers; nothing else should run meanwhile.
# --dir: where the hub's file goes; a disk, not memory. The peers come from PyPI, into a venv of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
calls=20000 runs=3 dir=$target/bench
while [ $# -gt 0 ]; do
    case $1 in
        -n) calls=$2 ;;
        -r) runs=$2 ;;
        --dir) dir=$2 ;;
        *) sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done

cargo build --quiet --release --locked -p dhub
venv=$target/python-peers
if [ ! -e "$venv/complete" ]; then
    rm -rf "$venv"
    "$(scripts/python-find.sh)" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check \
        distributed==2026.8.0 dask==2026.8.0 dispy==4.15.2 pyzmq==27.1.0 protobuf==6.33.6 cloudpickle==3.1.2
    touch "$venv/complete"
fi
"$venv/bin/pip" install -q --disable-pip-version-check --no-deps --force-reinstall ./proto/python
mkdir -p "$dir"
export DHUB_BENCH_HUB=$target/release/dhub DHUB_BENCH_DIR=$dir PYTHONPATH=$PWD/tests/bench/python
exec "$venv/bin/python" tests/bench/python/table.py "$calls" "$runs"
