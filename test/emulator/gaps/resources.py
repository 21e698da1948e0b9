"""The resource ARNs and condition keys by which AWS authorizes a call.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""
import re

from ministack.core.responses import get_account_id, get_region
from ministack.services import iam as iam_svc

from bench.context import Call


def function_arn(name: str, region: str, account: str, qualifier: str = "") -> str:
    """A function's ARN from its name, its partial ARN or its ARN, with the qualifier that either carries."""
    if name.startswith("arn:"):
        parts = name.split(":")
        base, own = ":".join(parts[:7]), ":".join(parts[7:])
    else:
        parts = name.split(":")
        if len(parts) >= 3 and parts[1] == "function":
            account, parts = parts[0], parts[2:]
        base, own = f"arn:aws:lambda:{region}:{account}:function:{parts[0]}", ":".join(parts[1:])
    qualifier = own or qualifier
    return f"{base}:{qualifier}" if qualifier else base


# Operations that Lambda authorizes on the function itself although they name a version or an alias.
_UNQUALIFIED = re.compile(r"Alias|PublishVersion|ListVersions|Concurrency$|CodeSigning|Tag|UpdateFunctionC|RecursionConfig|Scaling")


def _lambda(call: Call, region: str, account: str):
    params, operation = call.params, call.operation
    if "Resource" in params and operation in ("TagResource", "UntagResource", "ListTags"):
        return params["Resource"]
    if "ResourceArn" in params:
        return params["ResourceArn"]
    if operation in ("ListFunctions", "ListLayers", "ListEventSourceMappings", "GetAccountSettings", "CreateEventSourceMapping",
                     "ListCodeSigningConfigs", "CreateCodeSigningConfig"):
        return "*"
    if operation == "GetLayerVersionByArn":
        return params.get("Arn", "*")
    if "LayerName" in params:
        name = params["LayerName"]
        arn = name if name.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:layer:{name}"
        return f"{arn}:{params['VersionNumber']}" if "VersionNumber" in params else arn
    if "CodeSigningConfigArn" in params and "FunctionName" not in params:
        return params["CodeSigningConfigArn"]
    if operation == "PutFunctionCodeSigningConfig":
        return [function_arn(params["FunctionName"], region, account), params["CodeSigningConfigArn"]]
    if "UUID" in params:
        return f"arn:aws:lambda:{region}:{account}:event-source-mapping:{params['UUID']}"
    if "FunctionName" in params:
        qualifier = "" if _UNQUALIFIED.search(operation) else params.get("Qualifier", "")
        arn = function_arn(params["FunctionName"], region, account, qualifier)
        return ":".join(arn.split(":")[:7]) if _UNQUALIFIED.search(operation) else arn
    return None


def _entity(store, name: str, kind: str, path: str) -> str:
    found = store.get(name)
    return found["Arn"] if found and found.get("Arn") else f"arn:aws:iam::{get_account_id()}:{kind}{path or '/'}{name}"


def _iam(call: Call, region: str, account: str):
    params, operation = call.params, call.operation
    if operation in ("SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"):
        return params.get("PolicySourceArn", "*")
    if operation == "CreatePolicy":
        return f"arn:aws:iam::{account}:policy{params.get('Path') or '/'}{params.get('PolicyName', '')}"
    if "InstanceProfileName" in params:
        return f"arn:aws:iam::{account}:instance-profile{params.get('Path') or '/'}{params['InstanceProfileName']}"
    if "RoleName" in params:
        return _entity(iam_svc._roles, params["RoleName"], "role", params.get("Path", ""))
    if "GroupName" in params:
        return _entity(iam_svc._groups, params["GroupName"], "group", params.get("Path", ""))
    if "UserName" in params:
        return _entity(iam_svc._users, params["UserName"], "user", params.get("Path", ""))
    if "PolicyArn" in params:
        return params["PolicyArn"]
    return "*"


def rule_arn(name: str, bus: str, region: str, account: str) -> str:
    """Rules of the default bus have no bus in their ARN."""
    bus = bus.split("/")[-1] if bus else "default"
    return f"arn:aws:events:{region}:{account}:rule/{name if bus == 'default' else f'{bus}/{name}'}"


def _events(call: Call, region: str, account: str):
    params, operation = call.params, call.operation
    if operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        return params.get("ResourceARN", "*")
    if operation == "PutEvents":
        return None
    bus = params.get("EventBusName", "")
    if operation in ("PutRule", "DeleteRule", "DescribeRule", "EnableRule", "DisableRule"):
        return rule_arn(params.get("Name", ""), bus, region, account)
    if operation in ("PutTargets", "RemoveTargets", "ListTargetsByRule"):
        return rule_arn(params.get("Rule", ""), bus, region, account)
    if operation in ("CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus", "PutPermission", "RemovePermission"):
        name = params.get("Name") or bus or "default"
        return name if name.startswith("arn:") else f"arn:aws:events:{region}:{account}:event-bus/{name}"
    return "*"


_EC2_PREFIXES = {
    "sg": "security-group", "sgr": "security-group-rule", "vpc": "vpc", "subnet": "subnet", "acl": "network-acl",
    "rtb": "route-table", "igw": "internet-gateway", "nat": "natgateway", "eni": "network-interface", "vpce": "vpc-endpoint",
    "pcx": "vpc-peering-connection", "pl": "prefix-list", "i": "instance", "vol": "volume", "eipalloc": "elastic-ip",
    "ami": "image", "snap": "snapshot", "lt": "launch-template", "tgw": "transit-gateway", "fl": "vpc-flow-log",
}


def _ec2_id(identifier: str, region: str, account: str) -> str:
    kind = _EC2_PREFIXES.get(identifier.rsplit("-", 1)[0], "instance")
    return f"arn:aws:ec2:{region}:{account}:{kind}/{identifier}"


def _ec2(call: Call, region: str, account: str):
    params, operation = call.params, call.operation
    if operation.startswith("Describe"):
        return "*"
    if operation in ("CreateTags", "DeleteTags"):
        return [_ec2_id(identifier, region, account) for identifier in params.get("Resources", [])] or "*"
    if operation == "CreateSecurityGroup":
        created = [f"arn:aws:ec2:{region}:{account}:security-group/*"]
        return created + ([_ec2_id(params["VpcId"], region, account)] if params.get("VpcId") else [])
    if operation == "ReplaceNetworkAclAssociation":
        from ministack.services import ec2
        subnets = [item["SubnetId"] for acl in ec2._network_acls.values() for item in acl["Associations"]
                   if item["NetworkAclAssociationId"] == params.get("AssociationId")]
        return [_ec2_id(identifier, region, account) for identifier in [params["NetworkAclId"], *subnets]]
    for key in ("NetworkAclId", "GroupId", "RouteTableId", "PrefixListId", "NatGatewayId", "InternetGatewayId", "SubnetId", "VpcId"):
        if params.get(key):
            return _ec2_id(params[key], region, account)
    return None


def _logs(call: Call, region: str, account: str):
    params = call.params
    if call.operation in ("TagResource", "UntagResource", "ListTagsForResource"):
        return None
    if params.get("logGroupName"):
        return f"arn:aws:logs:{region}:{account}:log-group:{params['logGroupName']}:log-stream:{params.get('logStreamName', '')}"
    return "*"


def _cloudwatch(call: Call, region: str, account: str):
    params = call.params
    names = params.get("AlarmNames") or ([params["AlarmName"]] if params.get("AlarmName") else [])
    if call.operation == "DescribeAlarms":
        return f"arn:aws:cloudwatch:{region}:{account}:alarm:*"
    if names:
        return [f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}" for name in names]
    boards = params.get("DashboardNames") or ([params["DashboardName"]] if params.get("DashboardName") else [])
    if boards:
        return [f"arn:aws:cloudwatch::{account}:dashboard/{name}" for name in boards]
    return "*"


def _parameter(name: str, region: str, account: str) -> str:
    return f"arn:aws:ssm:{region}:{account}:parameter/{name.lstrip('/')}"


def _ssm(call: Call, region: str, account: str):
    params = call.params
    if call.operation in ("GetParameters", "DeleteParameters"):
        return [_parameter(name, region, account) for name in params.get("Names", [])] or "*"
    if call.operation == "GetParametersByPath":
        return _parameter(params.get("Path", "/"), region, account)
    return None


def queue_arn(url: str, region: str, account: str) -> str:
    parts = url.rstrip("/").split("/")
    owner = parts[-2] if len(parts) > 1 and re.fullmatch(r"\d{12}", parts[-2]) else account
    return f"arn:aws:sqs:{region}:{owner}:{parts[-1]}"


def kms_key_arn(identifier: str, region: str, account: str) -> str:
    """An alias stands for its key: policies name keys."""
    from ministack.services import kms
    try:
        key = kms._resolve_key(identifier)
    except Exception:
        key = None
    record = key if isinstance(key, dict) else kms._keys.get(key) if isinstance(key, str) else None
    if isinstance(record, dict):
        arn = record.get("Arn") or (record.get("KeyMetadata") or {}).get("Arn")
        if arn:
            return arn
    if identifier.startswith("arn:"):
        return identifier
    return f"arn:aws:kms:{region}:{account}:{identifier if identifier.startswith('alias/') else f'key/{identifier}'}"


def _kms(call: Call, region: str, account: str):
    params, operation = call.params, call.operation
    if operation in ("CreateAlias", "UpdateAlias", "DeleteAlias"):
        alias = f"arn:aws:kms:{region}:{account}:{params.get('AliasName', '')}"
        target = params.get("TargetKeyId") or params.get("AliasName", "")
        return [alias, kms_key_arn(target, region, account)]
    if params.get("KeyId") and operation not in ("ListAliases",):
        return kms_key_arn(params["KeyId"], region, account)
    return None


def _secretsmanager(call: Call, region: str, account: str):
    if call.operation in ("ListSecrets", "GetRandomPassword", "BatchGetSecretValue"):
        return "*"
    if call.operation == "CreateSecret":
        # Secrets Manager adds a hyphen and six characters to the name; policies end in -?????? or *.
        return f"arn:aws:secretsmanager:{region}:{account}:secret:{call.params.get('Name', '')}-AbCdEf"
    return None


def _dynamodb(call: Call, region: str, account: str):
    # The emulator knows the operations that name a table; resource policies and tags name its ARN.
    return call.params.get("ResourceArn")


def _scheduler(call: Call, region: str, account: str):
    params = call.params
    if "ResourceArn" in params:
        return params["ResourceArn"]
    if call.operation in ("CreateSchedule", "UpdateSchedule", "GetSchedule", "DeleteSchedule"):
        return f"arn:aws:scheduler:{region}:{account}:schedule/{params.get('GroupName') or 'default'}/{params.get('Name', '')}"
    if call.operation == "ListSchedules":
        return f"arn:aws:scheduler:{region}:{account}:schedule/*/*"
    return None


def _sns(call: Call, region: str, account: str):
    subscription = call.params.get("SubscriptionArn", "")
    if subscription.startswith("arn:") and call.operation != "Unsubscribe":
        return subscription.rsplit(":", 1)[0]
    if "ResourceArn" in call.params:
        return call.params["ResourceArn"]
    return None


def _cloudtrail(call: Call, region: str, account: str):
    """Calls about one trail are checked against its ARN; the others against everything."""
    name = call.params.get("Name") or call.params.get("TrailName") or ""
    if not name:
        return None
    return name if name.startswith("arn:") else f"arn:aws:cloudtrail:{region}:{account}:trail/{name}"


_DERIVE = {
    "lambda": _lambda, "iam": _iam, "events": _events, "ec2": _ec2, "logs": _logs, "cloudwatch": _cloudwatch, "ssm": _ssm,
    "kms": _kms, "secretsmanager": _secretsmanager, "scheduler": _scheduler, "sns": _sns, "dynamodb": _dynamodb,
    "cloudtrail": _cloudtrail,
    "sqs": lambda call, _region, _account: call.params.get("SourceArn"),
}


def derive(call: Call):
    """The resource of a call, a list where AWS checks several, or None where the emulator's own derivation stands."""
    derive_for = _DERIVE.get(call.model)
    return derive_for(call, get_region(), get_account_id()) if derive_for else None


# --- condition keys ---------------------------------------------------------------------------------------------------------

def _tags(prefix: str, tags) -> dict:
    if isinstance(tags, dict):
        return {f"{prefix}/{key}".lower(): value for key, value in tags.items()}
    return {f"{prefix}/{tag['Key']}".lower(): tag.get("Value", "") for tag in tags or [] if isinstance(tag, dict) and "Key" in tag}


def _iam_keys(call: Call) -> dict:
    params, keys = call.params, {}
    role = iam_svc._roles.get(params.get("RoleName", "")) or {}
    user = iam_svc._users.get(params.get("UserName", "")) or {}
    boundary = params.get("PermissionsBoundary") or role.get("PermissionsBoundary") or user.get("PermissionsBoundary")
    if isinstance(boundary, dict):
        boundary = boundary.get("PermissionsBoundaryArn")
    if boundary:
        keys["iam:permissionsboundary"] = boundary
    if params.get("PolicyArn") and re.match(r"^(Attach|Detach)", call.operation):
        keys["iam:policyarn"] = params["PolicyArn"]
    entity = role or user
    keys.update(_tags("iam:ResourceTag", entity.get("Tags")))
    keys.update(_tags("aws:ResourceTag", entity.get("Tags")))
    return keys


def _lambda_keys(call: Call) -> dict:
    params, keys = call.params, {}
    if "Principal" in params and call.operation == "AddPermission":
        keys["lambda:principal"] = params["Principal"]
    auth_type = params.get("FunctionUrlAuthType") or params.get("AuthType")
    if not auth_type and call.operation in ("UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig", "GetFunctionUrlConfig"):
        from ministack.services import lambda_svc
        name, own = lambda_svc._resolve_request_scoped_name_and_qualifier(params.get("FunctionName", ""))
        config = lambda_svc._function_urls.get(lambda_svc._url_config_key(name, own or params.get("Qualifier")))
        auth_type = (config or {}).get("AuthType")
    if auth_type:
        keys["lambda:functionurlauthtype"] = auth_type
    if params.get("Layers"):
        keys["lambda:layer"] = [layer if isinstance(layer, str) else layer.get("Arn", "") for layer in params["Layers"]]
    vpc = params.get("VpcConfig") or {}
    if vpc.get("SubnetIds"):
        from ministack.services import ec2
        keys["lambda:subnetids"] = vpc["SubnetIds"]
        found = {(ec2._subnets.get(subnet) or {}).get("VpcId") for subnet in vpc["SubnetIds"]} - {None}
        keys["lambda:vpcids"] = sorted(found)
    if vpc.get("SecurityGroupIds"):
        keys["lambda:securitygroupids"] = vpc["SecurityGroupIds"]
    if params.get("CodeSigningConfigArn"):
        keys["lambda:codesigningconfigarn"] = params["CodeSigningConfigArn"]
    if "EventSourceMapping" in call.operation:
        arn = params.get("FunctionName", "")
        if not arn and params.get("UUID"):
            from ministack.services import lambda_svc
            arn = (lambda_svc._esms.get(params["UUID"]) or {}).get("FunctionArn", "")
        if arn:
            keys["lambda:functionarn"] = function_arn(arn, call.region, call.account)
    return keys


def _ec2_keys(call: Call) -> dict:
    from ministack.services import ec2
    keys = {"ec2:region": call.region}
    for key in ("GroupId", "NetworkAclId", "RouteTableId", "SubnetId", "VpcId"):
        identifier = call.params.get(key)
        if identifier:
            tags = ec2._tags.get(identifier) or []
            keys.update(_tags("ec2:ResourceTag", tags))
            keys.update(_tags("aws:ResourceTag", tags))
            record = (ec2._security_groups.get(identifier) or {}) if key == "GroupId" else {}
            if record.get("VpcId"):
                keys["ec2:vpc"] = f"arn:aws:ec2:{call.region}:{call.account}:vpc/{record['VpcId']}"
            break
    return keys


def _kms_keys(call: Call) -> dict:
    from ministack.services import kms
    keys = {"kms:calleraccount": call.account}
    aliases = [arn.split(":", 5)[-1] for arn, key in kms._aliases.items()
               if call.params.get("KeyId") and kms_key_arn(call.params["KeyId"], call.region, call.account).endswith(f"/{key}")]
    if aliases:
        keys["kms:resourcealiases"] = aliases
    return keys


def _events_keys(call: Call) -> dict:
    params, keys = call.params, {}
    if call.operation == "PutEvents":
        entries = params.get("Entries") or []
        keys["events:source"] = [entry.get("Source", "") for entry in entries]
        keys["events:detail-type"] = [entry.get("DetailType", "") for entry in entries]
        if len(entries) == 1:
            keys = {name: value[0] for name, value in keys.items()}
    if call.operation == "PutTargets":
        keys["events:targetarn"] = [target.get("Arn", "") for target in params.get("Targets") or []]
    if call.operation not in ("PutEvents",):
        keys["events:creatoraccount"] = call.account
    return keys


def _sns_keys(call: Call) -> dict:
    if call.operation != "Subscribe":
        return {}
    return {"sns:protocol": call.params.get("Protocol", ""), "sns:endpoint": call.params.get("Endpoint", "")}


def _secret_keys(call: Call) -> dict:
    from ministack.services import secretsmanager
    keys = {}
    if call.params.get("Name"):
        keys["secretsmanager:name"] = call.params["Name"]
    if call.params.get("SecretId"):
        keys["secretsmanager:secretid"] = call.params["SecretId"]
        _, secret = secretsmanager._resolve(call.params["SecretId"])
        keys.update(_tags("secretsmanager:ResourceTag", (secret or {}).get("Tags")))
        keys.update(_tags("aws:ResourceTag", (secret or {}).get("Tags")))
    if call.params.get("RotationLambdaARN"):
        keys["secretsmanager:rotationlambdaarn"] = call.params["RotationLambdaARN"]
    if call.params.get("KmsKeyId"):
        keys["secretsmanager:kmskeyarn"] = kms_key_arn(call.params["KmsKeyId"], call.region, call.account)
    return keys


def _leading(table: str, item: dict) -> list:
    from ministack.services import dynamodb
    record = dynamodb._tables.get(table.split("/")[-1] if table.startswith("arn:") else table)
    value = (item or {}).get((record or {}).get("pk_name"))
    return [next(iter(value.values()))] if isinstance(value, dict) and value else []


def _query_leading(params: dict) -> list:
    names, values = params.get("ExpressionAttributeNames") or {}, params.get("ExpressionAttributeValues") or {}
    from ministack.services import dynamodb
    table = params.get("TableName", "")
    record = dynamodb._tables.get(table.split("/")[-1] if table.startswith("arn:") else table) or {}
    hash_key = record.get("pk_name")
    for index in [*(record.get("GlobalSecondaryIndexes") or []), *(record.get("LocalSecondaryIndexes") or [])]:
        if index.get("IndexName") == params.get("IndexName"):
            hash_key = next((key["AttributeName"] for key in index.get("KeySchema", []) if key["KeyType"] == "HASH"), hash_key)
    for name, value in re.findall(r"([#\w.-]+)\s*=\s*(:\w+)", params.get("KeyConditionExpression", "")):
        if names.get(name, name) == hash_key and value in values:
            return [next(iter(values[value].values()))]
    return []


def _dynamodb_keys(call: Call) -> dict:
    params, found = call.params, []
    table = params.get("TableName", "")
    if "Key" in params:
        found += _leading(table, params["Key"])
    if "Item" in params:
        found += _leading(table, params["Item"])
    if "KeyConditionExpression" in params:
        found += _query_leading(params)
    requests = params.get("RequestItems")
    for name, entries in (requests.items() if isinstance(requests, dict) else ()):
        if isinstance(entries, dict):
            for key in entries.get("Keys", []):
                found += _leading(name, key)
        for entry in entries if isinstance(entries, list) else []:
            found += _leading(name, (entry.get("PutRequest") or {}).get("Item") or (entry.get("DeleteRequest") or {}).get("Key"))
    for entry in params.get("TransactItems") or []:
        for part in entry.values():
            found += _leading(part.get("TableName", ""), part.get("Key") or part.get("Item"))
    return {"dynamodb:leadingkeys": list(dict.fromkeys(found))} if found else {}


def _http_api_keys(call: Call) -> dict:
    """https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonapigatewaymanagementv2.html"""
    kind = call.params.get("AuthorizationType") if call.operation in ("CreateRoute", "UpdateRoute") else None
    return {"apigateway:request/routeauthorizationtype": [kind]} if kind else {}


_KEYS = {"apigatewayv2": _http_api_keys, "iam": _iam_keys, "lambda": _lambda_keys, "ec2": _ec2_keys, "kms": _kms_keys, "events": _events_keys, "sns": _sns_keys,
         "secretsmanager": _secret_keys, "dynamodb": _dynamodb_keys}


def condition_keys(call: Call) -> dict:
    keys_for = _KEYS.get(call.model)
    keys = keys_for(call) if keys_for else {}
    if call.identity.get("inScopeOf"):
        keys["lambda:sourcefunctionarn"] = call.identity["inScopeOf"]["credentialsIssuedTo"]
    return keys
