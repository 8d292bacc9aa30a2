#!/usr/bin/env bash
# Several experiments, one job each: slurm/sweep.sh demo_gpu my_own.yaml [key=value …]
set -euo pipefail

cd "$(dirname "$0")/.."
names=() overrides=()
for argument in "$@"; do
  if [[ $argument == *=* ]]; then overrides+=("$argument"); else names+=("$argument"); fi
done
[[ ${#names[@]} -gt 0 ]] || { echo "which experiments? slurm/sweep.sh NAME … [key=value …]"; exit 2; }
for name in "${names[@]}"; do
  sbatch --job-name="$(basename "$name" .yaml)" slurm/run.sbatch "$name" "${overrides[@]}"
done
