#!/usr/bin/env bash
# Tests the Python package with one Python, against the programs that cargo has built.
#
#   scripts/python-test.sh [--python 3.9|PATH] [PYTEST-OPTION...]
#
# Makes a venv, compares what is generated, builds wheel and sdist, installs the wheel, then mypy --strict, pytest and the
# tutorial. DHUB_BIN is where dhub and kworker are (target/debug). Exit code 3: there is no such Python here, or nothing
# to make a venv with.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}
export DHUB_BIN=${DHUB_BIN:-$target/debug}

wanted=
if [ "${1:-}" = --python ]; then
    wanted=$2
    shift 2
fi
if [[ $wanted == */* ]]; then
    python=$wanted
elif ! python=$(scripts/python-find.sh ${wanted:+"$wanted"}); then
    echo "python-test.sh: no Python ${wanted:-3.9 or newer} with venv and pip here" >&2
    exit 3
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
begin=$SECONDS

venv=$target/python-$version
requirements=proto/python/tests/requirements.txt
if ! cmp -s "$requirements" "$venv/complete"; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
    if ! "$venv/bin/pip" install -q --disable-pip-version-check -r "$requirements"; then
        echo "python-test.sh: pip cannot install what the tests need" >&2
        exit 3
    fi
    cp "$requirements" "$venv/complete"
fi

scripts/python-proto.sh --check

dist=$target/python-dist-$version
rm -rf "$dist"
"$venv/bin/python" -m build --no-isolation --outdir "$dist" proto/python >/dev/null
"$venv/bin/pip" install -q --disable-pip-version-check --no-deps --force-reinstall "$dist"/dhub-*.whl

cd proto/python
"$venv/bin/mypy" --cache-dir "$target/mypy-$version" src/dhub tests examples
# What a script starts in the background ignores SIGINT, and Python leaves that as it is; the tests need it.
"$venv/bin/python" -c 'import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])' \
    "$venv/bin/pytest" -q -p no:cacheprovider "$@"
echo "python $version: all passed in $((SECONDS - begin)) s"
