#!/usr/bin/env bash
# Several experiments, a job each: slurm/sweep.sh demo_gpu my_own.yaml [key=value …]
set -euo pipefail

cd "$(dirname "$0")/.."
names=() overrides=()
for each in "$@"; do
  if [[ $each == *=* ]]; then overrides+=("$each"); else names+=("$each"); fi
done
[[ ${#names[@]} -gt 0 ]] || { echo "which experiments? slurm/sweep.sh NAME … [key=value …]"; exit 2; }
for name in "${names[@]}"; do
  sbatch --job-name="$(basename "$name" .yaml)" slurm/run.sbatch "$name" "${overrides[@]}"
done
