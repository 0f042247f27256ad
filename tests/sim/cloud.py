"""The rehearsal cloud under test: its process, its control port, clients for it, and a test case that begins a new world."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

# What `sim serve` makes without a spec: see src/rehearse/world.rs.
ACCOUNT = "123456789012"
REGION = "us-east-1"
IMAGE = "ami-0f1ee7000000ba5e1"
TEMPLATE = "i-0123456789abcdef0"
SUBNETS = {zone: f"subnet-0{zone * 3}0000000000000" for zone in "abc"}
GROUP = "sg-0aaa0000000000000"

ENDPOINT = None
ENV = {}
# Straight to loopback, whatever proxies the machine's environment names.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@contextlib.contextmanager
def served(binary, *arguments):
    """Runs `sim serve --hosts none` for as long as the block lasts; the exit must be clean."""
    global ENDPOINT, ENV
    with tempfile.TemporaryDirectory() as home:
        for name in [name for name in os.environ if name.startswith(("AWS_", "FLEETWRIGHT_")) and name != "FLEETWRIGHT_TEST_RUN"]:
            del os.environ[name]
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        if "FLEETWRIGHT_TEST_RUN" in os.environ:
            environment["FLEETWRIGHT_TEST_RUN"] = os.environ["FLEETWRIGHT_TEST_RUN"]
        command = [binary, "--state-dir", home, "-o", "json", "sim", "serve", "--hosts", "none", "--seed", "7", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        try:
            line = json.loads(process.stdout.readline())
            assert line["pid"] == process.pid and line["template"] == TEMPLATE and line["ssh_port"] is None, line
            ENDPOINT, ENV = line["endpoint"], line["env"]
            os.environ.update(ENV, HOME=home, AWS_CONFIG_FILE=os.path.join(home, "none"))
            yield
        finally:
            process.terminate()
            status = process.wait(20)
        if status != 0:
            sys.exit(f"the rehearsal cloud ended with {status}")


def control(method, path, body=None):
    """One request to the control port: status and document."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{ENDPOINT}/_sim/{path}", data=data, method=method)
    try:
        with OPENER.open(request, timeout=20) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read().decode()
    lines = text.splitlines()
    if path.startswith("audit"):
        return status, [json.loads(line) for line in lines]
    return status, json.loads(text)


def ask(method, path, body=None):
    """The same where only success will do."""
    status, document = control(method, path, body)
    assert status == 200, (method, path, status, document)
    return document


def client(service, key="TESTER", region=REGION, **config):
    """A client that tries once: a repetition by the SDK would hide what the cloud answered."""
    settings = {"retries": {"total_max_attempts": 1}, "read_timeout": 30, **config}
    return boto3.client(
        service,
        region_name=region,
        endpoint_url=ENDPOINT,
        aws_access_key_id=key,
        aws_secret_access_key="secret",
        config=botocore.config.Config(**settings),
    )


class Case(unittest.TestCase):
    """Begins each test in a new world whose clock stands still until it is told otherwise."""

    maxDiff = None

    def setUp(self):
        ask("POST", "clock", {"speed": 1, "hold": True})
        ask("POST", "reset")
        self.faults()
        self.ec2 = client("ec2")
        self.sqs = client("sqs")
        self.sts = client("sts")

    # --- the clock and the ground truth

    def advance(self, span):
        ask("POST", "clock", {"advance": span})

    def speed(self, factor):
        """Lets the clock run; the next test holds it again."""
        ask("POST", "clock", {"hold": False, "speed": factor})

    def faults(self, **script):
        """A fault script; without token buckets, which would run dry under a clock that stands still, unless it wants them."""
        return ask("POST", "faults", {"throttle": False, **script})

    def world(self):
        return ask("GET", "world")

    def audit(self, action=None):
        return [entry for entry in ask("GET", "audit") if action is None or entry["action"] == action]

    def ours(self):
        """Instances that calls made."""
        return [one for one in self.world()["instances"] if one["owner"] not in ("template", "decoy")]

    # --- usual things

    def run_instances(self, count=1, **more):
        asked = {"ImageId": IMAGE, "InstanceType": "m7i.large", "SubnetId": SUBNETS["a"], "MinCount": count, "MaxCount": count}
        asked.update(more)
        return self.ec2.run_instances(**{name: value for name, value in asked.items() if value is not None})

    def launch(self, count=1, **more):
        """Ids of new instances."""
        return [one["InstanceId"] for one in self.run_instances(count, **more)["Instances"]]

    def running(self, count=1, **more):
        """Ids of new instances that run."""
        ids = self.launch(count, **more)
        self.advance("20s")
        return ids

    def describe(self, id):
        [reservation] = self.ec2.describe_instances(InstanceIds=[id])["Reservations"]
        [instance] = reservation["Instances"]
        return instance

    def state(self, id):
        return self.describe(id)["State"]["Name"]

    def states(self, ids):
        return sorted({self.state(id) for id in ids})

    def template(self, name="pack", **data):
        data = {"ImageId": IMAGE, "InstanceType": "m7i.large", **data}
        return self.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]["LaunchTemplateId"]

    def refused(self, code, call, *args, status=400, **kwargs):
        """Calls, and wants this error in an envelope that botocore can read."""
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(*args, **kwargs)
        response = caught.exception.response
        self.assertEqual(response["Error"]["Code"], code, response["Error"])
        self.assertEqual(response["ResponseMetadata"]["HTTPStatusCode"], status, code)
        self.assertTrue(response["Error"]["Message"], "an error says why")
        self.assertTrue(response["ResponseMetadata"].get("RequestId"), "an error has a request id")
        return response["Error"]["Message"]


def tags(resource):
    """A resource's tags as a dictionary, AWS's own left out."""
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", []) if not tag["Key"].startswith("aws:")}


def tagged(kind, **pairs):
    """One TagSpecification."""
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in pairs.items()]}
