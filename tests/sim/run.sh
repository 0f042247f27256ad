#!/usr/bin/env bash
# Holds the rehearsal cloud against boto3 and the aws CLI: run.sh BINARY PYTHON [TEST...]; prints `N passed, N failed`.
set -euo pipefail
if [ $# -lt 2 ]; then
    printf 'usage: %s BINARY PYTHON [TEST...]\n' "$0" >&2
    exit 2
fi
binary=$(realpath "$1")
# Not resolved: a virtual environment is found by the place of its link.
python=$(command -v "$2") || { printf '%s: there is no %s\n' "$0" "$2" >&2; exit 2; }
case $python in /*) ;; *) python=$PWD/$python ;; esac
shift 2
cd "$(dirname "$0")"
PYTHONDONTWRITEBYTECODE=1 exec "$python" suite.py "$binary" "$@"
