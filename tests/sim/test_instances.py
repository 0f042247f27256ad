"""Instances: what a launch gives, life cycles, illegal transitions, protection, all-or-nothing, waiters."""

import base64

from cloud import ACCOUNT, GROUP, IMAGE, SUBNETS, TEMPLATE, Case, client, tagged, tags

NOBODY = "i-0fffffffffffffff1"


class Launch(Case):
    def test_what_a_launch_gives(self):
        answer = self.run_instances(
            2,
            KeyName="rehearsal",
            SecurityGroupIds=[GROUP],
            IamInstanceProfile={"Name": "worker"},
            UserData="#!/bin/sh\necho hello\n",
            EbsOptimized=True,
            InstanceInitiatedShutdownBehavior="terminate",
            TagSpecifications=[tagged("instance", Name="a", team="b"), tagged("volume", of="c")],
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"},
            BlockDeviceMappings=[
                {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 42, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True}},
                {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7, "DeleteOnTermination": False}},
            ],
        )
        self.assertEqual(answer["OwnerId"], ACCOUNT)
        self.assertRegex(answer["ReservationId"], r"^r-0[0-9a-f]{16}$")
        self.assertEqual([one["AmiLaunchIndex"] for one in answer["Instances"]], [0, 1])
        one = answer["Instances"][0]
        self.assertEqual(one["State"], {"Code": 0, "Name": "pending"})
        self.advance("20s")
        one = self.describe(one["InstanceId"])
        self.assertEqual(one["State"], {"Code": 16, "Name": "running"})
        self.assertEqual((one["ImageId"], one["InstanceType"], one["KeyName"]), (IMAGE, "m7i.large", "rehearsal"))
        self.assertEqual((one["SubnetId"], one["Placement"]["AvailabilityZone"]), (SUBNETS["a"], "us-east-1a"))
        self.assertEqual([group["GroupId"] for group in one["SecurityGroups"]], [GROUP])
        self.assertTrue(one["IamInstanceProfile"]["Arn"].endswith("instance-profile/worker"))
        self.assertTrue(one["EbsOptimized"])
        self.assertEqual(tags(one), {"Name": "a", "team": "b"})
        options = one["MetadataOptions"]
        self.assertEqual((options["HttpTokens"], options["HttpPutResponseHopLimit"]), ("required", 2))
        self.assertEqual((options["InstanceMetadataTags"], options["State"]), ("enabled", "applied"))
        self.assertNotIn("InstanceLifecycle", one)
        devices = {device["DeviceName"]: device["Ebs"] for device in one["BlockDeviceMappings"]}
        self.assertEqual({name: ebs["DeleteOnTermination"] for name, ebs in devices.items()}, {"/dev/xvda": True, "/dev/sdf": False})
        volumes = self.ec2.describe_volumes(VolumeIds=[ebs["VolumeId"] for ebs in devices.values()])["Volumes"]
        root, more = sorted(volumes, key=lambda volume: -volume["Size"])
        self.assertEqual((root["Size"], root["VolumeType"], root["Encrypted"], root["State"]), (42, "gp3", True, "in-use"))
        self.assertEqual((more["Size"], tags(root), tags(more)), (7, {"of": "c"}, {"of": "c"}))
        data = self.ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")["UserData"]["Value"]
        self.assertEqual(base64.b64decode(data), b"#!/bin/sh\necho hello\n")
        shutdown = self.ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="instanceInitiatedShutdownBehavior")
        self.assertEqual(shutdown["InstanceInitiatedShutdownBehavior"]["Value"], "terminate")
        addresses = {self.describe(each["InstanceId"])["PrivateIpAddress"] for each in answer["Instances"]}
        self.assertEqual(len(addresses), 2)

    def test_volumes_go_with_their_instance_unless_told_otherwise(self):
        [id] = self.running(BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7, "DeleteOnTermination": False}}])
        volumes = {device["DeviceName"]: device["Ebs"]["VolumeId"] for device in self.describe(id)["BlockDeviceMappings"]}
        kept = volumes.pop("/dev/sdf")
        [root] = volumes.values()
        self.ec2.terminate_instances(InstanceIds=[id])
        self.advance("30s")
        self.refused("InvalidVolume.NotFound", self.ec2.describe_volumes, VolumeIds=[root])
        self.assertEqual(self.ec2.describe_volumes(VolumeIds=[kept])["Volumes"][0]["State"], "available")
        self.ec2.delete_volume(VolumeId=kept)
        self.refused("InvalidVolume.NotFound", self.ec2.delete_volume, VolumeId=kept)

    def test_a_held_volume_is_not_deleted(self):
        [id] = self.running()
        volume = self.describe(id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        self.refused("VolumeInUse", self.ec2.delete_volume, VolumeId=volume)

    def test_bad_launches(self):
        for code, more in [
            ("InvalidAMIID.NotFound", {"ImageId": "ami-00000000000000001"}),
            ("InvalidAMIID.Malformed", {"ImageId": "ami-nonsense"}),
            ("InvalidSubnetID.NotFound", {"SubnetId": "subnet-00000000000000001"}),
            ("InvalidGroup.NotFound", {"SecurityGroupIds": ["sg-00000000000000001"]}),
            ("InvalidKeyPair.NotFound", {"KeyName": "nobody"}),
            ("InvalidParameterValue", {"InstanceType": "x9.none"}),
            ("InvalidParameterValue", {"IamInstanceProfile": {"Name": "nobody"}}),
            ("InvalidParameterValue", {"MinCount": 3, "MaxCount": 2}),
            ("InvalidParameterValue", {"TagSpecifications": [tagged("bucket", a="b")]}),
            ("InvalidParameterValue", {"TagSpecifications": [tagged("instance", **{"aws:x": "b"})]}),
            ("InvalidBlockDeviceMapping", {"BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 1}}]}),
            ("InvalidLaunchTemplateName.NotFoundException", {"LaunchTemplate": {"LaunchTemplateName": "nobody"}}),
        ]:
            with self.subTest(code=code, more=more):
                self.refused(code, self.run_instances, **more)
        self.refused("MissingParameter", self.run_instances, ImageId=None)
        self.assertEqual(self.ours(), [])

    def test_spot(self):
        [id] = self.running(InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time"}})
        one = self.describe(id)
        self.assertEqual(one["InstanceLifecycle"], "spot")
        request = self.ec2.describe_spot_instance_requests(SpotInstanceRequestIds=[one["SpotInstanceRequestId"]])
        [request] = request["SpotInstanceRequests"]
        self.assertEqual((request["InstanceId"], request["State"], request["Status"]["Code"]), (id, "active", "fulfilled"))
        self.refused("UnsupportedOperation", self.ec2.stop_instances, InstanceIds=[id])
        too_low = {"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.0001"}}
        self.refused("SpotMaxPriceTooLow", self.run_instances, InstanceMarketOptions=too_low)
        history = self.ec2.describe_spot_price_history(InstanceTypes=["m7i.large"], ProductDescriptions=["Linux/UNIX"], MaxResults=3)
        self.assertGreater(float(history["SpotPriceHistory"][0]["SpotPrice"]), 0)


class Life(Case):
    def test_stop_start_terminate(self):
        [id] = self.launch()
        self.assertEqual(self.state(id), "pending")
        self.advance("20s")
        self.assertEqual(self.state(id), "running")
        change = self.ec2.stop_instances(InstanceIds=[id])["StoppingInstances"][0]
        self.assertEqual((change["PreviousState"], change["CurrentState"]), ({"Code": 16, "Name": "running"}, {"Code": 64, "Name": "stopping"}))
        self.refused("IncorrectInstanceState", self.ec2.start_instances, InstanceIds=[id])
        self.advance("15s")
        self.assertEqual(self.state(id), "stopped")
        self.assertEqual(self.ec2.stop_instances(InstanceIds=[id])["StoppingInstances"][0]["CurrentState"]["Name"], "stopped")
        change = self.ec2.start_instances(InstanceIds=[id])["StartingInstances"][0]
        self.assertEqual((change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("stopped", "pending"))
        self.advance("20s")
        self.assertEqual(self.state(id), "running")
        change = self.ec2.terminate_instances(InstanceIds=[id])["TerminatingInstances"][0]
        self.assertEqual(change["CurrentState"], {"Code": 32, "Name": "shutting-down"})
        self.advance("15s")
        one = self.describe(id)
        self.assertEqual(one["State"], {"Code": 48, "Name": "terminated"})
        self.assertEqual(one["StateReason"]["Code"], "Client.UserInitiatedShutdown")
        self.assertIn("User initiated", one["StateTransitionReason"])
        self.assertNotIn("PrivateIpAddress", one)
        again = self.ec2.terminate_instances(InstanceIds=[id])["TerminatingInstances"][0]
        self.assertEqual((again["PreviousState"]["Name"], again["CurrentState"]["Name"]), ("terminated", "terminated"))
        for call in [self.ec2.start_instances, self.ec2.stop_instances, self.ec2.reboot_instances]:
            self.refused("IncorrectInstanceState", call, InstanceIds=[id])
        self.advance("2h")
        self.refused("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=[id])

    def test_illegal_while_pending_and_idempotent_where_it_is(self):
        [id] = self.launch()
        self.refused("IncorrectInstanceState", self.ec2.stop_instances, InstanceIds=[id])
        self.advance("20s")
        self.assertEqual(self.ec2.start_instances(InstanceIds=[id])["StartingInstances"][0]["CurrentState"]["Name"], "running")
        self.ec2.reboot_instances(InstanceIds=[id])
        self.assertEqual(self.state(id), "running")

    def test_terminate_is_all_or_nothing_on_a_bad_id(self):
        made = self.running(2)
        self.refused("InvalidInstanceID.NotFound", self.ec2.terminate_instances, InstanceIds=[*made, NOBODY])
        self.refused("InvalidInstanceID.Malformed", self.ec2.terminate_instances, InstanceIds=[*made, "i-1"])
        self.assertEqual(self.states(made), ["running"])
        self.refused("InvalidInstanceID.NotFound", self.ec2.stop_instances, InstanceIds=[*made, NOBODY])
        self.assertEqual(self.states(made), ["running"])

    def test_protection(self):
        [held] = self.running(DisableApiTermination=True)
        [beside] = self.running()
        [elsewhere] = self.running(SubnetId=SUBNETS["b"])
        self.refused("OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=[held, beside, elsewhere])
        self.assertEqual(self.state(held), "running")
        # EC2's guide: the protected instance spares its own zone, the other zones' instances end.
        self.assertEqual((self.state(beside), self.state(elsewhere)), ("running", "shutting-down"))
        self.ec2.modify_instance_attribute(InstanceId=held, DisableApiTermination={"Value": False})
        self.ec2.terminate_instances(InstanceIds=[held, beside])
        self.assertEqual(self.states([held, beside]), ["shutting-down"])

    def test_stop_protection(self):
        [id] = self.running(DisableApiStop=True)
        self.refused("OperationNotPermitted", self.ec2.stop_instances, InstanceIds=[id])
        self.ec2.modify_instance_attribute(InstanceId=id, DisableApiStop={"Value": False})
        self.ec2.stop_instances(InstanceIds=[id])

    def test_attributes_that_want_a_stopped_instance(self):
        [id] = self.running()
        change = {"InstanceId": id, "InstanceType": {"Value": "m6i.large"}}
        self.refused("IncorrectInstanceState", self.ec2.modify_instance_attribute, **change)
        self.ec2.stop_instances(InstanceIds=[id])
        self.advance("15s")
        self.ec2.modify_instance_attribute(**change)
        self.assertEqual(self.describe(id)["InstanceType"], "m6i.large")

    def test_metadata_options_change(self):
        [id] = self.running()
        changed = self.ec2.modify_instance_metadata_options(InstanceId=id, HttpTokens="required", HttpPutResponseHopLimit=3)
        self.assertEqual(changed["InstanceMetadataOptions"]["HttpTokens"], "required")
        self.assertEqual(self.describe(id)["MetadataOptions"]["HttpPutResponseHopLimit"], 3)
        self.refused("InvalidParameterValue", self.ec2.modify_instance_metadata_options, InstanceId=id, HttpPutResponseHopLimit=65)

    def test_console_output(self):
        [id] = self.launch()
        self.assertEqual(self.ec2.get_console_output(InstanceId=id).get("Output", ""), "")
        self.advance("20s")
        self.assertEqual(self.ec2.get_console_output(InstanceId=id)["InstanceId"], id)
        self.refused("InvalidInstanceID.NotFound", self.ec2.get_console_output, InstanceId=NOBODY)

    def test_status_checks(self):
        [id] = self.launch()
        self.assertEqual(self.ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"], [])
        [one] = self.ec2.describe_instance_status(InstanceIds=[id], IncludeAllInstances=True)["InstanceStatuses"]
        self.assertEqual(one["InstanceState"]["Name"], "pending")
        self.advance("20s")
        [one] = self.ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"]
        self.assertEqual(one["InstanceStatus"]["Status"], "initializing")
        self.advance("5m")
        [one] = self.ec2.describe_instance_status(InstanceIds=[id])["InstanceStatuses"]
        self.assertEqual((one["InstanceStatus"]["Status"], one["SystemStatus"]["Status"]), ("ok", "ok"))

    def test_decoys_are_there_and_stay(self):
        before = {one["id"]: one["state"] for one in self.world()["instances"]}
        self.assertGreater(len(before), 1, "a template and strangers")
        made = self.running(2)
        self.ec2.terminate_instances(InstanceIds=made)
        self.advance("1m")
        after = {one["id"]: one["state"] for one in self.world()["instances"] if one["id"] not in made}
        self.assertEqual(before, after)
        self.assertEqual(self.state(TEMPLATE), "running")


class Waiters(Case):
    WAIT = {"Delay": 1, "MaxAttempts": 30}

    def test_running_status_ok_and_terminated(self):
        self.speed(100)
        made = self.launch(2)
        self.ec2.get_waiter("instance_exists").wait(InstanceIds=made, WaiterConfig=self.WAIT)
        self.ec2.get_waiter("instance_running").wait(InstanceIds=made, WaiterConfig=self.WAIT)
        self.ec2.get_waiter("instance_status_ok").wait(InstanceIds=made, WaiterConfig=self.WAIT)
        self.ec2.stop_instances(InstanceIds=made)
        self.ec2.get_waiter("instance_stopped").wait(InstanceIds=made, WaiterConfig=self.WAIT)
        self.ec2.terminate_instances(InstanceIds=made)
        self.ec2.get_waiter("instance_terminated").wait(InstanceIds=made, WaiterConfig=self.WAIT)

    def test_image_and_snapshot(self):
        self.speed(200)
        image = self.ec2.create_image(InstanceId=TEMPLATE, Name="waited")["ImageId"]
        self.ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=self.WAIT)
        [found] = self.ec2.describe_images(ImageIds=[image])["Images"]
        snapshots = [device["Ebs"]["SnapshotId"] for device in found["BlockDeviceMappings"]]
        self.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=snapshots, WaiterConfig=self.WAIT)
        volume = self.describe(TEMPLATE)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        snapshot = self.ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        self.ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=self.WAIT)

    def test_a_waiter_learns_that_it_waits_in_vain(self):
        import botocore.exceptions

        self.speed(100)
        [id] = self.launch()
        self.ec2.terminate_instances(InstanceIds=[id])
        with self.assertRaises(botocore.exceptions.WaiterError):
            self.ec2.get_waiter("instance_running").wait(InstanceIds=[id], WaiterConfig=self.WAIT)


class Lag(Case):
    def test_a_new_instance_is_seen_late_and_at_different_times(self):
        self.faults(lag_seconds=300)
        made = self.launch(8)
        readers = [client("ec2", key=f"READER{n}") for n in range(4)]
        seen = []
        for _ in range(31):
            seen.append(
                [len([one for r in reader.describe_instances(Filters=[{"Name": "instance-id", "Values": made}])["Reservations"] for one in r["Instances"]]) for reader in readers]
            )
            self.advance("10s")
        self.assertLess(sum(seen[0]), 32, "a fresh change is not seen by everybody")
        self.assertEqual(seen[-1], [8] * 4, "after the longest lag it is")
        self.assertGreater(len({tuple(column) for column in zip(*seen)}), 1, "readers differ")
        for column in zip(*seen):
            self.assertEqual(list(column), sorted(column), "what was seen stays seen")
        # The token answers from the truth all the same.
        again = self.launch(ClientToken="t")
        self.assertEqual(self.launch(ClientToken="t"), again)

    def test_by_id_it_is_not_found_yet(self):
        self.faults(lag_seconds=300)
        made = self.launch(8)
        missing = 0
        for id in made:
            try:
                self.describe(id)
            except self.ec2.exceptions.ClientError as error:
                self.assertEqual(error.response["Error"]["Code"], "InvalidInstanceID.NotFound")
                missing += 1
        self.assertGreater(missing, 0)
        self.advance("301s")
        self.assertEqual(len([self.describe(id) for id in made]), 8)
