#!/bin/sh
# Knows `cloud-init status [--wait]` and `cloud-init --version`.
result=/run/cloud-init/result
case "$*" in
"status --wait" | "status -w")
    while [ ! -e "$result" ]; do sleep 0.05; done
    ;;
status) ;;
--version)
    echo "/usr/bin/cloud-init 24.4.1-rehearsal"
    exit 0
    ;;
*)
    echo "cloud-init: $* is not there on a rehearsal host" >&2
    exit 1
    ;;
esac
if [ ! -e "$result" ]; then
    echo "status: running"
elif [ "$(cat "$result")" = done ]; then
    echo "status: done"
else
    echo "status: error"
    exit 1
fi
