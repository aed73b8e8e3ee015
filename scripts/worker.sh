#!/bin/sh
# A worker in shell, complete: steals one task after the other and runs COMMAND ARG... NAME for it.
#
#   scripts/worker.sh [-n WORKER] [-l SECONDS] [-g SECONDS] COMMAND [ARG...]
#
#   -n WORKER    its name, which no other may have at the same time [sh:HOST:PROCESS]
#   -l SECONDS   term of its leases: so long after it died its task goes to others [60]
#   -g SECONDS   between SIGTERM and SIGKILL, where a task is stopped [5]
#
# The hub is found as dquery finds it (DHUB_HUB, DHUB_ACCESS, ~/.dhub). Tasks find DHUB_TASK and DHUB_WORKER in their
# environment. Ctrl-C, SIGTERM, SIGHUP and `dquery worker stop` stop the task and give it back; `dquery worker drain` lets
# it end. Exit codes: 0 every task is finished, or drained or stopped so; 5 the rest waits for names that nobody added;
# 128 + N after signal N; others those of dquery.
#
# It is there to be read: docs/protocol.md, "Write your own worker", has the rules that it keeps. kworker does more.
# Needs dquery, setsid (util-linux) and mktemp besides what POSIX has.
set -u

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

say() {
    printf 'worker.sh: %s\n' "$*" >&2
}

name=sh:$(uname -n):$$
lease=60
grace=5
while getopts n:l:g:h option; do
    case $option in
    n) name=$OPTARG ;;
    l) lease=$OPTARG ;;
    g) grace=$OPTARG ;;
    h) usage 0 ;;
    *) usage 2 >&2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage 2 >&2
case $lease$grace in
*[!0-9]*) usage 2 >&2 ;;
esac
[ "$lease" -gt 0 ] || usage 2 >&2

# dquery reads the name of the worker here, and so may tasks.
DHUB_WORKER=$name
export DHUB_WORKER
dir=$(mktemp -d) || exit 9

# What runs now; empty if nothing does.
child=
task_pid=
beats=

# A shell sees a signal only when the command in its foreground is over, so what may last runs in the background and
# is waited for. Signals are held back until it is known what to stop.
held=
hold() {
    trap 'held=129' HUP
    trap 'held=130' INT
    trap 'held=143' TERM
}
heed() {
    trap 'leave 129' HUP
    trap 'leave 130' INT
    trap 'leave 143' TERM
    [ -z "$held" ] || leave "$held"
}

attend() {
    hold
    "$@" &
    child=$!
    heed
    wait "$child"
    code=$?
    child=
    return "$code"
}

# Is anything of the task's process group left?
group_lives() {
    kill -s 0 -- "-$1" 2>/dev/null
}

# Ends a task with all of its group: politely, then not.
kill_group() {
    # The group is there a moment after the process.
    kill -s TERM -- "-$1" 2>/dev/null || kill -s TERM "$1" 2>/dev/null
    tenths=$((grace * 10))
    while group_lives "$1" && [ "$tenths" -gt 0 ]; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    kill -s KILL -- "-$1" 2>/dev/null || kill -s KILL "$1" 2>/dev/null
}

# Renews the lease of the task as long as this script lives, and kills the task if the script or the lease is gone.
# A heartbeat each third of the term: two may be lost.
heartbeats() {
    trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit' TERM
    trap '' INT HUP
    seconds=0
    # The file tells what a signal before the trap could not.
    while [ ! -e "$dir/over" ]; do
        sleep 1 &
        child=$!
        wait "$child"
        # Also after kill -9 of the script: nobody else would stop its task.
        if ! kill -s 0 $$ 2>/dev/null; then
            kill_group "$task_pid"
            rm -rf "$dir"
            exit
        fi
        seconds=$((seconds + 1))
        [ $((seconds * 3)) -ge "$lease" ] || continue
        seconds=0
        dquery heartbeat -- "$task" &
        child=$!
        wait "$child"
        case $? in
        6 | 13) # the lease is lost; this worker was told to stop, which gives the task back
            : >"$dir/lost"
            kill_group "$task_pid"
            exit
            ;;
        esac # with another code the hub did not answer, and its silence kills no task: it keeps the lease meanwhile
    done
}

stop_heartbeats() {
    [ -n "$beats" ] || return 0
    : >"$dir/over"
    kill -s TERM "$beats" 2>/dev/null
    wait "$beats" 2>/dev/null
    beats=
}

# Leaves nothing behind: no process, no lease, no file.
leave() {
    trap '' HUP INT TERM
    [ -z "$child" ] || kill -s TERM "$child" 2>/dev/null
    stop_heartbeats
    if [ -n "$task_pid" ]; then
        kill_group "$task_pid"
        wait "$task_pid"
    fi
    # What it holds is ready again, also a task that was on its way here. A worker that holds nothing may be unknown.
    dquery exit >/dev/null 2>&1
    rm -rf "$dir"
    exit "$1"
}

# Runs the task in a session of its own, so that all of it can be killed; sets `code` to how it ended.
run() {
    rm -f "$dir/lost" "$dir/over"
    hold
    DHUB_TASK=$task setsid "$@" "$task" &
    task_pid=$!
    heartbeats &
    beats=$!
    heed
    wait "$task_pid"
    code=$?
    stop_heartbeats
    # What the task left running belongs to it.
    kill -s KILL -- "-$task_pid" 2>/dev/null
    task_pid=
}

# Tells the hub how the task ended, until it knows: told twice, it counts once. In the foreground: a signal waits
# until the outcome is told.
report() {
    while :; do
        dquery "$@"
        code=$?
        case $code in
        0) return ;;
        6) return ;;          # dquery said why: another worker has the task, or somebody cancelled it
        7) attend sleep 1 ;;  # no hub: it is being restarted, and knows this lease when it is back
        *) leave "$code" ;;
        esac
    done
}

heed
while :; do
    attend dquery steal -q --wait=60s --lease "${lease}s" >"$dir/task"
    case $code in
    0) ;;
    3 | 7) # nothing is ready yet; no hub, it is being restarted
        attend sleep 1
        continue
        ;;
    4 | 13) leave 0 ;; # every task is finished; this worker was told to leave
    *) leave "$code" ;; # 5, the rest can never run; 2, 6, 9, 11: dquery said what is wrong
    esac
    # All but the newline at the end of the line: a name may have others.
    task=$(cat "$dir/task" && printf x)
    task=${task%?x}
    run "$@"
    if [ -e "$dir/lost" ]; then
        say "'$task' runs here no more; its process was killed"
    elif [ "$code" -eq 0 ]; then
        report complete -- "$task"
    else
        report fail --exit-code "$code" -- "$task"
    fi
done
