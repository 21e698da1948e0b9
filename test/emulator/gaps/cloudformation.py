"""CloudFormation: the properties and types that a template of ours uses, and the API calls that a stack makes."""
import json
import logging
from xml.sax.saxutils import escape

from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, ec2, eventbridge, iam as iam_svc, lambda_svc, s3, sqs
from ministack.services import sns as sns_svc
from ministack.services.cloudformation import provisioners

from bench import cloudtrail
from bench.context import Call, current
from bench.identity import role_session_of

from . import ec2 as ec2_gaps
from . import lambda_, lambda_policies

logger = logging.getLogger("bench")
HANDLERS = provisioners._RESOURCE_HANDLERS


def _text(document) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _number(value):
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _after(resource_type: str, create=None, update=None):
    """Do something after the emulator's own create or update of a type."""
    handler = dict(HANDLERS[resource_type])
    if create and "create" in handler:
        original_create = handler["create"]

        def created(logical_id, props, stack_name):
            result = original_create(logical_id, props, stack_name)
            create(result[0], {}, props)
            return result
        handler["create"] = created
    if update and "update" in handler:
        original_update = handler["update"]

        def updated(physical_id, old_props, new_props, *rest):
            result = original_update(physical_id, old_props, new_props, *rest)
            update(result[0], old_props, new_props)
            return result
        handler["update"] = updated
    HANDLERS[resource_type] = handler


def _before_delete(resource_type: str, check):
    handler = dict(HANDLERS[resource_type])
    original = handler["delete"]

    def delete(physical_id, props, *rest):
        check(physical_id, props)
        return original(physical_id, props, *rest)
    handler["delete"] = delete
    HANDLERS[resource_type] = handler


def boundaries_of_roles() -> None:
    """AWS::IAM::Role has PermissionsBoundary.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html"""
    def set_boundary(name, old, props):
        role = iam_svc._roles.get(name)
        if role is not None:
            role["PermissionsBoundary"] = props.get("PermissionsBoundary") or ""
    _after("AWS::IAM::Role", set_boundary, set_boundary)


def inline_policies_of_roles() -> None:
    """AWS::IAM::RolePolicy is one inline policy of a role.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-rolepolicy.html"""
    def create(logical_id, props, stack_name):
        role = iam_svc._roles.get(props.get("RoleName", ""))
        if role is None:
            raise ValueError(f"The role with name {props.get('RoleName')} cannot be found.")
        role["InlinePolicies"][props["PolicyName"]] = _text(props.get("PolicyDocument", {}))
        return f"{props['PolicyName']}|{props['RoleName']}", {}

    def delete(physical_id, props):
        role = iam_svc._roles.get(props.get("RoleName", ""))
        if role is not None:
            role["InlinePolicies"].pop(props.get("PolicyName"), None)

    def update(physical_id, old, new, stack_name):
        if (old.get("RoleName"), old.get("PolicyName")) != (new.get("RoleName"), new.get("PolicyName")):
            delete(physical_id, old)
        return create("", new, stack_name)

    HANDLERS.setdefault("AWS::IAM::RolePolicy", {"create": create, "update": update, "delete": delete})


def properties_of_functions() -> None:
    """AWS::Lambda::Function has VpcConfig, KmsKeyArn, ReservedConcurrentExecutions, DeadLetterConfig, CodeSigningConfigArn and
    RecursiveLoop, and its role must exist and trust Lambda.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-function.html"""
    def set_properties(name, old, props):
        func = lambda_svc._functions.get(name)
        if func is None:
            return
        config = func["config"]
        problem = lambda_.role_problem(props.get("Role", "")) or lambda_.vpc_problem(props.get("Role", ""), props.get("VpcConfig") or {})
        if problem:
            if not old:
                lambda_svc._functions.pop(name, None)
            raise ValueError(f"Resource handler returned message: \"{problem} (Service: Lambda, Status Code: 400)\"")
        if old.get("Role") and old["Role"] != props.get("Role"):
            lambda_svc.invalidate_worker(name, qualifier="$LATEST", account=get_account_id(), region=get_region())
        for prop, member in (("KmsKeyArn", "KMSKeyArn"), ("DeadLetterConfig", "DeadLetterConfig")):
            if props.get(prop):
                config[member] = props[prop]
            else:
                config.pop(member, None)
        if props.get("VpcConfig"):
            config["VpcConfig"] = lambda_svc._vpc_config_with_id({
                "SubnetIds": props["VpcConfig"].get("SubnetIds") or [], "SecurityGroupIds": props["VpcConfig"].get("SecurityGroupIds") or []})
        else:
            config.pop("VpcConfig", None)
        reserved = props.get("ReservedConcurrentExecutions")
        func["concurrency"] = None if reserved is None else int(reserved)
        func["code_signing_config_arn"] = props.get("CodeSigningConfigArn", "")
        if props.get("RecursiveLoop"):
            func["recursive_loop"] = props["RecursiveLoop"]
    _after("AWS::Lambda::Function", set_properties, set_properties)


def policies_of_functions() -> None:
    """AWS::Lambda::ResourcePolicy is the whole policy of a function, version or alias. One that is there already is not taken over.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-resourcepolicy.html"""
    def write(props):
        status, _headers, body = lambda_policies.put(props["ResourceArn"], _text(props.get("PolicyDocument", {})))
        if status >= 300:
            raise ValueError(f"Resource handler returned message: {body.decode()}")
        return props["ResourceArn"], {}

    def create(logical_id, props, stack_name):
        arn = props.get("ResourceArn", "")
        func = lambda_svc._functions.get(arn.split(":function:")[-1].split(":")[0])
        if func is not None and arn in func.get("policies", {}):
            raise ValueError(f"Resource of type 'AWS::Lambda::ResourcePolicy' with identifier '{arn}' already exists.")
        return write(props)

    def delete(physical_id, props):
        lambda_policies.delete(physical_id)

    def update(physical_id, old, new, stack_name):
        if physical_id == new.get("ResourceArn"):
            return write(new)
        made = create("", new, stack_name)
        delete(physical_id, old)
        return made

    HANDLERS.setdefault("AWS::Lambda::ResourcePolicy", {"create": create, "update": update, "delete": delete})


def code_signing_configs() -> None:
    """AWS::Lambda::CodeSigningConfig.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-codesigningconfig.html"""
    def create(logical_id, props, stack_name):
        config = lambda_.create_signing_config(props)
        arn = config["CodeSigningConfigArn"]
        return arn, {"CodeSigningConfigArn": arn, "CodeSigningConfigId": config["CodeSigningConfigId"]}

    def update(physical_id, old, new, stack_name):
        changes = {key: new[key] for key in ("Description", "AllowedPublishers", "CodeSigningPolicies") if new.get(key)}
        (lambda_.signing_config(physical_id) or {}).update(changes)
        return physical_id, {"CodeSigningConfigArn": physical_id, "CodeSigningConfigId": physical_id.rsplit(":", 1)[-1]}

    HANDLERS.setdefault("AWS::Lambda::CodeSigningConfig",
                        {"create": create, "update": update, "delete": lambda physical_id, props: lambda_._signing.pop(physical_id, None)})


def functions_leave_nothing() -> None:
    """A function that its stack deletes takes its URLs along."""
    def clear(name, props):
        for key in [key for key in lambda_svc._function_urls.keys() if key.split(":")[0] == name]:
            lambda_svc._function_urls.pop(key, None)
    _before_delete("AWS::Lambda::Function", clear)


def properties_of_tables() -> None:
    """AWS::DynamoDB::Table has TimeToLiveSpecification, PointInTimeRecoverySpecification, SSESpecification and ResourcePolicy; a table with
    deletion protection is not deleted.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html"""
    def set_properties(name, old, props):
        table = dynamodb._tables.get(name)
        if table is None:
            return
        ttl = props.get("TimeToLiveSpecification")
        if ttl:
            dynamodb._update_ttl({"TableName": name, "TimeToLiveSpecification": {
                "Enabled": str(ttl.get("Enabled", True)).lower() == "true", "AttributeName": ttl.get("AttributeName", "")}})
        recovery = props.get("PointInTimeRecoverySpecification")
        if recovery or old.get("PointInTimeRecoverySpecification"):
            enabled = str((recovery or {}).get("PointInTimeRecoveryEnabled", False)).lower() == "true"
            dynamodb._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": enabled}})
        encryption = props.get("SSESpecification") or {}
        if str(encryption.get("SSEEnabled", "")).lower() == "true":
            table["SSEDescription"] = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": encryption.get("KMSMasterKeyId", "alias/aws/dynamodb")}
        policy = (props.get("ResourcePolicy") or {}).get("PolicyDocument")
        if policy:
            dynamodb._put_resource_policy({"ResourceArn": table["TableArn"], "Policy": _text(policy)})
        elif old.get("ResourcePolicy"):
            dynamodb._delete_resource_policy({"ResourceArn": table["TableArn"]})
    _after("AWS::DynamoDB::Table", set_properties, set_properties)

    def protected(name, props):
        if (dynamodb._tables.get(name) or {}).get("DeletionProtectionEnabled"):
            raise ValueError("Resource handler returned message: \"Resource cannot be deleted as it is currently protected against deletion. "
                             "Disable deletion protection first.\"")
    _before_delete("AWS::DynamoDB::Table", protected)


def _lifecycle_xml(configuration: dict) -> bytes:
    rules = ""
    for rule in configuration.get("Rules") or []:
        parts = f"<ID>{escape(str(rule['Id']))}</ID>" if rule.get("Id") else ""
        parts += f"<Filter><Prefix>{escape(str(rule.get('Prefix', '')))}</Prefix></Filter><Status>{rule.get('Status', 'Enabled')}</Status>"
        if rule.get("ExpirationInDays"):
            parts += f"<Expiration><Days>{rule['ExpirationInDays']}</Days></Expiration>"
        old_versions = rule.get("NoncurrentVersionExpiration") or {}
        days = old_versions.get("NoncurrentDays") or rule.get("NoncurrentVersionExpirationInDays")
        if days:
            parts += f"<NoncurrentVersionExpiration><NoncurrentDays>{days}</NoncurrentDays></NoncurrentVersionExpiration>"
        abort = (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation")
        if abort:
            parts += f"<AbortIncompleteMultipartUpload><DaysAfterInitiation>{abort}</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
        rules += f"<Rule>{parts}</Rule>"
    return f'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rules}</LifecycleConfiguration>'.encode()


def _encryption_xml(configuration: dict) -> bytes:
    rules = ""
    for rule in configuration.get("ServerSideEncryptionConfiguration") or []:
        default = rule.get("ServerSideEncryptionByDefault") or {}
        key = f"<KMSMasterKeyID>{escape(str(default['KMSMasterKeyID']))}</KMSMasterKeyID>" if default.get("KMSMasterKeyID") else ""
        rules += ("<Rule><ApplyServerSideEncryptionByDefault>"
                  f"<SSEAlgorithm>{default.get('SSEAlgorithm', 'AES256')}</SSEAlgorithm>{key}</ApplyServerSideEncryptionByDefault>"
                  f"<BucketKeyEnabled>{str(rule.get('BucketKeyEnabled', False)).lower()}</BucketKeyEnabled></Rule>")
    return f'<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rules}</ServerSideEncryptionConfiguration>'.encode()


def properties_of_buckets() -> None:
    """AWS::S3::Bucket has LifecycleConfiguration, BucketEncryption and Tags, and is not deleted while it holds anything.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html"""
    def set_properties(name, old, props):
        if props.get("LifecycleConfiguration"):
            s3._put_bucket_lifecycle(name, _lifecycle_xml(props["LifecycleConfiguration"]))
        elif old.get("LifecycleConfiguration"):
            s3._delete_bucket_lifecycle(name)
        if props.get("BucketEncryption"):
            s3._put_bucket_encryption(name, _encryption_xml(props["BucketEncryption"]))
        if props.get("Tags"):
            s3._bucket_tags[name] = {tag["Key"]: tag["Value"] for tag in props["Tags"]}
    _after("AWS::S3::Bucket", set_properties, set_properties)

    def empty(name, props):
        bucket = s3._buckets.get(name) or {}
        if bucket.get("objects") or s3._bucket_has_versions(name):
            raise ValueError("Resource handler returned message: \"The bucket you tried to delete is not empty. You must delete all versions in "
                             "the bucket. (Service: S3, Status Code: 409)\"")
    _before_delete("AWS::S3::Bucket", empty)


def policies_of_buses() -> None:
    """AWS::Events::EventBus has Policy, and AWS::Events::EventBusPolicy is one statement or a whole policy of a bus.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-eventbuspolicy.html"""
    def set_policy(name, old, props):
        if props.get("Policy"):
            eventbridge._event_bus_policies[name] = json.loads(_text(props["Policy"]))
        elif old.get("Policy"):
            eventbridge._event_bus_policies.pop(name, None)
        bus = eventbridge._event_buses.get(name)
        for prop in ("KmsKeyIdentifier", "DeadLetterConfig"):
            if bus is not None and props.get(prop):
                bus[prop] = props[prop]
    _after("AWS::Events::EventBus", set_policy, set_policy)

    def create(logical_id, props, stack_name):
        bus = props.get("EventBusName") or "default"
        eventbridge._ensure_default_bus()
        if bus not in eventbridge._event_buses:
            raise ValueError(f"Event bus {bus} does not exist.")
        sid = props.get("StatementId") or logical_id
        statement = props.get("Statement")
        if statement is None and props.get("Principal"):
            statement = {"Effect": "Allow", "Principal": props["Principal"] if props["Principal"] == "*" else {
                "AWS": f"arn:aws:iam::{props['Principal']}:root"}, "Action": props.get("Action", "events:PutEvents"),
                "Resource": eventbridge._event_buses[bus]["Arn"], **({"Condition": props["Condition"]} if props.get("Condition") else {})}
        policy = eventbridge._event_bus_policies.get(bus) or {"Version": "2012-10-17", "Statement": []}
        kept = [existing for existing in policy["Statement"] if existing.get("Sid") != sid]
        statement = json.loads(statement) if isinstance(statement, str) else dict(statement or {})
        eventbridge._event_bus_policies[bus] = {**policy, "Statement": [*kept, {**statement, "Sid": sid}]}
        return f"{bus}|{sid}", {}

    def delete(physical_id, props):
        bus, _, sid = physical_id.partition("|")
        policy = eventbridge._event_bus_policies.get(bus)
        if policy:
            kept = [statement for statement in policy["Statement"] if statement.get("Sid") != sid]
            if kept:
                eventbridge._event_bus_policies[bus] = {**policy, "Statement": kept}
            else:
                eventbridge._event_bus_policies.pop(bus, None)

    def update(physical_id, old, new, stack_name):
        delete(physical_id, old)
        return create(physical_id.partition("|")[2], new, stack_name)

    HANDLERS.setdefault("AWS::Events::EventBusPolicy", {"create": create, "update": update, "delete": delete})


def names_of_rules_on_other_buses() -> None:
    """On a bus of its own a rule's physical id is `bus|name`.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-events-rule.html (Return values)"""
    original = dict(HANDLERS["AWS::Events::Rule"])

    def bare(physical_id):
        return physical_id.split("|")[-1]

    def full(result, props):
        name, attributes = result[:2]
        bus = provisioners._eb_rule_bus_name(props)
        return (name if bus == "default" else f"{bus}|{name}", attributes, *result[2:])

    HANDLERS["AWS::Events::Rule"] = {
        **original,
        "create": lambda logical_id, props, stack_name: full(original["create"](logical_id, props, stack_name), props),
        "update": lambda physical_id, old, new, *rest: full(original["update"](bare(physical_id), old, new, *rest), new),
        "delete": lambda physical_id, props: original["delete"](bare(physical_id), props),
    }


def inline_policies_of_queues_and_topics() -> None:
    """AWS::SQS::QueueInlinePolicy and AWS::SNS::TopicInlinePolicy are the policy of one queue or topic.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sqs-queueinlinepolicy.html"""
    def of_queue(url: str):
        return sqs._queues.get(sqs._queue_url(url.rstrip("/").rsplit("/", 1)[-1]))

    def set_queue(logical_id, props, stack_name):
        queue = of_queue(props.get("Queue", ""))
        if queue is None:
            raise ValueError("The specified queue does not exist.")
        queue["attributes"]["Policy"] = _text(props["PolicyDocument"])
        return props["Queue"], {}

    def set_topic(logical_id, props, stack_name):
        topic = sns_svc._topics.get(props.get("TopicArn", ""))
        if topic is None:
            raise ValueError("Topic does not exist")
        topic["attributes"]["Policy"] = _text(props["PolicyDocument"])
        return props["TopicArn"], {}

    def clear_queue(physical_id, props):
        queue = of_queue(physical_id)
        if queue is not None:
            queue["attributes"].pop("Policy", None)

    def clear_topic(physical_id, props):
        topic = sns_svc._topics.get(physical_id)
        if topic is not None:
            topic["attributes"].pop("Policy", None)

    HANDLERS.setdefault("AWS::SQS::QueueInlinePolicy", {
        "create": set_queue, "update": lambda pid, old, new, stack: set_queue("", new, stack), "delete": clear_queue})
    HANDLERS.setdefault("AWS::SNS::TopicInlinePolicy", {
        "create": set_topic, "update": lambda pid, old, new, stack: set_topic("", new, stack), "delete": clear_topic})


def rules_of_security_groups() -> None:
    """AWS::EC2::SecurityGroupIngress and -Egress are single rules, and the rules of a group have ids from the start.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-securitygroupingress.html"""
    def number(group_id, old, props):
        group = ec2._security_groups.get(group_id)
        for direction in ("IpPermissions", "IpPermissionsEgress") if group else ():
            rules = [rule for permission in group[direction] for rule in ec2_gaps.split(permission)]
            for rule in rules:
                rule.setdefault("SecurityGroupRuleId", ec2_gaps._new_rule_id())
            group[direction] = rules
    _after("AWS::EC2::SecurityGroup", number, number)

    def handlers(direction):
        def create(logical_id, props, stack_name):
            group = ec2._security_groups.get(props.get("GroupId", ""))
            if group is None:
                raise ValueError(f"The security group '{props.get('GroupId')}' does not exist")
            rule = provisioners._ec2_sg_permissions([props])[0]
            rule["SecurityGroupRuleId"] = ec2_gaps._new_rule_id()
            group[direction].append(rule)
            return rule["SecurityGroupRuleId"], {"Id": rule["SecurityGroupRuleId"]}

        def delete(physical_id, props):
            group = ec2._security_groups.get(props.get("GroupId", ""))
            if group is not None:
                group[direction] = [rule for rule in group[direction] if rule.get("SecurityGroupRuleId") != physical_id]

        def update(physical_id, old, new, stack_name):
            delete(physical_id, old)
            return create("", new, stack_name)
        return {"create": create, "update": update, "delete": delete}

    HANDLERS.setdefault("AWS::EC2::SecurityGroupIngress", handlers("IpPermissions"))
    HANDLERS.setdefault("AWS::EC2::SecurityGroupEgress", handlers("IpPermissionsEgress"))


# --- the calls that a stack makes -------------------------------------------------------------------------------------------------------

def _tag_map(tags) -> dict:
    return {tag["Key"]: tag.get("Value", "") for tag in tags or [] if isinstance(tag, dict) and "Key" in tag}


def _code(props: dict) -> dict:
    return {key: value for key, value in (props.get("Code") or {}).items() if key in ("S3Bucket", "S3Key", "S3ObjectVersion", "ImageUri")}


def _function_configuration(props: dict) -> dict:
    kept = {key: props[key] for key in ("Runtime", "Role", "Handler", "Description", "Environment", "Layers", "VpcConfig", "TracingConfig",
                                        "DeadLetterConfig", "EphemeralStorage", "LoggingConfig") if key in props}
    kept.update({key: _number(props[key]) for key in ("Timeout", "MemorySize") if key in props})
    if props.get("KmsKeyArn"):
        kept["KMSKeyArn"] = props["KmsKeyArn"]
    return kept


def _function_result(name: str):
    func = lambda_svc._functions.get(name)
    return dict(func["config"]) if func else {}


def _calls_of_function(verb, pid, old, new):
    if verb == "create":
        params = {"FunctionName": pid, **_function_configuration(new), "Code": _code(new), "Publish": False,
                  "PackageType": new.get("PackageType", "Zip"), "Architectures": new.get("Architectures", ["x86_64"])}
        if new.get("Tags"):
            params["Tags"] = _tag_map(new["Tags"])
        calls = [("lambda", "CreateFunction", params, _function_result(pid))]
        if new.get("ReservedConcurrentExecutions") is not None:
            calls.append(("lambda", "PutFunctionConcurrency", {
                "FunctionName": pid, "ReservedConcurrentExecutions": int(new["ReservedConcurrentExecutions"])}, {
                    "ReservedConcurrentExecutions": int(new["ReservedConcurrentExecutions"])}))
        return calls
    if verb == "delete":
        return [("lambda", "DeleteFunction", {"FunctionName": pid}, {})]
    calls = []
    if old.get("Code") != new.get("Code"):
        calls.append(("lambda", "UpdateFunctionCode", {"FunctionName": pid, **_code(new)}, _function_result(pid)))
    before, after = _function_configuration(old), _function_configuration(new)
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    if changed or set(before) - set(after):
        calls.append(("lambda", "UpdateFunctionConfiguration", {"FunctionName": pid, **changed}, _function_result(pid)))
    arn = lambda_svc._func_arn(pid)
    if _tag_map(old.get("Tags")) != _tag_map(new.get("Tags")):
        gone = sorted(set(_tag_map(old.get("Tags"))) - set(_tag_map(new.get("Tags"))))
        if gone:
            calls.append(("lambda", "UntagResource", {"Resource": arn, "TagKeys": gone}, {}))
        calls.append(("lambda", "TagResource", {"Resource": arn, "Tags": _tag_map(new.get("Tags"))}, {}))
    if old.get("ReservedConcurrentExecutions") != new.get("ReservedConcurrentExecutions"):
        reserved = new.get("ReservedConcurrentExecutions")
        calls.append(("lambda", "DeleteFunctionConcurrency", {"FunctionName": pid}, {}) if reserved is None else (
            "lambda", "PutFunctionConcurrency", {"FunctionName": pid, "ReservedConcurrentExecutions": int(reserved)}, {
                "ReservedConcurrentExecutions": int(reserved)}))
    return calls


def _function_arn(reference: str) -> str:
    return reference if reference.startswith("arn:") else lambda_svc._func_arn(reference)


def _calls_of_permission(verb, pid, old, new):
    props = new if verb != "delete" else old
    arn = _function_arn(str(props.get("FunctionName", "")))
    calls = []
    if verb in ("create", "update"):
        params = {key: new[key] for key in ("Action", "Principal", "SourceArn", "SourceAccount", "PrincipalOrgID", "FunctionUrlAuthType",
                                            "EventSourceToken", "InvokedViaFunctionUrl") if key in new}
        func = lambda_svc._functions.get(arn.split(":function:")[-1].split(":")[0]) or {"policy": {"Statement": []}}
        statement = next((item for item in func["policy"]["Statement"] if item.get("Sid") == pid), None)
        calls.append(("lambda", "AddPermission", {"FunctionName": arn, "StatementId": pid, **params},
                      {"Statement": json.dumps(statement)} if statement else {}))
    if verb in ("delete",):
        calls.append(("lambda", "RemovePermission", {"FunctionName": arn, "StatementId": pid}, {}))
    return calls


def _calls_of_policy_of_function(verb, pid, old, new):
    if verb == "delete":
        return [("lambda", "DeleteResourcePolicy", {"ResourceArn": pid}, {})]
    text = _text(new.get("PolicyDocument", {}))
    return [("lambda", "PutResourcePolicy", {"ResourceArn": pid, "Policy": text}, {"Policy": text})]


def _calls_of_url(verb, pid, old, new):
    props = new if verb != "delete" else old
    arn = _function_arn(str(props.get("TargetFunctionArn", "")))
    params = {"FunctionName": arn, **({"Qualifier": props["Qualifier"]} if props.get("Qualifier") else {})}
    if verb == "delete":
        return [("lambda", "DeleteFunctionUrlConfig", params, {})]
    settings = {key: props[key] for key in ("AuthType", "Cors", "InvokeMode") if key in props}
    operation = "CreateFunctionUrlConfig" if verb == "create" else "UpdateFunctionUrlConfig"
    return [("lambda", operation, {**params, **settings}, dict(lambda_svc._function_urls.get(pid) or {}))]


def _calls_of_version(verb, pid, old, new):
    name = pid.rsplit(":", 1)[0]
    if verb == "create":
        func = lambda_svc._functions.get(name.split(":function:")[-1]) or {}
        version = func.get("versions", {}).get(pid.rsplit(":", 1)[-1], {})
        return [("lambda", "PublishVersion", {"FunctionName": name}, dict(version.get("config", {})))]
    return [("lambda", "DeleteFunction", {"FunctionName": name, "Qualifier": pid.rsplit(":", 1)[-1]}, {})] if verb == "delete" else []


def _calls_of_alias(verb, pid, old, new):
    props = new if verb != "delete" else old
    params = {"FunctionName": str(props.get("FunctionName", "")), "Name": props.get("Name", "")}
    if verb == "delete":
        return [("lambda", "DeleteAlias", params, {})]
    func = lambda_svc._functions.get(_function_arn(params["FunctionName"]).split(":function:")[-1].split(":")[0]) or {}
    params["FunctionVersion"] = props.get("FunctionVersion", "")
    return [("lambda", "CreateAlias" if verb == "create" else "UpdateAlias", params, dict(func.get("aliases", {}).get(props.get("Name"), {})))]


def _calls_of_mapping(verb, pid, old, new):
    if verb == "delete":
        return [("lambda", "DeleteEventSourceMapping", {"UUID": pid}, {})]
    settings = {key: _number(new[key]) for key in ("EventSourceArn", "FunctionName", "BatchSize", "FunctionResponseTypes", "ScalingConfig") if key in new}
    esm = lambda_svc._esms.get(pid)
    result = lambda_svc._esm_response(esm) if esm else {}
    return [("lambda", "CreateEventSourceMapping", settings, result) if verb == "create" else (
        "lambda", "UpdateEventSourceMapping", {"UUID": pid, **settings}, result)]


def _inline(props) -> dict:
    return {policy.get("PolicyName", ""): _text(policy.get("PolicyDocument", {})) for policy in props.get("Policies") or []}


def _calls_of_role(verb, pid, old, new):
    role = iam_svc._roles.get(pid) or {}
    calls = []
    if verb == "create":
        params = {"RoleName": pid, "Path": new.get("Path", "/"), "AssumeRolePolicyDocument": _text(new.get("AssumeRolePolicyDocument", {})),
                  **({"PermissionsBoundary": new["PermissionsBoundary"]} if new.get("PermissionsBoundary") else {}),
                  **({"Description": new["Description"]} if new.get("Description") else {}),
                  **({"Tags": [dict(tag) for tag in new["Tags"]]} if new.get("Tags") else {})}
        calls.append(("iam", "CreateRole", params, {"Role": {
            key: role.get(key) for key in ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument") if role.get(key)}}))
    if verb == "update" and _text(old.get("AssumeRolePolicyDocument", {})) != _text(new.get("AssumeRolePolicyDocument", {})):
        calls.append(("iam", "UpdateAssumeRolePolicy", {"RoleName": pid, "PolicyDocument": _text(new["AssumeRolePolicyDocument"])}, {}))
    if verb == "update" and old.get("PermissionsBoundary") != new.get("PermissionsBoundary"):
        boundary = new.get("PermissionsBoundary")
        calls.append(("iam", "PutRolePermissionsBoundary", {"RoleName": pid, "PermissionsBoundary": boundary}, {}) if boundary else (
            "iam", "DeleteRolePermissionsBoundary", {"RoleName": pid}, {}))
    before, after = (_inline(old), _inline(new)) if verb == "update" else ({}, _inline(new)) if verb == "create" else (_inline(old), {})
    attached, attach = set(old.get("ManagedPolicyArns") or []), set(new.get("ManagedPolicyArns") or [])
    calls += [("iam", "AttachRolePolicy", {"RoleName": pid, "PolicyArn": arn}, {}) for arn in sorted(attach - attached)]
    calls += [("iam", "DetachRolePolicy", {"RoleName": pid, "PolicyArn": arn}, {}) for arn in sorted(attached - attach)]
    calls += [("iam", "PutRolePolicy", {"RoleName": pid, "PolicyName": name, "PolicyDocument": document}, {})
              for name, document in after.items() if before.get(name) != document]
    calls += [("iam", "DeleteRolePolicy", {"RoleName": pid, "PolicyName": name}, {}) for name in sorted(set(before) - set(after))]
    if verb == "delete":
        calls.append(("iam", "DeleteRole", {"RoleName": pid}, {}))
    return calls


def _calls_of_policy(verb, pid, old, new):
    props = new if verb != "delete" else old
    calls = []
    for kind, member in (("Role", "Roles"), ("User", "Users"), ("Group", "Groups")):
        for name in props.get(member) or []:
            params = {f"{kind}Name": name, "PolicyName": props.get("PolicyName", "")}
            calls.append(("iam", f"Delete{kind}Policy", params, {}) if verb == "delete" else (
                "iam", f"Put{kind}Policy", {**params, "PolicyDocument": _text(props.get("PolicyDocument", {}))}, {}))
    return calls


def _calls_of_role_policy(verb, pid, old, new):
    props = new if verb != "delete" else old
    params = {"RoleName": props.get("RoleName", ""), "PolicyName": props.get("PolicyName", "")}
    return [("iam", "DeleteRolePolicy", params, {}) if verb == "delete" else (
        "iam", "PutRolePolicy", {**params, "PolicyDocument": _text(props.get("PolicyDocument", {}))}, {})]


def _calls_of_managed_policy(verb, pid, old, new):
    if verb == "create":
        return [("iam", "CreatePolicy", {"PolicyName": pid.rsplit("/", 1)[-1], "Path": new.get("Path", "/"),
                                         "PolicyDocument": _text(new.get("PolicyDocument", {}))}, {"Policy": {"Arn": pid}})]
    if verb == "update":
        return [("iam", "CreatePolicyVersion", {"PolicyArn": pid, "PolicyDocument": _text(new.get("PolicyDocument", {})), "SetAsDefault": True}, {})]
    return [("iam", "DeletePolicy", {"PolicyArn": pid}, {})]


def _permission(rule: dict) -> dict:
    permission = {key: rule[key] for key in ("IpProtocol", "FromPort", "ToPort", "IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
                  if rule.get(key) not in (None, [])}
    return permission


def _rule_result(group_id: str, rules: list, egress: bool) -> dict:
    shown = []
    for rule in rules:
        entry = {"SecurityGroupRuleId": rule.get("SecurityGroupRuleId"), "GroupId": group_id, "GroupOwnerId": get_account_id(), "IsEgress": egress,
                 "IpProtocol": rule.get("IpProtocol"), "FromPort": rule.get("FromPort", -1), "ToPort": rule.get("ToPort", -1)}
        for family, key, name in (("IpRanges", "CidrIp", "CidrIpv4"), ("Ipv6Ranges", "CidrIpv6", "CidrIpv6"), ("PrefixListIds", "PrefixListId", "PrefixListId")):
            for source in rule.get(family) or []:
                entry[name] = source.get(key)
        shown.append(entry)
    return {"Return": True, "SecurityGroupRules": shown}


def _calls_of_security_group(verb, pid, old, new):
    if verb == "delete":
        return [("ec2", "DeleteSecurityGroup", {"GroupId": pid}, {"Return": True, "GroupId": pid})]
    group = ec2._security_groups.get(pid) or {"IpPermissions": [], "IpPermissionsEgress": []}
    calls = []
    if verb == "create":
        calls.append(("ec2", "CreateSecurityGroup", {"GroupName": group.get("GroupName", ""), "Description": group.get("Description", ""),
                                                     "VpcId": group.get("VpcId", "")}, {"GroupId": pid}))
    for member, direction, kind in (("SecurityGroupIngress", "IpPermissions", "Ingress"), ("SecurityGroupEgress", "IpPermissionsEgress", "Egress")):
        if new.get(member) and (verb == "create" or old.get(member) != new.get(member)):
            rules = group[direction]
            calls.append(("ec2", f"AuthorizeSecurityGroup{kind}", {"GroupId": pid, "IpPermissions": [_permission(rule) for rule in rules]},
                          _rule_result(pid, rules, kind == "Egress")))
        elif old.get(member) and not new.get(member):
            removed = provisioners._ec2_sg_permissions(old[member])
            calls.append(("ec2", f"RevokeSecurityGroup{kind}", {"GroupId": pid, "IpPermissions": [_permission(rule) for rule in removed]}, {"Return": True}))
    return calls


def _calls_of_rule_of_group(direction, kind):
    def calls(verb, pid, old, new):
        props = new if verb != "delete" else old
        permission = [_permission(rule) for rule in provisioners._ec2_sg_permissions([props])]
        if verb == "delete":
            return [("ec2", f"RevokeSecurityGroup{kind}", {"GroupId": props.get("GroupId"), "IpPermissions": permission}, {"Return": True})]
        rules = [rule for rule in (ec2._security_groups.get(props.get("GroupId", "")) or {direction: []})[direction] if rule.get("SecurityGroupRuleId") == pid]
        return [("ec2", f"AuthorizeSecurityGroup{kind}", {"GroupId": props.get("GroupId"), "IpPermissions": permission},
                 _rule_result(props.get("GroupId", ""), rules, kind == "Egress"))]
    return calls


def _calls_of_secret(verb, pid, old, new):
    if verb == "create":
        return [("secretsmanager", "CreateSecret", {key: new[key] for key in ("Name", "Description", "KmsKeyId") if new.get(key)}, {"ARN": pid})]
    if verb == "update":
        return [("secretsmanager", "UpdateSecret", {"SecretId": pid, **{key: new[key] for key in ("Description", "KmsKeyId") if new.get(key)}}, {"ARN": pid})]
    return [("secretsmanager", "DeleteSecret", {"SecretId": pid}, {"ARN": pid})]


def _calls_of_rule(verb, pid, old, new):
    props = new if verb != "delete" else old
    name = props.get("Name") or pid.split("|")[-1].rsplit("/", 1)[-1]
    bus = {"EventBusName": props["EventBusName"]} if props.get("EventBusName") else {}
    if verb == "delete":
        return [("events", "RemoveTargets", {"Rule": name, **bus, "Ids": [target.get("Id") for target in props.get("Targets") or []]}, {}),
                ("events", "DeleteRule", {"Name": name, **bus}, {})]
    params = {"Name": name, **bus, **{key: new[key] for key in ("State", "Description", "ScheduleExpression") if new.get(key)}}
    if new.get("EventPattern"):
        params["EventPattern"] = _text(new["EventPattern"])
    calls = [("events", "PutRule", params, {})]
    if new.get("Targets"):
        calls.append(("events", "PutTargets", {"Rule": name, **bus, "Targets": new["Targets"]}, {"FailedEntryCount": 0, "FailedEntries": []}))
    return calls


def _plain(model, member, created, updated, deleted, created_member=""):
    def calls(verb, pid, old, new):
        operation = {"create": created, "update": updated, "delete": deleted}[verb]
        if verb == "create" and created_member:
            return [(model, operation, {created_member: pid.replace(":", "/").rsplit("/", 1)[-1]}, {member: pid})]
        return [(model, operation, {member: pid}, {})] if operation else []
    return calls


def _calls_of_key(verb, pid, old, new):
    if verb == "create":
        return [("kms", "CreateKey", {"Policy": _text(new.get("KeyPolicy", "")), "Description": new.get("Description", "")},
                 {"KeyMetadata": {"KeyId": pid}})]
    return [("kms", "PutKeyPolicy", {"KeyId": pid, "PolicyName": "default", "Policy": _text(new.get("KeyPolicy", ""))}, {})
            if verb == "update" else ("kms", "ScheduleKeyDeletion", {"KeyId": pid}, {})]


_CALLS = {
    "AWS::Lambda::Function": _calls_of_function,
    "AWS::Lambda::Permission": _calls_of_permission,
    "AWS::Lambda::ResourcePolicy": _calls_of_policy_of_function,
    "AWS::Lambda::Url": _calls_of_url,
    "AWS::Lambda::Version": _calls_of_version,
    "AWS::Lambda::Alias": _calls_of_alias,
    "AWS::Lambda::EventSourceMapping": _calls_of_mapping,
    "AWS::IAM::Role": _calls_of_role,
    "AWS::IAM::Policy": _calls_of_policy,
    "AWS::IAM::RolePolicy": _calls_of_role_policy,
    "AWS::IAM::ManagedPolicy": _calls_of_managed_policy,
    "AWS::EC2::SecurityGroup": _calls_of_security_group,
    "AWS::EC2::SecurityGroupIngress": _calls_of_rule_of_group("IpPermissions", "Ingress"),
    "AWS::EC2::SecurityGroupEgress": _calls_of_rule_of_group("IpPermissionsEgress", "Egress"),
    "AWS::SecretsManager::Secret": _calls_of_secret,
    "AWS::Events::Rule": _calls_of_rule,
    "AWS::Events::EventBus": _plain("events", "Name", "CreateEventBus", None, "DeleteEventBus"),
    "AWS::SQS::Queue": _plain("sqs", "QueueUrl", "CreateQueue", "SetQueueAttributes", "DeleteQueue", "QueueName"),
    "AWS::SNS::Topic": _plain("sns", "TopicArn", "CreateTopic", "SetTopicAttributes", "DeleteTopic", "Name"),
    "AWS::DynamoDB::Table": _plain("dynamodb", "TableName", "CreateTable", "UpdateTable", "DeleteTable"),
    "AWS::S3::Bucket": _plain("s3", "Bucket", "CreateBucket", "PutBucketVersioning", "DeleteBucket"),
    "AWS::KMS::Key": _calls_of_key,
    "AWS::Scheduler::Schedule": _plain("scheduler", "Name", "CreateSchedule", "UpdateSchedule", "DeleteSchedule"),
    "AWS::CloudWatch::Alarm": _plain("cloudwatch", "AlarmName", "PutMetricAlarm", "PutMetricAlarm", "DeleteAlarms"),
    "AWS::Logs::LogGroup": _plain("logs", "logGroupName", "CreateLogGroup", "PutRetentionPolicy", "DeleteLogGroup"),
}
_SIGNING = {"cloudwatch": "monitoring"}


def _emit(resource_type: str, verb: str, physical_id: str, old: dict, new: dict) -> None:
    stack_call = current.get()
    if stack_call is None or stack_call.model != "cloudformation":
        return
    try:
        calls = _CALLS[resource_type](verb, physical_id, old or {}, new or {})
    except Exception:
        logger.exception("no records of %s %s", verb, resource_type)
        return
    identity = stack_call.identity
    role = stack_call.params.get("RoleARN")
    if role:
        identity = role_session_of(role, "AWSCloudFormation")
    for model, operation, params, result in calls:
        cloudtrail.record(Call(
            service=_SIGNING.get(model, model), model=model, operation=operation, region=get_region(), account=get_account_id(),
            identity={**identity, "invokedBy": "cloudformation.amazonaws.com"}, source_ip="cloudformation.amazonaws.com",
            user_agent="cloudformation.amazonaws.com", request_id=lambda_svc.new_uuid(), params=params, result=result, status=200))


def records_of_stacks() -> None:
    """CloudFormation makes the API calls of its resources in the name of whoever called it, and each has its record.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-api-logging-cloudtrail.html"""
    for resource_type in _CALLS:
        if resource_type not in HANDLERS:
            continue
        handler = dict(HANDLERS[resource_type])
        create, update, delete = handler.get("create"), handler.get("update"), handler.get("delete")

        def created(logical_id, props, stack_name, create=create, kind=resource_type):
            result = create(logical_id, props, stack_name)
            _emit(kind, "create", result[0], {}, props)
            return result

        def updated(physical_id, old, new, *rest, update=update, kind=resource_type):
            result = update(physical_id, old, new, *rest)
            _emit(kind, "update" if result[0] == physical_id else "create", result[0], old if result[0] == physical_id else {}, new)
            return result

        def deleted(physical_id, props, *rest, delete=delete, kind=resource_type):
            result = delete(physical_id, props, *rest)
            _emit(kind, "delete", physical_id, props, {})
            return result

        if create:
            handler["create"] = created
        if update:
            handler["update"] = updated
        if delete:
            handler["delete"] = deleted
        HANDLERS[resource_type] = handler


def apply() -> None:
    boundaries_of_roles()
    inline_policies_of_roles()
    properties_of_functions()
    policies_of_functions()
    code_signing_configs()
    functions_leave_nothing()
    properties_of_tables()
    properties_of_buckets()
    policies_of_buses()
    names_of_rules_on_other_buses()
    inline_policies_of_queues_and_topics()
    rules_of_security_groups()
    records_of_stacks()
