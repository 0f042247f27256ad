# Runs on the host: a command that is ended when standard input ends, which is when its connection does.
# $1 seconds after which it is ended in any case, $2 the command, for the login shell
limit=$1 command=$2
exec 3<&0 </dev/null
{
    trap '' HUP INT TERM
    while read -r _; do :; done
    # What a command that has ended left running on purpose may stay.
    kill -0 $$ || exit 0
    # The first signal may mean "finish what is in hand", the second does not. It is over once there is no group any more.
    kill -TERM -$$ && sleep 1 && kill -TERM -$$ && sleep 4 && kill -KILL -$$
} <&3 3<&- >/dev/null 2>&1 &
set -- "${SHELL:-/bin/sh}" -c "$command"
# timeout makes this process the leader of its group, if it is not already.
! command -v timeout >/dev/null 2>&1 || set -- timeout -k 5 "$limit" "$@"
exec "$@" 3<&-
