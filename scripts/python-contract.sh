#!/usr/bin/env bash
# Runs the tests that other projects have for pools of processes against DhubExecutor, with a hub and workers of its own:
# CPython's test_concurrent_futures, as the interpreter's test package has it, and joblib's test_parallel, from its sdist.
#
#   scripts/python-contract.sh [--python 3.9|PATH] [cpython|joblib]...
#
# Prints how many passed, and of each other test why not, by the table in proto/python/contract/differs.md. DHUB_BIN is
# where dhub is (target/debug). Exit code 1: a test failed that the table does not have. 3: there is no such Python here.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
bin=${DHUB_BIN:-$target/debug}
joblib=1.5.3

python=
if [ "${1:-}" = --python ]; then
    python=$2
    shift 2
fi
if [[ $python != */* ]] && ! python=$(scripts/python-find.sh ${python:+"$python"}); then
    echo "python-contract.sh: no such Python with venv and pip here" >&2
    exit 3
fi
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=(cpython joblib)
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

venv=$target/python-contract-$version
requirements=proto/python/tests/requirements.txt
if ! cmp -s "$requirements" "$venv/complete"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    if ! "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements" numpy threadpoolctl pytest-timeout; then
        echo "python-contract.sh: pip cannot install what the tests need" >&2
        exit 3
    fi
    cp "$requirements" "$venv/complete"
fi

home=$(mktemp -d /tmp/dhub-contract-XXXXXX)
running=()
finish() {
    for process in "${running[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$home"
}
trap finish EXIT
mkdir -m 700 "$home/run"
export DHUB_DIR=$home/keys XDG_RUNTIME_DIR=$home/run
unset DHUB_HUB DHUB_ACCESS DHUB_INSECURE DHUB_WORKER
contract=$PWD/proto/python/contract
export PYTHONPATH=$PWD/proto/python/src:$contract

if [[ " ${suites[*]} " == *" joblib "* ]]; then
    # Its own tests are in the sdist alone. What is tested is that copy, as the workers import it.
    "$venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary :all: -d "$home" \
        "joblib==$joblib"
    mkdir "$home/joblib"
    tar xzf "$home/joblib-$joblib.tar.gz" -C "$home/joblib" --strip 1 "joblib-$joblib/joblib"
    tests=$home/joblib/joblib/test/test_parallel.py
    sed -i 's/"loky"/"dhub"/g; s/^from joblib.parallel import ($/import dhub.parallel\n\n&/
        s/from joblib import Parallel, delayed/import dhub.parallel; &/' "$tests"
    export PYTHONPATH=$home/joblib:$PYTHONPATH
fi

"$bin/dhub" -f "$home/run.db" --local >"$home/hub.log" 2>&1 &
running=($!)
"$venv/bin/python" -m dhub.worker -j 5 --timeout 30 >"$home/worker.log" 2>&1 &
running=($! "${running[@]}")

failed=0
for suite in "${suites[@]}"; do
    came=0
    case $suite in
        cpython) (cd "$home" && "$venv/bin/python" "$contract/cpython.py") >"$home/$suite.out" 2>"$home/$suite.log" || came=$? ;;
        joblib)
            (cd "$home/joblib" && "$venv/bin/python" -m pytest -q -p joblib_plugin -p no:cacheprovider --timeout 120 \
                --tb=no "$tests") >"$home/$suite.out" 2>"$home/$suite.log" || true
            ;;
        *)
            echo "python-contract.sh: cpython and joblib are what there is, not $suite" >&2
            exit 2
            ;;
    esac
    if [ "$came" = 3 ]; then
        echo "$suite $version: this Python has no test package: skipped"
    elif ! "$venv/bin/python" "$contract/compare.py" "$suite" <"$home/$suite.out" | sed "s/^$suite:/$suite $version:/"; then
        failed=1
        tail -n 20 "$home/$suite.log"
    fi
done
exit $failed
