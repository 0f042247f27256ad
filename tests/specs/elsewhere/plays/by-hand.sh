#!/bin/sh
# What the farm's people did by hand on their template.
set -eu
mkdir -p /opt/render/bin /etc/systemd/system
tar -xzf /srv/in/release.tar.gz -C /opt/render/bin
cat >/etc/systemd/system/render.service <<UNIT
[Service]
ExecStart=/opt/render/bin/fleetwright work --queue-url https://sqs.eu-central-1.amazonaws.com/998877665544/frames --visibility 3m -- /opt/render/bin/render-one
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable --now render
