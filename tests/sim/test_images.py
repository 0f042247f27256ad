"""Images and snapshots: unique names, pending to available or failed, tags, what may be deleted when."""

import botocore.exceptions
from cloud import ACCOUNT, IMAGE, TEMPLATE, Case, client, tagged, tags


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

    def test_what_is_deprecated_or_disabled(self):
        id = self.create()
        self.refused("InvalidAMIID.Unavailable", self.ec2.disable_image, ImageId=id)
        self.advance("3m")
        at = self.image(id)["CreationDate"][:4]
        self.ec2.enable_image_deprecation(ImageId=id, DeprecateAt=f"{int(at) + 1}-01-01T00:00:00Z")
        self.assertTrue(self.image(id)["DeprecationTime"].startswith(f"{int(at) + 1}-01-01T00:00:00"))
        self.ec2.disable_image(ImageId=id)
        listed = self.ec2.describe_images(Owners=["self"])["Images"]
        self.assertEqual(listed, [])
        [image] = self.ec2.describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
        self.assertEqual(image["State"], "disabled")
        self.refused("InvalidAMIID.Unavailable", self.run_instances, ImageId=id)

    def test_foreign_images_can_be_read_not_ended(self):
        self.assertEqual(self.image(IMAGE)["ImageOwnerAlias"], "amazon")
        self.refused("AuthFailure", self.ec2.deregister_image, ImageId=IMAGE)
        self.assertEqual(self.ec2.describe_images(Owners=["self"])["Images"], [])
        permissions = self.ec2.describe_image_attribute(ImageId=self.create(), Attribute="launchPermission")
        self.assertEqual(permissions["LaunchPermissions"], [])


class Copies(Case):
    KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"

    def baked(self):
        self.faults(account={"keys": [{"id": self.KEY, "aliases": ["alias/fleet"], "regions": ["us-west-2"]}]})
        id = self.ec2.create_image(InstanceId=TEMPLATE, Name="pack", TagSpecifications=[tagged("image", a="i")])["ImageId"]
        self.advance("3m")
        return id

    def copy(self, id, to="us-west-2", **more):
        asked = {"SourceImageId": id, "SourceRegion": "us-east-1", "Name": "pack", **more}
        return client("ec2", region=to).copy_image(**asked)["ImageId"]

    def test_a_copy_is_in_its_own_region_only(self):
        id = self.baked()
        west = client("ec2", region="us-west-2")
        tokened = {"ClientToken": "t", "TagSpecifications": [tagged("image", b="c"), tagged("snapshot", b="s")]}
        copy = self.copy(id, **tokened)
        self.assertEqual(self.copy(id, **tokened), copy)
        self.refused("InvalidAMIID.NotFound", self.ec2.describe_images, ImageIds=[copy])
        self.refused("InvalidAMIID.NotFound", west.describe_images, ImageIds=[id])
        [image] = west.describe_images(Owners=["self"])["Images"]
        self.assertEqual((image["State"], image["Name"], image["SourceImageId"], image["SourceImageRegion"]), ("pending", "pack", id, "us-east-1"))
        self.assertEqual((tags(image), image.get("SourceInstanceId")), ({"b": "c"}, None))
        self.advance("3m")
        [image] = west.describe_images(ImageIds=[copy])["Images"]
        self.assertEqual((image["State"], image["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]), ("available", False))
        [snapshot] = west.describe_snapshots(OwnerIds=["self"])["Snapshots"]
        self.assertEqual((snapshot["VolumeId"], tags(snapshot)), ("vol-ffffffff", {"b": "s"}))
        west.deregister_image(ImageId=copy, DeleteAssociatedSnapshots=True)
        self.assertEqual(west.describe_snapshots(OwnerIds=["self"])["Snapshots"], [])
        self.assertEqual(len(self.ec2.describe_images(Owners=["self"])["Images"]), 1)

    def test_the_key_must_be_in_the_region_of_the_copy(self):
        id = self.baked()
        made = [(to, self.copy(id, to, Encrypted=True, KmsKeyId="alias/fleet")) for to in ("us-west-2", "eu-west-1")]
        self.advance("3m")
        states = []
        for to, copy in made:
            [image] = client("ec2", region=to).describe_images(ImageIds=[copy])["Images"]
            states.append(image["State"])
        self.assertEqual(states, ["available", "failed"])

    def test_other_partitions_are_out_of_reach(self):
        id = self.baked()
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            client("ec2", region="cn-north-1").describe_images(ImageIds=[id])
        self.assertEqual(caught.exception.response["Error"]["Code"], "AuthFailure")


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
