"""Describe calls: pages that join to the whole, filters, refusals of what they do not know."""

import json

from cloud import GROUP, IMAGE, REGION, SUBNETS, TEMPLATE, Case, tagged


class Pages(Case):
    def pages(self, action, size, **more):
        return list(self.ec2.get_paginator(action).paginate(PaginationConfig={"PageSize": size}, **more))

    def join(self, action, key, size, id, **more):
        """Everything by pages of `size`, and everything at once."""
        pages = self.pages(action, size, **more)
        for page in pages:
            self.assertLessEqual(len(page[key]), size, action)
        paged = [id(one) for page in pages for one in page[key]]
        whole = [id(one) for one in getattr(self.ec2, action)(**more)[key]]
        self.assertEqual(paged, whole, action)
        self.assertEqual(len(set(paged)), len(paged), action)
        return len(pages), len(whole)

    def test_instances(self):
        for count in [7, 1, 9]:
            self.launch(count)
        only = {"Filters": [{"Name": "image-id", "Values": [IMAGE]}, {"Name": "instance-state-name", "Values": ["pending"]}]}
        pages = self.pages("describe_instances", 5, **only)
        sizes = [sum(len(reservation["Instances"]) for reservation in page["Reservations"]) for page in pages]
        self.assertEqual(sizes, [5, 5, 5, 2], "pages count instances, not reservations")
        found = [one["InstanceId"] for page in pages for r in page["Reservations"] for one in r["Instances"]]
        self.assertEqual(sorted(found), sorted(one["id"] for one in self.ours()))

    def test_the_world_may_change_between_pages(self):
        made = self.launch(12)
        only = {"Filters": [{"Name": "instance-id", "Values": made}]}
        first = self.ec2.describe_instances(MaxResults=5, **only)
        self.launch(3)
        rest = self.ec2.describe_instances(MaxResults=1000, NextToken=first["NextToken"], **only)
        found = [one["InstanceId"] for page in [first, rest] for r in page["Reservations"] for one in r["Instances"]]
        self.assertEqual(found, made)

    def test_every_other_call_that_pages(self):
        made = self.launch(12, InstanceMarketOptions={"MarketType": "spot"}, TagSpecifications=[tagged("instance", a="b"), tagged("volume", a="b")])
        self.advance("2m")
        for n in range(7):
            self.template(f"pack-{n}")
            self.ec2.create_launch_template_version(LaunchTemplateName="pack-0", LaunchTemplateData={"InstanceType": "m6i.large"})
            self.ec2.create_image(InstanceId=made[n], Name=f"image-{n}", NoReboot=True)
        for action, key, size, id, more, least in [
            ("describe_instance_status", "InstanceStatuses", 5, lambda one: one["InstanceId"], {}, 2),
            ("describe_images", "Images", 5, lambda one: one["ImageId"], {}, 2),
            ("describe_snapshots", "Snapshots", 5, lambda one: one["SnapshotId"], {"OwnerIds": ["self"]}, 2),
            ("describe_volumes", "Volumes", 5, lambda one: one["VolumeId"], {}, 3),
            ("describe_tags", "Tags", 5, lambda one: (one["ResourceId"], one["Key"]), {}, 3),
            ("describe_subnets", "Subnets", 5, lambda one: one["SubnetId"], {}, 1),
            ("describe_security_groups", "SecurityGroups", 5, lambda one: one["GroupId"], {}, 1),
            ("describe_vpcs", "Vpcs", 5, lambda one: one["VpcId"], {}, 1),
            ("describe_network_interfaces", "NetworkInterfaces", 5, lambda one: one["NetworkInterfaceId"], {}, 3),
            ("describe_launch_templates", "LaunchTemplates", 2, lambda one: one["LaunchTemplateId"], {}, 4),
            ("describe_launch_template_versions", "LaunchTemplateVersions", 2, lambda one: one["VersionNumber"], {"LaunchTemplateName": "pack-0"}, 4),
            ("describe_instance_types", "InstanceTypes", 5, lambda one: one["InstanceType"], {}, 2),
            ("describe_instance_type_offerings", "InstanceTypeOfferings", 5, lambda one: (one["InstanceType"], one["Location"]), {"LocationType": "availability-zone"}, 3),
            ("describe_spot_instance_requests", "SpotInstanceRequests", 5, lambda one: one["SpotInstanceRequestId"], {}, 3),
            ("describe_spot_price_history", "SpotPriceHistory", 100, lambda one: json.dumps(one, default=str), {"InstanceTypes": ["m7i.large"]}, 2),
        ]:
            with self.subTest(action=action):
                pages, _ = self.join(action, key, size, id, **more)
                self.assertGreaterEqual(pages, least, action)

    def test_bad_pages(self):
        self.refused("InvalidParameterValue", self.ec2.describe_instances, MaxResults=4)
        self.refused("InvalidParameterValue", self.ec2.describe_instances, MaxResults=1001)
        self.refused("InvalidParameterCombination", self.ec2.describe_instances, MaxResults=5, InstanceIds=[TEMPLATE])
        with self.assertRaises(self.ec2.exceptions.ClientError):
            self.ec2.describe_instances(MaxResults=5, NextToken="nonsense")


class Filters(Case):
    def found(self, **filters):
        asked = [{"Name": name.replace("__", ":").replace("_", "-"), "Values": values} for name, values in filters.items()]
        return self.filtered(asked)

    def filtered(self, asked):
        answer = self.ec2.describe_instances(Filters=asked)
        return sorted(one["InstanceId"] for r in answer["Reservations"] for one in r["Instances"])

    def test_filters_of_instances(self):
        [a] = self.running(TagSpecifications=[tagged("instance", role="web-1", team="x")], SecurityGroupIds=[GROUP])
        [b] = self.running(SubnetId=SUBNETS["b"], InstanceType="m6i.large", TagSpecifications=[tagged("instance", role="web-2", team="y")])
        [c] = self.launch(InstanceMarketOptions={"MarketType": "spot"}, TagSpecifications=[tagged("instance", role="db*")])
        both = sorted([a, b])
        only = {"instance_id": [a, b, c]}
        self.assertEqual(self.found(tag__role=["web-*"], **only), both)
        self.assertEqual(self.found(tag__role=["web-?"], **only), both)
        self.assertEqual(self.found(tag__role=["db\\*"], **only), [c], "a backslash takes the star as it is")
        self.assertEqual(self.found(tag__role=["web-1", "web-2"], tag__team=["y"]), [b], "names are and, values are or")
        self.assertEqual(self.found(tag__Role=["web-1"]), [], "tag keys have case")
        self.assertEqual(self.found(tag_key=["team"], **only), both)
        self.assertEqual(self.found(instance_state_name=["pending"], **only), [c])
        self.assertEqual(self.found(instance_state_code=["16"], **only), both)
        self.assertEqual(self.found(instance_type=["m6i.large"], **only), [b])
        self.assertEqual(self.found(availability_zone=["us-east-1b"], **only), [b])
        self.assertEqual(self.found(subnet_id=[SUBNETS["a"]], **only), sorted([a, c]))
        self.assertEqual(self.found(instance_lifecycle=["spot"], **only), [c])
        self.assertEqual(self.found(private_ip_address=[self.describe(a)["PrivateIpAddress"]]), [a])
        dotted = [{"Name": "instance.group-id", "Values": [GROUP]}, {"Name": "instance-id", "Values": [a, b]}]
        self.assertEqual(self.filtered(dotted), [a])

    def test_unknown_filters_are_errors_everywhere(self):
        for action in [
            "describe_instances", "describe_instance_status", "describe_images", "describe_snapshots", "describe_volumes",
            "describe_tags", "describe_subnets", "describe_security_groups", "describe_vpcs", "describe_key_pairs",
            "describe_network_interfaces", "describe_launch_templates", "describe_instance_types",
            "describe_instance_type_offerings", "describe_spot_instance_requests", "describe_spot_price_history",
            "describe_fleets", "describe_availability_zones", "describe_regions", "describe_addresses",
        ]:
            with self.subTest(action=action):
                self.refused("InvalidParameterValue", getattr(self.ec2, action), Filters=[{"Name": "no-such-filter", "Values": ["x"]}])

    def test_unknown_ids(self):
        for code, action, ids in [
            ("InvalidInstanceID.NotFound", "describe_instances", {"InstanceIds": ["i-0fffffffffffffff1"]}),
            ("InvalidInstanceID.Malformed", "describe_instances", {"InstanceIds": ["i-xyz"]}),
            ("InvalidAMIID.NotFound", "describe_images", {"ImageIds": ["ami-0fffffffffffffff1"]}),
            ("InvalidAMIID.Malformed", "describe_images", {"ImageIds": ["nonsense"]}),
            ("InvalidSnapshot.NotFound", "describe_snapshots", {"SnapshotIds": ["snap-0fffffffffffffff1"]}),
            ("InvalidVolume.NotFound", "describe_volumes", {"VolumeIds": ["vol-0fffffffffffffff1"]}),
            ("InvalidSubnetID.NotFound", "describe_subnets", {"SubnetIds": ["subnet-0fffffffffffffff1"]}),
            ("InvalidGroup.NotFound", "describe_security_groups", {"GroupIds": ["sg-0fffffffffffffff1"]}),
            ("InvalidKeyPair.NotFound", "describe_key_pairs", {"KeyNames": ["nobody"]}),
            ("InvalidLaunchTemplateId.NotFound", "describe_launch_templates", {"LaunchTemplateIds": ["lt-0fffffffffffffff1"]}),
        ]:
            with self.subTest(action=action, ids=ids):
                self.refused(code, getattr(self.ec2, action), **ids)

    def test_places(self):
        self.assertEqual({zone["ZoneName"] for zone in self.ec2.describe_availability_zones()["AvailabilityZones"]}, {f"{REGION}{z}" for z in "abc"})
        self.assertEqual([one["RegionName"] for one in self.ec2.describe_regions()["Regions"]], [REGION])
        [key] = self.ec2.describe_key_pairs(KeyNames=["rehearsal"])["KeyPairs"]
        self.assertEqual(key["KeyType"], "ed25519")
        before = self.ec2.describe_subnets(SubnetIds=[SUBNETS["a"]])["Subnets"][0]["AvailableIpAddressCount"]
        self.launch(3)
        after = self.ec2.describe_subnets(SubnetIds=[SUBNETS["a"]])["Subnets"][0]["AvailableIpAddressCount"]
        self.assertEqual(before - after, 3)


class Tags(Case):
    def test_create_describe_delete(self):
        [id] = self.running()
        self.ec2.create_tags(Resources=[id, TEMPLATE], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        rows = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [id]}])["Tags"]
        self.assertEqual([(row["Key"], row["Value"], row["ResourceType"]) for row in rows], [("a", "1", "instance"), ("b", "", "instance")])
        self.ec2.delete_tags(Resources=[id], Tags=[{"Key": "a", "Value": "other"}, {"Key": "b"}])
        rows = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [id]}])["Tags"]
        self.assertEqual([row["Key"] for row in rows], ["a"])
        self.refused("InvalidInstanceID.NotFound", self.ec2.create_tags, Resources=[id, "i-0fffffffffffffff1"], Tags=[{"Key": "c", "Value": "1"}])
        self.assertEqual(len(self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [id]}])["Tags"]), 1)
        many = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
        self.refused("TagLimitExceeded", self.ec2.create_tags, Resources=[id], Tags=many)
        self.refused("InvalidParameterValue", self.ec2.create_tags, Resources=[id], Tags=[{"Key": "aws:x", "Value": ""}])
