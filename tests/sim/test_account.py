"""What the account has besides machines: roles, profiles, keys, quotas, defaults, and why a call was refused."""

import json

from cloud import ACCOUNT, IMAGE, REGION, SUBNETS, Case, client

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
SPOT = "AWSServiceRoleForEC2Spot"


class Account(Case):
    def setUp(self):
        super().setUp()
        self.iam = client("iam")
        self.kms = client("kms")
        self.quotas = client("service-quotas")

    def test_roles(self):
        role = self.iam.get_role(RoleName=SPOT)["Role"]
        self.assertEqual(role["Arn"], f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/spot.amazonaws.com/{SPOT}")
        self.assertEqual(role["Path"], "/aws-service-role/spot.amazonaws.com/")
        self.faults(account={"missing_roles": [SPOT]})
        self.refused("NoSuchEntity", self.iam.get_role, RoleName=SPOT, status=404)

    def test_profiles(self):
        [role] = self.iam.get_instance_profile(InstanceProfileName="worker")["InstanceProfile"]["Roles"]
        self.assertEqual(role["Arn"], f"arn:aws:iam::{ACCOUNT}:role/worker")
        self.refused("NoSuchEntity", self.iam.get_instance_profile, InstanceProfileName="none", status=404)
        self.faults(account={"empty_profiles": ["worker"]})
        self.assertEqual(self.iam.get_instance_profile(InstanceProfileName="worker")["InstanceProfile"]["Roles"], [])

    def test_keys(self):
        self.assertEqual(self.ec2.get_ebs_default_kms_key_id()["KmsKeyId"], "alias/aws/ebs")
        own = self.kms.describe_key(KeyId="alias/aws/ebs")["KeyMetadata"]
        self.assertEqual((own["KeyManager"], own["KeyState"], own["Enabled"]), ("AWS", "Enabled", True))
        self.refused("NotFoundException", self.kms.describe_key, KeyId=KEY)
        self.faults(account={"keys": [{"id": KEY, "state": "Disabled", "grants": [SPOT]}], "ebs_default_key": KEY})
        arn = self.ec2.get_ebs_default_kms_key_id()["KmsKeyId"]
        self.assertEqual(arn, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{KEY}")
        key = self.kms.describe_key(KeyId=arn)["KeyMetadata"]
        self.assertEqual((key["KeyManager"], key["KeyState"]), ("CUSTOMER", "Disabled"))
        [grant] = self.kms.list_grants(KeyId=arn)["Grants"]
        self.assertTrue(grant["GranteePrincipal"].endswith(f"/spot.amazonaws.com/{SPOT}"))
        self.assertIn("CreateGrant", grant["Operations"])

    def test_quotas(self):
        quota = self.quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]
        self.assertEqual((quota["Value"], quota["Adjustable"]), (1_000_000.0, True))
        self.faults(quotas={"spot_vcpus": 8})
        self.assertEqual(self.quotas.get_service_quota(ServiceCode="ec2", QuotaCode="L-34B43A08")["Quota"]["Value"], 8.0)
        self.refused("NoSuchResourceException", self.quotas.get_service_quota, ServiceCode="ec2", QuotaCode="L-0")

    def test_images_may_be_public_where_the_script_says_so(self):
        state = self.ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"]
        self.assertEqual(state, "block-new-sharing")
        self.faults(account={"images_may_be_public": True})
        self.assertEqual(self.ec2.get_image_block_public_access_state()["ImageBlockPublicAccessState"], "unblocked")

    def test_subnets_without_ipv4(self):
        self.faults(account={"ipv6_only_subnets": [SUBNETS["a"]]})
        [subnet] = self.ec2.describe_subnets(SubnetIds=[SUBNETS["a"]])["Subnets"]
        self.assertEqual((subnet["Ipv6Native"], subnet["AvailableIpAddressCount"]), (True, 0))
        host = self.describe(self.running()[0])
        self.assertNotIn("PrivateIpAddress", host)
        self.assertIn(":", host["Ipv6Address"])


class Refusals(Case):
    def decoded(self, message):
        encoded = message.split("Encoded authorization failure message: ")[1]
        return json.loads(self.sts.decode_authorization_message(EncodedMessage=encoded)["DecodedMessage"])

    def test_a_refusal_is_decoded(self):
        self.faults(deny=["TerminateInstances"])
        [id] = self.running()
        message = self.refused("UnauthorizedOperation", self.ec2.terminate_instances, InstanceIds=[id], status=403)
        reason = self.decoded(message)
        self.assertEqual((reason["allowed"], reason["context"]["action"]), (False, "ec2:TerminateInstances"))
        self.refused("InvalidAuthorizationMessageException", self.sts.decode_authorization_message, EncodedMessage="x")

    def test_a_role_must_be_passed(self):
        self.faults(deny=["iam:PassRole"])
        asked = {"ImageId": IMAGE, "InstanceType": "m7i.large", "SubnetId": SUBNETS["a"], "MinCount": 1, "MaxCount": 1}
        with_role = {**asked, "IamInstanceProfile": {"Name": "worker"}}
        message = self.refused("UnauthorizedOperation", self.ec2.run_instances, status=403, DryRun=True, **with_role)
        self.assertEqual(self.decoded(message)["context"]["resource"], f"arn:aws:iam::{ACCOUNT}:role/worker")
        self.refused("DryRunOperation", self.ec2.run_instances, status=412, DryRun=True, **asked)
