"""The bench's own endpoints."""
import base64
import json
import re
import time
import urllib.error

from .account import TRUST, Case, allow, eventually, function_metric, package, unique


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


class Functions(Case):
    POLICY = "arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole"

    def asked(self, name: str, **more) -> dict:
        code = base64.b64encode(package("exports.handler = async () => 'ok'")).decode()
        return {"FunctionName": name, "Runtime": "nodejs24.x", "Handler": "index.handler", "Code": {"ZipFile": code}, **more}

    def told(self, name: str, group: str) -> str:
        """All that the account tells of a function, without what no two functions have in common."""
        aws = self.aws
        awslambda, iam, ec2 = aws.client("lambda", aws.admin), aws.client("iam", aws.admin), aws.client("ec2", aws.admin)
        listed = [function for page in awslambda.get_paginator("list_functions").paginate() for function in page["Functions"] if function["FunctionName"] == name]
        roles = [role for page in iam.get_paginator("list_roles").paginate() for role in page["Roles"] if role["RoleName"] == name]
        answers = [
            listed, roles, awslambda.get_function(FunctionName=name), awslambda.list_versions_by_function(FunctionName=name), iam.get_role(RoleName=name),
            iam.list_attached_role_policies(RoleName=name), iam.list_role_policies(RoleName=name), awslambda.invoke(FunctionName=name)["Payload"].read(),
            ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [group]}])["NetworkInterfaces"]]
        for answer in answers:
            if isinstance(answer, dict):
                del answer["ResponseMetadata"]
        text = json.dumps(answers, indent=1, sort_keys=True, default=str)
        own = r"AROA\w+|eni-[\w-]+|ENI-[\w-]+|sg-\w+|group-\w+|10\.0\.0\.\d+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\d[T ][\d:.+]+Z?|X-Amz-[^\"]*"
        return re.sub(own, "…", text).replace(name, "the function")

    def test_functions_made_at_once_are_those_that_calls_make(self):
        aws = self.aws
        awslambda, iam, ec2 = aws.client("lambda", aws.admin), aws.client("iam", aws.admin), aws.client("ec2", aws.admin)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        groups = [ec2.create_security_group(GroupName=unique("group"), Description="of the test", VpcId=vpc)["GroupId"] for _ in range(2)]
        places = [{"VpcConfig": {"SubnetIds": [subnet], "SecurityGroupIds": [group]}} for group in groups]
        called, at_once, other = unique("fn"), unique("fn"), unique("fn")
        role = iam.create_role(RoleName=called, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        iam.attach_role_policy(RoleName=called, PolicyArn=self.POLICY)
        by_call = self.asked(called, Role=role, **places[0])
        by_call["Code"] = {"ZipFile": base64.b64decode(by_call["Code"]["ZipFile"])}
        awslambda.create_function(**by_call)
        before = aws.bench("/_bench/records?since=999999999")["next"]
        made = aws.bench("/_bench/functions", "POST", {
            "functions": [self.asked(at_once, **places[1]), self.asked(other)], "trust": json.dumps(TRUST), "policy": self.POLICY})["functions"]
        self.assertEqual([], aws.bench(f"/_bench/records?since={before}")["records"])
        for name in (called, at_once, other):
            aws.settled(name)
        self.assertEqual(self.told(called, groups[0]), self.told(at_once, groups[1]))
        function = awslambda.get_function_configuration(FunctionName=at_once)
        self.assertEqual([(at_once, function["FunctionArn"], function["Role"], function["LastModified"])], [
            (one["FunctionName"], one["FunctionArn"], one["Role"], one["LastModified"]) for one in made[:1]])
        self.assertNotIn("VpcConfig", awslambda.get_function_configuration(FunctionName=other))

    def test_what_a_call_would_refuse_is_refused(self):
        aws, name = self.aws, unique("fn")
        asked = {"functions": [self.asked(name)], "trust": json.dumps(TRUST), "policy": self.POLICY}
        aws.bench("/_bench/functions", "POST", asked)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            aws.bench("/_bench/functions", "POST", asked)
        with caught.exception as error:
            self.assertEqual(400, error.code)
            self.assertIn("EntityAlreadyExists", error.read().decode())


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
