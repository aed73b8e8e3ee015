#!/usr/bin/env bash
# Runs the tests that have no end for as long as one likes. Ctrl-C ends them early, and well.
#
#   scripts/soak.sh [--minutes N] [--seed N] [PART...]
#
# Parts, all of them if none is named, one after the other:
#   sim     the core in virtual time, with lost messages, crashes and pauses; an hour
#   crash   a hub killed with -9 under load and restarted on the same file; 10,000 times
#   fuzz    hostile frames, sequences of requests, and bytes at the port; an hour
#   siege   connections that stop, reset, half-close and flood, with and without keys, at one hub; half an hour
#   damage  bits that flip in the file, -wal and .redo of a killed hub, each told, mended or harmless; 1,000 a file
#   pool    50,000 tasks of which some fail or never end, in pools that are killed with -9 like their hub; a few minutes
#   python  what Python's worker and its processes agree upon, with the scheduler as an enemy: 100,000 rounds without a
#           hub, 1,000 with one; half an hour. Needs what scripts/python-test.sh has made
# And, only when it is named:
#   asan    the siege at a hub whose libzmq is built with address sanitizer, in target/asan; half an hour
# --minutes: so long each, instead.
# --seed: where to begin; without it after the seeds of the last soak of this build.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

minutes=
seed=
parts=()
while [ $# -gt 0 ]; do
    case $1 in
    --minutes | --seed)
        [[ ${2:-} =~ ^[0-9]+$ ]] || usage 2 >&2
        if [ "$1" = --minutes ]; then minutes=$2; else seed=$2; fi
        shift
        ;;
    sim | crash | fuzz | damage | pool | siege | python | asan) parts+=("$1") ;;
    -h | --help) usage 0 ;;
    *) usage 2 >&2 ;;
    esac
    shift
done
[ ${#parts[@]} -gt 0 ] || parts=(sim crash fuzz siege damage pool python)

cargo build --quiet --release --locked -p dhub -p dquery -p kworker -p crash -p simulation -p fuzz -p e2e
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
bin=$target/release
export DHUB_BIN_DIR=$bin

# All that the parts write lies below here. What a part kept because it failed stays.
TMPDIR=$(mktemp -d /tmp/dhub-soak.XXXXXX)
export TMPDIR
trap 'rmdir "$TMPDIR" 2>/dev/null || echo "soak.sh: what was kept is in $TMPDIR"' EXIT

# The part that runs, to which Ctrl-C is passed on.
running=
interrupted=
stop() {
    interrupted=1
    [ -z "$running" ] || kill -INT "$running" 2>/dev/null || true
}
trap stop INT TERM

# In a process group of its own, so that Ctrl-C reaches it once.
run() {
    echo "+ $(basename "$1") ${*:2}"
    set -m
    "$@" &
    running=$!
    set +m
    local code=0
    # An interrupted wait tells nothing about the process.
    while kill -0 "$running" 2>/dev/null; do
        code=0
        wait "$running" || code=$?
    done
    running=
    return "$code"
}

# The first seed of this part, and where the next soak goes on.
next_seed() {
    local file=$target/soak-$1.seed
    local first=${seed:-$(cat "$file" 2>/dev/null || echo "$2")}
    echo $((first + $3)) >"$file"
    echo "$first"
}

damage() {
    # About a thousand in a minute.
    local flips=$((1000 * ${minutes:-1}))
    local first
    first=$(next_seed damage 1000000 "$flips")
    FLIPS=$flips FLIP_SEED=$first run cargo test --quiet --release --locked -p dhub --test damage -- --nocapture
}

sim() {
    # Seeds below are those of the tests. A minute has fewer than a million.
    local length=${minutes:-60}
    local first
    first=$(next_seed sim 1000000 $((length * 1000000)))
    echo "sim: $length minutes from seed $first"
    run "$bin/dhub-sim" --from "$first" --seconds $((length * 60))
}

crash() {
    local first
    first=$(next_seed crash 1000 1)
    local amount=(--cycles 10000)
    [ -z "$minutes" ] || amount=(--cycles 1000000 --seconds $((minutes * 60)))
    echo "crash: seed $first"
    run "$bin/dhub-crash" --seed "$first" "${amount[@]}"
}

fuzz() {
    local first
    first=$(next_seed fuzz 1000000 1000000000)
    echo "fuzz: from input $first"
    run "$bin/dhub-fuzz" --from "$first" --seconds $((${minutes:-60} * 60))
}

siege() {
    local first
    first=$(next_seed siege 1 1)
    echo "siege: seed $first"
    run "$bin/dhub-siege" --seed "$first" --seconds $((${minutes:-30} * 60))
}

# libzmq and all that it allocates is checked. Needs gcc and its libasan.
asan() {
    local library programs=$target/asan/programs first
    library=$(gcc -print-file-name=libasan.so)
    CARGO_TARGET_DIR=$target/asan DHUB_ZMQ_FLAGS="-fsanitize=address -fno-omit-frame-pointer -g -O1" \
        RUSTFLAGS="-C link-arg=$library" \
        cargo build --quiet --locked --target "$(rustc -vV | sed -n 's/^host: //p')" -p dhub || return
    mkdir -p "$programs"
    ln -sf "$bin/dquery" "$bin/kworker" "$programs/"
    # Before all other libraries, so that malloc is its own. What was freed is kept for a while.
    cat >"$programs/dhub" <<END
#!/bin/sh
LD_PRELOAD=$library ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:quarantine_size_mb=64 \
    exec $(echo "$target"/asan/*/debug/dhub) "\$@"
END
    chmod +x "$programs/dhub"
    first=$(next_seed asan 1 1)
    echo "asan: seed $first"
    DHUB_BIN_DIR=$programs run "$bin/dhub-siege" --seed "$first" --seconds $((${minutes:-30} * 60)) --mib 3000 \
        --answer 120
}

pool() {
    local first end=$((SECONDS + ${minutes:-0} * 60))
    while :; do
        first=$(next_seed pool 1 1)
        echo "pool: seed $first"
        run "$bin/dhub-storm" --seed "$first" || return
        [ "$SECONDS" -lt "$end" ] || return 0
    done
}

python() {
    local venv first amount=() tests=proto/python/tests
    venv=$(find "$target" -maxdepth 1 -name 'python-3.*' | sort -V | tail -n 1)
    if [ ! -x "$venv/bin/python" ]; then
        echo "soak.sh: run scripts/python-test.sh first" >&2
        return 1
    fi
    first=$(next_seed python 1 100000)
    [ -z "$minutes" ] || amount=(--rounds 100000000 --seconds $((minutes * 30)))
    echo "python: seed $first"
    export DHUB_BIN=$bin PYTHONPATH=$PWD/proto/python/src
    run "$venv/bin/python" "$tests/enemy.py" --seed "$first" "${amount[@]}" &&
        run "$venv/bin/python" "$tests/lost.py" --seed "$first" "${amount[@]}"
}

failed=()
for part in "${parts[@]}"; do
    begin=$SECONDS
    [ -z "$interrupted" ] || break
    if "$part"; then
        echo "$part: passed in $((SECONDS - begin)) s"
    elif [ -z "$interrupted" ] || [ "$part" = crash ]; then
        echo "$part: FAILED after $((SECONDS - begin)) s"
        failed+=("$part")
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "failed: ${failed[*]}"
    exit 1
fi
if [ -n "$interrupted" ]; then
    echo "interrupted; nothing has failed"
    exit 130
fi
echo "all parts passed"
