#!/usr/bin/env python3
"""`status` of a large fleet against the API's own time.

    benches/status.py [target/release/fleetwright] [hosts] [repetitions] [milliseconds ...]

Serves a rehearsal cloud without hosts, launches a fleet on it, and measures `fleetwright status`; then sends the very calls
that it made, one after the other over one connection and without reading the answers' meaning: that is the API's own time.
Prints the medians in milliseconds and their ratio: as this machine answers itself, and with each answer held back for so many
milliseconds (250 where none are named, the least of what a log in https://github.com/aws/aws-sdk-ruby/issues/1536 shows
DescribeInstances to take for one instance). The goal is 1.3 with 1,000 hosts. Where this Python has boto3, and where the aws CLI
is installed, each lists the same hosts, with DescribeInstances alone, for a comparison.
"""

import http.client
import importlib.util
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

GOAL = 1.3
# How each service is spoken to: the version of the query protocol, or the JSON protocol's target.
QUERY = {"ec2": "2016-11-15", "sts": "2011-06-15"}
TARGET = {"pricing": "AWSPriceListService"}
# Every rehearsal cloud has this image.
IMAGE = "ami-0f1ee7000000ba5e1"
binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/fleetwright")
hosts = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
times = int(sys.argv[3]) if len(sys.argv) > 3 else 15
holds = [0, *(int(text) for text in sys.argv[4:] or ["250"])]

SPEC = f"""
version: 1
name: thousand
account: "123456789012"
region: us-east-1
fleet:
  size: {hosts}
  types: [m7i.large]
  subnets: [subnet-0aaa0000000000000, subnet-0bbb0000000000000, subnet-0ccc0000000000000, subnet-0ddd0000000000000]
  security_groups: [sg-0aaa0000000000000]
"""


# What lists the hosts of the fleet in other ways: each is a process of its own, as `status` is.
BOTO3 = """
import boto3
pages = boto3.client("ec2").get_paginator("describe_instances").paginate(
    Filters=[{"Name": "tag:fleetwright:fleet", "Values": ["thousand"]}], PaginationConfig={"PageSize": 1000})
for page in pages:
    for reservation in page["Reservations"]:
        for host in reservation["Instances"]:
            print(host["InstanceId"], host["InstanceType"], host["State"]["Name"], host["Placement"]["AvailabilityZone"])
"""
QUERY_CLI = "Reservations[].Instances[].[InstanceId,InstanceType,State.Name,Placement.AvailabilityZone]"


def peers():
    """What is installed here, by name."""
    if importlib.util.find_spec("boto3"):
        yield "boto3", [sys.executable, "-c", BOTO3]
    if aws := shutil.which("aws"):
        listing = [aws, "ec2", "describe-instances", "--filters", "Name=tag:fleetwright:fleet,Values=thousand"]
        yield "aws CLI", [*listing, "--page-size", "1000", "--query", QUERY_CLI, "--output", "text"]


class Cloud:
    """A rehearsal cloud without hosts."""

    def __init__(self, folder):
        self.folder = folder
        self.spec = os.path.join(folder, "fleet.yaml")
        with open(self.spec, "w") as file:
            file.write(SPEC)
        command = [binary, "--state-dir", folder, "-o", "json", "sim", "serve", "--hosts", "none", "--speed", "10"]
        self.process = subprocess.Popen(command + ["--spec", self.spec], stdout=subprocess.PIPE, text=True)
        served = json.loads(self.process.stdout.readline())
        self.authority = served["endpoint"].removeprefix("http://")
        self.env = {**os.environ, **served["env"]}

    def verb(self, *arguments):
        """Wall seconds of a verb, which must go well."""
        command = [binary, "-f", self.spec, "--state-dir", os.path.join(self.folder, "state"), "-q", "--yes", *arguments]
        begun = time.perf_counter()
        done = subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        took = time.perf_counter() - begun
        if done.returncode != 0:
            sys.exit(f"{shlex.join(command)} ended with {done.returncode}")
        return took, done.stdout

    def other(self, command):
        """Wall seconds of another program, which must list every host."""
        begun = time.perf_counter()
        done = subprocess.run(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        took = time.perf_counter() - begun
        if done.returncode != 0 or len(done.stdout.splitlines()) != hosts:
            sys.exit(f"{command[0]} ended with {done.returncode}")
        return took

    def hold(self, milliseconds):
        """Holds every answer back for so long."""
        rule = {"action": "*", "times": None, "do": {"delay": {"seconds": milliseconds / 1000}}}
        connection = http.client.HTTPConnection(self.authority)
        body = json.dumps({"rules": [rule] if milliseconds else []})
        connection.request("POST", "/_sim/faults", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status // 100 != 2:
            sys.exit(f"the faults were answered {answer.status}: {answer.read()[:300]}")
        answer.read()

    def audit(self):
        """Every call so far."""
        connection = http.client.HTTPConnection(self.authority)
        connection.request("GET", "/_sim/audit")
        return [json.loads(line) for line in connection.getresponse().read().splitlines()]

    def replay(self, calls):
        """Wall seconds of the same calls by hand, each answer read to its end."""
        connection = http.client.HTTPConnection(self.authority)
        begun = time.perf_counter()
        for call in calls:
            scope = f"REHEARSAL/20260101/us-east-1/{call['service']}/aws4_request"
            headers = {"authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"}
            if call["service"] in QUERY:
                form = {"Action": call["action"], "Version": QUERY[call["service"]], **call["parameters"]}
                body = urllib.parse.urlencode(form)
                headers["content-type"] = "application/x-www-form-urlencoded"
            else:
                body = json.dumps(call["parameters"])
                headers["content-type"] = "application/x-amz-json-1.1"
                headers["x-amz-target"] = f"{TARGET[call['service']]}.{call['action']}"
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                sys.exit(f"{call['action']} answered {answer.status}: {body[:300]}")
        return time.perf_counter() - begun


with tempfile.TemporaryDirectory() as folder:
    cloud = Cloud(folder)
    try:
        cloud.verb("launch", "--unattested", "--image", IMAGE, "--until", "running")
        before = len(cloud.audit())
        _, page = cloud.verb("-o", "json", "status")
        shown = len(json.loads(page)["hosts"])
        if shown != hosts:
            sys.exit(f"status shows {shown} hosts, not {hosts}")
        calls = cloud.audit()[before:]
        ours, theirs = {hold: [] for hold in holds}, {hold: [] for hold in holds}
        others = {name: (command, []) for name, command in peers()}
        for hold in holds:
            cloud.hold(hold)
            for _ in range(times):
                ours[hold].append(cloud.verb("status")[0] * 1000)
                theirs[hold].append(cloud.replay(calls) * 1000)
                for command, took in others.values() if hold == 0 else ():
                    took.append(cloud.other(command) * 1000)
    finally:
        cloud.process.terminate()
        cloud.process.wait()

told = ", ".join(call["action"] for call in calls)
print(f"{len(calls)} calls: {told}; {times} times with {hosts} hosts")
print("held back     the API itself         status      ratio")
for hold in holds:
    api, whole = statistics.median(theirs[hold]), statistics.median(ours[hold])
    verdict = "reached" if whole / api <= GOAL else "missed"
    print(f"{hold:6} ms {api:16.1f} ms {whole:11.1f} ms {whole / api:10.2f}  goal of {GOAL}: {verdict}")
for name, (_, took) in others.items():
    print(f"{name:<14}{statistics.median(took):9.1f} ms for DescribeInstances alone")
