"""What IAM decides that the emulator by itself does not."""
import json

from .account import Case, account, allow, deny, eventually, package, plain, unique


class PassRole(Case):
    def test_creating_a_function_needs_pass_role_on_its_role(self):
        aws = self.aws
        role = aws.role(path="/service/")
        create = {"FunctionName": unique("fn"), "Role": role, "Runtime": "nodejs22.x", "Handler": "index.handler", "Code": {"ZipFile": package("1")}}
        keys = aws.user(allow("lambda:CreateFunction"))
        message = self.refused("AccessDeniedException", aws.client("lambda", keys).create_function, **create)
        self.assertIn(f"is not authorized to perform: iam:PassRole on resource: {role}", message)
        allowed = aws.user(allow("lambda:CreateFunction"), allow("iam:PassRole", role, condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}))
        aws.client("lambda", allowed).create_function(**create)
        other = aws.user(allow("lambda:CreateFunction"), allow("iam:PassRole", role, condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}))
        self.refused("AccessDeniedException", aws.client("lambda", other).create_function, **{**create, "FunctionName": unique("fn")})

    def test_changing_the_role_needs_pass_role_and_other_changes_do_not(self):
        aws = self.aws
        name, role = aws.function(), aws.role()
        api = aws.client("lambda", aws.user(allow("lambda:*")))
        self.refused("AccessDeniedException", api.update_function_configuration, FunctionName=name, Role=role)
        api.update_function_configuration(FunctionName=name, Timeout=9)

    def test_schedules_and_targets_need_pass_role(self):
        aws = self.aws
        role, arn = aws.role(), aws.queue()[1]
        keys = aws.user(allow(["scheduler:*", "events:*"]))
        target = {"Arn": arn, "RoleArn": role}
        self.refused("AccessDeniedException", aws.client("scheduler", keys).create_schedule, Name=unique("s"), ScheduleExpression="rate(1 hour)",
                     FlexibleTimeWindow={"Mode": "OFF"}, Target=target)
        name = unique("rule")
        aws.client("events", keys).put_rule(Name=name, ScheduleExpression="rate(1 hour)")
        self.refused("AccessDeniedException", aws.client("events", keys).put_targets, Rule=name, Targets=[{"Id": "1", **target}])

    def test_the_emulator_alone_never_checks_pass_role(self):
        aws = plain()
        keys = aws.user(allow("lambda:CreateFunction"), deny("iam:PassRole"))
        aws.client("lambda", keys).create_function(FunctionName=unique("fn"), Role=aws.role(), Runtime="nodejs22.x", Handler="index.handler", Code={"ZipFile": package("1")})


class Resources(Case):
    def may(self, service: str, statement: dict, do, *more: dict):
        """A call passes with exactly this statement and is refused without it."""
        aws = self.aws
        with self.assertRaises(Exception) as caught:
            do(aws.client(service, aws.user(allow("none:None"), *more)))
        self.assertRegex(str(caught.exception), "AccessDenied|AuthorizationError|UnauthorizedOperation")
        do(aws.client(service, aws.user(statement, *more)))

    def test_roles_with_a_path(self):
        role = self.aws.role(path="/guard/clones/")
        name = role.split("/")[-1]
        self.may("iam", allow("iam:GetRole", role), lambda api: api.get_role(RoleName=name))
        made = unique("role")
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        self.may("iam", allow("iam:CreateRole", f"arn:aws:iam::{self.aws.id}:role/guard/*"),
                 lambda api: api.create_role(RoleName=made, Path="/guard/", AssumeRolePolicyDocument=trust))

    def test_the_emulator_alone_drops_the_path(self):
        aws = plain()
        role = aws.role(path="/guard/clones/")
        self.refused("AccessDenied", aws.client("iam", aws.user(allow("iam:GetRole", role))).get_role, RoleName=role.split("/")[-1])

    def test_lambda_operations_have_their_own_actions_and_arns(self):
        aws, name = self.aws, self.aws.function()
        root = aws.client("lambda")
        root.publish_version(FunctionName=name)
        root.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        root.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")
        arn = f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"
        for action, resource, do in (
            ("GetAlias", arn, lambda api: api.get_alias(FunctionName=name, Name="live")),
            ("UpdateAlias", arn, lambda api: api.update_alias(FunctionName=name, Name="live", Description="x")),
            ("ListAliases", arn, lambda api: api.list_aliases(FunctionName=name)),
            ("ListVersionsByFunction", arn, lambda api: api.list_versions_by_function(FunctionName=name)),
            ("GetFunctionUrlConfig", arn, lambda api: api.get_function_url_config(FunctionName=name)),
            ("ListFunctionUrlConfigs", arn, lambda api: api.list_function_url_configs(FunctionName=name)),
            ("UpdateFunctionUrlConfig", arn, lambda api: api.update_function_url_config(FunctionName=name, AuthType="AWS_IAM")),
            ("GetFunctionConfiguration", f"{arn}:1", lambda api: api.get_function_configuration(FunctionName=name, Qualifier="1")),
            ("GetFunctionConfiguration", f"{arn}:live", lambda api: api.get_function_configuration(FunctionName=f"{name}:live")),
            ("GetFunction", arn, lambda api: api.get_function(FunctionName=arn)),
            ("PutFunctionConcurrency", arn, lambda api: api.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)),
            ("GetFunctionConcurrency", arn, lambda api: api.get_function_concurrency(FunctionName=name)),
            ("DeleteFunctionConcurrency", arn, lambda api: api.delete_function_concurrency(FunctionName=name)),
            ("ListTags", arn, lambda api: api.list_tags(Resource=arn)),
            ("ListFunctions", "*", lambda api: api.list_functions()),
            ("DeleteFunctionUrlConfig", arn, lambda api: api.delete_function_url_config(FunctionName=name)),
        ):
            with self.subTest(action):
                self.may("lambda", allow(f"lambda:{action}", resource), do)

    def test_a_qualified_name_is_not_the_function(self):
        aws, name = self.aws, self.aws.function()
        aws.client("lambda").publish_version(FunctionName=name)
        keys = aws.user(allow("lambda:GetFunctionConfiguration", f"arn:aws:lambda:us-east-1:{aws.id}:function:{name}"))
        message = self.refused("AccessDeniedException", aws.client("lambda", keys).get_function_configuration, FunctionName=name, Qualifier="1")
        self.assertIn(f":function:{name}:1", message)

    def test_the_emulator_alone_takes_update_alias_for_list_aliases(self):
        aws = plain()
        name = aws.function()
        aws.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
        self.refused("AccessDeniedException", aws.client("lambda", aws.user(allow("lambda:UpdateAlias"))).update_alias, FunctionName=name, Name="live", Description="x")

    def test_rules_of_the_default_bus_have_no_bus_in_their_arn(self):
        aws, name = self.aws, unique("rule")
        rule = f"arn:aws:events:us-east-1:{aws.id}:rule/{name}"
        self.may("events", allow("events:PutRule", rule), lambda api: api.put_rule(Name=name, ScheduleExpression="rate(1 hour)"))
        self.may("events", allow("events:PutTargets", rule), lambda api: api.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": aws.queue()[1]}]))
        self.may("events", allow("events:ListTargetsByRule", rule), lambda api: api.list_targets_by_rule(Rule=name))

    def test_batches_need_the_permission_of_the_single_call(self):
        aws = self.aws
        url, arn = aws.queue()
        entries = [{"Id": "1", "MessageBody": "x"}]
        self.may("sqs", allow("sqs:SendMessage", arn), lambda api: api.send_message_batch(QueueUrl=url, Entries=entries))
        topic = aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        self.may("sns", allow("sns:Publish", topic), lambda api: api.publish_batch(TopicArn=topic, PublishBatchRequestEntries=[{"Id": "1", "Message": "x"}]))

    def test_the_emulator_alone_wants_send_message_batch(self):
        aws = plain()
        url, arn = aws.queue()
        self.refused("AccessDenied", aws.client("sqs", aws.user(allow("sqs:SendMessage", arn))).send_message_batch, QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x"}])

    def test_secrets_are_created_under_a_name_with_six_more_characters(self):
        name = unique("secret")
        self.may("secretsmanager", allow("secretsmanager:CreateSecret", f"arn:aws:secretsmanager:us-east-1:{self.aws.id}:secret:{name}-??????"),
                 lambda api: api.create_secret(Name=name, SecretString="x"))

    def test_the_policy_of_a_table_is_read_on_the_table(self):
        aws, name = self.aws, unique("table")
        arn = aws.client("dynamodb").create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}])["TableDescription"]["TableArn"]
        api = aws.client("dynamodb", aws.user(allow("dynamodb:GetResourcePolicy", arn)))
        self.refused("PolicyNotFoundException", api.get_resource_policy, ResourceArn=arn)
        self.refused("AccessDeniedException", api.get_resource_policy, ResourceArn=f"{arn}-other")

    def test_code_from_s3_needs_its_object(self):
        aws, name, bucket = self.aws, self.aws.function(), unique("bucket")
        aws.client("s3").create_bucket(Bucket=bucket)
        aws.client("s3").put_object(Bucket=bucket, Key="a.zip", Body=package("2"))
        self.may("lambda", allow("s3:GetObject", f"arn:aws:s3:::{bucket}/a.zip"),
                 lambda api: api.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="a.zip"), allow("lambda:UpdateFunctionCode"))

    def test_describing_in_ec2_knows_no_resources(self):
        aws = self.aws
        group = aws.client("ec2").create_security_group(GroupName=unique("g"), Description="d")["GroupId"]
        arn = f"arn:aws:ec2:us-east-1:{aws.id}:security-group/{group}"
        self.refused("UnauthorizedOperation", aws.client("ec2", aws.user(allow("ec2:*", arn))).describe_security_group_rules,
                     Filters=[{"Name": "group-id", "Values": [group]}])
        permission = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
        self.may("ec2", allow("ec2:AuthorizeSecurityGroupIngress", arn), lambda api: api.authorize_security_group_ingress(GroupId=group, IpPermissions=permission))


class Conditions(Case):
    def test_the_boundary_of_a_role_is_a_condition_of_creating_it(self):
        aws = self.aws
        boundary = aws.client("iam").create_policy(PolicyName=unique("b"), PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [allow("*")]}))["Policy"]["Arn"]
        api = aws.client("iam", aws.user(allow(["iam:CreateRole", "iam:PutRolePolicy"], condition={"StringEquals": {"iam:PermissionsBoundary": boundary}})))
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        self.refused("AccessDenied", api.create_role, RoleName=unique("role"), AssumeRolePolicyDocument=trust)
        name = unique("role")
        api.create_role(RoleName=name, AssumeRolePolicyDocument=trust, PermissionsBoundary=boundary)
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*")]})
        api.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document)
        self.refused("AccessDenied", api.put_role_policy, RoleName=aws.role().split("/")[-1], PolicyName="p", PolicyDocument=document)

    def test_the_policy_that_is_attached_is_a_condition(self):
        aws, read = self.aws, "arn:aws:iam::aws:policy/ReadOnlyAccess"
        name = aws.role().split("/")[-1]
        api = aws.client("iam", aws.user(allow("iam:AttachRolePolicy", condition={"ArnEquals": {"iam:PolicyARN": read}})))
        self.refused("AccessDenied", api.attach_role_policy, RoleName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        api.attach_role_policy(RoleName=name, PolicyArn=read)

    def test_the_auth_type_of_a_url_is_a_condition(self):
        aws, name = self.aws, self.aws.function()
        api = aws.client("lambda", aws.user(allow("lambda:CreateFunctionUrlConfig", condition={"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}})))
        self.refused("AccessDeniedException", api.create_function_url_config, FunctionName=name, AuthType="NONE")
        api.create_function_url_config(FunctionName=name, AuthType="AWS_IAM")

    def test_tags_of_a_security_group_are_conditions(self):
        aws = self.aws
        ec2 = aws.client("ec2")
        mine, other = (ec2.create_security_group(GroupName=unique("g"), Description="d")["GroupId"] for _ in range(2))
        ec2.create_tags(Resources=[mine], Tags=[{"Key": "team", "Value": "a"}])
        permission = [{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
        for key in ("ec2:ResourceTag/team", "aws:ResourceTag/team"):
            api = aws.client("ec2", aws.user(allow("ec2:RevokeSecurityGroupIngress", condition={"StringEquals": {key: "a"}})))
            ec2.authorize_security_group_ingress(GroupId=mine, IpPermissions=permission)
            api.revoke_security_group_ingress(GroupId=mine, IpPermissions=permission)
            self.refused("UnauthorizedOperation", api.revoke_security_group_ingress, GroupId=other, IpPermissions=permission)

    def test_the_principal_of_a_session_is_its_role(self):
        aws = self.aws
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.id}:root"}, "Action": "sts:AssumeRole"}]}
        role = aws.role(allow("sqs:*"), path="/x/", trust=trust)
        session = aws.client("sts", aws.admin).assume_role(RoleArn=role, RoleSessionName="s")["Credentials"]
        keys = (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])
        url, _arn = aws.queue({"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Condition": {"ArnNotEquals": {"aws:PrincipalArn": role}}})
        aws.client("sqs", keys).send_message(QueueUrl=url, MessageBody="x")
        self.refused("AccessDenied", aws.client("sqs", aws.admin).send_message, QueueUrl=url, MessageBody="x")

    def test_policy_variables_stand_for_values(self):
        aws = self.aws
        _url, arn = aws.queue()
        keys = aws.user(allow("sqs:GetQueueAttributes", arn.replace(aws.id, "${aws:PrincipalAccount}")))
        aws.client("sqs", keys).get_queue_attributes(QueueUrl=_url, AttributeNames=["All"])

    def test_a_batch_needs_a_right_of_its_own(self):
        aws, table = self.aws, unique("table")
        arn = aws.client("dynamodb").create_table(
            TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])["TableDescription"]["TableArn"]
        wanted = {table: {"Keys": [{"pk": {"S": "finding#1"}}], "ConsistentRead": True}}
        single = aws.client("dynamodb", aws.user(allow(["dynamodb:GetItem", "dynamodb:Query"], arn)))
        self.refused("AccessDeniedException", single.batch_get_item, RequestItems=wanted)
        elsewhere = aws.client("dynamodb", aws.user(allow("dynamodb:BatchGetItem", f"{arn}x")))
        self.refused("AccessDeniedException", elsewhere.batch_get_item, RequestItems=wanted)
        batch = aws.client("dynamodb", aws.user(allow("dynamodb:BatchGetItem", arn)))
        self.assertEqual({table: []}, batch.batch_get_item(RequestItems=wanted)["Responses"])

    def test_the_partition_key_of_an_item_is_a_condition(self):
        aws, table = self.aws, unique("table")
        aws.client("dynamodb").create_table(TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                                            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])
        api = aws.client("dynamodb", aws.user(allow("dynamodb:PutItem", condition={"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["finding#*"]}})))
        api.put_item(TableName=table, Item={"pk": {"S": "finding#1"}})
        self.refused("AccessDeniedException", api.put_item, TableName=table, Item={"pk": {"S": "switch#1"}})


class ResourcePolicies(Case):
    def test_a_deny_on_a_bus_holds(self):
        aws, name = self.aws, unique("bus")
        arn = aws.client("events").create_event_bus(Name=name)["EventBusArn"]
        entry = [{"EventBusName": name, "Source": "x", "DetailType": "y", "Detail": "{}"}]
        aws.client("events", aws.admin).put_events(Entries=entry)
        aws.client("events").put_permission(EventBusName=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Sid": "s", "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents", "Resource": arn}]}))
        self.refused("AccessDeniedException", aws.client("events", aws.admin).put_events, Entries=entry)

    def test_a_deny_on_a_table_holds(self):
        aws, table = self.aws, unique("table")
        arn = aws.client("dynamodb").create_table(
            TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}])["TableDescription"]["TableArn"]
        aws.client("dynamodb").put_resource_policy(ResourceArn=arn, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "dynamodb:PutItem", "Resource": arn}]}))
        self.refused("AccessDeniedException", aws.client("dynamodb", aws.admin).put_item, TableName=table, Item={"pk": {"S": "1"}})


class Policies(Case):
    def test_the_default_version_of_a_policy_can_be_set(self):
        api = self.aws.client("iam")
        document = lambda action: json.dumps({"Version": "2012-10-17", "Statement": [allow(action)]})
        arn = api.create_policy(PolicyName=unique("p"), PolicyDocument=document("s3:*"))["Policy"]["Arn"]
        api.create_policy_version(PolicyArn=arn, PolicyDocument=document("sqs:*"), SetAsDefault=True)
        api.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        self.assertEqual("v1", api.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"])


class AccountDetails(Case):
    def principals(self, aws, **more):
        found, marker, pages = [], {}, 0
        while True:
            page = aws.client("iam").get_account_authorization_details(Filter=["User", "Group", "Role"], **more, **marker)
            found += page["UserDetailList"] + page["GroupDetailList"] + page["RoleDetailList"]
            pages += 1
            if not page["IsTruncated"]:
                return found, pages
            marker = {"Marker": page["Marker"]}

    def test_pages_together_hold_everybody_once(self):
        aws = self.aws
        for _ in range(3):
            aws.user()
        aws.client("iam").create_group(GroupName=unique("group"))
        everybody = {one["Arn"] for one in self.principals(aws, MaxItems=1000)[0]}
        paged, pages = self.principals(aws, MaxItems=2)
        self.assertEqual(sorted(everybody), sorted(one["Arn"] for one in paged))
        self.assertGreater(pages, 2)

    def test_a_page_that_no_page_named_is_refused(self):
        self.refused("ValidationError", self.aws.client("iam").get_account_authorization_details, Marker="2")

    def test_boundaries_are_told(self):
        aws = self.aws
        boundary = aws.client("iam").create_policy(PolicyName=unique("b"), PolicyDocument=json.dumps({
            "Version": "2012-10-17", "Statement": [allow("*")]}))["Policy"]["Arn"]
        aws.user(boundary=boundary)
        found, _ = self.principals(aws, MaxItems=1000)
        self.assertIn(boundary, [one.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn") for one in found])

    def test_the_emulator_alone_answers_all_at_once(self):
        aws = plain()
        aws.user(), aws.user()
        self.assertFalse(aws.client("iam").get_account_authorization_details(MaxItems=1)["IsTruncated"])


class Simulation(Case):
    def decisions(self, arn: str, **more) -> dict:
        found = self.aws.client("iam").simulate_principal_policy(PolicySourceArn=arn, **more)["EvaluationResults"]
        return {result["EvalActionName"]: result["EvalDecision"] for result in found}

    def test_every_resource_is_decided(self):
        arn = self.aws.role(allow("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:*:*:secret:mine-*"), path="/x/")
        resources = [f"arn:aws:secretsmanager:us-east-1:{self.aws.id}:secret:{name}-abcdef" for name in ("mine", "other")]
        found = self.aws.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=["secretsmanager:GetSecretValue"], ResourceArns=resources)
        [result] = found["EvaluationResults"]
        self.assertEqual("implicitDeny", result["EvalDecision"])
        self.assertEqual(["allowed", "implicitDeny"], [each["EvalResourceDecision"] for each in result["ResourceSpecificResults"]])

    def test_boundaries_limit(self):
        api = self.aws.client("iam")
        boundary = api.create_policy(PolicyName=unique("b"), PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:*")]}))["Policy"]["Arn"]
        arn = self.aws.role(allow("*"))
        api.put_role_permissions_boundary(RoleName=arn.split("/")[-1], PermissionsBoundary=boundary)
        self.assertEqual(["allowed", "implicitDeny"], list(self.decisions(arn, ActionNames=["s3:GetObject", "sqs:SendMessage"]).values()))

    def test_context_decides_and_is_missed(self):
        arn = self.aws.role(allow("kms:Decrypt", condition={"StringEquals": {"kms:ViaService": "lambda.us-east-1.amazonaws.com"}}))
        api = self.aws.client("iam")
        result = api.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["kms:Decrypt"])["EvaluationResults"][0]
        self.assertEqual(("implicitDeny", ["kms:ViaService"]), (result["EvalDecision"], result["MissingContextValues"]))
        entry = {"ContextKeyName": "kms:ViaService", "ContextKeyType": "string", "ContextKeyValues": ["lambda.us-east-1.amazonaws.com"]}
        self.assertEqual(["allowed"], list(self.decisions(arn, ActionNames=["kms:Decrypt"], ContextEntries=[entry]).values()))

    def test_an_explicit_deny_is_told(self):
        arn = self.aws.role(allow("*"), deny("s3:*"))
        self.assertEqual(["explicitDeny"], list(self.decisions(arn, ActionNames=["s3:GetObject"]).values()))

    def test_policies_of_nobody_are_decided_with_their_context(self):
        api = self.aws.client("iam")
        condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sts:AssumeRole", condition=condition)]})
        entry = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": ["eu-west-1"]}
        for entries, decision in (([], "implicitDeny"), ([entry], "allowed")):
            found = api.simulate_custom_policy(PolicyInputList=[document], ActionNames=["sts:AssumeRole"], ContextEntries=entries)
            self.assertEqual(decision, found["EvaluationResults"][0]["EvalDecision"])

    def test_the_emulator_alone_knows_no_context_of_policies_of_nobody(self):
        aws = plain()
        condition = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allow("sts:AssumeRole", condition=condition)]})
        entry = {"ContextKeyName": "aws:RequestedRegion", "ContextKeyType": "string", "ContextKeyValues": ["eu-west-1"]}
        found = aws.client("iam").simulate_custom_policy(PolicyInputList=[document], ActionNames=["sts:AssumeRole"], ContextEntries=[entry])
        self.assertEqual("implicitDeny", found["EvaluationResults"][0]["EvalDecision"])

    def test_the_emulator_alone_decides_one_resource(self):
        aws = plain()
        arn = aws.role(allow("*"))
        found = aws.client("iam").simulate_principal_policy(PolicySourceArn=arn, ActionNames=["s3:GetObject"], ResourceArns=["arn:aws:s3:::a/b", "arn:aws:s3:::c/d"])
        self.assertEqual([], found["EvaluationResults"][0].get("ResourceSpecificResults", []))


class Roles(Case):
    def test_a_function_runs_with_its_new_role_after_a_change(self):
        from .account import CALLER
        aws = self.aws
        name = aws.function(CALLER, role=aws.role())
        status = lambda: json.load(aws.client("lambda").invoke(FunctionName=name)["Payload"])["status"]
        self.assertEqual(403, status())
        aws.client("lambda").update_function_configuration(FunctionName=name, Role=aws.role(allow("sqs:*")))
        aws.settled(name)
        eventually(lambda: status() == 200)

    def test_functions_are_refused_what_their_role_lacks(self):
        from .account import CALLER
        aws = account()
        name = aws.function(CALLER, role=aws.role())
        before = aws.bench("/_bench/denied?since=999999999")["next"]
        aws.client("lambda").invoke(FunctionName=name)
        found = aws.bench(f"/_bench/denied?since={before}")["denied"]
        self.assertEqual([("sqs:CreateQueue", name)], [(denial["action"], denial["functionName"]) for denial in found])


class Keys(Case):
    def test_an_encrypted_queue_topic_bucket_or_table_needs_its_key(self):
        aws = self.aws
        key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
        url, _arn = aws.queue(KmsMasterKeyId=key)
        topic = aws.client("sns").create_topic(Name=unique("topic"), Attributes={"KmsMasterKeyId": key})["TopicArn"]
        bucket = unique("bucket")
        aws.client("s3").create_bucket(Bucket=bucket)
        aws.client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}]})
        table = unique("table")
        aws.client("dynamodb").create_table(TableName=table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
                                            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
                                            SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key})
        for service, action, permissions, do in (
            ("dynamodb", "dynamodb:PutItem", ["kms:Decrypt"], lambda api: api.put_item(TableName=table, Item={"pk": {"S": "a"}})),
            ("sqs", "sqs:SendMessage", ["kms:GenerateDataKey", "kms:Decrypt"], lambda api: api.send_message(QueueUrl=url, MessageBody="x")),
            ("sqs", "sqs:ReceiveMessage", ["kms:Decrypt"], lambda api: api.receive_message(QueueUrl=url)),
            ("sns", "sns:Publish", ["kms:GenerateDataKey", "kms:Decrypt"], lambda api: api.publish(TopicArn=topic, Message="x")),
            ("s3", "s3:PutObject", ["kms:GenerateDataKey"], lambda api: api.put_object(Bucket=bucket, Key="a", Body=b"x")),
            ("s3", "s3:GetObject", ["kms:Decrypt"], lambda api: api.get_object(Bucket=bucket, Key="a")),
        ):
            with self.subTest(action):
                with self.assertRaises(Exception) as caught:
                    do(aws.client(service, aws.user(allow(action))))
                self.assertIn("kms:", str(caught.exception))
                via = {"StringEquals": {"kms:ViaService": f"{service}.us-east-1.amazonaws.com"}}
                do(aws.client(service, aws.user(allow(action), allow(permissions, key, condition=via))))
