#!/usr/bin/env bash
# Runs the tests that other projects have for pools of processes against DhubExecutor, with a hub and workers of its own:
#
#   cpython    test_concurrent_futures, of the interpreter's test package, else of Debian's
#   joblib     test_parallel, from its sdist
#   dask       what joblib's test_dask wants of any backend, from the same
#   loky       its tests of executors, from its sdist
#   mpi4py     its tests of the pool of mpi4py.futures, from its sdist
#   sklearn    cross-validation and searches with scikit-learn, twice: exactly as without a hub
#
#   scripts/python-contract.sh [--python 3.9|PATH] [SUITE]...
#
# Prints how many passed, and of each other test why not, by the table in proto/python/contract/differs.md. DHUB_BIN is
# where dhub is (target/debug). Exit code 1: a test failed that the table does not have. 3: there is no such Python here.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
bin=${DHUB_BIN:-$target/debug}
known=(cpython joblib dask loky mpi4py sklearn)

python=
if [ "${1:-}" = --python ]; then
    python=$2
    shift 2
fi
if [[ $python != */* ]] && ! python=$(scripts/python-find.sh ${python:+"$python"}); then
    echo "python-contract.sh: no such Python with venv and pip here" >&2
    exit 3
fi
if [ ! -x "$bin/dhub" ]; then
    echo "python-contract.sh: no dhub in $bin; DHUB_BIN says where it is" >&2
    exit 2
fi
suites=("$@")
[ ${#suites[@]} -gt 0 ] || suites=("${known[@]}")
for suite in "${suites[@]}"; do
    if [[ " ${known[*]} " != *" $suite "* ]]; then
        echo "python-contract.sh: ${known[*]} are what there is, not $suite" >&2
        exit 2
    fi
done
wants() { [[ " ${suites[*]} " == *" $1 "* ]]; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

venv=$target/python-contract-$version
requirements=(proto/python/tests/requirements.txt proto/python/contract/requirements.txt)
if ! cat "${requirements[@]}" | cmp -s - "$venv/complete"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    if ! "$venv/bin/pip" install -q --disable-pip-version-check "${requirements[@]/#/-r}"; then
        echo "python-contract.sh: pip cannot install what the tests need" >&2
        exit 3
    fi
    cat "${requirements[@]}" >"$venv/complete"
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

# Their own tests are in the sdists alone. What is tested is that copy, as the workers import it.
sdist() {
    "$venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-build-isolation --no-binary :all: \
        -d "$home" "$1==$2"
    mkdir "$home/$1"
    tar xzf "$home/$1-$2.tar.gz" -C "$home/$1" --strip 1
}
if wants cpython && ! "$venv/bin/python" -c 'import test.test_concurrent_futures' 2>/dev/null; then
    # Debian has them in a package of its own. The rest of the test package is this interpreter's.
    if (cd "$home" && apt-get download "libpython$version-testsuite" && dpkg-deb -x ./*.deb debian) >/dev/null 2>&1; then
        mkdir "$home/cpython"
        cp -r "$("$venv/bin/python" -c 'import os, test; print(os.path.dirname(test.__file__))')" "$home/cpython/"
        cp -r "$home/debian/usr/lib/python$version"/test/test_concurrent_futures* "$home/cpython/test/"
        export PYTHONPATH=$home/cpython:$PYTHONPATH
    fi
fi
if wants joblib || wants dask; then
    sdist joblib 1.5.3
    # joblib's tests import dhub's backend, which is one of joblib's.
    sed -i 's/"loky"/"dhub"/g; s/^from joblib.parallel import ($/import dhub.parallel\n\n&/
        s/from joblib import Parallel, delayed/import dhub.parallel; &/' "$home/joblib/joblib/test/test_parallel.py"
    sed -i 's/"dask"/"dhub"/g; s/DaskDistributedBackend/DhubBackend/g
        s/^from .._dask import DhubBackend/from dhub.parallel import DhubBackend/' "$home/joblib/joblib/test/test_dask.py"
    export PYTHONPATH=$home/joblib:$contract/as_dask:$PYTHONPATH
fi
if wants loky; then
    # The last one for Python 3.9, else the newest.
    if [ "$version" = 3.9 ]; then sdist loky 3.5.6; else sdist loky 3.7.0; fi
    printf '\nimport loky_stand_in\n\nloky_stand_in.install()\n' >>"$home/loky/loky/__init__.py"
    export PYTHONPATH=$home/loky:$PYTHONPATH
fi
if wants mpi4py; then
    sdist mpi4py 4.1.2
    export PYTHONPATH=$home/mpi4py/demo/futures:$contract/as_mpi4py:$PYTHONPATH
fi

"$bin/dhub" -f "$home/run.db" --local >"$home/hub.log" 2>&1 &
running=($!)
"$venv/bin/python" -m dhub.worker -j 5 --timeout 30 >"$home/worker.log" 2>&1 &
running=($! "${running[@]}")

# `pytest DIR PLUGIN OPTION...`, there.
pytest() {
    (cd "$1" && "$venv/bin/python" -m pytest -q -p outcomes -p "$2" -p no:cacheprovider --timeout 120 --tb=no \
        -W ignore "${@:3}") || true
}
run() {
    case $1 in
        cpython) (cd "$home" && "$venv/bin/python" "$contract/cpython.py") ;;
        joblib) pytest "$home/joblib" joblib_plugin joblib/test/test_parallel.py ;;
        dask) pytest "$home/joblib" dask_plugin joblib/test/test_dask.py ;;
        loky)
            pytest "$home/loky" loky_plugin --timeout 30 --skip-high-memory tests/test_process_executor_loky.py \
                tests/test_reusable_executor.py
            ;;
        mpi4py) pytest "$home/mpi4py/demo/futures" mpi4py_plugin test_futures.py ;;
        sklearn) "$venv/bin/python" "$contract/sklearn_equal.py" ;;
    esac
}

failed=0
for suite in "${suites[@]}"; do
    came=0
    run "$suite" >"$home/$suite.out" 2>"$home/$suite.log" || came=$?
    if [ "$came" = 3 ]; then
        echo "$suite $version: this Python has no test package, and Debian none for it: skipped"
    elif ! "$venv/bin/python" "$contract/compare.py" "$suite" <"$home/$suite.out" | sed "s/^$suite:/$suite $version:/"; then
        failed=1
        tail -n 20 "$home/$suite.log"
    fi
done
exit $failed
