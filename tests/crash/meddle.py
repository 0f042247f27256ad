#!/usr/bin/env python3
"""A second operator with boto3 who meddles while a verb is at work: meddle.py BINARY [SEED [CELLS]].

Each cell is a verb in a world of its own, held at one of its calls; the operator ends a host, takes a tag off, gives a host of
somebody else all tags of one of ours, deletes or changes the launch template, or changes, stops or deletes the group. Then the
verb goes on, and the same command runs again, twice at most. Whatever happens, nothing of anybody else's is ended; exit 0 of a
verb that sets a size means exactly so many hosts, or a shortfall that `fleet.accept` allows and that is told; any other end is
a refusal that says what to do.
"""

import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3
from botocore.config import Config

SPECS = pathlib.Path(__file__).resolve().parent.parent / "specs" / "it"
BINARY = pathlib.Path(sys.argv[1]).resolve()
IMAGE = ["--unattested", "--image", "ami-0f1ee7000000ba5e1", "--until", "running"]
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


def size(n):
    return ["scale", str(n), *IMAGE]


# Spec, what was done before, the verb, and how many hosts there are when it is done.
VERBS = {
    "launch": ("five", None, ["launch", *IMAGE], 5),
    "scale up": ("five", size(3), size(6), 6),
    "scale down": ("five", size(5), size(3), 3),
    "down": ("five", size(5), ["down"], 0),
    "recycle now": ("five", size(5), ["recycle", "now", *IMAGE], 5),
    "group launch": ("group", None, ["launch", *IMAGE], 4),
    "group scale up": ("group", size(4), size(6), 6),
    "group scale down": ("group", size(4), size(2), 2),
    "group down": ("group", size(4), ["down"], 0),
}


class World:
    """A rehearsal cloud of its own, without hosts, whose clock goes with whoever waits for it."""

    def __init__(self, spec):
        self.home = tempfile.TemporaryDirectory()
        self.spec = SPECS / f"{spec}.yaml"
        serve = ["-o", "json", "sim", "serve", "--listen", "127.0.0.1:0", "--hosts", "none", "--speed", "1"]
        command = [BINARY, "--state-dir", self.home.name, *serve, "--spec", self.spec]
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE)
        served = json.loads(self.process.stdout.readline())
        self.endpoint, self.env = served["endpoint"], {**ENVIRONMENT, **served["env"]}
        self.control("clock", {"leap": True})
        self.foreign = {host["id"] for host in self.hosts()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.home.cleanup()

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_sim/{path}", data=data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def things(self, kind):
        return json.loads(self.control("world"))[kind]

    def hosts(self):
        return [host for host in self.things("instances") if host["state"] not in ("terminated", "shutting-down")]

    def ours(self):
        return [host for host in self.hosts() if host["id"] not in self.foreign]

    def begin(self, verb):
        command = [BINARY, "-f", self.spec, "--state-dir", f"{self.home.name}/laptop", "--local-state", "--yes", *verb]
        return subprocess.Popen(command, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def client(self, service):
        keys = {"aws_access_key_id": "MEDDLER", "aws_secret_access_key": "secret"}
        return boto3.client(service, endpoint_url=self.endpoint, region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}), **keys)


def of_host(act):
    return lambda world: [act(world.client("ec2"), host, world) for host in world.ours()[:1]]


def of_template(act):
    def named(world):
        names = [template["name"] for template in world.things("launch_templates")]
        return [act(world.client("ec2"), name) for name in names if name.startswith("fleetwright-")]

    return named


def of_group(act):
    def named(world):
        groups = [group for group in world.things("groups") if group["name"].startswith("fleetwright-")]
        return [act(world.client("autoscaling"), group["name"], group["desired"]) for group in groups]

    return named


def disguise(ec2, host, world):
    tags = [{"Key": key, "Value": value} for key, value in host["tags"].items() if key.startswith("fleetwright:")]
    ec2.create_tags(Resources=[min(world.foreign)], Tags=tags)


def other_version(ec2, name):
    made = ec2.create_launch_template_version(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "c7i.large", "ImageId": IMAGE[2]})
    number = made["LaunchTemplateVersion"]["VersionNumber"]
    ec2.modify_launch_template(LaunchTemplateName=name, DefaultVersion=str(number))


def resize(by):
    def act(groups, name, desired):
        n = max(0, desired + by)
        groups.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, MaxSize=max(n, desired), DesiredCapacity=n)

    return of_group(act)


# What the operator does; an empty answer: there was nothing to do it to.
MEDDLING = {
    "ends a host": of_host(lambda ec2, host, _: ec2.terminate_instances(InstanceIds=[host["id"]])),
    "disguises a host": of_host(disguise),
    "takes our tag off": of_host(lambda ec2, host, _: ec2.delete_tags(Resources=[host["id"]], Tags=[{"Key": "fleetwright:fleet"}])),
    "deletes the template": of_template(lambda ec2, name: ec2.delete_launch_template(LaunchTemplateName=name)),
    "changes the template": of_template(other_version),
    "asks the group for more": resize(2),
    "asks the group for less": resize(-1),
    "stops the group": of_group(lambda groups, name, _: groups.suspend_processes(AutoScalingGroupName=name, ScalingProcesses=["Launch"])),
    "deletes the group": of_group(lambda groups, name, _: groups.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True)),
}


def cell(verb, act, call):
    """What is wrong; None when the verb never came to that call, or when there was nothing to meddle with."""
    spec, before, command, wanted = VERBS[verb]
    with World(spec) as world:
        if before:
            process = world.begin(before)
            assert process.wait() == 0, process.stderr.read()
            world.control("clock", {"advance": "10m"})
        world.control("gate", {"action": "*", "call": call, "point": "before-commit"})
        process = world.begin(command)
        while '"held"' not in world.control("gate"):
            if process.poll() is not None:
                return None
            time.sleep(0.01)
        done = act(world)
        stripped = [host["id"] for host in world.ours() if "fleetwright:fleet" not in host["tags"]]
        world.control("gate/release", {"all": True})
        talk = process.communicate(timeout=300)[1]
        codes = [process.returncode]
        while codes[-1] != 0 and len(codes) < 3:
            process = world.begin(command)
            talk = process.communicate(timeout=300)[1]
            codes.append(process.returncode)
        if not done:
            return None
        alive = {host["id"] for host in world.hosts()}
        if world.foreign - alive:
            return f"{world.foreign - alive} was somebody else's and was ended: {talk}"
        ours = len(alive - world.foreign - set(stripped))
        # What `fleet.accept` lets pass is told; a host that lost its tag may have counted, for nobody is to launch it twice.
        exact = wanted - len(stripped) <= ours <= wanted
        if codes[-1] == 0 and not exact and f"{ours}/{wanted}" not in talk:
            return f"exits {codes}, {ours} hosts and not {wanted}: {talk}"
        if codes[-1] != 0 and (codes[-1] not in (3, 4, 8, 10) or "Hint:" not in talk):
            return f"exits {codes} without a word about what to do: {talk}"
        return ""


def main():
    seed, cells = (int(word) for word in (sys.argv[2:4] + ["1", "100"][len(sys.argv[2:4]) :]))
    draw, sound, failures = random.Random(seed), 0, 0
    while sound + failures < cells:
        verb, (how, act), call = draw.choice(list(VERBS)), draw.choice(list(MEDDLING.items())), draw.randint(1, 22)
        wrong = cell(verb, act, call)
        if wrong:
            print(f"FAILED {verb}, somebody {how} at call {call}: {wrong}", flush=True)
        sound, failures = sound + (wrong == ""), failures + bool(wrong)
    print(f"{sound} of {cells} cells are sound")
    sys.exit(failures > 0)


main()
