"""Instance types: filters of what they have, the zones that offer them, and the price list."""

import json

import boto3

from cloud import IMAGE, REGION, SUBNETS, Case
import cloud


class Types(Case):
    def named(self, **filters):
        asked = [{"Name": name.replace("__", ".").replace("_", "-"), "Values": values} for name, values in filters.items()]
        pages = self.ec2.get_paginator("describe_instance_types").paginate(Filters=asked, PaginationConfig={"PageSize": 5})
        return sorted(one["InstanceType"] for page in pages for one in page["InstanceTypes"])

    def test_filters(self):
        every = ["c7i.large", "m3.large", "m6i.large", "m7a.large", "m7g.large", "m7i.large", "t3.micro", "t3.small"]
        self.assertEqual(self.named(), every)
        self.assertEqual(self.named(current_generation=["false"]), ["m3.large"])
        self.assertEqual(self.named(processor_info__supported_architecture=["arm64"]), ["m7g.large"])
        self.assertEqual(self.named(burstable_performance_supported=["true"]), ["t3.micro", "t3.small"])
        self.assertEqual(self.named(bare_metal=["true"]), [])
        self.assertEqual(self.named(memory_info__size_in_mib=["4096"], current_generation=["true"]), ["c7i.large", "t3.micro", "t3.small"])
        self.assertEqual(self.named(instance_type=["m7*"], supported_usage_class=["spot"]), ["m7a.large", "m7g.large", "m7i.large"])
        self.refused("InvalidInstanceType", self.ec2.describe_instance_types, InstanceTypes=["m7i.gigantic"])

    def test_zones_that_offer_a_type(self):
        only = [{"Name": "instance-type", "Values": ["m3.large", "m7i.large"]}, {"Name": "location", "Values": [f"{REGION}b", f"{REGION}c"]}]
        rows = self.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=only)["InstanceTypeOfferings"]
        found = sorted((row["InstanceType"], row["Location"]) for row in rows)
        self.assertEqual(found, [("m3.large", f"{REGION}b"), ("m7i.large", f"{REGION}b"), ("m7i.large", f"{REGION}c")])
        rows = self.ec2.describe_instance_type_offerings(Filters=only[:1])["InstanceTypeOfferings"]
        self.assertEqual({row["Location"] for row in rows}, {REGION}, "by region when nothing is said")

    def test_a_zone_without_the_type_launches_none(self):
        self.refused("Unsupported", self.launch, 1, InstanceType="m3.large", SubnetId=SUBNETS["c"])
        self.launch(1, InstanceType="m3.large", SubnetId=SUBNETS["b"])
        self.launch(1, InstanceType="m3.large", ImageId=IMAGE)


class PriceList(Case):
    def products(self, service, *filters, **more):
        # The list answers in three regions only, for all others.
        pricing = boto3.client("pricing", region_name="eu-central-1", endpoint_url=cloud.ENDPOINT)
        asked = [{"Type": kind, "Field": field, "Value": value} for kind, field, value in filters]
        pages = pricing.get_paginator("get_products").paginate(ServiceCode=service, Filters=asked, **more)
        return [json.loads(text) for page in pages for text in page["PriceList"]]

    def price(self, product):
        [term] = product["terms"]["OnDemand"].values()
        [dimension] = term["priceDimensions"].values()
        return dimension["unit"], float(dimension["pricePerUnit"]["USD"])

    def test_types(self):
        here = ("TERM_MATCH", "regionCode", REGION)
        found = self.products("AmazonEC2", here, ("ANY_OF", "instanceType", "m7i.large,c7i.large"), ("TERM_MATCH", "operatingSystem", "Linux"))
        prices = {one["product"]["attributes"]["instanceType"]: self.price(one) for one in found}
        self.assertEqual(prices, {"m7i.large": ("Hrs", 0.1), "c7i.large": ("Hrs", 0.085)})
        self.assertEqual(self.products("AmazonEC2", here, ("TERM_MATCH", "operatingSystem", "Windows")), [])
        self.assertEqual(self.products("AmazonEC2", ("EQUALS", "regionCode", "mars-1")), [])
        families = self.products("AmazonEC2", here, ("CONTAINS", "instanceType", "t3."))
        self.assertEqual(len(families), 2)
        paged = self.products("AmazonEC2", here, ("TERM_MATCH", "productFamily", "Compute Instance"), PaginationConfig={"PageSize": 3})
        self.assertEqual(len(paged), 8)
        self.assertEqual(len({one["product"]["sku"] for one in paged}), 8)

    def test_volumes_and_addresses(self):
        here = ("TERM_MATCH", "regionCode", REGION)
        [volume] = self.products("AmazonEC2", here, ("TERM_MATCH", "volumeApiName", "gp3"))
        self.assertEqual(self.price(volume), ("GB-Mo", 0.08))
        addresses = self.products("AmazonVPC", here, ("TERM_MATCH", "group", "VPCPublicIPv4Address"))
        self.assertEqual(len(addresses), 2, "in use and idle")

    def test_refusals(self):
        pricing = boto3.client("pricing", region_name="us-east-1", endpoint_url=cloud.ENDPOINT)
        self.refused("InvalidParameterException", pricing.get_products, ServiceCode="AmazonMoon")
        self.refused("InvalidParameterException", pricing.get_products, ServiceCode="AmazonEC2", MaxResults=101)
        self.refused("InvalidNextTokenException", pricing.get_products, ServiceCode="AmazonEC2", NextToken="nonsense")
