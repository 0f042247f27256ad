#!/bin/sh
# fleetwright's dead-man's switch: the host powers itself off once the clock passes its fleetwright:expires tag, whoever has
# forgotten it; EC2 then terminates it. Needs no credentials: the tag is read from the instance metadata service. Pushing the
# tag forward pushes the end forward; a host that carries fleetwright:protect stays.
mkdir -p /opt/fleetwright /etc/systemd/system
cat >/opt/fleetwright/deadman <<'DEADMAN'
#!/bin/sh
base=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
fetch() { curl -sf --max-time 5 --noproxy '*' "$@"; }
token=$(fetch -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/latest/api/token") || exit 0
expires=$(fetch -H "X-aws-ec2-metadata-token: $token" "$base/latest/meta-data/tags/instance/fleetwright:expires") || exit 0
keys=$(fetch -H "X-aws-ec2-metadata-token: $token" "$base/latest/meta-data/tags/instance") || exit 0
printf '%s\n' "$keys" | grep -qx 'fleetwright:protect' && exit 0
end=$(date -d "$expires" +%s) || exit 0
if [ "$(date +%s)" -ge "$end" ]; then
    logger "fleetwright: expired at $expires, powering off" 2>/dev/null
    poweroff
fi
DEADMAN
chmod 755 /opt/fleetwright/deadman
cat >/etc/systemd/system/fleetwright-deadman.service <<'UNIT'
[Unit]
Description=powers the host off once it has expired

[Service]
Type=oneshot
ExecStart=/opt/fleetwright/deadman
UNIT
cat >/etc/systemd/system/fleetwright-deadman.timer <<'UNIT'
[Unit]
Description=looks every minute whether the host has expired

[Timer]
OnBootSec=60
OnUnitActiveSec=60

[Install]
WantedBy=timers.target
UNIT
systemctl daemon-reload
systemctl enable --now fleetwright-deadman.timer
