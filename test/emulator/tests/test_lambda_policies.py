"""What Lambda makes of resource policies that the emulator by itself does not."""
import json

from botocore.exceptions import ClientError

from .account import Case, allow, eventually, package, plain, unique


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Policies(Case):
    def test_a_function_without_statements_has_no_policy(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        self.refused("ResourceNotFoundException", api.get_policy, FunctionName=name)
        api.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="*")
        api.get_policy(FunctionName=name)
        api.remove_permission(FunctionName=name, StatementId="s")
        self.refused("ResourceNotFoundException", api.get_policy, FunctionName=name)

    def test_the_emulator_alone_shows_an_empty_policy(self):
        self.assertIn('"Statement": []', plain().client("lambda").get_policy(FunctionName=plain().function())["Policy"])

    def test_a_stale_revision_is_refused(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        api.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="*")
        revision = api.get_policy(FunctionName=name)["RevisionId"]
        api.add_permission(FunctionName=name, StatementId="t", Action="lambda:InvokeFunction", Principal="*", RevisionId=revision)
        self.refused("PreconditionFailedException", api.remove_permission, FunctionName=name, StatementId="s", RevisionId=revision)
        api.remove_permission(FunctionName=name, StatementId="s", RevisionId=api.get_policy(FunctionName=name)["RevisionId"])

    def test_principals_are_kept_as_lambda_keeps_them(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        for sid, principal in (("a", "123456789012"), ("b", "alexa-appkit.amazon.com"), ("c", "s3.amazonaws.com"), ("d", "*")):
            api.add_permission(FunctionName=name, StatementId=sid, Action="lambda:InvokeFunction", Principal=principal)
        statements = json.loads(api.get_policy(FunctionName=name)["Policy"])["Statement"]
        self.assertEqual([{"AWS": "arn:aws:iam::123456789012:root"}, {"Service": "alexa-appkit.amazon.com"}, {"Service": "s3.amazonaws.com"}, "*"],
                         [statement["Principal"] for statement in statements])

    def test_each_qualifier_has_a_policy_of_its_own(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        api.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
        for qualifier in ({}, {"Qualifier": "live"}):
            api.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="*", **qualifier)
        api.remove_permission(FunctionName=name, StatementId="s")
        self.refused("ResourceNotFoundException", api.get_policy, FunctionName=name)
        self.assertEqual(1, len(json.loads(api.get_policy(FunctionName=name, Qualifier="live")["Policy"])["Statement"]))

    def test_a_policy_can_be_replaced_as_a_whole(self):
        aws, name = self.aws, self.aws.function()
        api, arn = aws.client("lambda"), f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"
        document = {"Version": "2012-10-17", "Statement": [{"Sid": "s", "Effect": "Deny", "Principal": "*", "Action": "lambda:UpdateFunctionCode", "Resource": arn}]}
        revision = api.put_resource_policy(ResourceArn=arn, Policy=json.dumps(document))["RevisionId"]
        self.assertEqual(document["Statement"], json.loads(api.get_resource_policy(ResourceArn=arn)["Policy"])["Statement"])
        self.assertIn("Deny", api.get_policy(FunctionName=name)["Policy"])
        self.refused("AccessDeniedException", aws.client("lambda", aws.admin).update_function_code, FunctionName=name, ZipFile=package("2"))
        self.refused("PreconditionFailedException", api.put_resource_policy, ResourceArn=arn, Policy=json.dumps(document), RevisionId="stale")
        api.delete_resource_policy(ResourceArn=arn, RevisionId=revision)
        self.refused("ResourceNotFoundException", api.get_resource_policy, ResourceArn=arn)

    def arn(self, name: str, qualifier: str = "") -> str:
        return f"arn:aws:lambda:us-east-1:{self.aws.id}:function:{name}" + (f":{qualifier}" if qualifier else "")

    def everyone(self, arn: str, action="lambda:InvokeFunction", **more) -> dict:
        return {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": arn, **more}

    def test_a_document_is_kept_as_it_was_written(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        arn = self.arn(name)
        text = json.dumps({"Version": "2012-10-17", "Id": "mine", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": [self.aws.id]}, "Action": ["lambda:GetFunction"], "Resource": [arn, f"{arn}:*"]},
            self.everyone(arn, Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})]})
        self.assertEqual(json.loads(text), json.loads(api.put_resource_policy(ResourceArn=arn, Policy=text)["Policy"]))
        for answer in (api.get_resource_policy(ResourceArn=arn), api.get_policy(FunctionName=name)):
            self.assertEqual(json.loads(text), json.loads(answer["Policy"]))

    def test_statements_are_added_to_a_document_and_taken_out_of_it(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        arn = self.arn(name)
        nameless = self.everyone(arn, Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}})
        first = api.put_resource_policy(ResourceArn=arn, Policy=policy(nameless))["RevisionId"]
        api.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com", RevisionId=first)
        answer = api.get_resource_policy(ResourceArn=arn)
        self.assertEqual([None, "s"], [statement.get("Sid") for statement in json.loads(answer["Policy"])["Statement"]])
        self.refused("PreconditionFailedException", api.put_resource_policy, ResourceArn=arn, Policy=policy(nameless), RevisionId=first)
        api.remove_permission(FunctionName=name, StatementId="s", RevisionId=answer["RevisionId"])
        self.assertEqual([nameless], json.loads(api.get_policy(FunctionName=name)["Policy"])["Statement"])
        self.refused("PreconditionFailedException", api.delete_resource_policy, ResourceArn=arn, RevisionId=first)

    def test_a_new_document_replaces_what_was_added(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        api.add_permission(FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal="*")
        other = {**self.everyone(self.arn(name)), "Sid": "other"}
        api.put_resource_policy(ResourceArn=self.arn(name), Policy=policy(other))
        self.assertEqual([other], json.loads(api.get_policy(FunctionName=name)["Policy"])["Statement"])

    def test_a_version_and_an_alias_have_documents_of_their_own_which_go_with_them(self):
        api, name = self.aws.client("lambda"), self.aws.function(Publish=True)
        api.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        for qualifier in ("1", "live"):
            arn = self.arn(name, qualifier)
            api.put_resource_policy(ResourceArn=arn, Policy=policy(self.everyone(arn)))
            self.assertIn(arn, api.get_policy(FunctionName=name, Qualifier=qualifier)["Policy"])
        self.refused("ResourceNotFoundException", api.get_resource_policy, ResourceArn=self.arn(name))
        api.delete_alias(FunctionName=name, Name="live")
        api.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        self.refused("ResourceNotFoundException", api.get_policy, FunctionName=name, Qualifier="live")

    def test_what_lambda_does_not_take(self):
        api, name = self.aws.client("lambda"), self.aws.function()
        arn = self.arn(name)
        put = api.put_resource_policy
        self.refused("ResourceNotFoundException", put, ResourceArn=self.arn("nobody"), Policy=policy(self.everyone(arn)))
        self.refused("ResourceNotFoundException", put, ResourceArn=self.arn(name, "nowhere"), Policy=policy(self.everyone(arn)))
        self.refused("ResourceNotFoundException", api.delete_resource_policy, ResourceArn=arn)
        for text in ("{", "{}", policy(), policy({"Effect": "Allow"}), policy({**self.everyone(arn), "Effect": "Perhaps"})):
            self.refused("InvalidParameterValueException", put, ResourceArn=arn, Policy=text)
        for principal in ("AIDA1234567890EXAMPLE", "AROA1234567890EXAMPLE", f"arn:aws:iam::{self.aws.id}:role/nobody"):
            message = self.refused("InvalidParameterValueException", put, ResourceArn=arn, Policy=policy(self.everyone(arn, Principal={"AWS": principal})))
            self.assertIn("principal was invalid", message)
        long = policy(*(self.everyone(arn, Sid=f"s{number}") for number in range(200)))
        self.refused("PolicyLengthExceededException", put, ResourceArn=arn, Policy=long)
        self.refused("InvalidParameterValueException", api.add_permission, FunctionName=name, Qualifier="$LATEST", StatementId="s",
                     Action="lambda:InvokeFunction", Principal="*")

    def test_each_operation_needs_the_older_actions_as_well_on_the_very_qualifier(self):
        aws, name = self.aws, self.aws.function(Publish=True)
        arn = self.arn(name, "1")
        text = policy(self.everyone(arn, Principal={"AWS": aws.id}, Action="lambda:ListTags"))
        calls = [("put_resource_policy", {"Policy": text}, ["PutResourcePolicy", "AddPermission", "RemovePermission"]),
                 ("get_resource_policy", {}, ["GetResourcePolicy", "GetPolicy"]),
                 ("delete_resource_policy", {}, ["DeleteResourcePolicy", "RemovePermission"])]
        for call, params, actions in calls:
            for missing in actions:
                rest = [f"lambda:{action}" for action in actions if action != missing]
                self.refused("AccessDeniedException", getattr(aws.client("lambda", aws.user(allow(rest, arn))), call), ResourceArn=arn, **params)
            whole = [f"lambda:{action}" for action in actions]
            self.refused("AccessDeniedException", getattr(aws.client("lambda", aws.user(allow(whole, self.arn(name)))), call), ResourceArn=arn, **params)
            getattr(aws.client("lambda", aws.user(allow(whole, arn))), call)(ResourceArn=arn, **params)

    def test_writes_leave_records_and_reads_leave_none(self):
        aws, name = self.aws, self.aws.function()
        api, arn = aws.client("lambda"), self.arn(name)
        text = policy(self.everyone(arn))

        def work():
            revision = api.put_resource_policy(ResourceArn=arn, Policy=text)["RevisionId"]
            api.get_resource_policy(ResourceArn=arn)
            api.delete_resource_policy(ResourceArn=arn, RevisionId=revision)
            api.delete_resource_policy(ResourceArn=arn)

        put, deleted, failed = aws.records(work)
        self.assertEqual(["PutResourcePolicy", "DeleteResourcePolicy", "DeleteResourcePolicy"], [record["eventName"] for record in (put, deleted, failed)])
        self.assertEqual({"resourceArn": arn, "policy": text}, put["requestParameters"])
        self.assertEqual(json.loads(text), json.loads(put["responseElements"]["policy"]))
        self.assertEqual(put["responseElements"]["revisionId"], deleted["requestParameters"]["revisionId"])
        self.assertEqual(("lambda.amazonaws.com", "ResourceNotFoundException"), (put["eventSource"], failed["errorCode"]))

    def test_a_call_is_decided_by_the_policy_of_its_qualifier(self):
        aws, name = self.aws, self.aws.function(Publish=True)
        api, stranger = aws.client("lambda"), aws.client("lambda", aws.user())
        invoke = stranger.invoke
        api.put_resource_policy(ResourceArn=self.arn(name, "1"), Policy=policy(self.everyone(self.arn(name, "1"))))
        invoke(FunctionName=name, Qualifier="1")
        self.refused("AccessDeniedException", invoke, FunctionName=name)
        both = [self.arn(name), self.arn(name, "*")]
        api.put_resource_policy(ResourceArn=self.arn(name), Policy=policy({**self.everyone(""), "Effect": "Deny", "Resource": both}))
        self.refused("AccessDeniedException", invoke, FunctionName=name, Qualifier="1")

    def test_a_stack_may_hold_the_whole_policy(self):
        aws, name, stack = self.aws, self.aws.function(Publish=True), unique("stack")
        api, cloudformation = aws.client("lambda"), aws.client("cloudformation")

        def template(arn: str, sid: str) -> str:
            document = json.loads(policy(self.everyone(arn, Sid=sid)))
            return json.dumps({"Resources": {"Policy": {"Type": "AWS::Lambda::ResourcePolicy", "Properties": {
                "ResourceArn": arn, "PolicyDocument": document}}}, "Outputs": {"Of": {"Value": {"Ref": "Policy"}}}})

        def status(wanted: str):
            eventually(lambda: cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"] == wanted)

        def made():
            cloudformation.create_stack(StackName=stack, TemplateBody=template(self.arn(name), "one"))
            status("CREATE_COMPLETE")

        self.assertEqual(["cloudformation.amazonaws.com"],
                         [record["userIdentity"]["invokedBy"] for record in aws.records(made, "PutResourcePolicy")])
        self.assertEqual(self.arn(name), cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"][0]["OutputValue"])
        api.add_permission(FunctionName=name, StatementId="by-hand", Action="lambda:InvokeFunction", Principal="*")
        cloudformation.update_stack(StackName=stack, TemplateBody=template(self.arn(name), "two"))
        status("UPDATE_COMPLETE")
        self.assertEqual(["two"], [statement["Sid"] for statement in json.loads(api.get_policy(FunctionName=name)["Policy"])["Statement"]])
        cloudformation.update_stack(StackName=stack, TemplateBody=template(self.arn(name, "1"), "three"))
        eventually(lambda: "three" in api.get_policy(FunctionName=name, Qualifier="1")["Policy"])
        status("UPDATE_COMPLETE")
        self.refused("ResourceNotFoundException", api.get_policy, FunctionName=name)
        cloudformation.delete_stack(StackName=stack)
        eventually(lambda: self._gone(api, name))

    def _gone(self, api, name: str) -> bool:
        try:
            api.get_policy(FunctionName=name, Qualifier="1")
            return False
        except ClientError:
            return True

    def test_the_emulator_alone_has_no_documents(self):
        arn = f"arn:aws:lambda:us-east-1:{plain().id}:function:{plain().function()}"
        with self.assertRaises(ClientError):
            plain().client("lambda").put_resource_policy(ResourceArn=arn, Policy=policy(self.everyone(arn)))
