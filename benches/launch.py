#!/usr/bin/env python3
"""What a launch costs in calls, throttles and time, on the rehearsal cloud with AWS's published token buckets on.

    benches/launch.py [target/release/fleetwright] [hosts ...]

For each number of hosts (40, 1000 and 5000 unless named): our own launch and teardown; and up to 1000 hosts, where boto3 can
be imported, the loop that many scripts have: one RunInstances a host, then polls of DescribeInstances until all run. Hosts are
none; world time is what the cloud's own clock says, wall time is this machine's.

Measured on 2026-11-22, release build, two cores, nothing else running; launch at 60 world seconds a wall second, down at 5:

                        hosts   calls throttled   world s   wall s
    fleetwright launch     40      20         0        22      0.4
    fleetwright down       40      35         0        31      6.1
    boto3 loop             40      50         7       186      3.3
    fleetwright launch   1000      31         0        57      1.0
    fleetwright down     1000      40         0        35      6.9
    boto3 loop           1000    1200       195      6298    105.1
    fleetwright launch   5000     103         0      3319     55.5
    fleetwright down     5000     148         0       386     77.3
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

arguments = sys.argv[1:]
binary = os.path.abspath(arguments.pop(0) if arguments and not arguments[0].isdigit() else "target/release/fleetwright")
sizes = [int(n) for n in arguments] or [40, 1000, 5000]
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
IMAGE = "ami-0f1ee7000000ba5e1"
# World seconds per wall second. What is ended must have been read within the same world minute, which at 60 would be one
# second of this machine: 5,000 hosts take longer to read, so teardowns go slower.
LAUNCH, DOWN = 60, 5
SPEC = """version: 1
name: bench
account: "123456789012"
region: us-east-1
fleet:
  size: {hosts}
  types: [m7i.large, m6i.large, m5.large, c7i.large]
  subnets: [subnet-0aaa0000000000000, subnet-0bbb0000000000000]
  security_groups: [sg-0aaa0000000000000]
  accept: {{within: 1h}}
"""


class Cloud:
    """One rehearsal cloud of its own, with room for everybody."""

    def __init__(self, hosts):
        self.dir = tempfile.TemporaryDirectory()
        self.spec = os.path.join(self.dir.name, "fleet.yaml")
        open(self.spec, "w").write(SPEC.format(hosts=hosts))
        faults = os.path.join(self.dir.name, "faults.json")
        roomy = {"pools": [{"instance_type": "*", "zone": "*", "market": "*", "size": 100000}],
                 "quotas": {"on_demand_vcpus": 1000000, "spot_vcpus": 1000000}}
        open(faults, "w").write(json.dumps(roomy))
        command = [binary, "--state-dir", self.dir.name, "-o", "json", "sim", "serve", "--hosts", "none", "--speed",
                   str(LAUNCH), "--spec", self.spec, "--faults", faults]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE)
        served = json.loads(self.child.stdout.readline())
        self.endpoint, self.env = served["endpoint"], served["env"]

    def audit(self):
        with urllib.request.urlopen(f"{self.endpoint}/_sim/audit") as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def speed(self, speed):
        body = json.dumps({"speed": speed}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/_sim/clock", body)).close()

    def end(self):
        self.child.kill()
        self.child.wait()
        self.dir.cleanup()


def ours(cloud, verb):
    command = [binary, "-f", cloud.spec, "--state-dir", os.path.join(cloud.dir.name, "state"), "--local-state", "--yes",
               "-o", "json", *verb]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"], **cloud.env}, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(verb)} ended with {done.returncode}:\n{done.stderr}")


def loop(cloud, hosts):
    """The loop of many scripts."""
    import boto3
    from botocore.config import Config

    keys = {"aws_access_key_id": "A", "aws_secret_access_key": "B", "region_name": "us-east-1"}
    retries = Config(retries={"mode": "standard", "max_attempts": 100})
    ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, config=retries, **keys)
    ids = []
    for _ in range(hosts):
        made = ec2.run_instances(ImageId=IMAGE, InstanceType="m7i.large", MinCount=1, MaxCount=1,
                                 SubnetId="subnet-0aaa0000000000000")
        ids.append(made["Instances"][0]["InstanceId"])
    while True:
        seen = [host for at in range(0, hosts, 200)
                for group in ec2.describe_instances(InstanceIds=ids[at:at + 200])["Reservations"]
                for host in group["Instances"]]
        if all(host["State"]["Name"] == "running" for host in seen):
            return
        time.sleep(5 / LAUNCH)


def told(name, hosts, calls, wall):
    by_action = collections.Counter(call["action"] for call in calls)
    throttles = sum(call.get("error") == "RequestLimitExceeded" for call in calls)
    seconds = lambda text: time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    world = seconds(calls[-1]["time"]) - seconds(calls[0]["time"])
    actions = " ".join(f"{action}={n}" for action, n in by_action.most_common())
    print(f"{name:<18} {hosts:>6} {len(calls):>7} {throttles:>9} {world:>9.0f} {wall:>8.1f}  {actions}", flush=True)


print(f"{'':<18} {'hosts':>6} {'calls':>7} {'throttled':>9} {'world s':>9} {'wall s':>8}  calls by action")
for hosts in sizes:
    cloud = Cloud(hosts)
    launch = ["launch", "--unattested", "--image", IMAGE, "--until", "running"]
    for name, verb, speed in [("launch", launch, LAUNCH), ("down", ["down"], DOWN)]:
        cloud.speed(speed)
        before, begun = len(cloud.audit()), time.perf_counter()
        ours(cloud, verb)
        told(f"fleetwright {name}", hosts, cloud.audit()[before:], time.perf_counter() - begun)
    cloud.end()
    try:
        import boto3  # noqa: F401
    except ImportError:
        continue
    if hosts > 1000:
        continue
    cloud, begun = Cloud(hosts), time.perf_counter()
    loop(cloud, hosts)
    told("boto3 loop", hosts, cloud.audit(), time.perf_counter() - begun)
    cloud.end()
