#!/usr/bin/env bash
# Starts a kworker on each host over ssh and shows what they say, each line with its host.
#
#   scripts/ssh-pool.sh [-f FILE] [-a ACCESS] [-d DIR] [-k KWORKER] [-o OPTION]... [HOST...] [-- KWORKER OPTIONS]
#
#   HOST         as ssh knows it; it must let you in without a question
#   -f FILE      more hosts, one a line; what follows the host are options of kworker there. # begins a comment
#   -a ACCESS    the access file for the hub [DHUB_ACCESS]. It goes through the connection into a file of mode 0600,
#                which is removed at the end. Without one the hosts find the hub by ~/.dhub, or by -s after --
#   -d DIR       where the tasks run [the home there]
#   -k KWORKER   the program there [kworker]
#   -o OPTION    for ssh, as ssh's own -o; can be repeated
#
#   scripts/ssh-pool.sh -a node.access node1 node2 -- -j 8 --until-done --shell './simulate {}'
#
# Ctrl-C (or SIGTERM): the pools let end what runs and give the rest back; again: they stop at once; a third time:
# the connections are cut. A pool whose connection is cut does as after the first. Exit codes: 0 if all pools ended
# with 0, else that of the first that did not; 255: ssh failed.
set -uo pipefail

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

say() {
    printf 'ssh-pool.sh: %s\n' "$*" >&2
}

hosts=()
# Options of one host, as words that sh splits there.
own=()
file=
access=${DHUB_ACCESS:-}
dir=
kworker=kworker
ssh=(ssh -T -o BatchMode=yes -o ServerAliveInterval=15)
while [ $# -gt 0 ]; do
    case $1 in
    -f | -a | -d | -k | -o)
        [ $# -ge 2 ] || usage 2 >&2
        case $1 in
        -f) file=$2 ;;
        -a) access=$2 ;;
        -d) dir=$2 ;;
        -k) kworker=$2 ;;
        -o) ssh+=(-o "$2") ;;
        esac
        shift
        ;;
    -h | --help) usage 0 ;;
    --)
        shift
        break
        ;;
    -*) usage 2 >&2 ;;
    *)
        hosts+=("$1")
        own+=("")
        ;;
    esac
    shift
done
if [ -n "$file" ]; then
    [ -r "$file" ] || { say "cannot read $file" && exit 8; }
    while read -r host options || [ -n "$host" ]; do
        case $host in
        '' | '#'*) ;;
        -*) say "not a host: $host" && exit 8 ;;
        *)
            hosts+=("$host")
            own+=("${options%%#*}")
            ;;
        esac
    done <"$file"
fi
[ ${#hosts[@]} -gt 0 ] || usage 2 >&2
if [ -n "$access" ] && [ ! -r "$access" ]; then
    say "cannot read $access"
    exit 8
fi

# As one word for any sh.
quote() {
    printf "'%s'" "${1//\'/\'\\\'\'}"
}

# What sh runs on a host. Its input goes on with the access file, then with one line for each SIGTERM to pass on; the
# end of it means that nobody listens any more.
remote() {
    local bytes=0 command word
    [ -z "$access" ] || bytes=$(wc -c <"$access")
    command=$(quote "$kworker")
    for word in "${@:2}"; do
        command+=" $(quote "$word")"
    done
    cat <<END
umask 077
access=
trap 'rm -f "\$access"' EXIT
if [ $bytes -gt 0 ]; then
    access=\$(mktemp) && head -c $bytes >"\$access" || exit 9
    export DHUB_ACCESS="\$access"
fi
[ -z $(quote "$dir") ] || cd $(quote "$dir") || exit 9
exec 3<&0
$command $1 </dev/null 3<&- &
pool=\$!
trap 'kill \$pool' HUP INT TERM
{
    trap - EXIT HUP INT TERM
    # Two that come at once would be one.
    while read -r _ <&3; do kill \$pool; sleep 0.3; done
    kill \$pool
} >/dev/null 2>&1 &
listener=\$!
exec 3<&-
while :; do
    wait \$pool
    code=\$?
    kill -s 0 \$pool 2>/dev/null || break
done
kill \$listener 2>/dev/null
exit \$code
END
}

# Shows its input, each line with the host.
prefix() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        printf '%s: %s\n' "$1" "$line"
    done
}

# One host: the connection, whose input is a fifo, and its exit code.
connect() {
    trap - INT TERM HUP
    # Any login shell understands this; sh reads the rest by itself.
    "${ssh[@]}" -- "${hosts[$1]}" "exec sh -c 'eval \"\$(head -c $2)\"'" <"$scratch/$1" 2>&1 | prefix "${hosts[$1]}"
    return "${PIPESTATUS[0]}"
}

scratch=$(mktemp -d) || exit 9
trap 'rm -rf "$scratch"' EXIT
# A connection may end while it is written to.
trap '' PIPE

# In process groups of their own: Ctrl-C is for this script, which passes it on.
connections=()
set -m
for at in "${!hosts[@]}"; do
    mkfifo "$scratch/$at"
    remote "${own[$at]}" "$@" >"$scratch/$at.sh"
    connect "$at" "$(wc -c <"$scratch/$at.sh")" &
    connections+=($!)
done
set +m
# Only now: a connection that inherited the input of another would keep it open.
inputs=()
for at in "${!hosts[@]}"; do
    exec {input}>"$scratch/$at"
    inputs+=("$input")
    { cat "$scratch/$at.sh" ${access:+"$access"} >&"$input"; } 2>/dev/null
done

asked=0
# shellcheck disable=SC2317 # the trap calls it
pass_on() {
    asked=$((asked + 1))
    case $asked in
    1) say "the pools finish what runs (once more: stop now)" ;;
    2) say "the pools stop" ;;
    *)
        say "the connections are cut"
        local pid
        for pid in "${connections[@]}"; do
            kill -s TERM -- "-$pid" 2>/dev/null
        done
        ;;
    esac
    local input
    for input in "${inputs[@]}"; do
        { echo TERM >&"$input"; } 2>/dev/null
    done
}
trap pass_on INT TERM HUP

meaning() {
    case $1 in
    0) echo "done, or left as asked" ;;
    1) echo "some tasks failed, were skipped or cancelled" ;;
    5) echo "the rest waits for names that nobody added" ;;
    7) echo "no hub answers from there" ;;
    11) echo "the hub does not let this key in" ;;
    12) echo "one task after the other failed there" ;;
    130 | 143) echo "stopped at once" ;;
    126 | 127) echo "$kworker cannot be run there" ;;
    255) echo "ssh failed, or the connection was lost" ;;
    *) echo "exit code $1" ;;
    esac
}

result=0
for at in "${!hosts[@]}"; do
    # A signal interrupts the wait, not the connection.
    while :; do
        wait "${connections[$at]}"
        code=$?
        kill -s 0 "${connections[$at]}" 2>/dev/null || break
    done
    say "${hosts[$at]}: $(meaning "$code")"
    [ "$result" -ne 0 ] || result=$code
done
exit "$result"
