"""Stacks: the properties that reach their resources, and the records of what they do."""
import json

from .account import TRUST, Case, allow, eventually, plain, unique

ROLE = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": TRUST}}
CODE = "exports.handler = async () => 1"


def function(**more) -> dict:
    return {"Type": "AWS::Lambda::Function", "Properties": {
        "Runtime": "nodejs22.x", "Handler": "index.handler", "Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"ZipFile": CODE}, **more}}


class Stack(Case):
    def stack(self, resources: dict, aws=None, name: str = "", update: bool = False, keys=None, expect: str = "COMPLETE"):
        aws = aws or self.aws
        api, name = aws.client("cloudformation", keys or aws.admin), name or unique("stack")
        template = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources})
        (api.update_stack if update else api.create_stack)(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_NAMED_IAM"])

        def done():
            status = api.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
            return status if not status.endswith("IN_PROGRESS") else None
        status = eventually(done, 20)
        events = [event.get("ResourceStatusReason") for event in api.describe_stack_events(StackName=name)["StackEvents"]]
        self.assertTrue(status.endswith(expect) and (expect != "COMPLETE" or "ROLLBACK" not in status), f"{status}: {events}")
        return name, {resource["LogicalResourceId"]: resource["PhysicalResourceId"]
                      for resource in api.list_stack_resources(StackName=name)["StackResourceSummaries"] if resource.get("PhysicalResourceId")}

    def delete(self, name: str, expect: str = "DELETE_COMPLETE"):
        api = self.aws.client("cloudformation", self.aws.admin)
        arn = api.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        api.delete_stack(StackName=name)

        def done():
            status = api.describe_stacks(StackName=arn)["Stacks"][0]["StackStatus"]
            return status if not status.endswith("IN_PROGRESS") else None
        self.assertEqual(expect, eventually(done, 20))


class Properties(Stack):
    def test_roles_keep_their_boundary_and_their_inline_policies(self):
        aws = self.aws
        boundary = aws.client("iam").create_policy(PolicyName=unique("b"), PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("*")]}))["Policy"]["Arn"]
        document = {"Version": "2012-10-17", "Statement": [allow("s3:*")]}
        name, ids = self.stack({
            "Role": {"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "PermissionsBoundary": boundary}},
            "Policy": {"Type": "AWS::IAM::RolePolicy", "Properties": {"RoleName": {"Ref": "Role"}, "PolicyName": "more", "PolicyDocument": document}}})
        role = aws.client("iam").get_role(RoleName=ids["Role"])["Role"]
        self.assertEqual(boundary, role["PermissionsBoundary"]["PermissionsBoundaryArn"])
        self.assertEqual(document, aws.client("iam").get_role_policy(RoleName=ids["Role"], PolicyName="more")["PolicyDocument"])
        self.delete(name)

    def test_the_emulator_alone_drops_the_boundary(self):
        aws = plain()
        boundary = aws.client("iam").create_policy(PolicyName=unique("b"), PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("*")]}))["Policy"]["Arn"]
        _name, ids = self.stack({"Role": {"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "PermissionsBoundary": boundary}}}, aws)
        self.assertNotIn("PermissionsBoundary", aws.client("iam").get_role(RoleName=ids["Role"])["Role"])

    def test_functions_keep_their_key_concurrency_and_dead_letter_queue(self):
        aws = self.aws
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        _url, queue = aws.queue()
        _name, ids = self.stack({"Role": ROLE, "Fn": function(KmsKeyArn=key, ReservedConcurrentExecutions=3, DeadLetterConfig={"TargetArn": queue})})
        found = aws.client("lambda").get_function(FunctionName=ids["Fn"])
        self.assertEqual((key, queue, 3), (found["Configuration"]["KMSKeyArn"], found["Configuration"]["DeadLetterConfig"]["TargetArn"],
                                           found["Concurrency"]["ReservedConcurrentExecutions"]))

    def test_functions_keep_their_code_signing_configuration(self):
        profile = {"SigningProfileVersionArns": ["arn:aws:signer:us-east-1:111122223333:/signing-profiles/release/a1b2c3d4e5"]}
        name, ids = self.stack({
            "Role": ROLE, "Signing": {"Type": "AWS::Lambda::CodeSigningConfig", "Properties": {
                "AllowedPublishers": profile, "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"}}},
            "Fn": function(CodeSigningConfigArn={"Ref": "Signing"})})
        api = self.aws.client("lambda")
        self.assertEqual(ids["Signing"], api.get_function_code_signing_config(FunctionName=ids["Fn"])["CodeSigningConfigArn"])
        config = api.get_code_signing_config(CodeSigningConfigArn=ids["Signing"])["CodeSigningConfig"]
        self.assertEqual("Warn", config["CodeSigningPolicies"]["UntrustedArtifactOnDeployment"])
        self.delete(name)
        self.refused("ResourceNotFoundException", api.get_code_signing_config, CodeSigningConfigArn=ids["Signing"])

    def test_a_function_with_a_role_that_lambda_cannot_assume_fails_the_stack(self):
        self.stack({"Fn": {**function(), "Properties": {**function()["Properties"], "Role": f"arn:aws:iam::{self.aws.id}:role/nobody"}}}, expect="ROLLBACK_COMPLETE")

    def test_tables_keep_their_time_to_live_recovery_and_indexes(self):
        aws = self.aws
        _name, ids = self.stack({"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "g", "l")],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "GlobalSecondaryIndexes": [{"IndexName": "byG", "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}],
            "LocalSecondaryIndexes": [{"IndexName": "byL", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
                                       "Projection": {"ProjectionType": "ALL"}}],
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}}})
        api, table = aws.client("dynamodb"), ids["Table"]
        self.assertEqual({"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}, api.describe_time_to_live(TableName=table)["TimeToLiveDescription"])
        self.assertEqual("ENABLED", api.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"])
        api.put_item(TableName=table, Item={"pk": {"S": "a"}, "sk": {"S": "b"}, "g": {"S": "c"}, "l": {"S": "d"}})
        for index, condition, value in (("byG", "g = :v", "c"), ("byL", "pk = :p AND l = :v", "d")):
            values = {":v": {"S": value}, **({":p": {"S": "a"}} if ":p" in condition else {})}
            self.assertEqual(1, api.query(TableName=table, IndexName=index, KeyConditionExpression=condition, ExpressionAttributeValues=values)["Count"])

    def test_a_protected_table_stays(self):
        name, _ids = self.stack({"Table": {"Type": "AWS::DynamoDB::Table", "Properties": {
            "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": True, "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}]}}})
        self.delete(name, "DELETE_FAILED")

    def test_buckets_keep_their_lifecycle_and_are_not_deleted_with_objects(self):
        aws = self.aws
        name, ids = self.stack({"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {
            "VersioningConfiguration": {"Status": "Enabled"},
            "LifecycleConfiguration": {"Rules": [{"Id": "old", "Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}]}}}})
        rules = aws.client("s3").get_bucket_lifecycle_configuration(Bucket=ids["Bucket"])["Rules"]
        self.assertEqual([("old", 30)], [(rule["ID"], rule["NoncurrentVersionExpiration"]["NoncurrentDays"]) for rule in rules])
        aws.client("s3").put_object(Bucket=ids["Bucket"], Key="a", Body=b"x")
        self.delete(name, "DELETE_FAILED")

    def test_the_policy_of_a_bus(self):
        aws, bus = self.aws, unique("bus")
        arn = f"arn:aws:events:us-east-1:{aws.id}:event-bus/{bus}"
        statement = {"Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": arn,
                     "Condition": {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{aws.id}:role/guard-*"}}}
        _name, _ids = self.stack({"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": bus}},
                                  "Policy": {"Type": "AWS::Events::EventBusPolicy", "DependsOn": "Bus", "Properties": {
                                      "EventBusName": bus, "StatementId": "only-the-guard", "Statement": statement}}})
        self.refused("AccessDeniedException", aws.client("events", aws.admin).put_events, Entries=[
            {"EventBusName": bus, "Source": "x", "DetailType": "y", "Detail": "{}"}])

    def test_the_name_of_a_rule_on_another_bus(self):
        aws, bus = self.aws, unique("bus")
        client = aws.client("events")

        def resources(**more):
            pattern = {"EventPattern": {"source": ["x"]}, **more}
            return {"Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": bus}},
                    "Here": {"Type": "AWS::Events::Rule", "Properties": pattern},
                    "There": {"Type": "AWS::Events::Rule", "Properties": {"EventBusName": {"Ref": "Bus"}, **pattern}}}

        name, ids = self.stack(resources())
        self.assertNotIn("|", ids["Here"])
        own, rule = ids["There"].split("|")
        self.assertEqual((bus, "ENABLED"), (own, client.describe_rule(Name=rule, EventBusName=bus)["State"]))
        _name, updated = self.stack(resources(Description="new"), name=name, update=True)
        self.assertEqual(ids, updated)
        self.assertEqual("new", client.describe_rule(Name=rule, EventBusName=bus)["Description"])
        self.delete(name)
        self.assertEqual([], [each["Name"] for each in client.list_rules()["Rules"] if each["Name"] == ids["Here"]])


class Records(Stack):
    def of_cloudformation(self, do) -> list:
        return [record for record in self.aws.records(do) if record["sourceIPAddress"] == "cloudformation.amazonaws.com"]

    def test_a_stack_makes_the_calls_of_its_caller(self):
        aws, found = self.aws, {}
        records = self.of_cloudformation(lambda: found.update(self.stack({
            "Role": {"Type": "AWS::IAM::Role", "Properties": {**ROLE["Properties"], "Policies": [
                {"PolicyName": "p", "PolicyDocument": {"Version": "2012-10-17", "Statement": [allow("s3:*")]}}]}},
            "Fn": function(Environment={"Variables": {"A": "swordfish"}}),
            "Url": {"Type": "AWS::Lambda::Url", "Properties": {"TargetFunctionArn": {"Ref": "Fn"}, "AuthType": "NONE"}},
            "Permission": {"Type": "AWS::Lambda::Permission", "Properties": {
                "FunctionName": {"Fn::GetAtt": ["Fn", "Arn"]}, "Action": "lambda:InvokeFunctionUrl", "Principal": "*", "FunctionUrlAuthType": "NONE"}},
        })[1]))
        by_name = {record["eventName"]: record for record in records}
        self.assertEqual({"CreateRole", "PutRolePolicy", "CreateFunction20150331", "CreateFunctionUrlConfig", "AddPermission20150331v2"}, set(by_name))
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{found['Fn']}"
        for record in records:
            self.assertEqual(("IAMUser", "cloudformation.amazonaws.com", "cloudformation.amazonaws.com"),
                             (record["userIdentity"]["type"], record["userIdentity"]["invokedBy"], record["userAgent"]))
        self.assertEqual({}, by_name["CreateFunction20150331"]["requestParameters"]["environment"])
        self.assertEqual(found["Fn"], by_name["CreateFunction20150331"]["requestParameters"]["functionName"])
        self.assertEqual(arn, by_name["AddPermission20150331v2"]["requestParameters"]["functionName"])
        self.assertEqual("NONE", by_name["CreateFunctionUrlConfig"]["responseElements"]["authType"])
        self.assertNotIn("swordfish", json.dumps(records))

    def test_an_update_of_a_stack_tells_what_it_changes(self):
        resources = {"Role": ROLE, "Other": ROLE, "Fn": function()}
        name, _ids = self.stack(resources)
        changed = {**resources, "Fn": function(Role={"Fn::GetAtt": ["Other", "Arn"]}, Code={"ZipFile": CODE + ";"})}
        records = self.of_cloudformation(lambda: self.stack(changed, name=name, update=True))
        self.assertEqual(["UpdateFunctionCode20150331v2", "UpdateFunctionConfiguration20150331v2"], [record["eventName"] for record in records])
        self.assertIn("role", records[1]["requestParameters"])
        records = self.of_cloudformation(lambda: self.delete(name))
        self.assertEqual(["DeleteFunction20150331", "DeleteRole", "DeleteRole"], sorted(record["eventName"] for record in records))

    def test_a_security_group_of_a_stack(self):
        records = self.of_cloudformation(lambda: self.stack({"Group": {"Type": "AWS::EC2::SecurityGroup", "Properties": {
            "GroupDescription": "d", "SecurityGroupIngress": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}]}}}))
        self.assertEqual(["CreateSecurityGroup", "AuthorizeSecurityGroupIngress"], [record["eventName"] for record in records])
        rule = records[1]["responseElements"]["securityGroupRuleSet"]["items"][0]
        self.assertEqual("0.0.0.0/0", rule["cidrIpv4"])
        self.assertTrue(rule["securityGroupRuleId"].startswith("sgr-"))
