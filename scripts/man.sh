#!/usr/bin/env bash
# Writes the manual pages of dhub, dquery and kworker, and of each of their verbs, to target/man.
#
#   scripts/man.sh [DIR]      then: man -M target/man dquery-list
#
# The pages are made of what --help says. For all users: scripts/man.sh /usr/local/share/man
set -euo pipefail
cd "$(dirname "$0")/.."
build=${CARGO_TARGET_DIR:-$PWD/target}
dir=${1:-$build/man}/man1
bin=${DHUB_BIN:-}
if [ -z "$bin" ]; then
    cargo build --quiet --locked --bins
    bin=$build/debug
fi
mkdir -p "$dir"
for program in dhub dquery kworker; do
    "$bin/$program" --manual-into "$dir"
done
echo "$(find "$dir" -name '*.1' | wc -l) pages in $dir"
