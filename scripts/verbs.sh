#!/usr/bin/env bash
# Writes docs/verbs.md: what each verb of dquery that looks at a run or steers it prints, from a real run with failures,
# retries and a worker that dies.
#
#   scripts/verbs.sh             writes docs/verbs.md
#   scripts/verbs.sh --check     fails if docs/verbs.md has not the same commands and exit codes
set -euo pipefail
cd "$(dirname "$0")/.."
page=$PWD/docs/verbs.md
check=
if [ "${1:-}" = --check ]; then check=1; fi
bin=${DHUB_BIN:-}
if [ -z "$bin" ]; then
    cargo build --quiet --locked --bins
    bin=${CARGO_TARGET_DIR:-$PWD/target}/debug
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/dhub-verbs.XXXXXX")
export PATH=$bin:$PATH XDG_RUNTIME_DIR=$work DHUB_DIR=$work/keys
unset DHUB_HUB DHUB_ACCESS DHUB_INSECURE DHUB_WORKER
doomed=
cleanup() {
    trap - EXIT
    # shellcheck disable=SC2046,SC2086 # several processes, or none
    kill $(jobs -p) $doomed 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap cleanup EXIT INT TERM
cd "$work"
out=$work/verbs.md
host=$(hostname)
# As long as the name of this machine, for the sake of the tables.
other=$(printf 'n%0*d' $((${#host} - 1)) 1)

# Paths and the name of this machine are replaced; all else is as it was printed.
neat() { sed -e "s|$work|/home/ada/run|g" -e "s|\b$host\b|$other|g" -e 's/[[:space:]]*$//'; }
# Runs it, and shows the command line, what it printed and a code other than 0.
shows() {
    local code=0
    printf '    $ %s\n' "$1" >>"$out"
    bash -c "$1" >"$work/said" 2>&1 || code=$?
    neat <"$work/said" | sed 's/^/    /' >>"$out"
    if [ $code != 0 ]; then printf '    exit code %s\n' $code >>"$out"; fi
}
text() { printf '\n%s\n\n' "$1" >>"$out"; }
# Waits until the status says so.
until_status() {
    local i
    for ((i = 0; i < 600; i++)); do
        if dquery status | grep -qE "$1"; then return; fi
        sleep 0.1
    done
    echo "verbs.sh: waited in vain for $1" >&2
    exit 1
}

cat >sim.sh <<'END'
echo "simulating $DHUB_TASK, try $DHUB_ATTEMPT"
case $DHUB_TASK.$DHUB_ATTEMPT in
sim-03.*) echo "sim-03: no such input: in/03.dat" >&2; exit 3 ;;
sim-05.1) exit 75 ;;
sim-07.*) kill -9 $$ ;;
sim-09.1) exec sleep 600 ;;
esac
sleep 0.2
END
{
    echo prep
    for n in 01 02 03 04 05 06 07 08 10; do echo "sim-$n,prep"; done
    echo merge,sim-01,sim-02,sim-04,sim-05
    echo report,merge,sim-03
    echo plot,colours
} >tasks.txt

cat >"$out" <<'END'
# What it looks like

Written by `scripts/verbs.sh` from a real run, with failures, retries and a worker that dies. docs/operations.md explains what
is printed, and `dquery VERB --help` has all options.
END
(ulimit -c 0 && exec dhub -f run.db --local --worker-timeout 3s --retry-delay 1s) 2>hub.log &
hub=$!
until dquery --timeout 1s status >/dev/null 2>&1; do sleep 0.1; done


text "The tasks: one a line, with what it needs. A name that is misspelt, or is to come later, is told."
shows "cat tasks.txt"
shows "dquery addfile tasks.txt --command 'sh sim.sh' --retries 1"
shows "dquery addfile tasks.txt --command 'sh sim.sh' --retries 1 --allow-missing"
shows "dquery create sim-09 prep --command 'sh sim.sh' --retries 1 --priority 10"
shows "dquery status"

# sim-09, which does not end at its first try, goes first, to the pool that will die.
kworker --name node2:812 -j 1 >/dev/null 2>&1 &
doomed=$!
# Nobody is to say here that it was killed.
disown $doomed
until dquery show sim-09 --json | grep -q '"state": "running"'; do sleep 0.1; done
kworker --name node1:4711 -j 2 >/dev/null 2>&1 &
pool=$!
until_status '^  done .*   failed 2 '
text "Some tasks have failed, and one takes long."
shows "dquery status"
shows "dquery list --state failed,running,waiting --sort -time -n 4"

# Both processes of the pool.
# shellcheck disable=SC2046 # several processes
kill -9 $(cat "/proc/$doomed/task/$doomed/children") $doomed
doomed=
until dquery workers --json | grep -q '"state":"lost"'; do sleep 0.1; done
text "The machine of node2 has died. What ran there is given to others."
shows "dquery workers"
shows "dquery show sim-09"
until_status '   stuck$'
shows "dquery wait"
shows "dquery show plot"
shows "dquery create colours --command 'sh sim.sh'"
shows "dquery wait"

text "What failed, and why?"
shows "dquery list --failed"
shows "dquery show sim-03"
shows "dquery logs sim-07"
shows "dquery show report"

text "Mend it, and try again."
shows "dquery retry --exit-code 137 --dry-run"
sed -i 's/^sim-03.*//; s/^sim-07.*//' sim.sh
shows "dquery retry --failed"
shows "dquery wait"
shows "dquery list --columns name,state,tries,failures,reclaims,worker,time,exit --sort -tries -n 5"

text "Some of them only."
shows "dquery list 'sim-*' prep --worker 'node2*'"
shows "dquery wait 'sim-*'"
shows "dquery wait nosuch"

text "The run as a whole."
shows "dquery export --joblog - | head -n 4"
shows "dquery graph report --depth 1"
shows "dquery worker drain 'node*'"
wait $pool || true

text "Nobody is left to run what comes now. It can be held, cancelled, and put first."
shows "printf '%s\\n' late-1 late-2 late-3 | dquery addfile - --command 'sh sim.sh'"
shows "dquery hold 'late-*'"
shows "dquery unhold late-2"
shows "dquery priority 10 late-2"
shows "dquery status"
shows "dquery show late-1"
shows "dquery cancel 'late-*' --dry-run"
shows "dquery cancel 'late-*' --yes"
shows "dquery shutdown"
wait $hub
shows "dquery --timeout 1s status"

# Numbers differ from run to run; what is asked and how it ends does not.
outline() { grep -E '^    (\$ |exit code )' "$1"; }
if [ -n "$check" ]; then
    if diff <(outline "$page") <(outline "$out"); then
        echo "docs/verbs.md has what the verbs do"
        exit
    fi
    echo "verbs.sh: docs/verbs.md is not what this version does; write it anew with scripts/verbs.sh" >&2
    exit 1
fi
cp "$out" "$page"
echo "docs/verbs.md: $(wc -l <"$page") lines"
