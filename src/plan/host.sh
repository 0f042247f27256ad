#!/bin/sh
# fleetwright's host unit: a loop in POSIX sh that needs curl and no credentials but those of the host's own instance profile,
# and learns what it has to do from the instance metadata service alone. It lets the worker finish when EC2 or Auto Scaling is
# about to end the host, and powers the host off once Auto Scaling waits for no more than that, or once the clock passes its
# fleetwright:expires tag, whoever has forgotten it; EC2 then terminates it. A host that carries fleetwright:protect never
# powers itself off. Where the spec says so it restarts the worker before that has been up for too long.
mkdir -p /opt/fleetwright
cat >/opt/fleetwright/host <<'HOST'
#!/bin/sh
# The worker's service, the most seconds that it stays up, and where in S3 its log goes; empty where the spec says nothing.
service='@service@' every='@every@' logs='@logs@'
region='@region@' s3=${AWS_ENDPOINT_URL:-https://s3.@region@.@domain@}
base=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
# Forgotten at a reboot, as what it tells is. The other folder is a push's own.
state=/run/fleetwright pushed=/var/lib/fleetwright
fetch() { curl -sf --max-time 5 --noproxy '*' "$@"; }
meta() { fetch -H "X-aws-ec2-metadata-token: $token" "$base/latest/meta-data/$1"; }
enter() { token=$(fetch -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' "$base/latest/api/token") || token=''; }
say() { logger -t fleetwright "$1" 2>/dev/null || echo "fleetwright: $1"; }

# The worker's log to S3 with the credentials of the host's instance profile, which no argument shows.
put_log() {
    command -v journalctl >/dev/null 2>&1 || { echo 'the host has no journal' && return 1; }
    # A drain may have outlived the loop's token.
    enter
    id=$(meta instance-id) && role=$(meta iam/security-credentials/) && keys=$(meta "iam/security-credentials/$role") ||
        { echo 'the host has no instance profile' && return 1; }
    key() { printf '%s\n' "$keys" | sed -n "s/.*\"$1\" *: *\"\([^\"]*\)\".*/\1/p"; }
    log=$(mktemp "$state/log.XXXXXX") || return 1
    timeout 20 journalctl --no-pager -n 100000 -u "$service" | gzip >"$log"
    code=$(printf 'user = "%s:%s"\nheader = "x-amz-security-token: %s"\n' \
        "$(key AccessKeyId)" "$(key SecretAccessKey)" "$(key Token)" |
        curl -sSf -o /dev/null --max-time 30 -K - --aws-sigv4 "aws:amz:$region:s3" -T "$log" \
            -H "x-amz-content-sha256: $(sha256sum <"$log" | cut -d ' ' -f 1)" \
            -w '%{http_code}' "$s3/$logs/$id/$(date -u +%Y%m%dT%H%M%SZ).log.gz") || code=''
    rm -f "$log"
    [ -n "$code" ] || return 1
    # A bucket of another region redirects, which curl takes for success.
    [ "$code" = 200 ] || { echo "S3 answered $code" && return 1; }
}

# The same, once, where the spec wants it: within 70 s whatever happens, since the host's end waits for it. What failed is
# tried again where there is another occasion before the end.
keep_log() {
    [ -n "$logs" ] && [ ! -e "$state/logged" ] || return 0
    if why=$(put_log 2>&1); then
        : >"$state/logged"
        say "the worker's log is in s3://$logs"
    else
        say "the worker's log is not in s3://$logs: $why"
    fi
}

# Powers the host off, unless somebody protects it or that can't be read.
off() {
    keys=$(meta tags/instance) || return 0
    printf '%s\n' "$keys" | grep -qx 'fleetwright:protect' && return 0
    keep_log
    say "$1, powering off"
    poweroff
}

# The steps of worker.drain, as over SSH: the plan calls `step` for each, and steps.sh carries it out.
playbook() (
    id=$(meta instance-id) || exit 1
    dir=$state/drain
    rm -rf "$dir" && mkdir -m 700 "$dir" && base64 -d /opt/fleetwright/drain | tar -xzof - -C "$dir" || exit 1
    # Nobody knew the host's id when they were written.
    grep -l '@instance-id@' "$dir"/* | while read -r file; do
        sed "s/@instance-id@/$id/g" "$file" >"$dir/new" && cat "$dir/new" >"$file"
    done
    . "$dir/plan"
)
# index, seconds, further tries, then what to do
step() {
    index=$1 limit=$2 more=$3
    shift 3
    until timeout -k 5 "$limit" sh "$dir/steps.sh" "$dir" '@user@' 1 "$@"; do
        if [ "$more" -eq 0 ]; then
            say "step $((index + 1)) of worker.drain failed"
            exit 1
        fi
        more=$((more - 1))
        sleep 1
    done
}

# The drain playbook, else SIGTERM and the service manager's own limit; true once the worker is not there any more.
stop_worker() {
    if [ -s /opt/fleetwright/drain ]; then
        playbook
    elif [ -z "$service" ]; then
        return 0
    elif command -v systemctl >/dev/null 2>&1; then
        systemctl stop "$service"
        case $(systemctl is-active "$service") in
        active | activating | deactivating | reloading) return 1 ;;
        esac
    else
        rc-service "$service" stop
        ! rc-service "$service" status >/dev/null 2>&1
    fi
}

# Whether the worker is being drained or restarted: never both at once, and both beside the loop, since neither may keep the
# host from expiring.
busy() {
    [ -n "$job" ] && kill -0 "$job" 2>/dev/null && return
    # Its number may be another process's by now.
    job='' restart=''
    return 1
}

# Whether a restart is under way that a stop takes the place of, as systemd has it; a playbook comes after it.
gives_way() { [ -n "$restart" ] && [ ! -s /opt/fleetwright/drain ] && command -v systemctl >/dev/null 2>&1; }

# Begins the drain unless it is under way; true once it is over. Tried again while it fails.
drain() {
    [ -e "$state/drained" ] && return 0
    busy && ! gives_way && return 1
    say "$1, the worker finishes what it has"
    { stop_worker && keep_log && : >"$state/drained" && say 'the worker has finished'; } &
    job=$! restart=''
    return 1
}

# Seconds since the service manager started the worker; fails where that does not run.
up() {
    if command -v systemctl >/dev/null 2>&1; then
        [ "$(systemctl is-active "$service")" = active ] || return 1
        since=$(systemctl show -p ActiveEnterTimestampMonotonic "$service") || return 1
        echo $(($(cut -d . -f 1 /proc/uptime) - ${since#*=} / 1000000))
    else
        rc-service "$service" status >/dev/null 2>&1 || return 1
        # OpenRC's own link to what it has started.
        since=$(stat -c %Y "/run/openrc/started/$service") || return 1
        echo $(($(date +%s) - since))
    fi
}

# Whether a push is at it: it holds the host's lock, and restarts the worker itself where that has to be.
pushing() {
    if command -v flock >/dev/null 2>&1; then
        [ -e "$pushed/lock" ] && ! flock -n "$pushed/lock" true
    else
        read -r owner rest 2>/dev/null <"$pushed/lock.d/owner" && kill -0 "$owner" 2>/dev/null
    fi
}

# Restarts a worker that has been up for long enough: up to a quarter earlier by the host's id, so that not all hosts do at
# once.
freshen() {
    [ -n "$every" ] && [ ! -e "$state/drained" ] && [ ! -e "$state/draining" ] && ! busy || return 0
    age=$(up) && id=$(meta instance-id) || return 0
    early=$(($(printf %s "$id" | cksum | cut -d ' ' -f 1) % (every / 4)))
    [ "$age" -ge $((every - early)) ] && ! pushing || return 0
    say "$service has been up for $age s, restarting it"
    if command -v systemctl >/dev/null 2>&1; then
        systemctl try-restart "$service" &
    else
        rc-service "$service" restart &
    fi
    job=$! restart=1
}

expiry() {
    expires=$(meta tags/instance/fleetwright:expires) || return 0
    # 2026-11-21T08:00:00Z as GNU date and BusyBox both read it.
    end=$(date -u -d "$(printf %s "$expires" | sed -e 's/T/ /' -e 's/\..*//' -e 's/Z$//')" +%s) || return 0
    [ "$(date +%s)" -lt "$end" ] || off "expired at $expires"
}

mkdir -p "$state"
token='' job='' restart='' looks=0
case $1 in
# Whoever drains the host over SSH asks for this.
log)
    keep_log
    exit
    ;;
# systemd stops this unit: where the whole host goes down the worker has been stopped before it, and there is still a network.
stopped)
    [ -n "$logs" ] && [ "$(systemctl is-system-running)" = stopping ] && keep_log
    exit 0
    ;;
esac
while :; do
    busy
    # Once a minute what does not hurry, and a new token.
    if [ $((looks % 12)) -eq 0 ] || [ -z "$token" ]; then
        enter
        expiry
        if [ ! -e "$state/rebalance" ] && advice=$(meta events/recommendations/rebalance); then
            say "EC2 recommends to replace this host: $advice"
            : >"$state/rebalance"
        fi
    fi
    if [ "$(meta autoscaling/target-lifecycle-state)" = Terminated ]; then
        drain 'Auto Scaling ends this host' && off 'drained for Auto Scaling'
    elif notice=$(meta spot/instance-action); then
        drain "EC2 takes this host back: $notice" && [ $((looks % 12)) -eq 0 ] && keep_log
    elif [ $((looks % 12)) -eq 0 ]; then
        freshen
    fi
    looks=$((looks + 1))
    # EC2's guide: look for a notice every five seconds.
    sleep 5
done
HOST
chmod 755 /opt/fleetwright/host
printf %s '@drain@' >/opt/fleetwright/drain
chmod 600 /opt/fleetwright/drain
if command -v systemctl >/dev/null 2>&1; then
    mkdir -p /etc/systemd/system
    cat >/etc/systemd/system/fleetwright-host.service <<'UNIT'
[Unit]
Description=drains the host before its end, and ends it once it has expired
# Units are stopped the other way round.
After=network.target nss-lookup.target
@before@
[Service]
ExecStart=/bin/sh /opt/fleetwright/host
ExecStop=/bin/sh /opt/fleetwright/host stopped
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable fleetwright-host.service
    # An image may bring a unit of its own, which runs already.
    systemctl restart fleetwright-host.service
elif command -v rc-update >/dev/null 2>&1; then
    cat >/etc/init.d/fleetwright-host <<'UNIT'
#!/sbin/openrc-run
description="drains the host before its end, and ends it once it has expired"
supervisor=supervise-daemon
command=/bin/sh
command_args=/opt/fleetwright/host
UNIT
    chmod 755 /etc/init.d/fleetwright-host
    rc-update add fleetwright-host default
    rc-service fleetwright-host restart
else
    echo 'fleetwright: neither systemd nor OpenRC: nothing drains this host, and nothing ends it' >&2
fi
