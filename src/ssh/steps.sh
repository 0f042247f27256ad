# Carries out one step on the host. $1 payload, $2 login user, $3 pause in seconds, $4 kind, then what the kind takes.
# Leaves "ok|changed|failed STATUS" in the payload's folder: without it the step was ended from outside.
dir=$1 login=$2 pause=$3 kind=$4
shift 4
cd /
end() {
    echo "$1 $2" >"$dir/outcome"
    exit "$2"
}
fail() {
    [ $# -eq 0 ] || echo "$*" >&2
    end failed 1
}
digest() { sha256sum <"$1" | cut -d ' ' -f 1; }
# Cut by the shell itself: a substitution would lose line feeds at the end of a name.
aside() { printf '%s/.%s.fleetwright\n' "${1%/*}" "${1##*/}"; }
owner_of() {
    case $owner in
    *:*) stat -c %U:%G -- "$1" ;;
    *) stat -c %U -- "$1" ;;
    esac
}
# content path mode owner digest
put() {
    from=$dir/$1 path=$2 mode=$3 owner=${4:-$login} sum=$5
    if [ -f "$path" ] && [ ! -L "$path" ] && [ "$(digest "$path")" = "$sum" ] &&
        [ "$(stat -c %a -- "$path")" = "$mode" ] && [ "$(owner_of "$path")" = "$owner" ]; then
        end ok 0
    fi
    new=$(aside "$path")
    mkdir -p -- "${path%/*}/" && rm -rf -- "$new" || fail
    (umask 077 && set -C && cat -- "$from" >"$new") || fail
    [ "$(owner_of "$new")" = "$owner" ] || chown -- "$owner" "$new" || fail
    chmod -- "$mode" "$new" || fail
    [ "$(digest "$new")" = "$sum" ] || fail "$path was not written as sent"
    sync "$new" 2>/dev/null || :
    mv -T -f -- "$new" "$path" || fail
    end changed 0
}
# folder digest
unpack() {
    to=$1 sum=$2
    [ ! -L "$to" ] || fail "$to is a symbolic link"
    if [ "$(cat -- "$to/.fleetwright" 2>/dev/null)" = "$sum" ]; then end ok 0; fi
    if [ -e "$to" ] && [ ! -f "$to/.fleetwright" ]; then
        rmdir -- "$to" 2>/dev/null || fail "$to is there already and does not come from unpack"
    fi
    new=$to.fleetwright-new old=$to.fleetwright-old
    rm -rf -- "$new" "$old" && mkdir -p -- "$new" || fail
    tar -xof "$dir/release" -C "$new" || fail
    rm -rf -- "$new/.fleetwright" && echo "$sum" >"$new/.fleetwright" || fail
    [ ! -e "$to" ] || mv -T -- "$to" "$old" || fail
    mv -T -- "$new" "$to" || fail
    rm -rf -- "$old"
    end changed 0
}
# target link
link() {
    to=$1 at=$2 new=$(aside "$2")
    if [ -L "$at" ] && [ "$(readlink -- "$at")" = "$to" ]; then end ok 0; fi
    mkdir -p -- "${at%/*}/" && rm -rf -- "$new" && ln -s -- "$to" "$new" && mv -T -f -- "$new" "$at" || fail
    end changed 0
}
# unit
restart() {
    if systemctl enable "$1" && systemctl restart "$1" && sleep "$pause" && systemctl is-active "$1"; then
        end changed 0
    fi
    journalctl -u "$1" -n 20 --no-pager || :
    fail "$1 is not active after its restart"
}
case $kind in
put | unpack | link | restart) "$kind" "$@" ;;
run | check)
    sh "$dir/$1"
    status=$?
    [ "$status" -eq 0 ] || end failed "$status"
    if [ "$kind" = check ]; then end ok 0; else end changed 0; fi
    ;;
*) fail "unknown step $kind" ;;
esac
