#!/usr/bin/env bash
# Installs what the tests need and runs them all. The same command decides everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
for tool in cc c++ make; do
    command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -q && apt-get install -y -q build-essential
    else
        echo "test.sh: these are needed to build: ${missing[*]} (Debian: apt install build-essential)" >&2
        exit 1
    fi
fi
if ! command -v cargo >/dev/null; then
    echo "test.sh: cargo is needed; https://rustup.rs installs it" >&2
    exit 1
fi

# A Python with pyzmq, for the tests that talk to the hub in another language.
python=${CARGO_TARGET_DIR:-$PWD/target}/python
if [ ! -e "$python/complete" ] && command -v python3 >/dev/null; then
    rm -rf "$python"
    python3 -m venv "$python" && "$python/bin/pip" install -q --disable-pip-version-check pyzmq==27.1.0 &&
        touch "$python/complete" || echo "test.sh: no Python with pyzmq can be made here; that test is skipped" >&2
fi
if [ -e "$python/complete" ]; then
    export DHUB_PYTHON=$python/bin/python
fi

# The scripts that start pools are tested with a real Slurm and a real sshd. They are installed where that starts
# nothing by itself: without systemd. provide VARIABLE PROGRAM PACKAGE...: a test whose variable is set is not skipped.
provide() {
    local path=$PATH:/usr/sbin:/sbin
    if ! PATH=$path command -v "$2" >/dev/null && [ $# -gt 2 ] && [ "$(id -u)" = 0 ] &&
        command -v apt-get >/dev/null && [ ! -d /run/systemd/system ]; then
        apt-get update -q >/dev/null &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${@:3}" >/dev/null || true
    fi
    if PATH=$path command -v "$2" >/dev/null; then
        export "$1=1"
    else
        echo "test.sh: no $2 here, and it cannot be installed; its tests are skipped" >&2
    fi
}
if [ "$(id -u)" = 0 ]; then
    provide DHUB_SLURM slurmctld slurm-wlm munge
else
    echo "test.sh: Slurm wants to be started by root; its tests are skipped" >&2
fi
provide DHUB_SSHD sshd openssh-server openssh-client
provide DHUB_SHELLCHECK shellcheck shellcheck
provide DHUB_SYSTEMD systemd-analyze
# The shells in which completions are tested, what checks manual pages, and what pages through lists.
provide DHUB_ZSH zsh zsh
provide DHUB_FISH fish fish
provide DHUB_MANDOC mandoc mandoc
provide DHUB_LESS less less
provide DHUB_TMUX tmux tmux

begin=$SECONDS
cargo fmt --all --check
cargo clippy --quiet --locked --workspace --all-targets -- -D warnings
# The crates that are built in, and whether their check can fail.
audit=0
scripts/audit.sh --self-test && scripts/audit.sh || audit=$?
case $audit in
    0) ;;
    3) echo "test.sh: the audit of the dependencies is skipped" >&2 ;;
    *) exit "$audit" ;;
esac
# The end-to-end tests run the three programs.
cargo build --quiet --locked --workspace --bins
# Most of them wait for processes more than they compute.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}
cargo test --locked --workspace
# The core in virtual time, with lost messages, crashes and pauses; it prints how to replay a failure.
"${CARGO_TARGET_DIR:-target}/debug/dhub-sim" --seeds 10000 --seconds 30
# Bugs planted in a copy of the hub: the simulation has to find each of them. Named with the whole workspace, so that
# nothing but the copy and the simulation is built.
cargo test --quiet --locked --workspace --features simulation/planted --test planted -- --nocapture
scripts/demo.sh --check
# What is left waits more than it computes, so it is done at the same time: what the documents show, and the Python
# package with the default Python, the oldest and the newest that are here.
mapfile -t pythons < <(scripts/python-find.sh --all)
mapfile -t pythons < <({ scripts/python-find.sh || true; printf '%s\n' "${pythons[@]:0:1}" "${pythons[@]: -1}"; } | awk 'NF && !seen[$0]++')
if [ ${#pythons[@]} -eq 0 ]; then
    echo "test.sh: no Python 3.9 or newer here; the tests of the Python package are skipped" >&2
else
    scripts/python-proto.sh --check
fi
logs=$(mktemp -d)
commands=()
running=()
beside() {
    "$@" >"$logs/${#running[@]}" 2>&1 &
    running+=($!)
    commands+=("$*")
}
beside scripts/verbs.sh --check
for python in "${pythons[@]}"; do
    beside scripts/python-test.sh --python "$python"
done
failed=0
for index in "${!running[@]}"; do
    tested=0
    wait "${running[index]}" || tested=$?
    cat "$logs/$index"
    case $tested in
        0) ;;
        3) echo "test.sh: ${commands[index]}: skipped" >&2 ;;
        *)
            echo "test.sh: ${commands[index]}: failed ($tested)" >&2
            failed=$tested
            ;;
    esac
done
rm -rf "$logs"
[ "$failed" = 0 ] || exit "$failed"
echo "all tests passed in $((SECONDS - begin)) s"
