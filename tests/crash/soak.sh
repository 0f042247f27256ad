#!/usr/bin/env bash
# Soak: launch, scale up, scale down and down in a cloud that throttles, fails, cuts and lags, one line for each seed.
#
#   tests/crash/soak.sh 200      # so many seeds
set -euo pipefail
cd "$(dirname "$0")/../.."
export FLEETWRIGHT_SOAK=${1:-100}
exec cargo test --locked --test it -- --nocapture --exact soak::everything_converges_in_bad_weather
