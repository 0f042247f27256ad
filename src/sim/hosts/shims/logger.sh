#!/bin/sh
# Appends to /var/log/messages; knows -t TAG, -p PRIORITY and -s.
tag=${USER:-root} loud=
while [ $# -gt 0 ]; do
    case $1 in
    -t | --tag)
        tag=$2
        shift 2
        ;;
    -p | --priority) shift 2 ;;
    -s | --stderr)
        loud=1
        shift
        ;;
    --)
        shift
        break
        ;;
    -*)
        echo "logger: $1 is not there on a rehearsal host" >&2
        exit 1
        ;;
    *) break ;;
    esac
done
say() {
    line="$(date '+%b %e %T') $(hostname) $tag: $*"
    printf '%s\n' "$line" >>/var/log/messages
    [ -z "$loud" ] || printf '%s\n' "$line" >&2
}
if [ $# -gt 0 ]; then
    say "$*"
else
    while IFS= read -r text; do say "$text"; done
fi
