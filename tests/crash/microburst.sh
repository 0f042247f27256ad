#!/usr/bin/env bash
# microburst (PyPI, MIT), somebody else's proxy that breaks calls to AWS, in front of the rehearsal cloud: after each of its
# faults launch ends with exactly N hosts and down with none. It is put into target/microburst, not into the tests' own tools.
#
#   tests/crash/microburst.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=target/microburst
version=0.10.0
if [ ! -x "$tools/bin/microburst" ]; then
    python3 -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "microburst==$version"
fi
export FLEETWRIGHT_MICROBURST=$PWD/$tools/bin/microburst
exec cargo test --locked --test it -- --ignored --nocapture --exact conformance::burst::faults_of_another_make_end_with_exactly_n
