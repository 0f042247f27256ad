#!/bin/sh
# fleetwright's host unit: a loop in POSIX sh that needs curl and no credentials, and reads nothing but the instance metadata
# service. It lets the worker finish when EC2 or Auto Scaling is about to end the host, and powers the host off once Auto
# Scaling waits for no more than that, or once the clock passes its fleetwright:expires tag, whoever has forgotten it; EC2 then
# terminates it. A host that carries fleetwright:protect never powers itself off.
mkdir -p /opt/fleetwright
cat >/opt/fleetwright/host <<'HOST'
#!/bin/sh
service='@service@'
base=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
# Forgotten at a reboot, as what it tells is.
state=/run/fleetwright
fetch() { curl -sf --max-time 5 --noproxy '*' "$@"; }
meta() { fetch -H "X-aws-ec2-metadata-token: $token" "$base/latest/meta-data/$1"; }
say() { logger -t fleetwright "$1" 2>/dev/null || echo "fleetwright: $1"; }

# Powers the host off, unless somebody protects it or that can't be read.
off() {
    keys=$(meta tags/instance) || return 0
    printf '%s\n' "$keys" | grep -qx 'fleetwright:protect' && return 0
    say "$1, powering off"
    poweroff
}

# SIGTERM, and the service manager's own limit; true once the worker is not there any more.
stop_worker() {
    if [ -x /etc/fleetwright/drain ]; then
        /etc/fleetwright/drain
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

# Begins the drain unless it is under way; true once it is over. In the background, since no drain may keep the host from
# expiring; tried again while it fails.
drain() {
    [ -e "$state/drained" ] && return 0
    [ -n "$drainer" ] && kill -0 "$drainer" 2>/dev/null && return 1
    say "$1, the worker finishes what it has"
    { stop_worker && : >"$state/drained" && say 'the worker has finished'; } &
    drainer=$!
    return 1
}

expiry() {
    expires=$(meta tags/instance/fleetwright:expires) || return 0
    # 2026-11-21T08:00:00Z as GNU date and BusyBox both read it.
    end=$(date -u -d "$(printf %s "$expires" | sed -e 's/T/ /' -e 's/\..*//' -e 's/Z$//')" +%s) || return 0
    [ "$(date +%s)" -lt "$end" ] || off "expired at $expires"
}

mkdir -p "$state"
token='' drainer='' looks=0
while :; do
    # Once a minute what does not hurry, and a new token.
    if [ $((looks % 12)) -eq 0 ] || [ -z "$token" ]; then
        token=$(fetch -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 600' "$base/latest/api/token") || token=''
        expiry
        if [ ! -e "$state/rebalance" ] && advice=$(meta events/recommendations/rebalance); then
            say "EC2 recommends to replace this host: $advice"
            : >"$state/rebalance"
        fi
    fi
    if [ "$(meta autoscaling/target-lifecycle-state)" = Terminated ]; then
        drain 'Auto Scaling ends this host' && off 'drained for Auto Scaling'
    elif notice=$(meta spot/instance-action); then
        drain "EC2 takes this host back: $notice"
    fi
    looks=$((looks + 1))
    # EC2's guide: look for a notice every five seconds.
    sleep 5
done
HOST
chmod 755 /opt/fleetwright/host
if command -v systemctl >/dev/null 2>&1; then
    mkdir -p /etc/systemd/system
    cat >/etc/systemd/system/fleetwright-host.service <<'UNIT'
[Unit]
Description=drains the host before its end, and ends it once it has expired

[Service]
ExecStart=/bin/sh /opt/fleetwright/host
Restart=always
RestartSec=5

[Install]
WantedBy=multi-user.target
UNIT
    systemctl daemon-reload
    systemctl enable --now fleetwright-host.service
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
    rc-service fleetwright-host start
else
    echo 'fleetwright: neither systemd nor OpenRC: nothing drains this host, and nothing ends it' >&2
fi
