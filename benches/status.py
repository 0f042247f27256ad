#!/usr/bin/env python3
"""`status` of a large fleet against the API's own time.

    benches/status.py [target/release/fleetwright] [hosts] [repetitions]

Serves a rehearsal cloud without hosts, launches a fleet on it, and measures `fleetwright status`; then sends the very calls
that it made, one after the other over one connection and without reading the answers' meaning: that is the API's own time.
Prints the medians in milliseconds and their ratio. The goal is 1.3 with 1,000 hosts. Where this Python has boto3, and where the
aws CLI is installed, each lists the same hosts, with DescribeInstances alone, for a comparison.
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
        ours, theirs = [], []
        others = {name: (command, []) for name, command in peers()}
        for _ in range(times):
            ours.append(cloud.verb("status")[0] * 1000)
            theirs.append(cloud.replay(calls) * 1000)
            for command, took in others.values():
                took.append(cloud.other(command) * 1000)
    finally:
        cloud.process.terminate()
        cloud.process.wait()

told = ", ".join(call["action"] for call in calls)
ratio = statistics.median(ours) / statistics.median(theirs)
print(f"{len(calls)} calls: {told}")
print(f"the API itself {statistics.median(theirs):8.1f} ms, {times} times")
print(f"status         {statistics.median(ours):8.1f} ms with {hosts} hosts")
print(f"ratio          {ratio:8.2f}  goal of {GOAL}: " + ("reached" if ratio <= GOAL else "missed"))
for name, (_, took) in others.items():
    print(f"{name:<14}{statistics.median(took):9.1f} ms for DescribeInstances alone")
