"""Instant fleets: overrides, shares, partial results, pools and quotas that run short."""

from cloud import SUBNETS, Case, client, tagged, tags


class Fleets(Case):
    def fleet(self, total, overrides=None, spot=0, **more):
        overrides = overrides if overrides is not None else [{"SubnetId": SUBNETS[zone]} for zone in "abc"]
        return self.ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[
                {"LaunchTemplateSpecification": {"LaunchTemplateName": "pack", "Version": "$Latest"}, "Overrides": overrides}
            ],
            TargetCapacitySpecification={
                "TotalTargetCapacity": total,
                "OnDemandTargetCapacity": total - spot,
                "SpotTargetCapacity": spot,
                "DefaultTargetCapacityType": "on-demand",
            },
            **more,
        )

    @staticmethod
    def born(answer):
        return [id for part in answer["Instances"] for id in part["InstanceIds"]]

    def setUp(self):
        super().setUp()
        self.template()
        # What the template and others use counts in the account's quota, too.
        found = self.ec2.describe_instances(Filters=[{"Name": "instance-state-name", "Values": ["pending", "running", "stopping"]}])
        self.used = {"spot": 0, "on-demand": 0}
        for one in [one for reservation in found["Reservations"] for one in reservation["Instances"]]:
            options = one["CpuOptions"]
            self.used[one.get("InstanceLifecycle", "on-demand")] += options["CoreCount"] * options["ThreadsPerCore"]

    def test_shares_and_tags(self):
        answer = self.fleet(4, spot=3, TagSpecifications=[tagged("instance", a="i"), tagged("fleet", a="f")])
        self.assertEqual(answer["Errors"], [])
        shares = {part["Lifecycle"]: len(part["InstanceIds"]) for part in answer["Instances"]}
        self.assertEqual(shares, {"spot": 3, "on-demand": 1})
        for id in self.born(answer):
            one = self.describe(id)
            self.assertEqual(tags(one), {"a": "i"})
            self.assertIn({"Key": "aws:ec2:fleet-id", "Value": answer["FleetId"]}, one["Tags"])
        [fleet] = self.ec2.describe_fleets(FleetIds=[answer["FleetId"]])["Fleets"]
        self.assertEqual((fleet["Type"], tags(fleet)), ("instant", {"a": "f"}))
        self.assertEqual(self.ec2.describe_fleets()["Fleets"], [], "an instant fleet is shown only to those who name it")
        found = [id for part in fleet["Instances"] for id in part["InstanceIds"]]
        self.assertEqual(sorted(found), sorted(self.born(answer)))

    def test_a_dry_pool_gives_a_partial_answer_with_its_reason(self):
        self.faults(pools=[{"instance_type": "m7i.large", "zone": "us-east-1a", "size": 2}])
        answer = self.fleet(5, overrides=[{"SubnetId": SUBNETS["a"]}])
        self.assertEqual(len(self.born(answer)), 2)
        [error] = answer["Errors"]
        self.assertEqual((error["ErrorCode"], error["Lifecycle"]), ("InsufficientInstanceCapacity", "on-demand"))
        self.assertEqual(error["LaunchTemplateAndOverrides"]["Overrides"]["SubnetId"], SUBNETS["a"])

    def test_other_pools_make_up_for_an_empty_one(self):
        self.faults(empty_pools=[{"zone": "us-east-1a"}, {"zone": "us-east-1b", "market": "on-demand"}])
        answer = self.fleet(6, spot=2)
        self.assertEqual(len(self.born(answer)), 6)
        zones = {part["Lifecycle"]: self.describe(part["InstanceIds"][0])["Placement"]["AvailabilityZone"] for part in answer["Instances"]}
        self.assertEqual(zones["on-demand"], "us-east-1c")
        self.assertNotEqual(zones["spot"], "us-east-1a")

    def test_nothing_at_all_is_an_answer_too(self):
        self.faults(empty_pools=[{}])
        answer = self.fleet(2)
        self.assertEqual(answer["Instances"], [])
        self.assertEqual({error["ErrorCode"] for error in answer["Errors"]}, {"InsufficientInstanceCapacity"})
        self.assertEqual(self.ours(), [])

    def test_quotas_count_vcpus_in_each_market(self):
        self.faults(quotas={"on_demand_vcpus": self.used["on-demand"] + 5, "spot_vcpus": self.used["spot"] + 2})
        answer = self.fleet(6, spot=3)
        shares = {part["Lifecycle"]: len(part["InstanceIds"]) for part in answer["Instances"]}
        self.assertEqual(shares, {"on-demand": 2, "spot": 1})
        self.assertEqual({error["ErrorCode"] for error in answer["Errors"]}, {"VcpuLimitExceeded", "MaxSpotInstanceCountExceeded"})

    def test_run_instances_meets_the_same_walls(self):
        self.faults(pools=[{"zone": "us-east-1a", "size": 3}])
        self.assertEqual(len(self.launch(5, MinCount=1)), 3)
        self.refused("InsufficientInstanceCapacity", self.run_instances, status=500)
        self.faults(quotas={"on_demand_vcpus": self.used["on-demand"] + 7})
        self.refused("VcpuLimitExceeded", self.run_instances)
        ended = [one["id"] for one in self.ours()]
        self.ec2.terminate_instances(InstanceIds=ended)
        self.advance("1m")
        self.assertEqual(len(self.launch(9, MinCount=1)), 3)

    def test_bad_fleets(self):
        self.refused("InvalidSubnetID.NotFound", self.ec2.describe_subnets, SubnetIds=["subnet-00000000000000001"])
        answer = self.fleet(2, overrides=[{"SubnetId": "subnet-00000000000000001"}])
        self.assertEqual((answer["Instances"], answer["Errors"][0]["ErrorCode"]), ([], "InvalidSubnetID.NotFound"))
        with self.assertRaises(self.ec2.exceptions.ClientError):
            self.fleet(0)

    def test_delete_fleets_ends_the_instances(self):
        answer = self.fleet(2)
        self.advance("20s")
        self.ec2.delete_fleets(FleetIds=[answer["FleetId"]], TerminateInstances=True)
        self.advance("1m")
        self.assertEqual(self.states(self.born(answer)), ["terminated"])

    def test_weights(self):
        answer = self.fleet(8, overrides=[{"SubnetId": SUBNETS["a"], "InstanceType": "m6i.large", "WeightedCapacity": 4}])
        self.assertEqual(len(self.born(answer)), 2)
