"""What Lambda does that the emulator by itself does not."""
import base64
import concurrent.futures
import hashlib
import json
import threading
import time
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .account import Case, allow, eventually, package, plain, unique


class Updates(Case):
    def test_a_function_cannot_be_changed_while_it_is_pending_or_changing(self):
        aws, name = self.aws, self.aws.function(wait=False)
        api = aws.client("lambda")
        self.assertIn("state: Pending", self.refused("ResourceConflictException", api.update_function_configuration, FunctionName=name, Timeout=9))
        aws.settled(name)
        api.update_function_configuration(FunctionName=name, Timeout=9)
        config = api.get_function_configuration(FunctionName=name)
        self.assertEqual(("Active", "InProgress"), (config["State"], config["LastUpdateStatus"]))
        self.assertIn("An update is in progress", self.refused("ResourceConflictException", api.update_function_code, FunctionName=name, ZipFile=package("2")))
        self.refused("ResourceConflictException", api.publish_version, FunctionName=name)
        aws.settled(name)
        api.update_function_code(FunctionName=name, ZipFile=package("2"))

    def test_the_emulator_alone_knows_no_conflict(self):
        name = plain().function(wait=False)
        plain().client("lambda").update_function_configuration(FunctionName=name, Timeout=9)

    def test_an_invocation_under_way_ends_in_its_own_environment(self):
        self.assertEqual("before", self._changed_meanwhile(self.aws).get("body"))

    def test_the_emulator_alone_ends_it(self):
        self.assertIn("errorMessage", self._changed_meanwhile(plain()))

    def _changed_meanwhile(self, aws) -> dict:
        """What an invocation of a second answers whose function gets another variable meanwhile."""
        code = "exports.handler = () => new Promise((done) => setTimeout(() => done({body: process.env.SEEN}), 1000))"
        name = aws.function(code, Environment={"Variables": {"SEEN": "before"}})
        with concurrent.futures.ThreadPoolExecutor() as pool:
            answer = pool.submit(lambda: json.loads(aws.client("lambda").invoke(FunctionName=name)["Payload"].read()))
            time.sleep(0.5)
            aws.client("lambda").update_function_configuration(FunctionName=name, Environment={"Variables": {"SEEN": "after"}})
            return answer.result()

    def test_a_dry_run_of_new_code_changes_nothing(self):
        aws, name = self.aws, self.aws.function()
        api = aws.client("lambda")
        before = api.get_function_configuration(FunctionName=name)
        answer = api.update_function_code(FunctionName=name, ZipFile=package("2"), DryRun=True)
        self.assertNotEqual(before["CodeSha256"], answer["CodeSha256"])
        after = api.get_function_configuration(FunctionName=name)
        self.assertEqual((before["CodeSha256"], before["RevisionId"]), (after["CodeSha256"], after["RevisionId"]))

    def test_the_emulator_alone_changes_the_code_in_a_dry_run(self):
        aws, name = plain(), plain().function()
        before = aws.client("lambda").get_function_configuration(FunctionName=name)["CodeSha256"]
        aws.client("lambda").update_function_code(FunctionName=name, ZipFile=package("2"), DryRun=True)
        self.assertNotEqual(before, aws.client("lambda").get_function_configuration(FunctionName=name)["CodeSha256"])

    def test_a_role_that_does_not_trust_lambda_is_refused(self):
        aws, name = self.aws, self.aws.function()
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
        for role in (aws.role(trust=trust), f"arn:aws:iam::{aws.id}:role/nobody"):
            message = self.refused("InvalidParameterValueException", aws.client("lambda").update_function_configuration, FunctionName=name, Role=role)
            self.assertEqual("The role defined for the function cannot be assumed by Lambda.", message)

    def test_a_role_without_network_rights_keeps_a_function_out_of_a_vpc(self):
        aws = self.aws
        subnet = aws.client("ec2").describe_subnets()["Subnets"][0]
        group = aws.client("ec2").create_security_group(GroupName=unique("g"), Description="d", VpcId=subnet["VpcId"])["GroupId"]
        name, vpc = aws.function(), {"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": [group]}
        message = self.refused("InvalidParameterValueException", aws.client("lambda").update_function_configuration, FunctionName=name, VpcConfig=vpc)
        self.assertIn("CreateNetworkInterface", message)

    def test_environment_variables_take_four_kilobytes_and_no_reserved_names(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        for variables in ({"A": "x" * 4100}, {"AWS_REGION": "x"}):
            self.refused("InvalidParameterValueException", api.update_function_configuration, FunctionName=name, Environment={"Variables": variables})


    def test_whoever_takes_a_key_from_variables_reads_them_with_it(self):
        aws = self.aws
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        name = aws.function(Environment={"Variables": {"A": "1"}})
        change = allow("lambda:UpdateFunctionConfiguration")
        through = {"condition": {"StringEquals": {"kms:ViaService": "lambda.us-east-1.amazonaws.com"}}}
        giver = aws.client("lambda", aws.user(change, allow(["kms:CreateGrant", "kms:Encrypt"], key, **through)))
        giver.update_function_configuration(FunctionName=name, KMSKeyArn=key)
        aws.settled(name)
        self.assertIn("kms:Decrypt", self.refused("AccessDeniedException", giver.update_function_configuration, FunctionName=name, KMSKeyArn=""))
        taker = aws.client("lambda", aws.user(change, allow("kms:Decrypt", key, **through)))
        taker.update_function_configuration(FunctionName=name, KMSKeyArn="")
        aws.settled(name)
        self.assertNotIn("KMSKeyArn", aws.client("lambda").get_function_configuration(FunctionName=name))


class CodeSigning(Case):
    PROFILE = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:111122223333:/signing-profiles/release/a1b2c3d4e5"]}

    def _config(self, policy: str) -> str:
        return self.aws.client("lambda").create_code_signing_config(
            AllowedPublishers=self.PROFILE, CodeSigningPolicies={"UntrustedArtifactOnDeployment": policy})["CodeSigningConfig"]["CodeSigningConfigArn"]

    def test_configurations_of_code_signing_exist_and_are_in_use(self):
        api, arn = self.aws.client("lambda"), self._config("Warn")
        name = self.aws.function(CodeSigningConfigArn=arn)
        self.assertEqual(arn, api.get_function_code_signing_config(FunctionName=name)["CodeSigningConfigArn"])
        self.assertEqual(1, len(api.list_functions_by_code_signing_config(CodeSigningConfigArn=arn)["FunctionArns"]))
        self.refused("ResourceConflictException", api.delete_code_signing_config, CodeSigningConfigArn=arn)
        changed = api.update_code_signing_config(CodeSigningConfigArn=arn, CodeSigningPolicies={"UntrustedArtifactOnDeployment": "Enforce"})
        self.assertEqual("Enforce", changed["CodeSigningConfig"]["CodeSigningPolicies"]["UntrustedArtifactOnDeployment"])
        api.delete_function_code_signing_config(FunctionName=name)
        self.assertFalse(api.get_function_code_signing_config(FunctionName=name).get("CodeSigningConfigArn"))
        api.delete_code_signing_config(CodeSigningConfigArn=arn)
        self.refused("ResourceNotFoundException", api.get_code_signing_config, CodeSigningConfigArn=arn)
        self.refused("CodeSigningConfigNotFoundException", api.put_function_code_signing_config, FunctionName=name, CodeSigningConfigArn=arn)

    def test_unsigned_code_is_refused_where_a_configuration_enforces(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        api.put_function_code_signing_config(FunctionName=name, CodeSigningConfigArn=self._config("Enforce"))
        self.refused("CodeVerificationFailedException", api.update_function_code, FunctionName=name, ZipFile=package("2"))

    def test_whoever_attaches_a_configuration_needs_both_and_the_condition(self):
        aws, arn, name = self.aws, self._config("Warn"), self.aws.function()
        function = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"
        put = dict(FunctionName=name, CodeSigningConfigArn=arn)
        alone = aws.client("lambda", aws.user(allow("lambda:PutFunctionCodeSigningConfig", function)))
        self.refused("AccessDeniedException", alone.put_function_code_signing_config, **put)
        only = {"condition": {"StringEquals": {"lambda:CodeSigningConfigArn": arn}}}
        both = aws.client("lambda", aws.user(allow("lambda:PutFunctionCodeSigningConfig", [function, arn.rsplit(":", 1)[0] + ":*"], **only)))
        both.put_function_code_signing_config(**put)
        self.refused("AccessDeniedException", both.put_function_code_signing_config, FunctionName=name, CodeSigningConfigArn=self._config("Warn"))

    def test_the_emulator_alone_has_no_configurations_of_code_signing(self):
        answer = plain().client("lambda").create_code_signing_config(AllowedPublishers=self.PROFILE)
        self.assertNotIn("CodeSigningConfig", {key for key, value in answer.items() if value})


class Shapes(Case):
    def test_empty_members_are_left_out(self):
        config = self.aws.client("lambda").get_function_configuration(FunctionName=self.aws.function())
        for member in ("KMSKeyArn", "Layers", "VpcConfig", "Environment", "StateReason"):
            self.assertNotIn(member, config)

    def test_the_emulator_alone_shows_empty_members(self):
        config = plain().client("lambda").get_function_configuration(FunctionName=plain().function())
        self.assertEqual(("", []), (config["KMSKeyArn"], config["Layers"]))

    def test_the_list_of_all_versions(self):
        aws, name = self.aws, self.aws.function()
        api = aws.client("lambda")
        api.publish_version(FunctionName=name)
        found, marker = [], {}
        while True:
            page = api.list_functions(FunctionVersion="ALL", **marker)
            found += page["Functions"]
            if not page.get("NextMarker"):
                break
            marker = {"Marker": page["NextMarker"]}
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"
        self.assertEqual([(f"{arn}:$LATEST", "$LATEST"), (f"{arn}:1", "1")],
                         [(function["FunctionArn"], function["Version"]) for function in found if function["FunctionName"] == name])

    def test_a_version_that_was_published_with_its_code_has_its_number(self):
        aws, name = self.aws, self.aws.function()
        answer = aws.client("lambda").update_function_code(FunctionName=name, ZipFile=package("2"), Publish=True)
        self.assertEqual(("1", f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}:1"), (answer["Version"], answer["FunctionArn"]))

    def test_each_version_has_its_package(self):
        aws, name = self.aws, self.aws.function("one")
        api = aws.client("lambda")
        api.publish_version(FunctionName=name)
        api.update_function_code(FunctionName=name, ZipFile=package("two"))
        for qualifier, code in (("1", "the old code"), ("$LATEST", "the new code")):
            location = api.get_function(FunctionName=name, Qualifier=qualifier)["Code"]["Location"]
            with urllib.request.urlopen(location) as answer:
                found = base64.b64encode(hashlib.sha256(answer.read()).digest()).decode()
            self.assertEqual(api.get_function_configuration(FunctionName=name, Qualifier=qualifier)["CodeSha256"], found, code)

    def test_variables_are_unreadable_without_the_key(self):
        aws = self.aws
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        name = aws.function(KMSKeyArn=key, Environment={"Variables": {"A": "b"}})
        config = aws.client("lambda", aws.user(allow("lambda:*"))).get_function_configuration(FunctionName=name)
        self.assertEqual("AccessDeniedException", config["Environment"]["Error"]["ErrorCode"])
        config = aws.client("lambda", aws.user(allow(["lambda:*", "kms:Decrypt"]))).get_function_configuration(FunctionName=name)
        self.assertEqual({"A": "b"}, config["Environment"]["Variables"])


class Urls(Case):
    def test_a_public_url_answers_only_with_both_statements(self):
        aws, name = self.aws, self.aws.function()
        api = aws.client("lambda")
        host = api.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"].split("/")[2]
        self.assertEqual(403, aws.http("/", host))
        api.add_permission(FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
        self.assertEqual(403, aws.http("/", host))
        api.add_permission(FunctionName=name, StatementId="invoke", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
        self.assertEqual(200, aws.http("/", host))
        api.update_function_url_config(FunctionName=name, AuthType="AWS_IAM")
        self.assertEqual(403, aws.http("/", host))

    def test_the_emulator_alone_answers_without_any_statement(self):
        aws, name = plain(), plain().function()
        host = aws.client("lambda").create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"].split("/")[2]
        self.assertEqual(200, aws.http("/", host))

    def test_a_url_for_callers_of_aws_needs_both_permissions(self):
        aws, name = self.aws, self.aws.function()
        url = aws.client("lambda").create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"

        def status(keys) -> int:
            request = AWSRequest("GET", f"{aws.endpoint}/", headers={"Host": url.split("/")[2]})
            SigV4Auth(Credentials(keys[0], keys[1]), "lambda", "us-east-1").add_auth(request)
            try:
                return urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers))).status
            except urllib.error.HTTPError as error:
                return error.code

        self.assertEqual(403, status(aws.user(allow("lambda:InvokeFunctionUrl", arn))))
        self.assertEqual(200, status(aws.user(allow("lambda:InvokeFunctionUrl", arn), allow(
            "lambda:InvokeFunction", arn, condition={"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}))))

    def test_a_signed_call_of_a_url_tells_the_function_who_called(self):
        aws = self.aws
        name = aws.function("exports.handler = async (event) => JSON.stringify(event.requestContext.authorizer.iam)")
        url = aws.client("lambda").create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
        key, secret = aws.user(allow("*"))[:2]
        request = AWSRequest("GET", f"{aws.endpoint}/", headers={"Host": url.split("/")[2]})
        SigV4Auth(Credentials(key, secret), "lambda", "us-east-1").add_auth(request)
        caller = json.loads(urllib.request.urlopen(urllib.request.Request(request.url, headers=dict(request.headers))).read())
        self.assertEqual((key, aws.id), (caller["accessKey"], caller["accountId"]))
        self.assertRegex(caller["userArn"], f"^arn:aws:iam::{aws.id}:user/")

    def test_a_url_on_an_alias(self):
        aws, name = self.aws, self.aws.function()
        api = aws.client("lambda")
        api.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
        self.assertTrue(api.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")["FunctionArn"].endswith(f":{name}:live"))
        api.delete_function(FunctionName=name)
        self.assertEqual(name, aws.function(FunctionName=name))
        self.assertEqual([], api.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"])


FAIL_ONE = "exports.handler = async (e) => ({batchItemFailures: e.Records.filter((r) => r.body === 'bad').map((r) => ({itemIdentifier: %s}))})"


class EventSources(Case):
    READ = allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"])

    def test_a_mapping_needs_the_role_to_read_the_queue(self):
        aws, (_url, arn) = self.aws, self.aws.queue()
        message = self.refused("InvalidParameterValueException", aws.client("lambda").create_event_source_mapping, FunctionName=aws.function(), EventSourceArn=arn)
        self.assertIn("ReceiveMessage on SQS", message)
        aws.client("lambda").create_event_source_mapping(FunctionName=aws.function(role=aws.role(self.READ)), EventSourceArn=arn)

    def test_the_emulator_alone_maps_without_permission(self):
        aws, (_url, arn) = plain(), plain().queue()
        aws.client("lambda").create_event_source_mapping(FunctionName=aws.function(), EventSourceArn=arn)

    def mapped(self, code: str, count: int = 1):
        aws = self.aws
        dead, dead_arn = aws.queue()
        url, arn = aws.queue(VisibilityTimeout="1", RedrivePolicy=json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 1}))
        name = aws.function(code, role=aws.role(self.READ))
        aws.client("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=arn, FunctionResponseTypes=["ReportBatchItemFailures"], BatchSize=10)
        aws.client("sqs").send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": body} for i, body in enumerate(("good", "bad"))])
        return {message["Body"] for message in aws.messages(dead, 5, count)}

    def test_only_the_failed_message_is_tried_again(self):
        self.assertEqual({"bad"}, self.mapped(FAIL_ONE % "r.messageId"))

    def test_a_failure_without_an_identifier_fails_the_batch(self):
        self.assertEqual({"good", "bad"}, self.mapped(FAIL_ONE % "''", 2))

    def test_a_destination_needs_the_role_to_send(self):
        aws, (_url, arn) = self.aws, self.aws.queue()
        message = self.refused("InvalidParameterValueException", aws.client("lambda").put_function_event_invoke_config,
                               FunctionName=aws.function(), DestinationConfig={"OnFailure": {"Destination": arn}})
        self.assertIn("SendMessage on SQS", message)

    def test_no_message_is_lost_under_load(self):
        aws = self.aws
        out, out_arn = aws.queue()
        url, arn = aws.queue(RedrivePolicy=json.dumps({"deadLetterTargetArn": out_arn, "maxReceiveCount": 5}))
        name = aws.function("exports.handler = async () => ({})", role=aws.role(self.READ))
        aws.client("lambda").create_event_source_mapping(FunctionName=name, EventSourceArn=arn)
        for start in range(0, 200, 10):
            aws.client("sqs").send_message_batch(QueueUrl=url, Entries=[{"Id": str(i), "MessageBody": str(start + i)} for i in range(10)])

        def counts():
            return aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

        eventually(lambda: (lambda a: a["ApproximateNumberOfMessages"] == a["ApproximateNumberOfMessagesNotVisible"] == "0")(counts()), 15)
        self.assertEqual([], aws.messages(out))


class Speed(Case):
    def test_a_warm_invocation_takes_no_time(self):
        aws, name = self.aws, self.aws.function()
        api = aws.client("lambda")
        api.invoke(FunctionName=name)
        times = []
        for _ in range(5):
            started = time.time()
            api.invoke(FunctionName=name)
            times.append(time.time() - started)
        self.assertLess(min(times), 0.04)


class Logs(Case):
    def lines(self, name: str) -> list[str]:
        events = self.aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        return [event["message"] for event in events if event["message"].startswith("own ")]

    def test_every_line_before_the_answer_is_in_the_log_of_a_busy_account(self):
        handler = "exports.handler = async ({ n }) => { for (let m = 0; m < n; m++) console.log(`own ${m} of ${n}`) }"
        busy, name, client = self.aws.function(handler), self.aws.function(handler), self.aws.client("lambda")
        client.invoke(FunctionName=busy, Payload=json.dumps({"n": 5_000}))
        invoked = threading.Event()

        def read():
            while not invoked.is_set():
                self.lines(busy)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            reading = [pool.submit(read) for _ in range(4)]
            logs = []
            try:
                for n in range(1, 30):
                    client.invoke(FunctionName=name, Payload=json.dumps({"n": n}))
                    logs.append(self.lines(name))
            finally:
                invoked.set()
            [reader.result() for reader in reading]
        lines = [f"own {m} of {n}" for n in range(1, 30) for m in range(n)]
        self.assertEqual([lines[:n * (n + 1) // 2] for n in range(1, 30)], logs)

    def test_what_a_process_wrote_before_it_died_is_in_the_log(self):
        name = self.aws.function("exports.handler = async () => { console.log('own last words'); process.exit(1) }")
        self.aws.client("lambda").invoke(FunctionName=name)
        self.assertEqual(["own last words"], self.lines(name))

    def test_half_a_line_before_an_error_is_in_the_log(self):
        name = self.aws.function("exports.handler = async () => { process.stdout.write('own half'); throw new Error('broken') }")
        self.aws.client("lambda").invoke(FunctionName=name)
        self.assertEqual(["own half"], self.lines(name))
