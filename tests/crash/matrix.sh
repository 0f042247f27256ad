#!/usr/bin/env bash
# The crash matrix: every verb that changes something is killed (SIGKILL) at each of its calls to AWS, before and after the
# commit, and at each sync of its journal, with the batch lost, torn or kept; then the same command again, and the audit.
#
#   tests/crash/matrix.sh                       # every verb, two cells at a time
#   tests/crash/matrix.sh launch,down           # some verbs
#   tests/crash/matrix.sh --twice 1 bake        # the recovery is killed too, at a place drawn by this seed
#   tests/crash/matrix.sh --shard 2/4           # the second of four parts, for four machines
#   tests/crash/matrix.sh --only 'sync #3' up   # cells whose name has this in it
#   tests/crash/matrix.sh --syscalls 7/40 down  # killed instead at 40 system calls of each verb, drawn by seed 7
#   tests/crash/matrix.sh --jobs 4              # so many cells at a time
set -euo pipefail
cd "$(dirname "$0")/../.."
while [[ ${1-} == --* ]]; do
    case $1 in
    --twice) export FLEETWRIGHT_MATRIX_TWICE=$2 ;;
    --shard) export FLEETWRIGHT_MATRIX_SHARD=$2 ;;
    --only) export FLEETWRIGHT_MATRIX_ONLY=$2 ;;
    --syscalls) export FLEETWRIGHT_MATRIX_SYSCALLS=$2 ;;
    --jobs) export FLEETWRIGHT_MATRIX_JOBS=$2 ;;
    *)
        sed -n '2,12p' "$0" >&2
        exit 2
        ;;
    esac
    shift 2
done
export FLEETWRIGHT_MATRIX=${1:-all}
exec cargo test --locked --test it -- --ignored --nocapture --exact matrix::the_whole_matrix_converges
