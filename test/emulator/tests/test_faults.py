"""The faults that a test can ask for."""
import concurrent.futures
import json
import time
import urllib.error

import botocore.session
from botocore.exceptions import ConnectionClosedError

from .account import CALLER, Case, allow, eventually, unique


class Faults(Case):
    def tearDown(self):
        self.aws.bench("/_bench/faults", "DELETE")

    def fault(self, kind: str, service: str, operation: str = "*", **more) -> dict:
        return self.aws.bench("/_bench/faults", "POST", {"kind": kind, "service": service, "operation": operation, **more})["fault"]

    def test_the_next_calls_fail(self):
        aws = self.aws
        for service, call, code in (
            ("lambda", lambda: aws.client("lambda").list_functions(), "TooManyRequestsException"),
            ("iam", lambda: aws.client("iam").list_roles(), "Throttling"),
            ("ec2", lambda: aws.client("ec2").describe_vpcs(), "RequestLimitExceeded"),
            ("dynamodb", lambda: aws.client("dynamodb").list_tables(), "ProvisionedThroughputExceededException"),
            ("sqs", lambda: aws.client("sqs").list_queues(), "RequestThrottled"),
            ("s3", lambda: aws.client("s3").list_buckets(), "SlowDown"),
            ("sts", lambda: aws.client("sts").get_caller_identity(), "Throttling"),
            ("secretsmanager", lambda: aws.client("secretsmanager").list_secrets(), "ThrottlingException"),
            ("monitoring", lambda: aws.client("cloudwatch").describe_alarms(), "ThrottlingException"),
        ):
            self.fault("throttling", service, times=2)
            self.refused(code, call)
            self.refused(code, call)
            call()

    def test_each_kind_is_the_services_own_error(self):
        aws = self.aws
        for kind, service, call, code, status in (
            ("unavailable", "lambda", aws.client("lambda").list_functions, "ServiceException", 500),
            ("unavailable", "dynamodb", aws.client("dynamodb").list_tables, "InternalServerError", 500),
            ("unavailable", "sqs", aws.client("sqs").list_queues, "InternalFailure", 500),
            ("denied", "lambda", aws.client("lambda").list_functions, "AccessDeniedException", 403),
            ("denied", "ec2", aws.client("ec2").describe_vpcs, "UnauthorizedOperation", 403),
            ("denied", "iam", aws.client("iam").list_roles, "AccessDenied", 403),
            ("denied", "events", aws.client("events").list_rules, "AccessDeniedException", 400),
            ("conflict", "lambda", aws.client("lambda").list_functions, "ResourceConflictException", 409),
            ("conflict", "ec2", aws.client("ec2").describe_vpcs, "DependencyViolation", 400),
            ("conflict", "dynamodb", aws.client("dynamodb").list_tables, "TransactionConflictException", 400),
        ):
            with self.subTest(kind=kind, service=service):
                self.assertEqual((code, status), (lambda fault: (fault["errorCode"], fault["status"]))(self.fault(kind, service)))
                self.refused(code, call)

    def test_the_errors_are_those_of_the_services_models(self):
        """Where a model names the error, it says which status it has."""
        session, checked = botocore.session.Session(), 0
        for service in ("lambda", "iam", "dynamodb", "sqs", "sns", "events", "kms", "secretsmanager", "apigateway", "apigatewayv2"):
            model = session.get_service_model(service)
            errors = {shape.error_code or shape.name: shape.metadata.get("error", {}).get("httpStatusCode") for shape in model.error_shapes}
            for kind in ("throttling", "unavailable", "conflict"):
                if kind == "conflict" and service in ("sqs", "secretsmanager"):
                    continue
                fault = self.fault(kind, service)
                if errors.get(fault["errorCode"]):
                    checked += 1
                    self.assertEqual(errors[fault["errorCode"]], fault["status"], (service, kind))
        self.assertGreater(checked, 10)

    def test_an_error_has_the_members_that_a_test_gives_it(self):
        reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
        self.fault("error", "dynamodb", "TransactWriteItems", errorCode="TransactionCanceledException", status=400, members={"CancellationReasons": reasons})
        with self.assertRaises(self.aws.client("dynamodb").exceptions.TransactionCanceledException) as caught:
            self.aws.client("dynamodb").transact_write_items(TransactItems=[])
        self.assertEqual(reasons, caught.exception.response["CancellationReasons"])

    def test_publish_fails(self):
        aws = self.aws
        topic = aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        self.fault("throttling", "sns", "Publish")
        self.refused("Throttled", aws.client("sns").publish, TopicArn=topic, Message="x")
        aws.client("sns").publish(TopicArn=topic, Message="x")

    def test_only_one_principal_may_be_meant(self):
        aws = self.aws
        self.fault("throttling", "iam", "ListRoles", principalMatches=":root")
        aws.client("iam", aws.admin).list_roles()
        self.refused("Throttling", aws.client("iam").list_roles)

    def test_only_one_resource_may_be_meant(self):
        aws, api = self.aws, self.aws.client("sqs")
        (mine, arn), (other, _) = aws.queue(), aws.queue()
        self.fault("unavailable", "sqs", "SendMessage", resource=arn.split(":")[-1])
        api.send_message(QueueUrl=other, MessageBody="x")
        self.refused("InternalFailure", api.send_message, QueueUrl=mine, MessageBody="x")
        api.send_message(QueueUrl=mine, MessageBody="x")

    def test_only_the_calls_from_the_kth_on_fail(self):
        api = self.aws.client("sqs")
        self.fault("unavailable", "sqs", "ListQueues", first=3, times=2)
        outcomes = []
        for _ in range(5):
            try:
                api.list_queues()
                outcomes.append("served")
            except api.exceptions.ClientError:
                outcomes.append("failed")
        self.assertEqual(["served", "served", "failed", "failed", "served"], outcomes)
        (fault,) = self.aws.bench("/_bench/faults")["faults"]
        self.assertEqual((5, 2), (fault["seen"], fault["used"]))

    def test_those_of_one_resource_end_alone(self):
        for name in ("one", "other"):
            self.fault("unavailable", "sqs", "CreateQueue", resource=f"queue:{name}")
        self.aws.bench("/_bench/faults?resource=queue%3Aone", "DELETE")
        self.assertEqual(["queue:other"], [fault["resource"] for fault in self.aws.bench("/_bench/faults")["faults"]])

    def test_an_answer_can_be_lost_after_the_change(self):
        aws, name = self.aws, unique("queue")
        self.fault("unavailable", "sqs", "CreateQueue", after=True)
        self.refused("InternalFailure", aws.client("sqs").create_queue, QueueName=name)
        aws.client("sqs").get_queue_url(QueueName=name)

    def test_a_connection_is_reset_before_the_call_or_after_it(self):
        aws, api = self.aws, self.aws.client("sqs")
        for after in (False, True):
            name = unique("queue")
            self.fault("reset", "sqs", "CreateQueue", after=after)
            with self.assertRaisesRegex(ConnectionClosedError, "Connection was closed"):
                api.create_queue(QueueName=name)
            made = f"/{name}" in json.dumps(api.list_queues())
            self.assertEqual(after, made)
            (call,) = [call for call in aws.bench("/_bench/calls")["calls"] if call.get("fault") == "reset"][-1:]
            self.assertEqual(200 if after else 0, call["status"])

    def test_an_answer_can_be_slow_and_the_call_is_made_at_once(self):
        aws, name = self.aws, unique("queue")
        self.fault("slow", "sqs", "CreateQueue", seconds=1)
        started = time.time()
        aws.client("sqs").create_queue(QueueName=name)
        self.assertGreaterEqual(time.time() - started, 1)
        call = [call for call in aws.bench("/_bench/calls")["calls"] if call.get("fault") == "slow"][-1]
        self.assertLess(call["ms"], 500)

    def test_others_are_served_while_one_waits(self):
        aws = self.aws
        self.fault("slow", "sqs", "ListQueues", seconds=1.5)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            slow = pool.submit(aws.client("sqs").list_queues)
            eventually(lambda: aws.bench("/_bench/faults")["faults"][0]["used"] == 1)
            aws.client("iam").list_roles()
            self.assertFalse(slow.done())
            slow.result()

    def test_put_events_is_served_in_part(self):
        aws, bus = self.aws, unique("bus")
        aws.client("events").create_event_bus(Name=bus)
        queue, arn = aws.queue({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"})
        aws.client("events").put_rule(Name=bus, EventBusName=bus, EventPattern=json.dumps({"source": ["x"]}))
        aws.client("events").put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn}])
        entries = [{"EventBusName": bus, "Source": "x", "DetailType": str(index), "Detail": "{}"} for index in range(4)]
        self.fault("partial", "events", "PutEvents", entries=[0, 2], errorCode="ThrottlingException")
        answer = aws.client("events").put_events(Entries=entries)
        self.assertEqual(2, answer["FailedEntryCount"])
        self.assertEqual(["ThrottlingException", None, "ThrottlingException", None], [entry.get("ErrorCode") for entry in answer["Entries"]])
        self.assertEqual({"1", "3"}, {json.loads(message["Body"])["detail-type"] for message in aws.messages(queue, 2, count=2)})
        self.fault("partial", "events", "PutEvents")
        answer = aws.client("events").put_events(Entries=entries)
        self.assertEqual(["InternalFailure"], [entry["ErrorCode"] for entry in answer["Entries"] if "ErrorCode" in entry])
        self.assertEqual("InternalFailure", answer["Entries"][3]["ErrorCode"])
        self.assertEqual(3, len(aws.messages(queue, 2, count=3)))

    def test_a_batch_of_messages_is_served_in_part(self):
        aws, api = self.aws, self.aws.client("sqs")
        url, _ = aws.queue()
        batch = {"QueueUrl": url, "Entries": [{"Id": name, "MessageBody": name} for name in ("a", "b")]}
        self.fault("partial", "sqs", "SendMessageBatch")
        answer = api.send_message_batch(**batch)
        self.assertEqual((["a"], ["b"]), ([one["Id"] for one in answer["Successful"]], [one["Id"] for one in answer["Failed"]]))
        self.fault("partial", "sqs", "SendMessageBatch", entries=[0, 1])
        self.assertEqual(["a", "b"], [one["Id"] for one in api.send_message_batch(**batch)["Failed"]])
        self.assertEqual(["a"], [message["Body"] for message in aws.messages(url, 1)])

    def test_what_cannot_be_asked_for_is_refused(self):
        for asked in ({"kind": "slow", "service": "sqs"}, {"kind": "nonsense", "service": "sqs"}, {"kind": "conflict", "service": "sqs"},
                      {"service": "sqs", "time": 2}, {"kind": "reset"}):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                self.aws.bench("/_bench/faults", "POST", asked)
            caught.exception.close()
            self.assertEqual(400, caught.exception.code)
        self.assertEqual([], self.aws.bench("/_bench/faults")["faults"])


# Makes two queues, of the names that the event has.
TWO_CALLS = CALLER + r"""
const make = (QueueName) => exports.call('sqs', 'AmazonSQS.CreateQueue', { QueueName });
exports.handler = async (event) => {
  const names = event.Records ? JSON.parse(event.Records[0].body) : event;
  const answers = [];
  for (const name of names) answers.push((await make(name)).status);
  return answers;
};
"""


class Functions(Case):
    def tearDown(self):
        self.aws.bench("/_bench/faults", "DELETE")

    def invoke(self, name: str, *names: str):
        return json.loads(self.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(names))["Payload"].read())

    def made(self, name: str) -> bool:
        return any(url.endswith(f"/{name}") for url in self.aws.client("sqs").list_queues().get("QueueUrls", []))

    def test_only_one_function_may_be_meant(self):
        aws = self.aws
        role = aws.role(allow("sqs:CreateQueue"))
        mine, other = (aws.function(TWO_CALLS, role=role) for _ in range(2))
        aws.bench("/_bench/faults", "POST", {"kind": "unavailable", "service": "sqs", "operation": "CreateQueue", "function": mine, "times": 9})
        self.assertEqual([200], self.invoke(other, unique("queue")))
        self.assertEqual([500], self.invoke(mine, unique("queue")))

    def test_a_function_dies_after_its_first_call_and_its_message_comes_again(self):
        aws = self.aws
        role = aws.role(allow(["sqs:CreateQueue", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]))
        name, first, second = aws.function(TWO_CALLS, role=role), unique("queue"), unique("queue")
        url, arn = aws.queue(VisibilityTimeout="600")
        aws.bench("/_bench/faults", "POST", {"kind": "kill", "service": "*", "function": name, "first": 1})
        aws.client("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=arn)
        aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps([first, second]))
        eventually(lambda: self.made(first))
        time.sleep(0.5)
        self.assertFalse(self.made(second))
        self.assertEqual(1, aws.bench("/_bench/redeliver", "POST", {"queue": arn.split(":")[-1]})["redelivered"])
        eventually(lambda: self.made(second))

    def test_a_function_that_dies_has_failed_and_the_next_invocation_is_served(self):
        aws = self.aws
        name = aws.function(TWO_CALLS, role=aws.role(allow("sqs:CreateQueue")))
        aws.bench("/_bench/faults", "POST", {"kind": "kill", "service": "sqs", "operation": "CreateQueue", "function": name, "first": 2})
        queues = [unique("queue") for _ in range(3)]
        self.assertIn("errorMessage", self.invoke(name, *queues))
        self.assertEqual([True, True, False], [self.made(queue) for queue in queues])
        self.assertEqual([200], self.invoke(name, queues[2]))

    def test_only_the_process_that_made_the_call_dies(self):
        """Neither the older nor the younger one of the function's processes."""
        aws, api = self.aws, self.aws.client("lambda")
        code = TWO_CALLS + r"""
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
exports.handler = async ({ before, name, after }) => { await wait(before); const { status } = await make(name); await wait(after); return status; };
"""
        name = aws.function(code, role=aws.role(allow("sqs:CreateQueue")))
        doomed = [unique("doomed"), unique("doomed")]
        aws.bench("/_bench/faults", "POST", {"kind": "kill", "service": "sqs", "resource": "doomed", "function": name, "times": 2})

        def invoke(**event):
            return json.loads(api.invoke(FunctionName=name, Payload=json.dumps(event))["Payload"].read())

        with concurrent.futures.ThreadPoolExecutor() as pool:
            first = pool.submit(invoke, before=1200, name=doomed[0], after=0)
            time.sleep(0.4)
            between = pool.submit(invoke, before=0, name=unique("queue"), after=2000)
            time.sleep(0.4)
            last = pool.submit(invoke, before=800, name=doomed[1], after=0)
            self.assertEqual(200, between.result())
            self.assertIn("errorMessage", first.result())
            self.assertIn("errorMessage", last.result())
