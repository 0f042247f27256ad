#!/bin/sh
# Every login of a rehearsal host is its root already: drops the flags that change nothing here and runs the command.
set -e
fresh=
while [ $# -gt 0 ]; do
    case $1 in
    -n | -E | --non-interactive | --preserve-env) shift ;;
    -nE | -En) shift ;;
    -H | --set-home)
        HOME=/root
        shift
        ;;
    -u | --user)
        [ $# -ge 2 ] || {
            echo "sudo: $1 needs a user" >&2
            exit 1
        }
        fresh=$2
        shift 2
        ;;
    --user=*)
        fresh=${1#--user=}
        shift
        ;;
    --)
        shift
        break
        ;;
    -*)
        echo "sudo: $1 is not there on a rehearsal host" >&2
        exit 1
        ;;
    *=*)
        export "$1"
        shift
        ;;
    *) break ;;
    esac
done
[ $# -gt 0 ] || {
    echo "sudo: no command" >&2
    exit 1
}
user=${fresh:-root}
export HOME SUDO_USER="${SUDO_USER:-${USER:-root}}" USER="$user" LOGNAME="$user"
exec "$@"
