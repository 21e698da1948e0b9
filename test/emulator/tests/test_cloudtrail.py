"""The records, operation by operation."""
import json
from unittest.mock import ANY

from botocore.exceptions import ClientError

from .account import CALLER, TRUST, Account, Case, allow, package, unique


class Shape(Case):
    def record(self, do, name: str) -> dict:
        found = self.aws.records(do, name)
        self.assertEqual(1, len(found), f"{name}: {[record['eventName'] for record in found]}")
        return found[0]

    def same(self, record: dict, request, response=ANY):
        self.assertEqual(request, record["requestParameters"])
        self.assertEqual(response, record["responseElements"])


class Envelope(Shape):
    def test_a_user(self):
        aws = self.aws
        name = aws.function()
        record = self.record(lambda: aws.client("lambda", aws.admin).create_function_url_config(FunctionName=name, AuthType="NONE"), "CreateFunctionUrlConfig")
        user = aws.client("sts", aws.admin).get_caller_identity()
        self.assertEqual({"type": "IAMUser", "principalId": user["UserId"], "arn": user["Arn"], "accountId": aws.id,
                          "accessKeyId": aws.admin[0], "userName": user["Arn"].split("/")[-1]}, record["userIdentity"])
        for key, value in {"eventSource": "lambda.amazonaws.com", "awsRegion": "us-east-1", "sourceIPAddress": "127.0.0.1", "readOnly": False,
                           "eventType": "AwsApiCall", "managementEvent": True, "recipientAccountId": aws.id, "eventCategory": "Management"}.items():
            self.assertEqual(value, record[key])
        self.assertTrue(record["userAgent"].startswith("Boto3/"))
        self.assertRegex(record["eventTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertNotIn("errorCode", record)
        self.assertNotIn("sessionCredentialFromConsole", record)

    def test_a_role(self):
        aws = self.aws
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.id}:root"}, "Action": "sts:AssumeRole"}]}
        role = aws.role(allow("*"), path="/pipelines/", trust=trust)
        credentials = aws.client("sts", aws.admin).assume_role(RoleArn=role, RoleSessionName="run-1")["Credentials"]
        keys = (credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])
        record = self.record(lambda: aws.client("sqs", keys).create_queue(QueueName=unique("q")), "CreateQueue")
        name = role.split("/")[-1]
        role_id = aws.client("iam").get_role(RoleName=name)["Role"]["RoleId"]
        self.assertEqual({
            "type": "AssumedRole", "principalId": f"{role_id}:run-1", "arn": f"arn:aws:sts::{aws.id}:assumed-role/{name}/run-1",
            "accountId": aws.id, "accessKeyId": keys[0], "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": role_id, "arn": role, "accountId": aws.id, "userName": name},
                "attributes": {"creationDate": ANY, "mfaAuthenticated": "false"}}}, record["userIdentity"])

    def test_the_root_user(self):
        record = self.record(lambda: self.aws.client("sqs").create_queue(QueueName=unique("q")), "CreateQueue")
        self.assertEqual({"type": "Root", "principalId": self.aws.id, "arn": f"arn:aws:iam::{self.aws.id}:root", "accountId": self.aws.id,
                          "accessKeyId": self.aws.root[0]}, record["userIdentity"])

    def test_a_function(self):
        aws = self.aws
        role = aws.role(allow("sqs:CreateQueue"))
        name = aws.function(CALLER, role=role)
        record = self.record(lambda: aws.client("lambda").invoke(FunctionName=name), "CreateQueue")
        self.assertEqual("AssumedRole", record["userIdentity"]["type"])
        self.assertEqual(role, record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"])
        self.assertTrue(record["userIdentity"]["arn"].endswith(f"/{name}"))
        self.assertEqual({"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"},
                         record["userIdentity"]["inScopeOf"])

    def test_a_console_session(self):
        record = self.record(lambda: self.aws.client("sqs", self.aws.admin, console=True).create_queue(QueueName=unique("q")), "CreateQueue")
        self.assertEqual("true", record["sessionCredentialFromConsole"])

    def test_iam_is_in_virginia(self):
        record = self.record(lambda: self.aws.client("iam", region="eu-west-1").create_user(UserName=unique("u")), "CreateUser")
        self.assertEqual("us-east-1", record["awsRegion"])

    def test_reads_and_data_events_leave_no_record(self):
        aws = self.aws
        name, (url, _arn) = aws.function(), aws.queue()
        found = aws.records(lambda: (aws.client("lambda").invoke(FunctionName=name), aws.client("lambda").get_function(FunctionName=name),
                                     aws.client("sqs").send_message(QueueUrl=url, MessageBody="x"), aws.client("iam").list_roles()))
        self.assertEqual([], found)


class Errors(Shape):
    def test_a_denied_call_has_no_parameters(self):
        aws = self.aws
        name, keys = aws.function(), aws.user(allow("sqs:*"))
        record = self.record(lambda: aws.client("lambda", keys).delete_function(FunctionName=name), "DeleteFunction20150331")
        self.assertEqual("AccessDenied", record["errorCode"])
        self.assertIn("lambda:DeleteFunction", record["errorMessage"])
        self.same(record, None, None)

    def test_a_denied_ec2_call(self):
        aws = self.aws
        record = self.record(lambda: aws.client("ec2", aws.user(allow("sqs:*"))).create_security_group(GroupName="g", Description="d"), "CreateSecurityGroup")
        self.assertEqual("Client.UnauthorizedOperation", record["errorCode"])
        self.same(record, None, None)

    def test_a_failed_call_keeps_its_parameters(self):
        aws = self.aws
        record = self.record(lambda: aws.client("lambda", aws.admin).create_function(
            FunctionName="nobody", Role=f"arn:aws:iam::{aws.id}:role/nobody", Runtime="nodejs22.x", Handler="index.handler", Code={"ZipFile": b"x"}),
            "CreateFunction20150331")
        self.assertEqual("InvalidParameterValueException", record["errorCode"])
        self.assertIn("cannot be assumed by Lambda", record["errorMessage"])
        self.same(record, {"functionName": "nobody", "role": f"arn:aws:iam::{aws.id}:role/nobody", "runtime": "nodejs22.x",
                           "handler": "index.handler", "code": {}, "publish": False}, None)

    def test_an_ec2_dry_run(self):
        aws = self.aws
        group = aws.client("ec2").create_security_group(GroupName=unique("g"), Description="d")["GroupId"]
        record = self.record(lambda: aws.client("ec2").delete_security_group(GroupId=group, DryRun=True), "DeleteSecurityGroup")
        self.assertEqual("Client.DryRunOperation", record["errorCode"])

    def test_an_iam_error_is_spelled_as_an_exception(self):
        record = self.record(lambda: self.aws.client("iam").delete_role(RoleName="nobody"), "DeleteRole")
        self.assertEqual("NoSuchEntityException", record["errorCode"])
        self.same(record, {"roleName": "nobody"}, None)


class Lambda(Shape):
    @classmethod
    def setUpClass(cls):
        from .account import account
        cls.api = account().client("lambda", account().admin)

    def test_create_function(self):
        aws, name, role = self.aws, unique("fn"), self.aws.role()
        record = self.record(lambda: self.api.create_function(
            FunctionName=name, Runtime="nodejs22.x", Role=role, Handler="index.handler", Code={"ZipFile": package("1")}, Timeout=5, MemorySize=256,
            Publish=True, PackageType="Zip", Environment={"Variables": {"PASSWORD": "swordfish"}}, Tags={"Team": "a"}), "CreateFunction20150331")
        self.same(record, {
            "functionName": name, "runtime": "nodejs22.x", "role": role, "handler": "index.handler", "code": {}, "environment": {}, "publish": True,
            "packageType": "Zip", "timeout": 5, "memorySize": 256, "tags": {"Team": "a"}})
        response = record["responseElements"]
        self.assertEqual({"functionArn": f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}:1", "role": role, "version": "1", "state": "Pending",
                          "environment": {}, "loggingConfig": {"logFormat": "Text", "logGroup": f"/aws/lambda/{name}"}},
                         {key: response[key] for key in ("functionArn", "role", "version", "state", "environment", "loggingConfig")})
        self.assertTrue(response["codeSha256"] and response["revisionId"])
        self.assertNotIn("swordfish", json.dumps(record))
        self.assertNotIn("zipFile", json.dumps(record))

    def test_update_function_configuration(self):
        name = self.aws.function()
        record = self.record(lambda: self.api.update_function_configuration(
            FunctionName=name, Timeout=9, Environment={"Variables": {"PASSWORD": "swordfish"}}), "UpdateFunctionConfiguration20150331v2")
        self.same(record, {"functionName": name, "timeout": 9, "environment": {}})
        self.assertEqual({"functionName": name, "lastUpdateStatus": "InProgress", "environment": {}},
                         {key: record["responseElements"][key] for key in ("functionName", "lastUpdateStatus", "environment")})
        self.assertNotIn("swordfish", json.dumps(record))

    def test_a_vpc_configuration_has_plain_lists(self):
        aws = self.aws
        ec2 = aws.client("ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]
        group = ec2.create_security_group(GroupName=unique("g"), Description="d", VpcId=subnet["VpcId"])["GroupId"]
        name = aws.function(role=aws.role(allow("ec2:*")))
        vpc = {"SubnetIds": [subnet["SubnetId"]], "SecurityGroupIds": [group]}
        record = self.record(lambda: self.api.update_function_configuration(FunctionName=name, VpcConfig=vpc), "UpdateFunctionConfiguration20150331v2")
        self.same(record, {"functionName": name, "vpcConfig": {"subnetIds": [subnet["SubnetId"]], "securityGroupIds": [group]}})
        self.assertEqual({"subnetIds": [subnet["SubnetId"]], "securityGroupIds": [group], "vpcId": subnet["VpcId"]}, record["responseElements"]["vpcConfig"])

    def test_layers_are_names_in_and_objects_out(self):
        layer = self.api.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": package("1")})["LayerVersionArn"]
        name = self.aws.function()
        record = self.record(lambda: self.api.update_function_configuration(FunctionName=name, Layers=[layer]), "UpdateFunctionConfiguration20150331v2")
        self.same(record, {"functionName": name, "layers": [layer]})
        self.assertEqual([{"arn": layer, "codeSize": ANY}], record["responseElements"]["layers"])

    def test_update_function_code(self):
        aws, name = self.aws, self.aws.function()
        record = self.record(lambda: self.api.update_function_code(FunctionName=name, ZipFile=package("2")), "UpdateFunctionCode20150331v2")
        self.same(record, {
            "functionName": name, "publish": False, "dryRun": False,
            "fullyQualifiedArn": {"arnPrefix": {"partition": "aws", "region": "us-east-1", "account": aws.id},
                                  "relativeId": {"functionName": name}, "functionQualifier": {}}})
        self.assertEqual({"functionArn": f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}", "codeSha256": ANY, "revisionId": ANY},
                         {key: record["responseElements"][key] for key in ("functionArn", "codeSha256", "revisionId")})

    def test_a_dry_run_says_so(self):
        name = self.aws.function()
        record = self.record(lambda: self.api.update_function_code(FunctionName=name, ZipFile=package("2"), DryRun=True), "UpdateFunctionCode20150331v2")
        self.assertIs(True, record["requestParameters"]["dryRun"])

    def test_code_from_s3(self):
        aws, name, bucket = self.aws, self.aws.function(), unique("bucket")
        aws.client("s3").create_bucket(Bucket=bucket)
        aws.client("s3").put_object(Bucket=bucket, Key="code.zip", Body=package("3"))
        record = self.record(lambda: self.api.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="code.zip", Publish=True), "UpdateFunctionCode20150331v2")
        self.assertEqual((bucket, "code.zip", True), tuple(record["requestParameters"][key] for key in ("s3Bucket", "s3Key", "publish")))
        self.assertEqual(f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}:1", record["responseElements"]["functionArn"])

    def test_delete_function(self):
        name = self.aws.function()
        self.same(self.record(lambda: self.api.delete_function(FunctionName=name), "DeleteFunction20150331"), {"functionName": name}, None)

    def test_a_function_may_be_named_by_its_arn(self):
        arn = f"arn:aws:lambda:us-east-1:{self.aws.id}:function:{self.aws.function()}"
        self.same(self.record(lambda: self.api.delete_function(FunctionName=arn), "DeleteFunction20150331"), {"functionName": arn}, None)

    def test_publish_version(self):
        aws, name = self.aws, self.aws.function()
        record = self.record(lambda: self.api.publish_version(FunctionName=name), "PublishVersion20150331")
        self.same(record, {"functionName": name})
        self.assertEqual(("1", f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}:1"), (record["responseElements"]["version"], record["responseElements"]["functionArn"]))

    def test_aliases(self):
        aws, name = self.aws, self.aws.function()
        self.api.publish_version(FunctionName=name)
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}:live"
        record = self.record(lambda: self.api.create_alias(FunctionName=name, Name="live", FunctionVersion="1"), "CreateAlias20150331")
        self.same(record, {"functionName": name, "name": "live", "functionVersion": "1"},
                  {"aliasArn": arn, "name": "live", "functionVersion": "1", "description": "", "revisionId": ANY})
        record = self.record(lambda: self.api.update_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST"), "UpdateAlias20150331")
        self.same(record, {"functionName": name, "name": "live", "functionVersion": "$LATEST"},
                  {"aliasArn": arn, "name": "live", "functionVersion": "$LATEST", "description": "", "revisionId": ANY})
        record = self.record(lambda: self.api.delete_alias(FunctionName=name, Name="live"), "DeleteAlias20150331")
        self.same(record, {"functionName": name, "name": "live"}, None)

    def test_permissions(self):
        aws, name = self.aws, self.aws.function()
        record = self.record(lambda: self.api.add_permission(
            FunctionName=name, StatementId="s", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"), "AddPermission20150331v2")
        self.assertEqual({"functionName": name, "statementId": "s", "action": "lambda:InvokeFunctionUrl", "principal": "*", "functionUrlAuthType": "NONE"},
                         record["requestParameters"])
        self.assertEqual({
            "Sid": "s", "Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunctionUrl",
            "Resource": f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}", "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}},
        }, json.loads(record["responseElements"]["statement"]))
        record = self.record(lambda: self.api.remove_permission(FunctionName=name, StatementId="s"), "RemovePermission20150331v2")
        self.same(record, {"functionName": name, "statementId": "s"}, None)

    def test_a_permission_of_an_alias(self):
        name = self.aws.function()
        self.api.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
        record = self.record(lambda: self.api.add_permission(
            FunctionName=name, Qualifier="live", StatementId="s", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
            SourceArn="arn:aws:s3:::b", SourceAccount=self.aws.id), "AddPermission20150331v2")
        self.assertEqual({"functionName": name, "qualifier": "live", "statementId": "s", "action": "lambda:InvokeFunction",
                          "principal": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::b", "sourceAccount": self.aws.id}, record["requestParameters"])

    def test_function_urls(self):
        aws, name = self.aws, self.aws.function()
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"
        record = self.record(lambda: self.api.create_function_url_config(FunctionName=name, AuthType="NONE", Cors={"AllowOrigins": ["*"]}), "CreateFunctionUrlConfig")
        self.same(record, {"functionName": name, "authType": "NONE", "cors": {"allowOrigins": ["*"]}},
                  {"functionUrl": ANY, "functionArn": arn, "authType": "NONE", "cors": {"allowOrigins": ["*"]}, "creationTime": ANY, "invokeMode": "BUFFERED"})
        record = self.record(lambda: self.api.update_function_url_config(FunctionName=name, AuthType="AWS_IAM"), "UpdateFunctionUrlConfig")
        self.same(record, {"functionName": name, "authType": "AWS_IAM"})
        self.assertEqual("AWS_IAM", record["responseElements"]["authType"])
        record = self.record(lambda: self.api.delete_function_url_config(FunctionName=name), "DeleteFunctionUrlConfig")
        self.same(record, {"functionName": name}, None)

    def test_tags(self):
        arn = f"arn:aws:lambda:us-east-1:{self.aws.id}:function:{self.aws.function()}"
        record = self.record(lambda: self.api.tag_resource(Resource=arn, Tags={"Cost-Center": "7", "team": "a"}), "TagResource20170331v2")
        self.same(record, {"resource": arn, "tags": {"Cost-Center": "7", "team": "a"}}, None)
        record = self.record(lambda: self.api.untag_resource(Resource=arn, TagKeys=["team", "Cost-Center"]), "UntagResource20170331v2")
        self.same(record, {"resource": arn, "tagKeys": ["team", "Cost-Center"]}, None)

    def test_reserved_concurrency(self):
        name = self.aws.function()
        record = self.record(lambda: self.api.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0), "PutFunctionConcurrency20171031")
        self.same(record, {"functionName": name, "reservedConcurrentExecutions": 0}, {"reservedConcurrentExecutions": 0})
        self.same(self.record(lambda: self.api.delete_function_concurrency(FunctionName=name), "DeleteFunctionConcurrency20171031"), {"functionName": name}, None)


class Ec2(Shape):
    @classmethod
    def setUpClass(cls):
        from .account import account
        cls.api = account().client("ec2", account().admin)

    def group(self) -> str:
        return self.api.create_security_group(GroupName=unique("g"), Description="d")["GroupId"]

    def test_create_security_group(self):
        name, vpc = unique("g"), self.api.describe_vpcs()["Vpcs"][0]["VpcId"]
        record = self.record(lambda: self.api.create_security_group(
            GroupName=name, Description="of a function", VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": "a", "Value": "b"}]}]), "CreateSecurityGroup")
        self.assertEqual({"groupName": name, "groupDescription": "of a function", "vpcId": vpc, "tagSpecificationSet": {
            "items": [{"resourceType": "security-group", "tags": [{"key": "a", "value": "b"}]}]}}, record["requestParameters"])
        self.assertTrue(record["responseElements"]["groupId"].startswith("sg-"))
        self.assertIs(True, record["responseElements"]["_return"])

    def test_tags(self):
        group = self.group()
        record = self.record(lambda: self.api.create_tags(Resources=[group], Tags=[{"Key": "a", "Value": "b"}]), "CreateTags")
        self.assertEqual({"resourcesSet": {"items": [{"resourceId": group}]}, "tagSet": {"items": [{"key": "a", "value": "b"}]}}, record["requestParameters"])
        self.assertIs(True, record["responseElements"]["_return"])
        record = self.record(lambda: self.api.delete_tags(Resources=[group], Tags=[{"Key": "a"}]), "DeleteTags")
        self.assertEqual({"resourcesSet": {"items": [{"resourceId": group}]}, "tagSet": {"items": [{"key": "a"}]}}, record["requestParameters"])

    def test_delete_security_group(self):
        group = self.group()
        record = self.record(lambda: self.api.delete_security_group(GroupId=group), "DeleteSecurityGroup")
        self.same(record, {"groupId": group}, {"requestId": ANY, "_return": True, "groupId": group})

    def test_create_network_interface(self):
        subnet = self.api.describe_subnets()["Subnets"][0]
        group = self.api.create_security_group(GroupName=unique("g"), Description="d", VpcId=subnet["VpcId"])["GroupId"]
        record = self.record(lambda: self.api.create_network_interface(SubnetId=subnet["SubnetId"], Groups=[group], ClientToken="t"), "CreateNetworkInterface")
        self.assertEqual({"subnetId": subnet["SubnetId"], "groupSet": {"items": [{"groupId": group}]}, "clientToken": "t"}, record["requestParameters"])

    def test_authorize_ingress(self):
        group = self.group()
        record = self.record(lambda: self.api.authorize_security_group_ingress(GroupId=group, IpPermissions=[{
            "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "ssh"}, {"CidrIp": "10.0.0.0/8"}],
            "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]), "AuthorizeSecurityGroupIngress")
        self.assertEqual({"groupId": group, "ipPermissions": {"items": [{
            "ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "groups": {}, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0", "description": "ssh"}, {"cidrIp": "10.0.0.0/8"}]},
            "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]}, "prefixListIds": {}}]}}, record["requestParameters"])
        response = record["responseElements"]
        self.assertIs(True, response["_return"])
        rules = response["securityGroupRuleSet"]["items"]
        self.assertEqual(3, len({rule["securityGroupRuleId"] for rule in rules}))
        first = rules[0]
        self.assertEqual({"groupId": group, "groupOwnerId": self.aws.id, "isEgress": False, "ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
                          "cidrIpv4": "0.0.0.0/0", "description": "ssh"}, {key: first[key] for key in (
                              "groupId", "groupOwnerId", "isEgress", "ipProtocol", "fromPort", "toPort", "cidrIpv4", "description")})

    def test_authorize_ingress_in_the_flat_way(self):
        group = self.group()
        record = self.record(lambda: self.api.authorize_security_group_ingress(
            GroupId=group, IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="0.0.0.0/0"), "AuthorizeSecurityGroupIngress")
        self.assertEqual({"groupId": group, "ipPermissions": {}, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443, "cidrIp": "0.0.0.0/0"}, record["requestParameters"])

    def test_all_protocols_have_no_ports(self):
        group = self.group()
        record = self.record(lambda: self.api.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]), "AuthorizeSecurityGroupIngress")
        item = record["requestParameters"]["ipPermissions"]["items"][0]
        self.assertEqual({"ipProtocol": "-1", "groups": {}, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}, "ipv6Ranges": {}, "prefixListIds": {}}, item)

    def test_revoke_ingress(self):
        group = self.group()
        rule = self.api.authorize_security_group_ingress(GroupId=group, IpPermissions=[{
            "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}])["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        record = self.record(lambda: self.api.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=[rule]), "RevokeSecurityGroupIngress")
        self.assertEqual({"groupId": group, "ipPermissions": {}, "securityGroupRuleIds": {"items": [{"securityGroupRuleId": rule}]}}, record["requestParameters"])
        self.assertIs(True, record["responseElements"]["_return"])
        self.assertEqual([rule], [item["securityGroupRuleId"] for item in record["responseElements"]["revokedSecurityGroupRuleSet"]["items"]])

    def test_modify_rules(self):
        group = self.group()
        rule = self.api.authorize_security_group_ingress(GroupId=group, IpPermissions=[{
            "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}])["SecurityGroupRules"][0]["SecurityGroupRuleId"]
        record = self.record(lambda: self.api.modify_security_group_rules(GroupId=group, SecurityGroupRules=[{
            "SecurityGroupRuleId": rule, "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0"}}]), "ModifySecurityGroupRules")
        self.assertEqual({"ModifySecurityGroupRulesRequest": {"GroupId": group, "SecurityGroupRule": {
            "SecurityGroupRuleId": rule, "tag": 1, "SecurityGroupRule": {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": "0.0.0.0/0"}}}},
            record["requestParameters"])
        self.assertEqual({"ModifySecurityGroupRulesResponse": {"return": True, "requestId": ANY, "xmlns": ANY}}, record["responseElements"])

    def test_descriptions_of_rules(self):
        group = self.group()
        permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
        self.api.authorize_security_group_ingress(GroupId=group, IpPermissions=[permission])
        record = self.record(lambda: self.api.update_security_group_rule_descriptions_ingress(GroupId=group, IpPermissions=[{
            **permission, "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "office"}]}]), "UpdateSecurityGroupRuleDescriptionsIngress")
        request = record["requestParameters"]["UpdateSecurityGroupRuleDescriptionsIngressRequest"]
        self.assertEqual((group, "office"), (request["GroupId"], request["IpPermissions"]["IpRanges"]["Description"]))
        self.assertEqual("office", self.api.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"][0]["IpRanges"][0]["Description"])


class Iam(Shape):
    @classmethod
    def setUpClass(cls):
        from .account import account
        cls.api = account().client("iam", account().admin)

    def test_create_role(self):
        name, document = unique("role"), json.dumps(TRUST)
        record = self.record(lambda: self.api.create_role(RoleName=name, Path="/x/", AssumeRolePolicyDocument=document, Tags=[{"Key": "a", "Value": "b"}]), "CreateRole")
        self.assertEqual({"roleName": name, "path": "/x/", "assumeRolePolicyDocument": document, "tags": [{"key": "a", "value": "b"}]}, record["requestParameters"])
        role = record["responseElements"]["role"]
        self.assertEqual((name, f"arn:aws:iam::{self.aws.id}:role/x/{name}"), (role["roleName"], role["arn"]))
        self.assertTrue(role["assumeRolePolicyDocument"].startswith("%7B%22Version%22"))
        self.assertRegex(role["createDate"], r"^[A-Z][a-z]{2} \d{1,2}, \d{4} \d{1,2}:\d\d:\d\d [AP]M$")

    def test_policies_of_a_role(self):
        name = self.aws.role().split("/")[-1]
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:GetObject")]})
        self.same(self.record(lambda: self.api.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document), "PutRolePolicy"),
                  {"roleName": name, "policyName": "p", "policyDocument": document}, None)
        policy = {"roleName": name, "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
        attach = {"RoleName": name, "PolicyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
        self.same(self.record(lambda: self.api.attach_role_policy(**attach), "AttachRolePolicy"), policy, None)
        self.same(self.record(lambda: self.api.detach_role_policy(**attach), "DetachRolePolicy"), policy, None)
        self.same(self.record(lambda: self.api.delete_role_policy(RoleName=name, PolicyName="p"), "DeleteRolePolicy"), {"roleName": name, "policyName": "p"}, None)
        self.same(self.record(lambda: self.api.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(TRUST)), "UpdateAssumeRolePolicy"),
                  {"roleName": name, "policyDocument": json.dumps(TRUST)}, None)
        self.same(self.record(lambda: self.api.delete_role(RoleName=name), "DeleteRole"), {"roleName": name}, None)


class Trails(Shape):
    def test_the_account_has_a_trail_of_all_regions_that_logs(self):
        client = self.aws.client("cloudtrail", region="eu-west-1")
        [trail] = client.describe_trails()["trailList"]
        self.assertEqual(("management-events", True, "us-east-1"), (trail["Name"], trail["IsMultiRegionTrail"], trail["HomeRegion"]))
        self.assertTrue(client.get_trail_status(Name=trail["TrailARN"])["IsLogging"])
        [selector] = client.get_event_selectors(TrailName=trail["TrailARN"])["EventSelectors"]
        self.assertEqual(("All", True), (selector["ReadWriteType"], selector["IncludeManagementEvents"]))

    def test_only_what_a_trail_takes_in_reaches_eventbridge(self):
        aws, name = Account(), "heard"
        self.addCleanup(aws.close)
        trails, events = aws.client("cloudtrail"), aws.client("events")
        url, arn = aws.queue()
        rule = events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.iam", "aws.cloudtrail"]}))["RuleArn"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
                                                          "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": rule}}}]}
        aws.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": arn}])

        def heard(do) -> list:
            do()
            return [json.loads(message["Body"])["detail"]["eventName"] for message in aws.messages(url, 0.5, 2)]

        def role():
            aws.role()
        trail = "management-events"
        selectors = lambda **selector: trails.put_event_selectors(TrailName=trail, EventSelectors=[selector])
        self.assertEqual(["CreateRole"], heard(role))
        self.assertEqual(["StopLogging"], heard(lambda: trails.stop_logging(Name=trail)))
        self.assertEqual([], heard(role))
        self.assertEqual(["StartLogging", "CreateRole"], heard(lambda: (trails.start_logging(Name=trail), role())))
        self.assertEqual(["PutEventSelectors"], heard(lambda: (selectors(ReadWriteType="ReadOnly", IncludeManagementEvents=True), role())))
        advanced = [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "readOnly", "Equals": ["false"]}]}]
        self.assertEqual(["PutEventSelectors", "CreateRole"],
                         heard(lambda: (trails.put_event_selectors(TrailName=trail, AdvancedEventSelectors=advanced), role())))
        self.assertEqual(["DeleteTrail"], heard(lambda: (trails.delete_trail(Name=trail), role())))

    def test_iam_knows_a_trail_by_its_arn(self):
        arn = f"arn:aws:cloudtrail:us-east-1:{self.aws.id}:trail/management-events"
        may = self.aws.user(allow(["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"], arn))
        client = self.aws.client("cloudtrail", may)
        client.get_trail_status(Name=arn)
        client.get_event_selectors(TrailName=arn)
        with self.assertRaisesRegex(ClientError, "AccessDenied"):
            client.describe_trails()
        elsewhere = self.aws.client("cloudtrail", self.aws.user(allow("cloudtrail:GetTrailStatus", arn + "-else")))
        with self.assertRaisesRegex(ClientError, "AccessDenied"):
            elsewhere.get_trail_status(Name=arn)


class Others(Shape):
    def test_create_secret(self):
        name = unique("secret")
        record = self.record(lambda: self.aws.client("secretsmanager", self.aws.admin).create_secret(
            Name=name, Description="d", SecretString="swordfish", ClientRequestToken="a" * 32), "CreateSecret")
        self.assertEqual({"name": name, "description": "d", "clientRequestToken": "a" * 32}, record["requestParameters"])
        self.assertRegex(record["responseElements"]["arn"], f"^arn:aws:secretsmanager:us-east-1:{self.aws.id}:secret:{name}-\\w{{6}}$")
        self.assertNotIn("swordfish", json.dumps(record))

    def test_put_secret_value(self):
        api, name = self.aws.client("secretsmanager", self.aws.admin), unique("secret")
        api.create_secret(Name=name, SecretString="1")
        record = self.record(lambda: api.put_secret_value(SecretId=name, SecretString="swordfish"), "PutSecretValue")
        self.assertEqual({"secretId": name, "clientRequestToken": ANY}, record["requestParameters"])
        self.assertNotIn("swordfish", json.dumps(record))

    def test_kms(self):
        api = self.aws.client("kms", self.aws.admin)
        record = self.record(lambda: api.create_key(Description="d"), "CreateKey")
        self.assertEqual({"description": "d"}, record["requestParameters"])
        key = record["responseElements"]["keyMetadata"]["keyId"]
        self.same(self.record(lambda: api.disable_key(KeyId=key), "DisableKey"), {"keyId": key}, None)
        record = self.record(lambda: api.schedule_key_deletion(KeyId=key, PendingWindowInDays=7), "ScheduleKeyDeletion")
        self.assertEqual({"keyId": key, "pendingWindowInDays": 7}, record["requestParameters"])

    def test_cloudformation_hides_values(self):
        api, name = self.aws.client("cloudformation", self.aws.admin), unique("stack")
        template = {"Parameters": {"P": {"Type": "String"}}, "Resources": {"T": {"Type": "AWS::SNS::Topic"}}}
        record = self.record(lambda: api.create_stack(StackName=name, TemplateBody=json.dumps(template), Parameters=[
            {"ParameterKey": "P", "ParameterValue": "swordfish"}]), "CreateStack")
        self.assertEqual({"stackName": name, "parameters": [{"parameterKey": "P"}]}, record["requestParameters"])
        self.assertTrue(record["responseElements"]["stackId"].startswith("arn:aws:cloudformation:"))
        self.assertNotIn("swordfish", json.dumps(record))

    def test_rest_apis_wrap_their_input_and_http_apis_do_not(self):
        rest, http = self.aws.client("apigateway", self.aws.admin), self.aws.client("apigatewayv2", self.aws.admin)
        api = rest.create_rest_api(name=unique("api"))["id"]
        root = rest.get_resources(restApiId=api)["items"][0]["id"]
        record = self.record(lambda: rest.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE"), "PutMethod")
        self.assertEqual({"restApiId": api, "resourceId": root, "httpMethod": "GET", "putMethodInput": {"authorizationType": "NONE"}, "template": False},
                         record["requestParameters"])
        self.assertEqual("apigateway.amazonaws.com", record["eventSource"])
        api = http.create_api(Name=unique("api"), ProtocolType="HTTP")["ApiId"]
        record = self.record(lambda: http.create_route(ApiId=api, RouteKey="GET /"), "CreateRoute")
        self.assertEqual({"apiId": api, "routeKey": "GET /"}, record["requestParameters"])
        self.assertEqual("NONE", record["responseElements"]["authorizationType"])
        self.assertEqual("apigateway.amazonaws.com", record["eventSource"])

