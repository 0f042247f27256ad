"""The aws CLI against the cloud: the commands that people type."""

import json
import os
import subprocess
import sys

from cloud import IMAGE, SUBNETS, TEMPLATE, Case


class Cli(Case):
    def aws(self, *arguments, refused=False):
        """Runs one command; what it wrote, stdout parsed where it is JSON."""
        beside = os.path.join(os.path.dirname(sys.executable), "aws")
        command = [sys.executable, beside] if os.path.exists(beside) else [sys.executable, "-m", "awscli"]
        done = subprocess.run([*command, *arguments], env=os.environ, capture_output=True, text=True, timeout=60)
        # Version 1 of the CLI exits with 255 where version 2 exits with 254.
        self.assertIn(done.returncode, (254, 255) if refused else (0,), done.stderr)
        if refused:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.strip().startswith(("{", "[")) else done.stdout.strip()

    LAUNCH = ["ec2", "run-instances", "--image-id", IMAGE, "--instance-type", "m7i.large", "--subnet-id", SUBNETS["a"]]

    def test_launch_find_and_end(self):
        self.assertIn("DryRunOperation", self.aws(*self.LAUNCH, "--dry-run", refused=True))
        tag = "ResourceType=instance,Tags=[{Key=role,Value=web}]"
        made = self.aws(*self.LAUNCH, "--count", "2", "--tag-specifications", tag, "--client-token", "cli")["Instances"]
        self.assertEqual(len(made), 2)
        self.speed(100)
        ids = [one["InstanceId"] for one in made]
        self.aws("ec2", "wait", "instance-running", "--instance-ids", *ids)
        query = "Reservations[].Instances[].[InstanceId,State.Name]"
        found = self.aws("ec2", "describe-instances", "--filters", "Name=tag:role,Values=web", "--query", query, "--output", "text")
        self.assertEqual(sorted(line.split() for line in found.splitlines()), sorted([id, "running"] for id in ids))
        self.assertIn("InvalidParameterValue", self.aws("ec2", "describe-instances", "--filters", "Name=nonsense,Values=x", refused=True))
        ended = self.aws("ec2", "terminate-instances", "--instance-ids", *ids)["TerminatingInstances"]
        self.assertEqual({one["CurrentState"]["Name"] for one in ended}, {"shutting-down"})

    def test_image(self):
        self.speed(500)
        made = self.aws("ec2", "create-image", "--instance-id", TEMPLATE, "--name", "from the cli")
        self.aws("ec2", "wait", "image-available", "--image-ids", made["ImageId"])
        shown = self.aws("ec2", "describe-images", "--owners", "self", "--query", "Images[0].Name", "--output", "text")
        self.assertEqual(shown, "from the cli")
        self.assertIn("InvalidAMIName.Duplicate", self.aws("ec2", "create-image", "--instance-id", TEMPLATE, "--name", "from the cli", refused=True))

    def test_queue_and_identity(self):
        self.assertEqual(self.aws("sts", "get-caller-identity", "--query", "Account", "--output", "text"), "123456789012")
        # Version 1 of the CLI knows an endpoint of its own for SQS and asks no environment variable.
        here = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"]]
        url = self.aws(*here, "sqs", "create-queue", "--queue-name", "cli")["QueueUrl"]
        self.aws(*here, "sqs", "send-message", "--queue-url", url, "--message-body", "hello")
        [got] = self.aws(*here, "sqs", "receive-message", "--queue-url", url)["Messages"]
        self.assertEqual(got["Body"], "hello")
