"""EventBridge, SNS and SQS: who reaches whom, and what is refused."""
import json
import time

from .account import Case, allow, plain, unique


def events_may(rule: str) -> dict:
    return {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}


class Targets(Case):
    def rule(self, aws, bus: str, arn: str, **target) -> str:
        name = unique("rule")
        rule = aws.client("events").put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps({"source": ["x"]}))["RuleArn"]
        aws.client("events").put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": arn, **target}])
        return rule

    def bus(self, aws) -> str:
        name = unique("bus")
        aws.client("events").create_event_bus(Name=name)
        return name

    def put(self, aws, bus: str) -> None:
        aws.client("events").put_events(Entries=[{"EventBusName": bus, "Source": "x", "DetailType": "y", "Detail": "{\"a\": 1}"}])

    def policy(self, aws, url: str, arn: str, *statements) -> None:
        aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [
            {**statement, "Resource": arn} for statement in statements]})})

    def test_a_queue_without_a_policy_gets_nothing_and_the_dead_letter_queue_gets_it(self):
        aws = self.aws
        (url, arn), (dead, dead_arn), bus = aws.queue(), aws.queue(), self.bus(aws)
        rule = self.rule(aws, bus, arn, DeadLetterConfig={"Arn": dead_arn})
        self.policy(aws, dead, dead_arn, events_may(rule))
        self.put(aws, bus)
        self.assertEqual([], aws.messages(url))
        message = aws.messages(dead, 1)[0]
        self.assertEqual({"a": 1}, json.loads(message["Body"])["detail"])
        self.assertEqual(("NO_PERMISSIONS", rule, arn), tuple(message["MessageAttributes"][key]["StringValue"] for key in ("ERROR_CODE", "RULE_ARN", "TARGET_ARN")))
        self.policy(aws, url, arn, events_may(rule))
        self.put(aws, bus)
        self.assertEqual(1, len(aws.messages(url, 1)))

    def test_the_emulator_alone_sends_to_a_queue_without_a_policy(self):
        aws = plain()
        (url, arn), bus = aws.queue(), self.bus(aws)
        self.rule(aws, bus, arn)
        self.put(aws, bus)
        self.assertEqual(1, len(aws.messages(url, 1)))

    def test_a_policy_for_another_rule_lets_nothing_in(self):
        aws = self.aws
        (url, arn), bus = aws.queue(), self.bus(aws)
        self.policy(aws, url, arn, events_may("arn:aws:events:us-east-1:1:rule/other"))
        self.rule(aws, bus, arn)
        self.put(aws, bus)
        self.assertEqual([], aws.messages(url))

    def test_a_deny_for_everyone_but_the_rules_lets_the_rules_in(self):
        aws = self.aws
        (url, arn), bus = aws.queue(), self.bus(aws)
        rule = self.rule(aws, bus, arn)
        self.policy(aws, url, arn, events_may(rule), {
            "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Condition": {"ArnNotEqualsIfExists": {"aws:SourceArn": rule}, "Bool": {"aws:PrincipalIsAWSService": "true"}}}, {
            "Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}})
        self.put(aws, bus)
        self.assertEqual(1, len(aws.messages(url, 1)))
        self.refused("AccessDenied", aws.client("sqs", aws.admin).send_message, QueueUrl=url, MessageBody="forged")

    def test_an_encrypted_queue_needs_its_key_to_let_events_in(self):
        aws = self.aws
        key = aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
        (url, arn), bus = aws.queue(KmsMasterKeyId=key), self.bus(aws)
        self.policy(aws, url, arn, events_may(self.rule(aws, bus, arn)))
        self.put(aws, bus)
        self.assertEqual([], aws.messages(url))
        aws.client("kms").put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.id}:root"}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*"}]}))
        self.put(aws, bus)
        self.assertEqual(1, len(aws.messages(url, 1)))

    def test_a_function_needs_a_statement(self):
        aws, bus = self.aws, self.bus(self.aws)
        (dead, dead_arn), name = aws.queue(), aws.function()
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"
        rule = self.rule(aws, bus, arn, DeadLetterConfig={"Arn": dead_arn})
        self.policy(aws, dead, dead_arn, events_may(rule))
        self.put(aws, bus)
        self.assertEqual(1, len(aws.messages(dead, 1)))
        aws.client("lambda").add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com", SourceArn=rule)
        self.put(aws, bus)
        self.assertEqual([], aws.messages(dead, 0.2))

    def test_a_bus_of_another_region_is_reached_and_the_event_keeps_its_region(self):
        aws = self.aws
        role = aws.role(allow("events:PutEvents"), trust={"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
        home = aws.client("events", region="eu-west-1")
        name, rule = unique("bus"), unique("rule")
        arn = home.create_event_bus(Name=name)["EventBusArn"]
        sqs = aws.client("sqs", region="eu-west-1")
        url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule_arn = home.put_rule(Name=rule, EventBusName=name, EventPattern=json.dumps({"source": ["x"]}))["RuleArn"]
        self_policy = {"Version": "2012-10-17", "Statement": [{**events_may(rule_arn), "Resource": queue}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(self_policy)})
        home.put_targets(Rule=rule, EventBusName=name, Targets=[{"Id": "1", "Arn": queue}])
        bus = self.bus(aws)
        self.rule(aws, bus, arn, RoleArn=role)
        self.put(aws, bus)
        message = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"][0]
        self.assertEqual("us-east-1", json.loads(message["Body"])["region"])


class Receipts(Case):
    def test_only_the_receipt_of_a_message_in_flight_is_one(self):
        aws = self.aws
        url, _ = aws.queue(VisibilityTimeout="30")
        sqs = aws.client("sqs")
        sqs.send_message(QueueUrl=url, MessageBody="x")
        real = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
        entry = {"VisibilityTimeout": 30}
        answer = sqs.change_message_visibility_batch(QueueUrl=url, Entries=[
            {"Id": "real", "ReceiptHandle": real, **entry}, {"Id": "forged", "ReceiptHandle": "AQEBforged", **entry}])
        self.assertEqual(["real"], [each["Id"] for each in answer["Successful"]])
        self.assertEqual([("forged", "ReceiptHandleIsInvalid", True)], [(each["Id"], each["Code"], each["SenderFault"]) for each in answer["Failed"]])
        other, _ = aws.queue()
        self.assertEqual(["real"], [each["Id"] for each in sqs.change_message_visibility_batch(
            QueueUrl=other, Entries=[{"Id": "real", "ReceiptHandle": real, **entry}])["Failed"]])
        sqs.delete_message(QueueUrl=url, ReceiptHandle=real)
        self.assertEqual(["gone"], [each["Id"] for each in sqs.change_message_visibility_batch(
            QueueUrl=url, Entries=[{"Id": "gone", "ReceiptHandle": real, **entry}])["Failed"]])

    def test_the_batch_needs_the_permission_of_the_single_call_and_obeys_the_queue(self):
        aws = self.aws
        url, arn = aws.queue()
        entries = [{"Id": "1", "ReceiptHandle": "AQEBforged", "VisibilityTimeout": 30}]
        allowed = aws.client("sqs", aws.user(allow("sqs:ChangeMessageVisibility", arn)))
        self.assertEqual(1, len(allowed.change_message_visibility_batch(QueueUrl=url, Entries=entries)["Failed"]))
        Targets.policy(self, aws, url, arn, {"Effect": "Deny", "Principal": "*", "Action": ["sqs:ChangeMessageVisibility", "sqs:ReceiveMessage"]})
        self.refused("AccessDenied", allowed.change_message_visibility_batch, QueueUrl=url, Entries=entries)
        self.refused("AccessDenied", aws.client("sqs", aws.admin).receive_message, QueueUrl=url)


class DeadLetters(Case):
    def failed(self, aws) -> tuple[str, str, str, str]:
        """A queue, its dead-letter queue, and a message that went from one to the other. Addresses and ARNs."""
        dead, dead_arn = aws.queue()
        url, arn = aws.queue(VisibilityTimeout="0", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1}))
        sqs = aws.client("sqs")
        sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes={"a": {"DataType": "String", "StringValue": "b"}})
        self.assertEqual((1, 0), (len(sqs.receive_message(QueueUrl=url)["Messages"]), len(aws.messages(url))))
        return url, arn, dead, dead_arn

    def test_they_go_back_to_the_queue_that_they_came_from_as_new_messages(self):
        aws = self.aws
        url, _, dead, dead_arn = self.failed(aws)
        aws.client("sqs").start_message_move_task(SourceArn=dead_arn)
        self.assertEqual([], aws.messages(dead))
        message = aws.client("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], AttributeNames=["All"])["Messages"][0]
        self.assertEqual(("x", "b", "1"), (message["Body"], message["MessageAttributes"]["a"]["StringValue"], message["Attributes"]["ApproximateReceiveCount"]))

    def test_the_caller_needs_the_task_and_whatever_the_policies_of_both_queues_ask(self):
        aws = self.aws
        url, arn, dead, dead_arn = self.failed(aws)
        reading = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
        for allowed in (allow("sqs:StartMessageMoveTask", dead_arn), allow(reading, dead_arn), allow(["sqs:StartMessageMoveTask", *reading], arn)):
            self.refused("AccessDenied", aws.client("sqs", aws.user(allowed)).start_message_move_task, SourceArn=dead_arn)
        mover = aws.client("sqs", aws.user(allow(["sqs:StartMessageMoveTask", *reading], dead_arn), allow("sqs:SendMessage", arn)))
        refusals = ((url, arn, "sqs:SendMessage"), (dead, dead_arn, "sqs:ReceiveMessage"))
        for queue, queue_arn, action in refusals:
            Targets.policy(self, aws, queue, queue_arn, {"Effect": "Deny", "Principal": "*", "Action": action})
            self.refused("AccessDenied", mover.start_message_move_task, SourceArn=dead_arn)
            Targets.policy(self, aws, queue, queue_arn)
        mover.start_message_move_task(SourceArn=dead_arn)
        self.assertEqual(1, len(aws.messages(url, 1)))

    def test_what_no_queue_gave_up_needs_a_destination(self):
        aws = self.aws
        (url, arn), (dead, dead_arn) = aws.queue(), aws.queue()
        aws.client("sqs").send_message(QueueUrl=dead, MessageBody="x")
        self.refused("InvalidParameterValue", aws.client("sqs").start_message_move_task, SourceArn=dead_arn)
        aws.client("sqs").start_message_move_task(SourceArn=dead_arn, DestinationArn=arn)
        self.assertEqual(1, len(aws.messages(url, 1)))

    def test_the_emulator_alone_moves_nothing(self):
        aws = plain()
        self.refused("InvalidAction", aws.client("sqs").start_message_move_task, SourceArn=aws.queue()[1])


class Sns(Case):
    def topic(self, aws) -> str:
        return aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]

    def test_subjects_are_short_ascii(self):
        api, topic = self.aws.client("sns"), self.topic(self.aws)
        api.publish(TopicArn=topic, Message="x", Subject="a" * 100)
        for subject in ("a" * 101, "naïve", "two\nlines"):
            self.refused("InvalidParameter", api.publish, TopicArn=topic, Message="x", Subject=subject)

    def test_the_emulator_alone_takes_any_subject(self):
        plain().client("sns").publish(TopicArn=self.topic(plain()), Message="x", Subject="ü" * 200)

    def test_json_messages_have_a_default(self):
        api, topic = self.aws.client("sns"), self.topic(self.aws)
        api.publish(TopicArn=topic, Message=json.dumps({"default": "x", "email": "y"}), MessageStructure="json")
        for message in (json.dumps({"email": "y"}), "no json", json.dumps({"default": {"an": "object"}})):
            self.refused("InvalidParameter", api.publish, TopicArn=topic, Message=message, MessageStructure="json")

    def test_the_emulator_alone_wants_no_default(self):
        plain().client("sns").publish(TopicArn=self.topic(plain()), Message="{}", MessageStructure="json")


class Way(Case):
    def test_from_an_event_to_a_queue_behind_a_function_and_a_topic(self):
        """The way of the guard: event, queue, function, topic, queue. Warm it takes tens of milliseconds."""
        from .account import CALLER
        aws = self.aws
        topic = aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        end, end_arn = aws.queue()
        Targets.policy(self, aws, end, end_arn, {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                                                "Condition": {"ArnEquals": {"aws:SourceArn": topic}}})
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=end_arn, Attributes={"RawMessageDelivery": "true"})
        role = aws.role(allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]), allow("sns:Publish", topic))
        code = CALLER + r"""
const publish = async (text) => {
  const url = new URL(process.env.AWS_ENDPOINT_URL), body = new URLSearchParams({ Action: 'Publish', Version: '2010-03-31', TopicArn: process.env.TOPIC, Message: text }).toString();
  const now = new Date().toISOString().replace(/[-:]|\.\d{3}/g, ''), day = now.slice(0, 8), scope = `${day}/${process.env.AWS_REGION}/sns/aws4_request`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded', host: url.host, 'x-amz-date': now, 'x-amz-security-token': process.env.AWS_SESSION_TOKEN };
  const names = Object.keys(headers).sort();
  const canonical = ['POST', '/', '', ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), hash(body)].join('\n');
  const key = mac(mac(mac(mac('AWS4' + process.env.AWS_SECRET_ACCESS_KEY, day), process.env.AWS_REGION), 'sns'), 'aws4_request');
  const signature = createHmac('sha256', key).update(['AWS4-HMAC-SHA256', now, scope, hash(canonical)].join('\n')).digest('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${process.env.AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  const answer = await fetch(url, { method: 'POST', body, headers: { ...headers, authorization } });
  if (answer.status !== 200) throw new Error(await answer.text());
};
exports.handler = async (event) => { for (const record of event.Records) await publish(JSON.parse(record.body).detail.eventName); };
"""
        name = aws.function(code, role=role, Environment={"Variables": {"TOPIC": topic}})
        start, start_arn = aws.queue()
        rule_name = unique("rule")
        rule = aws.client("events").put_rule(Name=rule_name, EventPattern=json.dumps({"source": ["aws.lambda"], "detail": {"eventName": [{"prefix": "TagResource"}]}}))["RuleArn"]
        Targets.policy(self, aws, start, start_arn, events_may(rule))
        aws.client("events").put_targets(Rule=rule_name, Targets=[{"Id": "1", "Arn": start_arn}])
        aws.client("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=start_arn, BatchSize=1)
        times = []
        for index in range(6):
            started = time.time()
            aws.client("lambda").tag_resource(Resource=f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}", Tags={"n": str(index)})
            message = aws.client("sqs").receive_message(QueueUrl=end, WaitTimeSeconds=5)["Messages"][0]
            times.append(time.time() - started)
            self.assertEqual("TagResource20170331v2", message["Body"])
            aws.client("sqs").delete_message(QueueUrl=end, ReceiptHandle=message["ReceiptHandle"])
        aws.client("events").remove_targets(Rule=rule_name, Ids=["1"])
        self.assertLess(min(times), 0.15, times)


class Schedules(Case):
    def test_a_schedule_reaches_its_queue_with_its_role(self):
        aws = self.aws
        (url, arn), name = aws.queue(), unique("schedule")
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        role = aws.role(trust=trust)
        aws.client("scheduler").create_schedule(Name=name, ScheduleExpression="rate(1 hour)", FlexibleTimeWindow={"Mode": "OFF"},
                                                Target={"Arn": arn, "RoleArn": role, "Input": "{\"a\": 1}"})
        self.assertEqual(1, len(aws.bench("/_bench/fire", "POST", {"name": name})["fired"]))
        self.assertEqual([], aws.messages(url))
        aws.client("iam").put_role_policy(RoleName=role.split("/")[-1], PolicyName="p", PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [allow("sqs:SendMessage", arn)]}))
        aws.bench("/_bench/fire", "POST", {"name": name})
        self.assertEqual(["{\"a\": 1}"], [message["Body"] for message in aws.messages(url, 1)])
