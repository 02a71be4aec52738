#!/usr/bin/env bash
# 3 runs of group abc; task N trains line N + 1 of abc.txt.
#SBATCH --job-name=abc
#SBATCH --array=0-2%20
#SBATCH --output=/runs/abc/slurm/abc-%a.log
#SBATCH --open-mode=append
#SBATCH --account="my lab"
#SBATCH --partition=main
#SBATCH --qos=high
#SBATCH --constraint="a100|h100"
#SBATCH --gres=gpu:1
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=02:00:00
#SBATCH --dependency=afterok:17
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --signal=B:TERM@120
#SBATCH --requeue

set -euo pipefail
runs=/runs/abc/slurm/abc.txt
run=$(sed -n "$((${SLURM_ARRAY_TASK_ID:?use sbatch} + 1))p" "$runs")
if [ ! -d "$run" ]; then
  echo "there is no run folder $run" >&2
  exit 2
fi

module load cuda/12.4 gcc
export PATH='/home/me/my venv/bin':"$PATH"
export HF_HOME=/scratch
ulimit -n 4096

echo "$run on $(hostname), $(date)"
apptainer exec image.sif python -m olmix.train.one "$run" &
child=$!
# SLURM's signal comes to this script; the trainer saves its state and ends with 75.
trap 'kill -TERM "$child"' TERM
status=0
wait "$child" || status=$?
while kill -0 "$child" 2>/dev/null; do
  status=0
  wait "$child" || status=$?
done
if [ "$status" -eq 75 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
fi
exit "$status"
