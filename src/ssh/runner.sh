# Runs on the host, as root: takes the lock, receives the payload, carries out its steps one by one, tells in frames.
# Frames start with a nonce that arrives on standard input, so that no step can know or print it.
# $1 state directory, $2 pause in seconds between tries, of the lock too
set -u
umask 022
unset nonce lock
state=$1 pause=$2 login=${SUDO_USER:-$(id -un)}
IFS= read -r nonce && IFS= read -r want || exit 70
say() { printf '\n%s %s\n' "$nonce" "$*"; }
broken() {
    say broken "$(printf '%s' "$*" | tr '\n' ' ')"
    exit 70
}
busy() {
    say busy
    exit 75
}
for tool in tar timeout sha256sum mktemp stat readlink; do
    command -v "$tool" >/dev/null 2>&1 || broken "the host has no $tool"
done
why=$(mkdir -p -- "$state" 2>&1) || broken "$why"
if command -v flock >/dev/null 2>&1; then
    exec 9>>"$state/lock"
    # One whose operator went away is being ended: ten tries, then it is somebody else's.
    tries=0
    until flock -n 9; do
        [ "$tries" -lt 10 ] || busy
        tries=$((tries + 1))
        sleep "$pause"
    done
else
    me="$$ $(cat /proc/sys/kernel/random/boot_id)"
    if ! mkdir "$state/lock.d" 2>/dev/null; then
        owner=$(cat "$state/lock.d/owner" 2>/dev/null)
        if [ -z "$owner" ]; then
            # Being taken right now, unless it was left a minute ago.
            [ -n "$(find "$state/lock.d" -maxdepth 0 -mmin +1)" ] || busy
        elif [ "${owner#* }" = "${me#* }" ] && kill -0 "${owner%% *}" 2>/dev/null; then
            busy
        fi
        mv "$state/lock.d" "$state/lock.$$" 2>/dev/null && rm -rf -- "$state/lock.$$"
        mkdir "$state/lock.d" 2>/dev/null || busy
    fi
    lock=$state/lock.d
    echo "$me" >"$lock/owner"
fi
dir= watch=
clean() {
    [ -z "$watch" ] || kill "$watch" 2>/dev/null
    watch=
    rm -rf -- ${dir:+"$dir"} ${lock:+"$lock"}
    # Only once: behind the last words the lock may be somebody else's.
    dir= lock=
    exec 9>&-
}
# Last words come after everything is put away: whoever hears them may begin anew at once.
leave() {
    clean
    say "$1"
    exit 0
}
# What runs in the background is the step, once there is one: it is told to end, and gone before the lock is.
stop() {
    kill "$!" 2>/dev/null && wait "$!"
    exit 71
}
trap clean EXIT
trap stop HUP INT TERM PIPE
if [ "$want" != - ] && [ "$(head -n 1 "$state/release" 2>/dev/null)" = "$want" ]; then
    leave same
fi
rm -rf -- "$state"/run.*
dir=$(mktemp -d "$state/run.XXXXXX" 2>&1) || { why=$dir dir=; broken "$why"; }
say go
IFS=' ' read -r sums size || exit 71
# No byte more: tar would read on to the end of a pipe, and this one ends with the connection.
why=$(head -c "$size" | tar -xof - -C "$dir" 2>&1) || broken "unpack the payload: $why"
[ "$(sha256sum <"$dir/sums" | cut -d ' ' -f 1)" = "$sums" ] || broken "the payload arrived damaged"
why=$(cd "$dir" && sha256sum -c sums 2>&1) || broken "the payload arrived damaged: $why"
exec 3<&0 </dev/null
{
    while read -r _; do :; done
    kill -TERM $$
} <&3 3<&- 9>&- >/dev/null 2>&1 &
watch=$!
exec 3<&-

# Before the first change: what was there before is no longer what the host has.
begin() { rm -f -- "$state/release"; }
# index, seconds, further tries, then what to do
step() {
    index=$1 limit=$2 more=$3
    shift 3
    try=0
    while :; do
        try=$((try + 1)) outcome= code=0
        rm -f -- "$dir/outcome"
        say start "$index" "$try"
        timeout -k 5 "$limit" sh "$dir/steps.sh" "$dir" "$login" "$pause" "$@" </dev/null 2>&1 9>&- &
        wait "$!"
        ended=$?
        [ ! -e "$dir/outcome" ] || read -r outcome code <"$dir/outcome"
        case $outcome in
        ok | changed | failed) ;;
        *)
            code=$ended
            case $ended in 124 | 137) outcome=timeout ;; *) outcome=failed ;; esac
            ;;
        esac
        say end "$index" "$outcome" "$code"
        case $outcome in ok | changed) return ;; esac
        [ "$try" -le "$more" ] || leave stop
        sleep "$pause"
    done
}
# digest of the play, digest of its release
finish() {
    printf '%s\n%s\n' "$1" "$2" >"$state/release.new" || broken "write $state/release.new"
    sync "$state/release.new" 2>/dev/null || :
    mv -f -- "$state/release.new" "$state/release" || broken "write $state/release"
}
. "$dir/plan"
leave done
