"""Images and snapshots: unique names, pending to available or failed, tags, what may be deleted when."""

from cloud import ACCOUNT, IMAGE, TEMPLATE, Case, tagged, tags


class Images(Case):
    def create(self, name="pack", **more):
        return self.ec2.create_image(InstanceId=TEMPLATE, Name=name, **more)["ImageId"]

    def image(self, id):
        [image] = self.ec2.describe_images(ImageIds=[id])["Images"]
        return image

    def snapshots(self, id):
        return [device["Ebs"]["SnapshotId"] for device in self.image(id)["BlockDeviceMappings"]]

    def test_from_pending_to_available(self):
        id = self.create(Description="d", TagSpecifications=[tagged("image", a="i"), tagged("snapshot", a="s")])
        image = self.image(id)
        self.assertEqual((image["State"], image["Name"], image["Description"], image["OwnerId"]), ("pending", "pack", "d", ACCOUNT))
        self.assertEqual((image["Public"], image["SourceInstanceId"], tags(image)), (False, TEMPLATE, {"a": "i"}))
        [snapshot] = self.ec2.describe_snapshots(SnapshotIds=self.snapshots(id))["Snapshots"]
        self.assertEqual((snapshot["State"], tags(snapshot)), ("pending", {"a": "s"}))
        self.refused("InvalidAMIID.Unavailable", self.run_instances, ImageId=id)
        self.advance("3m")
        self.assertEqual(self.image(id)["State"], "available")
        [snapshot] = self.ec2.describe_snapshots(OwnerIds=["self"], Filters=[{"Name": "tag:a", "Values": ["s"]}])["Snapshots"]
        self.assertEqual((snapshot["State"], snapshot["Progress"]), ("completed", "100%"))
        [made] = self.running(ImageId=id)
        self.assertEqual(self.describe(made)["ImageId"], id)

    def test_names_are_unique_until_deregistered(self):
        first = self.create()
        message = self.refused("InvalidAMIName.Duplicate", self.create)
        self.assertIn(first, message, "EC2 names the image that has it")
        self.refused("InvalidAMIName.Malformed", self.create, name="no*")
        self.ec2.deregister_image(ImageId=first)
        self.assertNotEqual(self.create(), first)

    def test_a_failed_image_says_why(self):
        self.faults(image_fails=True)
        id = self.create()
        self.advance("3m")
        image = self.image(id)
        self.assertEqual(image["State"], "failed")
        self.assertTrue(image["StateReason"]["Message"])
        self.refused("InvalidAMIID.Unavailable", self.run_instances, ImageId=id)

    def test_snapshots_rest_under_their_image(self):
        id = self.create()
        self.advance("3m")
        [snapshot] = self.snapshots(id)
        self.refused("InvalidSnapshot.InUse", self.ec2.delete_snapshot, SnapshotId=snapshot)
        self.ec2.deregister_image(ImageId=id)
        self.refused("InvalidAMIID.NotFound", self.ec2.describe_images, ImageIds=[id])
        self.ec2.delete_snapshot(SnapshotId=snapshot)
        self.refused("InvalidSnapshot.NotFound", self.ec2.delete_snapshot, SnapshotId=snapshot)

    def test_deregister_with_snapshots(self):
        id = self.create()
        self.advance("3m")
        [snapshot] = self.snapshots(id)
        self.ec2.deregister_image(ImageId=id, DeleteAssociatedSnapshots=True)
        self.refused("InvalidSnapshot.NotFound", self.ec2.describe_snapshots, SnapshotIds=[snapshot])

    def test_a_terminated_instance_gives_no_image(self):
        [id] = self.running()
        self.ec2.terminate_instances(InstanceIds=[id])
        self.advance("30s")
        with self.assertRaises(self.ec2.exceptions.ClientError):
            self.ec2.create_image(InstanceId=id, Name="late")

    def test_foreign_images_can_be_read_not_ended(self):
        self.assertEqual(self.image(IMAGE)["ImageOwnerAlias"], "amazon")
        self.refused("AuthFailure", self.ec2.deregister_image, ImageId=IMAGE)
        self.assertEqual(self.ec2.describe_images(Owners=["self"])["Images"], [])
        permissions = self.ec2.describe_image_attribute(ImageId=self.create(), Attribute="launchPermission")
        self.assertEqual(permissions["LaunchPermissions"], [])


class Snapshots(Case):
    def test_a_volumes_own_snapshot(self):
        volume = self.describe(TEMPLATE)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
        made = self.ec2.create_snapshot(VolumeId=volume, Description="mine", TagSpecifications=[tagged("snapshot", a="b")])
        self.assertEqual((made["State"], made["VolumeId"], made["Description"], tags(made)), ("pending", volume, "mine", {"a": "b"}))
        self.advance("3m")
        [found] = self.ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])["Snapshots"]
        self.assertEqual((found["State"], found["Progress"], found["OwnerId"]), ("completed", "100%", ACCOUNT))
        self.ec2.delete_snapshot(SnapshotId=made["SnapshotId"])
        self.refused("InvalidVolume.NotFound", self.ec2.create_snapshot, VolumeId="vol-00000000000000001")
