"""SQS: queues, batches, digests, delays, visibility, long polls, dead letters, purge, tags."""

import hashlib
import json
import threading
import time

from cloud import ACCOUNT, REGION, Case

GONE = "AWS.SimpleQueueService.NonExistentQueue"


class Queue(Case):
    def queue(self, name="q", **attributes):
        return self.sqs.create_queue(QueueName=name, Attributes={key: str(value) for key, value in attributes.items()})["QueueUrl"]

    def receive(self, url, count=10, **more):
        return self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count, **more).get("Messages", [])

    def counts(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return tuple(int(found[name]) for name in names)


class Queues(Queue):
    def test_create_find_delete(self):
        url = self.queue(VisibilityTimeout=40)
        self.assertEqual(self.queue(VisibilityTimeout=40), url)
        self.assertEqual(self.queue(), url)
        self.refused("QueueAlreadyExists", self.queue, VisibilityTimeout=41)
        self.assertEqual(self.sqs.get_queue_url(QueueName="q")["QueueUrl"], url)
        self.assertIn(url, self.sqs.list_queues()["QueueUrls"])
        self.sqs.delete_queue(QueueUrl=url)
        self.refused(GONE, self.sqs.get_queue_url, QueueName="q")
        with self.assertRaises(self.sqs.exceptions.QueueDoesNotExist):
            self.sqs.send_message(QueueUrl=url, MessageBody="x")
        self.refused("AWS.SimpleQueueService.QueueDeletedRecently", self.queue)
        self.advance("59s")
        self.refused("AWS.SimpleQueueService.QueueDeletedRecently", self.queue)
        self.advance("1s")
        self.assertEqual(self.queue(), url)

    def test_attributes(self):
        url = self.queue(DelaySeconds=5)
        every = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        self.assertEqual(every["QueueArn"], f"arn:aws:sqs:{REGION}:{ACCOUNT}:q")
        self.assertEqual((every["DelaySeconds"], every["VisibilityTimeout"], every["MessageRetentionPeriod"]), ("5", "30", "345600"))
        self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
        self.assertEqual(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"], {"VisibilityTimeout": "7"})
        self.refused("InvalidAttributeValue", self.sqs.set_queue_attributes, QueueUrl=url, Attributes={"VisibilityTimeout": "43201"})
        self.refused("InvalidAttributeName", self.sqs.set_queue_attributes, QueueUrl=url, Attributes={"Nonsense": "1"})
        self.refused("InvalidAttributeName", self.sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Nonsense"])
        self.refused("InvalidParameterValue", self.queue, name="no spaces")

    def test_lists_page(self):
        for n in range(5):
            self.queue(f"page-{n}")
        pages = list(self.sqs.get_paginator("list_queues").paginate(QueueNamePrefix="page-", PaginationConfig={"PageSize": 2}))
        self.assertEqual([len(page["QueueUrls"]) for page in pages], [2, 2, 1])

    def test_tags(self):
        url = self.sqs.create_queue(QueueName="q", tags={"a": "1"})["QueueUrl"]
        self.sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
        self.assertEqual(self.sqs.list_queue_tags(QueueUrl=url)["Tags"], {"a": "1", "b": "2"})
        self.sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
        self.assertEqual(self.sqs.list_queue_tags(QueueUrl=url)["Tags"], {"b": "2"})

    def test_purge(self):
        url = self.queue()
        self.sqs.send_message(QueueUrl=url, MessageBody="x")
        self.sqs.purge_queue(QueueUrl=url)
        self.assertEqual(self.counts(url), (0, 0, 0))
        self.refused("AWS.SimpleQueueService.PurgeQueueInProgress", self.sqs.purge_queue, QueueUrl=url, status=403)
        self.advance("60s")
        self.sqs.purge_queue(QueueUrl=url)


class Messages(Queue):
    def test_round_trip_with_digests(self):
        url = self.queue()
        body = "hällo <&> 漢"
        more = {"kind": {"DataType": "String", "StringValue": "x"}, "n": {"DataType": "Number", "StringValue": "5"}, "b": {"DataType": "Binary", "BinaryValue": b"\0\1"}}
        # boto3 itself checks both digests, of the answer to the send and of what is received.
        sent = self.sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=more)
        self.assertEqual(sent["MD5OfMessageBody"], hashlib.md5(body.encode()).hexdigest())
        [got] = self.receive(url, MessageAttributeNames=["All"], AttributeNames=["All"])
        self.assertEqual((got["Body"], got["MessageId"], got["MessageAttributes"]), (body, sent["MessageId"], more))
        self.assertEqual(got["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"])
        self.assertEqual(got["Attributes"]["ApproximateReceiveCount"], "1")
        self.assertEqual(self.counts(url), (0, 1, 0))
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=got["ReceiptHandle"])
        self.assertEqual(self.counts(url), (0, 0, 0))

    def test_visibility(self):
        url = self.queue(VisibilityTimeout=30)
        self.sqs.send_message(QueueUrl=url, MessageBody="x")
        [first] = self.receive(url)
        self.assertEqual(self.receive(url), [])
        self.advance("29s")
        self.assertEqual(self.receive(url), [])
        self.advance("1s")
        [second] = self.receive(url, AttributeNames=["ApproximateReceiveCount"])
        self.assertEqual((second["MessageId"], second["Attributes"]["ApproximateReceiveCount"]), (first["MessageId"], "2"))
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=100)
        self.advance("99s")
        self.assertEqual(self.receive(url), [])
        self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
        [third] = self.receive(url)
        self.sqs.delete_message(QueueUrl=url, ReceiptHandle=third["ReceiptHandle"])
        self.advance("1h")
        self.assertEqual(self.receive(url), [])
        self.refused("ReceiptHandleIsInvalid", self.sqs.delete_message, QueueUrl=url, ReceiptHandle="nonsense")

    def test_delays(self):
        url = self.queue()
        self.sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=20)
        self.assertEqual((self.receive(url), self.counts(url)), ([], (0, 0, 1)))
        self.advance("20s")
        self.assertEqual(len(self.receive(url)), 1)
        self.refused("InvalidParameterValue", self.sqs.send_message, QueueUrl=url, MessageBody="x", DelaySeconds=901)

    def test_batches(self):
        url = self.queue()
        entries = [{"Id": str(n), "MessageBody": f"m{n}"} for n in range(10)]
        answer = self.sqs.send_message_batch(QueueUrl=url, Entries=[*entries[:9], {"Id": "9", "MessageBody": "x", "DelaySeconds": 901}])
        self.assertEqual([one["Id"] for one in answer["Successful"]], [str(n) for n in range(9)])
        self.assertEqual([(one["Id"], one["SenderFault"]) for one in answer["Failed"]], [("9", True)])
        got = self.receive(url)
        self.assertEqual(sorted(one["Body"] for one in got), [f"m{n}" for n in range(9)])
        handles = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(got)]
        extended = self.sqs.change_message_visibility_batch(QueueUrl=url, Entries=[{**handle, "VisibilityTimeout": 5} for handle in handles])
        self.assertEqual(len(extended["Successful"]), 9)
        answer = self.sqs.delete_message_batch(QueueUrl=url, Entries=[*handles[:8], {"Id": "bad", "ReceiptHandle": "nonsense"}])
        self.assertEqual((len(answer["Successful"]), [one["Id"] for one in answer["Failed"]]), (8, ["bad"]))
        self.assertEqual(self.counts(url), (0, 1, 0))
        prefix = "AWS.SimpleQueueService."
        self.refused(f"{prefix}TooManyEntriesInBatchRequest", self.sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": f"x{n}", "MessageBody": "m"} for n in range(11)])
        self.refused(f"{prefix}EmptyBatchRequest", self.sqs.send_message_batch, QueueUrl=url, Entries=[])
        self.refused(f"{prefix}BatchEntryIdsNotDistinct", self.sqs.send_message_batch, QueueUrl=url, Entries=[entries[0], entries[0]])
        self.refused(f"{prefix}InvalidBatchEntryId", self.sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "a b", "MessageBody": "m"}])

    def test_sizes(self):
        url = self.queue(MaximumMessageSize=1024)
        self.sqs.send_message(QueueUrl=url, MessageBody="x" * 1024)
        self.refused("InvalidParameterValue", self.sqs.send_message, QueueUrl=url, MessageBody="x" * 1025)
        self.refused("InvalidParameterValue", self.sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=11)

    def test_retention(self):
        url = self.queue(MessageRetentionPeriod=60)
        self.sqs.send_message(QueueUrl=url, MessageBody="x")
        self.advance("61s")
        self.assertEqual((self.receive(url), self.counts(url)), ([], (0, 0, 0)))

    def test_a_long_poll_ends_with_the_message(self):
        url = self.queue()
        got = []
        waiting = threading.Thread(target=lambda: got.extend(self.receive(url, WaitTimeSeconds=20)))
        waiting.start()
        time.sleep(0.2)
        self.assertEqual(got, [])
        self.sqs.send_message(QueueUrl=url, MessageBody="x")
        waiting.join(5)
        self.assertEqual([one["Body"] for one in got], ["x"])

    def test_a_long_poll_ends_empty_on_world_time(self):
        url = self.queue(ReceiveMessageWaitTimeSeconds=20)
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(self.receive(url)))
        waiting.start()
        time.sleep(0.2)
        self.assertEqual(answers, [])
        self.advance("21s")
        waiting.join(5)
        self.assertEqual(answers, [[]])

    def test_dead_letters(self):
        dead = self.queue("dead")
        arn = self.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})
        url = self.queue(VisibilityTimeout=10, RedrivePolicy=policy)
        self.assertEqual(self.sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"], [url])
        sent = self.sqs.send_message(QueueUrl=url, MessageBody="poison")["MessageId"]
        for _ in range(2):
            self.assertEqual(len(self.receive(url)), 1)
            self.advance("10s")
        self.assertEqual(self.counts(dead), (0, 0, 0), "it moves at the next receive, not before")
        self.assertEqual(self.receive(url), [])
        [buried] = self.receive(dead, AttributeNames=["All"])
        self.assertEqual((buried["MessageId"], buried["Body"]), (sent, "poison"))
        self.assertTrue(buried["Attributes"]["DeadLetterQueueSourceArn"].endswith(":q"))
        missing = json.dumps({"deadLetterTargetArn": arn + "-none", "maxReceiveCount": 2})
        self.refused("InvalidParameterValue", self.queue, "other", RedrivePolicy=missing)

    def test_counters_lag_when_told(self):
        self.faults(queue_lag_seconds=60)
        url = self.queue()
        self.advance("2m")
        self.sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "m"} for n in range(10)])
        seen = set()
        for _ in range(12):
            self.advance("5s")
            seen.add(self.counts(url)[0])
        self.assertIn(0, seen, "an old counter was shown")
        self.advance("61s")
        self.assertEqual(self.counts(url)[0], 10)
