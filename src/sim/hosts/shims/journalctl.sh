#!/bin/sh
# Knows `journalctl -u UNIT [-n N] [-f] [--no-pager] [-q]`: a unit's output is kept in a file of its own.
unit= lines=+1 follow=
while [ $# -gt 0 ]; do
    case $1 in
    -u | --unit)
        unit=$2
        shift 2
        ;;
    --unit=*)
        unit=${1#--unit=}
        shift
        ;;
    -n | --lines)
        lines=$2
        shift 2
        ;;
    -n[0-9]*)
        lines=${1#-n}
        shift
        ;;
    -f | --follow)
        follow=-f
        shift
        ;;
    --no-pager | -q | --quiet) shift ;;
    *)
        echo "journalctl: $1 is not there on a rehearsal host" >&2
        exit 1
        ;;
    esac
done
[ -n "$unit" ] || {
    echo "journalctl: a rehearsal host needs -u UNIT" >&2
    exit 1
}
case $unit in *.*) ;; *) unit=$unit.service ;; esac
log=/var/log/units/$unit.log
[ -e "$log" ] || {
    echo "-- No entries --"
    exit 0
}
exec tail -n "$lines" $follow "$log"
