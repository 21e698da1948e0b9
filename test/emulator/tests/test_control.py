"""The bench's own endpoints."""
from .account import Case, allow, unique


class Calls(Case):
    def test_every_call_is_told(self):
        aws = self.aws
        url, arn = aws.queue()
        before = aws.bench("/_bench/calls?since=999999999")["next"]
        aws.client("sqs", aws.admin).send_message(QueueUrl=url, MessageBody="x")
        aws.client("iam", aws.admin).list_roles()
        found = aws.bench(f"/_bench/calls?since={before}")
        self.assertEqual([("sqs", "SendMessage", ["sqs:SendMessage"], [arn], 200), ("iam", "ListRoles", ["iam:ListRoles"], ["*"], 200)], [
            (call["service"], call["operation"], call["actions"], call["resources"], call["status"]) for call in found["calls"]])
        self.assertEqual(found["calls"][-1]["seq"], found["next"])
        self.assertEqual(found["next"], aws.bench("/_bench/calls?since=999999999")["next"])

    def test_denials_are_told(self):
        aws = self.aws
        before = aws.bench("/_bench/denied?since=999999999")["next"]
        keys = aws.user(allow("sqs:*"))
        self.refused("AccessDenied", aws.client("iam", keys).list_roles)
        (denial,) = aws.bench(f"/_bench/denied?since={before}")["denied"]
        self.assertEqual(("iam:ListRoles", "*"), (denial["action"], denial["resource"]))
        self.assertIn(":user/", denial["principalArn"])


class Faults(Case):
    def tearDown(self):
        self.aws.bench("/_bench/faults", "DELETE")

    def test_the_next_calls_fail(self):
        aws = self.aws
        for service, call, fault, code in (
            ("lambda", lambda: aws.client("lambda").list_functions(), {"errorCode": "TooManyRequestsException", "status": 429}, "TooManyRequestsException"),
            ("iam", lambda: aws.client("iam").list_roles(), {"errorCode": "Throttling", "status": 400}, "Throttling"),
            ("ec2", lambda: aws.client("ec2").describe_vpcs(), {"errorCode": "RequestLimitExceeded", "status": 503}, "RequestLimitExceeded"),
            ("dynamodb", lambda: aws.client("dynamodb").list_tables(), {"errorCode": "InternalServerError", "status": 500}, "InternalServerError"),
        ):
            aws.bench("/_bench/faults", "POST", {"service": service, "operation": "*", "times": 2, **fault})
            self.refused(code, call)
            self.refused(code, call)
            call()

    def test_only_one_principal_may_be_meant(self):
        aws = self.aws
        aws.bench("/_bench/faults", "POST", {"service": "iam", "operation": "ListRoles", "times": 1, "errorCode": "Throttling", "status": 400, "principalMatches": ":root"})
        aws.client("iam", aws.admin).list_roles()
        self.refused("Throttling", aws.client("iam").list_roles)

    def test_an_answer_can_be_lost_after_the_change(self):
        aws, name = self.aws, unique("queue")
        aws.bench("/_bench/faults", "POST", {"service": "sqs", "operation": "CreateQueue", "errorCode": "ServiceUnavailable", "status": 503, "after": True})
        self.refused("ServiceUnavailable", aws.client("sqs").create_queue, QueueName=name)
        aws.client("sqs").get_queue_url(QueueName=name)
