#!/usr/bin/env bash
# A training on several hosts by Slurm, which goes on after every end of its time or preemption.
#   sbatch --nodes 4 --ntasks-per-node 2 slurm.sh BUILD_DIR --model resnet50 --data FOLDER ...
# Two minutes before its time is over the processes get SIGUSR1: they finish the step, save, and
# end with code 138; the job then puts itself into the queue again and goes on from there. What a
# preemption or a lost node ends without that goes on from the last save (--save-minutes).
#SBATCH --job-name passband
#SBATCH --time 04:00:00
#SBATCH --signal USR1@120
#SBATCH --requeue
#SBATCH --open-mode append
#SBATCH --output %x-%j.log
set -uo pipefail
build=${1:?usage: sbatch slurm.sh BUILD_DIR OPTIONS...}
shift
# One folder a job, in which there is one run, whatever else trains here.
runs=$PWD/runs-$SLURM_JOB_ID
run=$(find "$runs" -mindepth 1 -maxdepth 1 -name '2*' 2>/dev/null | sort | tail -n 1)

# PMIx is Open MPI's way to agree, PMI-2 that of MPICH (MPI=pmi2). A step ends with its first task.
start=(srun --mpi="${MPI:-pmix}" --kill-on-bad-exit=1 --cpu-bind=cores "$build/train")
if [ -n "$run" ] && [ -e "$run/optim.safetensors" ]; then
  "${start[@]}" --resume "$run"
else
  "${start[@]}" --output "$runs" "$@"
fi
code=$?

# 138: SIGUSR1; 143: SIGTERM, of a preemption; 6: a process was lost. NaN, bad data and wrong usage
# would only come again.
case $code in
  138 | 143 | 6) scontrol requeue "$SLURM_JOB_ID" ;;
  *) exit "$code" ;;
esac
