"""The bench's own endpoints."""
import time

from .account import Case, allow, eventually, function_metric, unique


class Calls(Case):
    def test_every_call_is_told(self):
        aws = self.aws
        (url, arn), _ = aws.queue(), aws.admin
        before = aws.bench("/_bench/calls?since=999999999")["next"]
        aws.client("sqs", aws.admin).send_message(QueueUrl=url, MessageBody="x")
        aws.client("iam", aws.admin).list_roles()
        found = aws.bench(f"/_bench/calls?since={before}")
        self.assertEqual([("sqs", "SendMessage", ["sqs:SendMessage"], [arn], 200), ("iam", "ListRoles", ["iam:ListRoles"], ["*"], 200)], [
            (call["service"], call["operation"], call["actions"], call["resources"], call["status"]) for call in found["calls"]])
        self.assertEqual(found["calls"][-1]["seq"], found["next"])
        self.assertEqual(found["next"], aws.bench("/_bench/calls?since=999999999")["next"])

    def test_the_partition_keys_of_a_batch_are_told(self):
        aws, table = self.aws, unique("table")
        aws.client("dynamodb").create_table(TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                                            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
        before = aws.bench("/_bench/calls?since=999999999")["next"]
        aws.client("dynamodb", aws.admin).batch_get_item(RequestItems={table: {"Keys": [{"pk": {"S": "a"}}, {"pk": {"S": "b"}}]}})
        (call,) = aws.bench(f"/_bench/calls?since={before}")["calls"]
        self.assertEqual(("BatchGetItem", ["a", "b"]), (call["operation"], call["keys"]))

    def test_denials_are_told(self):
        aws = self.aws
        before = aws.bench("/_bench/denied?since=999999999")["next"]
        keys = aws.user(allow("sqs:*"))
        self.refused("AccessDenied", aws.client("iam", keys).list_roles)
        (denial,) = aws.bench(f"/_bench/denied?since={before}")["denied"]
        self.assertEqual(("iam:ListRoles", "*"), (denial["action"], denial["resource"]))
        self.assertIn(":user/", denial["principalArn"])


class Running(Case):
    def test_who_is_at_work_is_told(self):
        aws = self.aws
        name = aws.function("exports.handler = () => new Promise((done) => setTimeout(done, 700))")
        running = lambda: aws.bench("/_bench/running")["running"].count(name)
        self.assertEqual(0, running())
        for _ in range(2):
            aws.client("lambda", aws.admin).invoke(FunctionName=name, InvocationType="Event")
        eventually(lambda: running() == 2)
        eventually(lambda: running() == 0)


class Metrics(Case):
    def test_a_test_writes_what_was_an_hour_ago(self):
        aws, name, now = self.aws, unique("fn"), time.time()
        hour = 3600
        aws.bench("/_bench/metrics", "POST", [
            {"function": name, "metric": "Errors", "value": 2, "at": (now - hour) * 1000},
            {"function": name, "metric": "Errors", "value": 3, "at": (now - hour) * 1000},
            {"function": name, "metric": "Errors", "value": 7, "at": now * 1000},
        ])
        self.assertEqual([5], function_metric(aws, name, "Errors", "Sum", now - hour - 60, now - 60))
        self.assertEqual([7, 5], function_metric(aws, name, "Errors", "Sum", now - hour - 60, now + 60))


class Redelivery(Case):
    def test_what_a_queue_has_given_out_comes_again_at_once(self):
        aws = self.aws
        url, arn = aws.queue(VisibilityTimeout="600")
        sqs = aws.client("sqs")
        sqs.send_message(QueueUrl=url, MessageBody="given out")
        sqs.send_message(QueueUrl=url, MessageBody="not yet there", DelaySeconds=600)
        self.assertEqual(1, len(sqs.receive_message(QueueUrl=url)["Messages"]))
        self.assertNotIn("Messages", sqs.receive_message(QueueUrl=url))
        self.assertEqual({"redelivered": 1}, aws.bench("/_bench/redeliver", "POST", {"queue": arn.split(":")[-1]}))
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])["Messages"]
        self.assertEqual([("given out", "2")], [(message["Body"], message["Attributes"]["ApproximateReceiveCount"]) for message in messages])
