"""What Secrets Manager does that the emulator by itself does not."""
import json

from .account import Case, allow, deny, eventually, plain, unique

TOKEN = "53a714be-cfac-3afa-7efc-b2c23bbbb046"


class Versions(Case):
    def test_the_token_of_a_request_is_the_id_of_the_version(self):
        api, name = self.aws.client("secretsmanager"), unique("secret")
        made = api.create_secret(Name=name, SecretString="one", ClientRequestToken=TOKEN)
        self.assertEqual(TOKEN, made["VersionId"])
        api.put_secret_value(SecretId=name, SecretString="two")
        self.assertEqual("one", api.get_secret_value(SecretId=name, VersionId=TOKEN)["SecretString"])

    def test_the_same_request_again_changes_nothing_and_another_is_refused(self):
        api, name = self.aws.client("secretsmanager"), unique("secret")
        made = api.create_secret(Name=name, SecretString="one", ClientRequestToken=TOKEN)
        again = api.create_secret(Name=name, SecretString="one", ClientRequestToken=TOKEN)
        self.assertEqual((made["ARN"], made["VersionId"]), (again["ARN"], again["VersionId"]))
        self.refused("ResourceExistsException", api.create_secret, Name=name, SecretString="two", ClientRequestToken=TOKEN)
        self.refused("ResourceExistsException", api.create_secret, Name=name, SecretString="one")

    def test_the_emulator_alone_names_versions_itself(self):
        made = plain().client("secretsmanager").create_secret(Name=unique("secret"), SecretString="one", ClientRequestToken=TOKEN)
        self.assertNotEqual(TOKEN, made["VersionId"])


FAILING = "exports.handler = async () => { throw new Error('no') }"
WORKING = "exports.handler = async () => ({})"


class Rotation(Case):
    def rotator(self, code: str, permit: bool = True) -> str:
        name = self.aws.function(code)
        if permit:
            self.aws.client("lambda").add_permission(
                FunctionName=name, StatementId="rotation", Action="lambda:InvokeFunction", Principal="secretsmanager.amazonaws.com")
        return self.aws.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]

    def secret(self) -> str:
        return self.aws.client("secretsmanager").create_secret(Name=unique("secret"), SecretString="one")["ARN"]

    def told(self, arn: str, name: str) -> dict:
        def find():
            records = self.aws.bench("/_bench/records?since=0")["records"]
            return next((each for each in records if each["eventName"] == name and (each.get("additionalEventData") or {}).get("SecretId") == arn), None)
        return eventually(find, 10)

    def test_a_secret_that_was_never_rotated_says_nothing_of_rotation(self):
        api, arn = self.aws.client("secretsmanager"), self.secret()
        self.assertNotIn("RotationEnabled", api.describe_secret(SecretId=arn))
        self.refused("InvalidRequestException", api.rotate_secret, SecretId=arn)

    def test_a_rotation_that_fails_is_told_by_the_service_and_stays_pending(self):
        api, arn, function = self.aws.client("secretsmanager"), self.secret(), self.rotator(FAILING)
        url, queue = self.aws.queue({"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"})
        events, rule = self.aws.client("events"), unique("rule")
        pattern = {"source": ["aws.secretsmanager"], "detail-type": ["AWS Service Event via CloudTrail"], "detail": {"eventName": ["RotationFailed"]}}
        events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": queue}])
        api.rotate_secret(SecretId=arn, RotationLambdaARN=function, RotationRules={"AutomaticallyAfterDays": 7})
        [message] = self.aws.messages(url, 10)
        detail = json.loads(message["Body"])["detail"]
        self.assertEqual((None, {"SecretId": arn}, {"accountId": self.aws.id, "invokedBy": "secretsmanager.amazonaws.com"}),
                         (detail["requestParameters"], detail["additionalEventData"], detail["userIdentity"]))
        self.assertIn("during createSecret step", detail["errorMessage"])
        described = api.describe_secret(SecretId=arn)
        self.assertTrue(described["RotationEnabled"])
        self.assertNotIn("LastRotatedDate", described)
        self.assertIn("NextRotationDate", described)
        self.assertIn(["AWSPENDING"], described["VersionIdsToStages"].values())
        self.assertEqual("one", api.get_secret_value(SecretId=arn)["SecretString"])
        self.refused("InvalidRequestException", api.rotate_secret, SecretId=arn)

    def test_a_function_that_makes_no_new_version_has_not_rotated(self):
        api, arn = self.aws.client("secretsmanager"), self.secret()
        api.rotate_secret(SecretId=arn, RotationLambdaARN=self.rotator(WORKING))
        self.assertIn("was not created by Lambda", self.told(arn, "RotationFailed")["errorMessage"])

    def test_without_rotating_at_once_the_function_is_tested_and_the_secret_stays(self):
        api = self.aws.client("secretsmanager")
        for code, outcome in ((WORKING, "TestRotationSucceeded"), (FAILING, "TestRotationFailed")):
            arn = self.secret()
            api.rotate_secret(SecretId=arn, RotationLambdaARN=self.rotator(code), RotateImmediately=False)
            self.told(arn, "TestRotationStarted")
            self.told(arn, outcome)
            self.assertEqual([["AWSCURRENT"]], list(api.describe_secret(SecretId=arn)["VersionIdsToStages"].values()))

    def test_turned_off_it_still_tells_its_function_and_schedule_but_no_dates(self):
        api, arn, function = self.aws.client("secretsmanager"), self.secret(), self.rotator(WORKING)
        api.rotate_secret(SecretId=arn, RotationLambdaARN=function, RotationRules={"ScheduleExpression": "rate(4 hours)"}, RotateImmediately=False)
        [record] = self.aws.records(lambda: api.cancel_rotate_secret(SecretId=arn), "CancelRotateSecret")
        self.assertEqual((arn, arn), (record["requestParameters"]["secretId"], record["responseElements"]["arn"]))
        described = api.describe_secret(SecretId=arn)
        self.assertEqual((False, function, {"ScheduleExpression": "rate(4 hours)"}),
                         (described["RotationEnabled"], described["RotationLambdaARN"], described["RotationRules"]))
        self.assertNotIn("NextRotationDate", described)
        self.refused("ResourceNotFoundException", api.cancel_rotate_secret, SecretId=unique("nothing"))

    def test_the_function_has_to_let_secrets_manager_in(self):
        self.refused("AccessDeniedException", self.aws.client("secretsmanager").rotate_secret,
                     SecretId=self.secret(), RotationLambdaARN=self.rotator(WORKING, permit=False))

    def test_the_caller_may_have_to_invoke_the_function_and_may_be_held_to_some(self):
        arn, function = self.secret(), self.rotator(WORKING)
        invoke = allow("lambda:InvokeFunction", function)
        to = lambda pattern: allow("secretsmanager:RotateSecret", arn, condition={"ArnLike": {"secretsmanager:RotationLambdaARN": pattern}})
        rotate = lambda *statements: self.aws.client("secretsmanager", self.aws.user(*statements)).rotate_secret
        given = {"SecretId": arn, "RotationLambdaARN": function, "RotateImmediately": False}
        self.refused("AccessDeniedException", rotate(to("*")), **given)
        self.refused("AccessDeniedException", rotate(to("*:other-*"), invoke), **given)
        self.refused("AccessDeniedException", rotate(to("*"), invoke, deny("lambda:InvokeFunction", function)), **given)
        rotate(to("arn:aws:lambda:*:*:function:fn-*"), invoke)(**given)

    def test_the_emulator_alone_rotates_by_itself(self):
        api = plain().client("secretsmanager")
        arn = api.create_secret(Name=unique("secret"), SecretString="one")["ARN"]
        self.assertFalse(api.describe_secret(SecretId=arn)["RotationEnabled"])
        api.rotate_secret(SecretId=arn)
        self.refused("InvalidRequestException", api.cancel_rotate_secret, SecretId=arn)
