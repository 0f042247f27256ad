#!/usr/bin/env bash
# Fuzzes the readers of specs, playbooks and journals, on a stable toolchain: tests/fuzz.sh [EXECUTIONS [SEED]]
# Each of the three gets so many executions (10,000,000 if not said); the input that breaks one is printed.
set -euo pipefail
cd "$(dirname "$0")/.."
export FLEETWRIGHT_FUZZ=${1:-10000000} FLEETWRIGHT_FUZZ_SEED=${2:-1}
exec cargo test --release --locked --lib -- --nocapture fuzzed_
