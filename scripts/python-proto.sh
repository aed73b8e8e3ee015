#!/usr/bin/env bash
# Makes what the Python package has from elsewhere: its messages from proto/hub.proto, its version from Cargo.toml.
#
#   scripts/python-proto.sh            writes them
#   scripts/python-proto.sh --check    says whether what is checked in is what would be written
#
# protoc 25.1 on purpose: what it generates works with every protobuf runtime from 4.25 on. What newer ones
# generate refuses older runtimes, and those that are two versions ahead.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
target=${CARGO_TARGET_DIR:-$here/target}
package=proto/python/src/dhub
tools=$target/python-proto

# The compiler comes with grpcio-tools, which has this version for Python 3.8 to 3.12.
if [ ! -e "$tools/complete" ]; then
    found=
    for python in $(scripts/python-find.sh --all); do
        if "$python" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 13))'; then
            found=$python
        fi
    done
    if [ -z "$found" ]; then
        echo "python-proto.sh: a Python from 3.8 to 3.12 with venv is needed" >&2
        exit 1
    fi
    rm -rf "$tools"
    "$found" -m venv "$tools"
    "$tools/bin/pip" install -q --disable-pip-version-check --only-binary :all: \
        grpcio-tools==1.62.3 grpcio==1.62.3 protobuf==4.25.8 setuptools==80.9.0
    touch "$tools/complete"
fi

new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
# Under the package's path: in one process no other "hub.proto" gets in its way.
"$tools/bin/python" -W ignore -m grpc_tools.protoc -Idhub/_wire="$here/proto" \
    --python_out="$new" --pyi_out="$new" dhub/_wire/hub.proto
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
printf '# Written by scripts/python-proto.sh, from Cargo.toml.\n__version__ = "%s"\n' "$version" >"$new/dhub/_version.py"

stale=0
for file in _wire/hub_pb2.py _wire/hub_pb2.pyi _version.py; do
    if [ "${1:-}" != --check ]; then
        cp "$new/dhub/$file" "$package/$file"
    elif ! cmp -s "$new/dhub/$file" "$package/$file"; then
        echo "python-proto.sh: $package/$file is out of date; scripts/python-proto.sh writes it" >&2
        stale=1
    fi
done
exit $stale
