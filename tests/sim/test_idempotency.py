"""ClientTokens: the same call again is the same thing, another call under the same token is refused."""

from cloud import SUBNETS, Case, client, tagged


def ids(answer):
    return [one["InstanceId"] for one in answer["Instances"]]


class RunInstances(Case):
    def test_same_token_gives_the_same_instances(self):
        first = self.run_instances(3, ClientToken="one")
        again = self.run_instances(3, ClientToken="one")
        self.assertEqual(ids(first), ids(again))
        self.assertEqual(first["ReservationId"], again["ReservationId"])
        self.assertEqual(len(self.ours()), 3)
        self.assertEqual(again["Instances"][0]["ClientToken"], "one")

    def test_the_repetition_shows_the_state_of_today(self):
        self.run_instances(ClientToken="one")
        self.advance("20s")
        self.assertEqual(self.run_instances(ClientToken="one")["Instances"][0]["State"]["Name"], "running")

    def test_another_reader_repeats_it_too(self):
        first = self.run_instances(ClientToken="one")
        self.ec2 = client("ec2", key="COLLEAGUE")
        self.assertEqual(ids(first), ids(self.run_instances(ClientToken="one")))

    def test_any_other_parameter_is_a_mismatch(self):
        self.run_instances(ClientToken="one")
        for more in [{"InstanceType": "m6i.large"}, {"KeyName": "rehearsal"}, {"TagSpecifications": [tagged("instance", a="b")]}]:
            self.refused("IdempotentParameterMismatch", self.run_instances, ClientToken="one", **more)
        self.refused("IdempotentParameterMismatch", self.run_instances, 2, ClientToken="one")
        self.assertEqual(len(self.ours()), 1)

    def test_tokens_are_zonal_with_a_subnet_or_a_zone(self):
        first = self.launch(ClientToken="one")
        second = self.launch(ClientToken="one", SubnetId=SUBNETS["b"])
        self.assertNotEqual(first, second)
        third = self.launch(ClientToken="one", SubnetId=None, Placement={"AvailabilityZone": "us-east-1c"})
        self.assertEqual(len({*first, *second, *third}), 3)
        self.assertEqual(self.launch(ClientToken="one", SubnetId=SUBNETS["b"]), second)

    def test_tokens_are_regional_without(self):
        first = self.launch(ClientToken="one", SubnetId=None)
        self.assertEqual(self.launch(ClientToken="one", SubnetId=None), first)
        self.refused("IdempotentParameterMismatch", self.run_instances, 2, ClientToken="one", SubnetId=None)

    def test_case_counts_and_no_token_is_none(self):
        self.assertNotEqual(self.launch(ClientToken="One"), self.launch(ClientToken="one"))
        self.assertNotEqual(self.launch(), self.launch())

    def test_terminated_instances_do_not_come_back(self):
        [id] = self.running(ClientToken="one")
        self.ec2.terminate_instances(InstanceIds=[id])
        self.refused("IdempotentInstanceTerminated", self.run_instances, ClientToken="one")
        self.advance("30s")
        self.refused("IdempotentInstanceTerminated", self.run_instances, ClientToken="one")

    def test_a_refused_call_spends_no_token(self):
        self.refused("InvalidAMIID.NotFound", self.run_instances, ClientToken="one", ImageId="ami-00000000000000001")
        self.assertEqual(len(self.launch(ClientToken="one")), 1)

    def test_long_tokens_are_refused(self):
        self.assertEqual(len(self.launch(ClientToken="t" * 64)), 1)
        self.refused("InvalidParameterValue", self.run_instances, ClientToken="t" * 65)

    def test_filter_by_token_finds_them(self):
        made = self.launch(2, ClientToken="one")
        self.launch(ClientToken="two")
        found = self.ec2.describe_instances(Filters=[{"Name": "client-token", "Values": ["one"]}])
        self.assertEqual([one["InstanceId"] for r in found["Reservations"] for one in r["Instances"]], made)

    def test_a_token_outlives_a_lost_answer(self):
        self.faults(rules=[{"action": "RunInstances", "point": "after-commit", "do": "reset"}])
        with self.assertRaises(Exception):
            self.run_instances(2, ClientToken="one")
        made = self.launch(2, ClientToken="one")
        self.assertEqual(sorted(made), sorted(one["id"] for one in self.ours()))
        self.assertEqual([entry["client_token"] for entry in self.audit("RunInstances")], ["one", "one"])


class Fleet(Case):
    def fleet(self, token, target=2, **more):
        return self.ec2.create_fleet(
            Type="instant",
            ClientToken=token,
            LaunchTemplateConfigs=[
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateName": "pack", "Version": "1"},
                    "Overrides": [{"SubnetId": SUBNETS["a"]}],
                }
            ],
            TargetCapacitySpecification={"TotalTargetCapacity": target, "DefaultTargetCapacityType": "on-demand"},
            **more,
        )

    def test_same_fleet_mismatch_and_terminated(self):
        self.template()
        first = self.fleet("one")
        again = self.fleet("one")
        self.assertEqual(first["FleetId"], again["FleetId"])
        self.assertEqual(first["Instances"], again["Instances"])
        self.assertEqual(len(self.ours()), 2)
        self.refused("IdempotentParameterMismatch", self.fleet, "one", 3)
        self.assertNotEqual(self.fleet("two")["FleetId"], first["FleetId"])
        self.ec2.terminate_instances(InstanceIds=first["Instances"][0]["InstanceIds"])
        self.refused("IdempotentInstanceTerminated", self.fleet, "one")


class Templates(Case):
    def create(self, token, name="pack", kind="m7i.large"):
        return self.ec2.create_launch_template(
            ClientToken=token, LaunchTemplateName=name, LaunchTemplateData={"InstanceType": kind}
        )["LaunchTemplate"]

    def version(self, token, kind="m6i.large"):
        return self.ec2.create_launch_template_version(
            ClientToken=token, LaunchTemplateName="pack", LaunchTemplateData={"InstanceType": kind}
        )["LaunchTemplateVersion"]

    def test_template(self):
        first = self.create("one")
        self.assertEqual(self.create("one")["LaunchTemplateId"], first["LaunchTemplateId"])
        self.refused("IdempotentParameterMismatch", self.create, "one", kind="m6i.large")
        self.refused("InvalidLaunchTemplateName.AlreadyExistsException", self.create, "two")

    def test_version(self):
        self.create("one")
        self.assertEqual(self.version("v")["VersionNumber"], 2)
        self.assertEqual(self.version("v")["VersionNumber"], 2)
        self.refused("IdempotentParameterMismatch", self.version, "v", kind="c7i.large")
        self.assertEqual(self.version("w")["VersionNumber"], 3)
        found = self.ec2.describe_launch_template_versions(LaunchTemplateName="pack")["LaunchTemplateVersions"]
        self.assertEqual(sorted(one["VersionNumber"] for one in found), [1, 2, 3])
