"""Errors as such: dry runs, envelopes, signatures, denied actions, throttling, broken answers, STS."""

import http.client
import urllib.parse

import botocore.exceptions
import cloud
from cloud import ACCOUNT, IMAGE, SUBNETS, TEMPLATE, Case, client


class DryRun(Case):
    def test_every_mutating_action(self):
        self.template()
        [id] = self.running()
        volume = self.describe(id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        image = self.ec2.create_image(InstanceId=id, Name="dry")["ImageId"]
        self.advance("3m")
        snapshot = self.ec2.describe_images(ImageIds=[image])["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        before = self.world()
        one = {"InstanceIds": [id]}
        for action, asked in [
            ("run_instances", {"ImageId": IMAGE, "InstanceType": "m7i.large", "MinCount": 1, "MaxCount": 1}),
            ("terminate_instances", one),
            ("stop_instances", one),
            ("start_instances", one),
            ("reboot_instances", one),
            ("create_image", {"InstanceId": id, "Name": "other"}),
            ("deregister_image", {"ImageId": image}),
            ("create_snapshot", {"VolumeId": volume}),
            ("delete_snapshot", {"SnapshotId": snapshot}),
            ("delete_volume", {"VolumeId": volume}),
            ("create_tags", {"Resources": [id], "Tags": [{"Key": "a", "Value": "b"}]}),
            ("delete_tags", {"Resources": [id]}),
            ("create_launch_template", {"LaunchTemplateName": "dry", "LaunchTemplateData": {"InstanceType": "m7i.large"}}),
            ("create_launch_template_version", {"LaunchTemplateName": "pack", "LaunchTemplateData": {"InstanceType": "m7i.large"}}),
            ("modify_launch_template", {"LaunchTemplateName": "pack", "DefaultVersion": "1"}),
            ("delete_launch_template", {"LaunchTemplateName": "pack"}),
            ("modify_instance_attribute", {"InstanceId": id, "DisableApiTermination": {"Value": True}}),
            (
                "create_fleet",
                {
                    "Type": "instant",
                    "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": {"LaunchTemplateName": "pack", "Version": "1"}}],
                    "TargetCapacitySpecification": {"TotalTargetCapacity": 1},
                },
            ),
            ("describe_instances", {}),
        ]:
            with self.subTest(action=action):
                self.refused("DryRunOperation", getattr(self.ec2, action), DryRun=True, status=412, **asked)
        after = self.world()
        for same in ["instances", "images", "snapshots", "launch_templates", "volumes", "fleets"]:
            self.assertEqual(before[same], after[same], same)

    def test_a_dry_run_promises_nothing_false(self):
        self.refused("InvalidAction", self.ec2.create_vpc, CidrBlock="10.0.0.0/16", DryRun=True)
        bad = {"ImageId": "ami-0fffffffffffffff1", "MinCount": 1, "MaxCount": 1, "DryRun": True}
        self.refused("InvalidAMIID.NotFound", self.ec2.run_instances, **bad)
        self.refused("InvalidInstanceID.NotFound", self.ec2.terminate_instances, InstanceIds=["i-0fffffffffffffff1"], DryRun=True)

    def test_a_dry_run_spends_no_token(self):
        self.refused("DryRunOperation", self.run_instances, DryRun=True, ClientToken="t", status=412)
        self.assertEqual(len(self.launch(2, ClientToken="t")), 2)

    def test_denied_beats_dry(self):
        self.faults(deny=["RunInstances"])
        self.refused("UnauthorizedOperation", self.run_instances, DryRun=True, status=403)
        self.refused("UnauthorizedOperation", self.run_instances, status=403)
        self.assertEqual(self.ours(), [])


class Envelopes(Case):
    def raw(self, body, service="ec2", authorization=True):
        address = urllib.parse.urlsplit(cloud.ENDPOINT)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if authorization:
            scope = f"KEY/20260101/us-east-1/{service}/aws4_request"
            headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def test_unknown_actions(self):
        self.refused("InvalidAction", self.ec2.create_vpc, CidrBlock="10.0.0.0/16")
        self.refused("InvalidAction", self.sts.get_session_token)

    def test_without_a_signature(self):
        status, text = self.raw("Action=DescribeInstances&Version=2016-11-15", authorization=False)
        self.assertEqual(status, 403)
        self.assertIn("<Code>MissingAuthenticationToken</Code>", text)

    def test_without_an_action_or_with_rubbish(self):
        self.assertIn("<Code>MissingAction</Code>", self.raw("Version=2016-11-15")[1])
        status, text = self.raw("%%%&&&===")
        self.assertGreaterEqual(status, 400)
        self.assertIn("<Error>", text)

    def test_get_is_answered_too(self):
        self.assertIn("InvalidInstanceID.Malformed", self.raw("Action=DescribeInstances&Version=2016-11-15&InstanceId.1=x")[1])

    def test_request_ids_are_those_of_the_audit(self):
        answer = self.ec2.describe_regions()
        [entry] = self.audit("DescribeRegions")
        self.assertEqual(answer["ResponseMetadata"]["RequestId"], entry["request_id"])
        self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"], entry["request_id"])

    def test_odd_text_survives(self):
        odd = "<&>\"' ü 漢 \t]]>"
        [id] = self.running(TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "odd", "Value": odd}]}])
        self.assertEqual(self.describe(id)["Tags"], [{"Key": "odd", "Value": odd}])

    def test_sts(self):
        who = self.sts.get_caller_identity()
        self.assertEqual(who["Account"], ACCOUNT)
        self.assertIn(f"arn:aws:iam::{ACCOUNT}:", who["Arn"])
        self.assertTrue(who["UserId"])


class Throttling(Case):
    def setUp(self):
        super().setUp()
        self.faults(throttle=True)

    def test_the_bucket_runs_dry_and_fills_again(self):
        codes = []
        for _ in range(8):
            try:
                self.run_instances()
                codes.append(200)
            except botocore.exceptions.ClientError as error:
                codes.append((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
        self.assertEqual(codes, [200] * 5 + [("RequestLimitExceeded", 503)] * 3)
        self.advance("1s")
        self.run_instances()
        self.run_instances()
        self.refused("RequestLimitExceeded", self.run_instances, status=503)
        self.faults()
        for _ in range(20):
            self.run_instances()

    def test_the_sdk_gets_over_it(self):
        self.speed(50)
        patient = client("ec2", retries={"mode": "standard", "total_max_attempts": 8})
        for _ in range(8):
            patient.run_instances(ImageId=IMAGE, InstanceType="m7i.large", SubnetId=SUBNETS["a"], MinCount=1, MaxCount=1)
        self.assertEqual(len(self.ours()), 8)


class Broken(Case):
    """Answers that never come whole: the token decides, not the answer."""

    def test_each_kind(self):
        for effect in ["reset", "cut", "garble", {"error": {"code": "InternalError", "status": 500}}]:
            with self.subTest(effect=effect):
                ended = len(self.ours())
                self.faults(rules=[{"action": "RunInstances", "point": "after-commit", "do": effect}])
                token = f"token-{ended}"
                with self.assertRaises(Exception):
                    self.run_instances(2, ClientToken=token)
                self.assertEqual(len(self.ours()), ended + 2, "carried out all the same")
                self.launch(2, ClientToken=token)
                self.assertEqual(len(self.ours()), ended + 2)

    def test_before_the_commit_nothing_happened(self):
        self.faults(rules=[{"action": "TerminateInstances", "do": {"error": {"code": "Unavailable", "status": 503}}}])
        self.refused("Unavailable", self.ec2.terminate_instances, InstanceIds=[TEMPLATE], status=503)
        self.assertEqual(self.state(TEMPLATE), "running")

    def test_a_late_commit_comes_later(self):
        self.faults(rules=[{"action": "RunInstances", "do": {"late_commit": {"seconds": 30}}}])
        with self.assertRaises(Exception):
            self.run_instances(ClientToken="late")
        self.assertEqual(self.ours(), [])
        self.advance("31s")
        for _ in range(100):
            if self.ours():
                break
        self.assertEqual(len(self.ours()), 1)

    def test_shares_repeat_with_the_seed(self):
        def draw():
            self.faults(rules=[{"action": "DescribeInstances", "times": None, "share_percent": 50, "do": {"error": {"code": "Odd"}}}])
            hits = []
            for n in range(40):
                try:
                    self.ec2.describe_instances(Filters=[{"Name": "tag:n", "Values": [str(n)]}])
                    hits.append(0)
                except botocore.exceptions.ClientError:
                    hits.append(1)
            return hits

        first = draw()
        self.assertEqual(first, draw())
        self.assertTrue(8 < sum(first) < 32, first)

    def test_dying_and_stuck_instances(self):
        self.faults(die_after_launch={"after_seconds": 20, "reason": "Server.InternalError"})
        [id] = self.running()
        self.advance("10s")
        one = self.describe(id)
        self.assertEqual((one["State"]["Name"], one["StateReason"]["Code"]), ("terminated", "Server.InternalError"))
        self.faults(stuck=[{"state": "pending"}])
        [id] = self.launch()
        self.advance("1h")
        self.assertEqual(self.state(id), "pending")
