#!/bin/sh
# Pools in a PBS array: each array job is one kworker with all cores of the job. For OpenPBS and PBS Pro; with Torque
# write `#PBS -t 1-4` and `#PBS -l nodes=1:ppn=4` instead of the lines with -J and select.
#
#   qsub scripts/pbs-pool.sh                        the tasks have commands of their own
#   qsub -J 1-50 -v KWORKER_SHELL='./simulate {}' scripts/pbs-pool.sh
#
# qsub passes no arguments, so variables say the rest: KWORKER_SHELL, what to run for each task; KWORKER_TIME_LIMIT, what
# it may use of the walltime, if that is not the one below (Torque tells it); DHUB_HUB or DHUB_ACCESS, where the hub is,
# unless ~/.dhub is shared. docs/operations.md, "Clusters", has more.
#
#PBS -N kworker
#PBS -J 1-4
#PBS -l select=1:ncpus=4
#PBS -l walltime=01:00:00
#PBS -j oe
set -eu

if [ -z "${PBS_JOBID:-}" ]; then
    echo "pbs-pool.sh: this is for qsub: qsub $0" >&2
    exit 2
fi
# What the pool says goes to a file that PBS has made: it names tasks, and is nobody else's.
[ ! -f /dev/stdout ] || chmod go-rwx /dev/stdout
[ ! -f /dev/stderr ] || chmod go-rwx /dev/stderr
cd "$PBS_O_WORKDIR"
# OpenPBS says NCPUS, Torque PBS_NUM_PPN.
set -- -j "${NCPUS:-${PBS_NUM_PPN:?neither NCPUS nor PBS_NUM_PPN is set}}" --until-done --wait-for-hub
if [ -n "${PBS_WALLTIME:-}" ]; then
    # In seconds, and some of them are over.
    limit=$((PBS_WALLTIME * 19 / 20))s
fi
set -- "$@" --idle-timeout 10m --time-limit "${KWORKER_TIME_LIMIT:-${limit:-57m}}"
[ -z "${KWORKER_SHELL:-}" ] || set -- "$@" --shell "$KWORKER_SHELL"
# In place of this script, so that qdel's SIGTERM reaches it.
exec kworker "$@"
