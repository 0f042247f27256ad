#!/bin/sh
# Rehearsal only: what the operator did by hand on the template before fleetwright came along. Installs the first release
# from the folder that the rehearsal mounts, and enables the worker.
set -eu
queue_url=https://sqs.us-east-1.amazonaws.com/123456789012/digest
release=/mnt/rehearsal/release.tar.gz
mkdir -p /opt/worker/releases/first /etc/systemd/system
tar -xzf "$release" -C /opt/worker/releases/first
ln -sfn /opt/worker/releases/first /opt/worker/current
cat >/etc/systemd/system/digest-worker.service <<UNIT
[Unit]
Description=digests items from the queue

[Service]
Environment=ITEMS=/srv/items
Environment=RESULTS=/srv/results
ExecStart=/opt/worker/current/fleetwright work --queue-url $queue_url --visibility 2m -- /opt/worker/current/worker.sh
Restart=always
RestartSec=5
# SIGTERM is for the worker alone, which finishes the item in hand; not for its command.
KillMode=mixed

[Install]
WantedBy=multi-user.target
UNIT
systemctl enable digest-worker
