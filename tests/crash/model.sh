#!/usr/bin/env bash
# Random days of a fleet against a small reference model; the shortest day that goes wrong is printed.
#
#   tests/crash/model.sh 1000 7      # so many days, by this seed
set -euo pipefail
cd "$(dirname "$0")/../.."
export FLEETWRIGHT_MODEL=${1:-200} FLEETWRIGHT_MODEL_SEED=${2:-1}
exec cargo test --locked --test it -- --nocapture --exact model::random_days_end_as_the_model_says
