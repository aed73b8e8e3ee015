#!/bin/sh
# Pools in a Slurm array: each array task is one kworker with all cores of the task.
#
#   sbatch scripts/slurm-pool.sh                              the tasks have commands of their own
#   sbatch --array=1-50 -c 32 -t 4:00:00 scripts/slurm-pool.sh --shell './simulate {}'
#
# What follows the script's name are further options of kworker. One job of several nodes, with one kworker on each:
#
#   sbatch --array=0 --nodes=8 --exclusive --cpus-per-task=32 scripts/slurm-pool.sh
#
# The hub is found as dquery finds it where sbatch is called: by ~/.dhub if that is shared, else by DHUB_HUB or
# DHUB_ACCESS, which sbatch passes on. A pool leaves before the time of the job is over, when everything is finished,
# and when it had nothing to do for 10 minutes. docs/operations.md, "Clusters", has more.
#
#SBATCH --job-name=kworker
#SBATCH --array=1-4
#SBATCH --cpus-per-task=4
#SBATCH --ntasks-per-node=1
#SBATCH --time=01:00:00
#SBATCH --output=kworker-%A-%a.log
set -eu

if [ -z "${SLURM_JOB_ID:-}" ]; then
    echo "slurm-pool.sh: this is for sbatch: sbatch $0" >&2
    exit 2
fi
# What the pool says goes to a file that Slurm has made: it names tasks, and is nobody else's.
[ ! -f /dev/stdout ] || chmod go-rwx /dev/stdout
[ ! -f /dev/stderr ] || chmod go-rwx /dev/stderr
case "$*" in
*--idle-timeout*) ;;
*) set -- --idle-timeout 10m "$@" ;;
esac
set -- kworker -j "${SLURM_CPUS_PER_TASK:-$SLURM_CPUS_ON_NODE}" --until-done --wait-for-hub "$@"
if [ "${SLURM_JOB_NUM_NODES:-1}" -gt 1 ]; then
    # One kworker a node, and one that ends does not end the others.
    set -- srun --ntasks="$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        --kill-on-bad-exit=0 "$@"
fi
# In place of this script, so that Slurm's signals reach it.
exec "$@"
