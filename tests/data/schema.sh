#!/usr/bin/env bash
# Makes schema-VERSION.db, which every later dhub must open: the file of a real hub with tasks in
# every state. Needs dhub, dquery and kworker of that version in the PATH. `schema.sh DIRECTORY VERSION`
set -euo pipefail
cd "$1"
file=schema-$2.db
export XDG_RUNTIME_DIR=$PWD

dhub -f "$file" --lease 2s &
hub=$!
until dquery status >/dev/null 2>&1; do sleep 0.1; done

# What a pool ran, with output.
dquery create 'done by a pool' --command 'echo "a line of output"' --time-limit 1min
dquery create 'failed in a pool' --command 'echo "no input" >&2; exit 3' --retries 1
kworker -j 1 --name pool --until-done || true

# A reclaim, then an end.
dquery create reclaimed
DHUB_WORKER='silent node' dquery steal -q
until dquery show reclaimed --json | grep -q '"state": *"ready"'; do sleep 0.2; done
DHUB_WORKER='node 2' dquery steal -q --lease 1h
DHUB_WORKER='node 2' dquery complete reclaimed

# A failure, and what is skipped for it.
dquery create 'fäils ☃' --priority 3
dquery create skipped-1 'fäils ☃'
dquery create skipped-2 skipped-1
DHUB_WORKER='node 2' dquery steal -q --lease 1h
DHUB_WORKER='node 2' dquery fail 'fäils ☃' --exit-code 42 --reason 'it is "always" so'

dquery create cancelled nobody
dquery cancel cancelled

# What runs, with another lease for each; what is ready, by priority; what waits.
dquery create 'runs for a month' --priority 9 --retries 2
dquery create "runs 'quoted'" --priority 8
DHUB_WORKER='node 2' dquery steal -q --lease 30days
DHUB_WORKER='node 3' dquery steal -q --lease 1h
dquery create last --priority -5
dquery create first --priority 7
printf '%s\n' '{"name": "line\nbreak", "command": "true {}", "dir": "/tmp", "env": {"A": "1", "B": "two words"}, "stdin": "in\n"}' >lines.jsonl
dquery addfile lines.jsonl
dquery create waiting first last 'done by a pool'
dquery create 'waits for a missing one' 'never added'

# What a person keeps back.
dquery create held --priority 1
dquery hold held

dquery shutdown
wait "$hub"
rm -rf lines.jsonl "$file.lock" dhub
