"""S3: conditional writes, checksums, listings in pages, refusals, both ways to name a bucket."""

import threading

import botocore.exceptions

from cloud import Case, client


class Objects(Case):
    def setUp(self):
        super().setUp()
        self.s3 = client("s3", s3={"addressing_style": "path"})
        self.s3.create_bucket(Bucket="ops")

    def put(self, key, body=b"x", **more):
        return self.s3.put_object(Bucket="ops", Key=key, Body=body, **more)["ETag"]

    def test_write_read_delete(self):
        etag = self.put("a/b c+d", b"hello\0\xff")
        got = self.s3.get_object(Bucket="ops", Key="a/b c+d")
        self.assertEqual((got["Body"].read(), got["ETag"], got["ContentLength"]), (b"hello\0\xff", etag, 7))
        self.s3.delete_object(Bucket="ops", Key="a/b c+d")
        self.refused("NoSuchKey", self.s3.get_object, Bucket="ops", Key="a/b c+d", status=404)
        self.s3.delete_object(Bucket="ops", Key="a/b c+d")
        self.refused("NoSuchBucket", self.s3.get_object, Bucket="other", Key="k", status=404)
        self.refused("BucketAlreadyOwnedByYou", self.s3.create_bucket, Bucket="ops", status=409)

    def test_conditions(self):
        etag = self.put("k", b"1", IfNoneMatch="*")
        self.refused("PreconditionFailed", self.put, "k", b"2", IfNoneMatch="*", status=412)
        second = self.put("k", b"2", IfMatch=etag)
        self.refused("PreconditionFailed", self.put, "k", b"3", IfMatch=etag, status=412)
        self.refused("NoSuchKey", self.put, "none", b"3", IfMatch=etag, status=404)
        self.assertEqual(self.s3.get_object(Bucket="ops", Key="k")["ETag"], second)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.put("k", b"2", IfNoneMatch="*")
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 412)

    def test_one_of_many_writers_wins(self):
        won = []

        def write(n):
            try:
                self.put("segment", str(n).encode(), IfNoneMatch="*")
                won.append(n)
            except botocore.exceptions.ClientError:
                pass

        threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(won), 1)
        self.assertEqual(self.s3.get_object(Bucket="ops", Key="segment")["Body"].read(), str(won[0]).encode())

    def test_listings(self):
        for n in range(5):
            self.put(f"runs/{n} ü")
        self.put("lease")
        pages = list(self.s3.get_paginator("list_objects_v2").paginate(Bucket="ops", Prefix="runs/", PaginationConfig={"PageSize": 2}))
        keys = [thing["Key"] for page in pages for thing in page["Contents"]]
        self.assertEqual(keys, [f"runs/{n} ü" for n in range(5)])
        self.assertEqual([page["KeyCount"] for page in pages], [2, 2, 1])
        self.assertNotIn("Contents", self.s3.list_objects_v2(Bucket="ops", Prefix="none"))

    def test_a_bucket_of_another_region(self):
        there = client("s3", s3={"addressing_style": "path"}, region="eu-west-1")
        self.refused("IllegalLocationConstraintException", there.create_bucket, Bucket="euro", status=400)
        there.create_bucket(Bucket="euro", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        there.put_object(Bucket="euro", Key="k", Body=b"x")
        # botocore goes where the refusal says.
        self.assertEqual(self.s3.get_object(Bucket="euro", Key="k")["Body"].read(), b"x")
        self.assertEqual([call["status"] for call in self.audit() if call["action"] == "GetObject"], [301, 200])
        self.assertEqual(there.head_bucket(Bucket="euro")["BucketRegion"], "eu-west-1")

    def test_faults_and_audit(self):
        self.faults(rules=[{"action": "PutObject", "times": 1, "do": {"error": {"code": "ConditionalRequestConflict", "message": "crossed", "status": 409}}}])
        self.refused("ConditionalRequestConflict", self.put, "k", IfNoneMatch="*", status=409)
        self.put("k", IfNoneMatch="*")
        calls = [call for call in self.audit() if call["action"] == "PutObject"]
        self.assertEqual([call["status"] for call in calls], [409, 200])
        self.assertEqual(calls[1]["parameters"]["IfNoneMatch"], "*")
        self.assertEqual(calls[1]["made"], ["k"])
        self.faults(deny=["s3:GetObject"])
        self.refused("AccessDenied", self.s3.get_object, Bucket="ops", Key="k", status=403)

    def test_what_is_not_there_is_said_to_be_so(self):
        self.refused("NotImplemented", self.s3.create_multipart_upload, Bucket="ops", Key="k", status=501)
        self.refused("NotImplemented", self.s3.list_objects_v2, Bucket="ops", Delimiter="/", status=501)
