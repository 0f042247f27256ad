"""Launch templates: versions, $Latest and $Default, SourceVersion, what launches take from them."""

from cloud import GROUP, IMAGE, SUBNETS, Case, tagged, tags


class Templates(Case):
    def version(self, source=None, **data):
        more = {"SourceVersion": source} if source else {}
        answer = self.ec2.create_launch_template_version(LaunchTemplateName="pack", LaunchTemplateData=data, **more)
        return answer["LaunchTemplateVersion"]

    def kind(self, version=None):
        named = {"LaunchTemplateName": "pack", **({"Version": version} if version else {})}
        answer = self.run_instances(ImageId=None, InstanceType=None, LaunchTemplate=named)
        return answer["Instances"][0]["InstanceType"]

    def test_latest_default_and_numbers(self):
        self.template()
        self.version(ImageId=IMAGE, InstanceType="m6i.large")
        self.version(ImageId=IMAGE, InstanceType="c7i.large")
        self.assertEqual((self.kind("$Latest"), self.kind("$Default"), self.kind(), self.kind("2")), ("c7i.large", "m7i.large", "m7i.large", "m6i.large"))
        changed = self.ec2.modify_launch_template(LaunchTemplateName="pack", DefaultVersion="2")["LaunchTemplate"]
        self.assertEqual((changed["DefaultVersionNumber"], changed["LatestVersionNumber"]), (2, 3))
        self.assertEqual((self.kind("$Default"), self.kind()), ("m6i.large", "m6i.large"))
        for word, number in [("$Latest", 3), ("$Default", 2), ("1", 1)]:
            found = self.ec2.describe_launch_template_versions(LaunchTemplateName="pack", Versions=[word])
            self.assertEqual([one["VersionNumber"] for one in found["LaunchTemplateVersions"]], [number])
        found = self.ec2.describe_launch_template_versions(LaunchTemplateName="pack", MinVersion="2", MaxVersion="3")
        self.assertEqual(sorted(one["VersionNumber"] for one in found["LaunchTemplateVersions"]), [2, 3])
        every = self.ec2.describe_launch_template_versions(Versions=["$Latest"])["LaunchTemplateVersions"]
        self.assertEqual([one["VersionNumber"] for one in every], [3])
        self.refused("InvalidLaunchTemplateId.VersionNotFound", self.kind, "9")

    def test_source_version_is_merged(self):
        self.template(KeyName="rehearsal", TagSpecifications=[tagged("instance", from_="one")])
        merged = self.version(source="1", InstanceType="m6i.large")["LaunchTemplateData"]
        self.assertEqual((merged["InstanceType"], merged["KeyName"], merged["ImageId"]), ("m6i.large", "rehearsal", IMAGE))
        plain = self.version(InstanceType="c7i.large")["LaunchTemplateData"]
        self.assertNotIn("KeyName", plain)

    def test_a_launch_takes_the_template_and_the_call_wins(self):
        id = self.template(
            KeyName="rehearsal",
            SecurityGroupIds=[GROUP],
            UserData="ZWNobyBoaQ==",
            InstanceInitiatedShutdownBehavior="terminate",
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            BlockDeviceMappings=[{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 30, "Encrypted": True, "VolumeType": "gp3"}}],
            TagSpecifications=[tagged("instance", Name="template", both="template"), tagged("volume", v="1")],
        )
        [made] = self.launch(
            ImageId=None,
            InstanceType="m6i.large",
            LaunchTemplate={"LaunchTemplateId": id, "Version": "1"},
            TagSpecifications=[tagged("instance", both="call")],
        )
        one = self.describe(made)
        self.assertEqual((one["ImageId"], one["InstanceType"], one["KeyName"]), (IMAGE, "m6i.large", "rehearsal"))
        self.assertEqual(one["MetadataOptions"]["HttpTokens"], "required")
        self.assertEqual(tags(one), {"Name": "template", "both": "call"})
        marks = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        self.assertEqual((marks["aws:ec2launchtemplate:id"], marks["aws:ec2launchtemplate:version"]), (id, "1"))
        [volume] = self.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [made]}])["Volumes"]
        self.assertEqual((volume["Size"], volume["Encrypted"], tags(volume)), (30, True, {"v": "1"}))

    def test_subnet_in_an_interface(self):
        self.template(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": SUBNETS["b"], "Groups": [GROUP]}])
        [made] = self.launch(ImageId=None, InstanceType=None, SubnetId=None, LaunchTemplate={"LaunchTemplateName": "pack"})
        one = self.describe(made)
        self.assertEqual((one["SubnetId"], one["SecurityGroups"][0]["GroupId"]), (SUBNETS["b"], GROUP))

    def test_names_and_deletes(self):
        id = self.template()
        self.refused("InvalidLaunchTemplateName.AlreadyExistsException", self.template)
        self.refused("InvalidLaunchTemplateName.MalformedException", self.template, "no spaces")
        self.version(InstanceType="m6i.large")
        answer = self.ec2.delete_launch_template_versions(LaunchTemplateId=id, Versions=["1", "2", "9"])
        self.assertEqual([one["VersionNumber"] for one in answer["SuccessfullyDeletedLaunchTemplateVersions"]], [2])
        self.assertEqual(sorted(one["VersionNumber"] for one in answer["UnsuccessfullyDeletedLaunchTemplateVersions"]), [1, 9])
        self.assertEqual(self.version(InstanceType="m6i.large")["VersionNumber"], 3, "numbers are never used again")
        self.ec2.delete_launch_template(LaunchTemplateId=id)
        self.refused("InvalidLaunchTemplateId.NotFound", self.ec2.describe_launch_templates, LaunchTemplateIds=[id])
        missing = "InvalidLaunchTemplateName.NotFoundException"
        self.refused(missing, self.ec2.describe_launch_templates, LaunchTemplateNames=["pack"])
        self.refused(missing, self.ec2.delete_launch_template, LaunchTemplateName="pack")
        self.assertNotEqual(self.template(), id)

    def test_template_tags(self):
        self.ec2.create_launch_template(
            LaunchTemplateName="pack",
            LaunchTemplateData={"InstanceType": "m7i.large"},
            TagSpecifications=[tagged("launch-template", a="b")],
        )
        [found] = self.ec2.describe_launch_templates(Filters=[{"Name": "tag:a", "Values": ["b"]}])["LaunchTemplates"]
        self.assertEqual((found["LaunchTemplateName"], tags(found)), ("pack", {"a": "b"}))
