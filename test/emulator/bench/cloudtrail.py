"""CloudTrail records of API calls, in the shapes that CloudTrail writes, and their way to EventBridge.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
"""
import datetime
import json
import logging
import re
import uuid

from ministack.core.responses import request_scope
from ministack.services import cloudtrail as trails
from ministack.services import eventbridge

from . import journal, operations
from .context import Call

logger = logging.getLogger("bench")

# Lambda's events carry the date of the API version that introduced the operation; later operations carry none.
LAMBDA_NAMES = {
    name: name + suffix for suffix, names in {
        "20150331": ("CreateFunction", "DeleteFunction", "PublishVersion", "CreateAlias", "UpdateAlias", "DeleteAlias",
                     "CreateEventSourceMapping", "UpdateEventSourceMapping", "DeleteEventSourceMapping"),
        "20150331v2": ("UpdateFunctionCode", "UpdateFunctionConfiguration", "AddPermission", "RemovePermission"),
        "20170331v2": ("TagResource", "UntagResource"),
        "20171031": ("PutFunctionConcurrency", "DeleteFunctionConcurrency"),
        "20181031": ("PublishLayerVersion", "DeleteLayerVersion", "AddLayerVersionPermission", "RemoveLayerVersionPermission"),
    }.items() for name in names
}

# EC2 operations of 2015 and later are recorded under one wrapper, with the names of the request itself.
EC2_WRAPPED = re.compile(
    r"^(ModifySecurityGroupRules|UpdateSecurityGroupRuleDescriptions(In|E)gress|(Create|Modify)VpcEndpoint|DeleteVpcEndpoints"
    r"|(Create|Delete)NatGateway|(Create|Modify|Delete|Restore)ManagedPrefixList\w*|(Create|Delete)FlowLogs"
    r"|(Create|Delete|Modify)(LaunchTemplate|TransitGateway)\w*)$")

_READS = re.compile(
    r"^(Get|List|Describe|Head|Lookup|Search|Select|Query|Scan|BatchGet|BatchDescribe|Simulate|Validate|Preview|Estimate|Test|Filter"
    r"|Decode|View|Check|Detect|Discover|Evaluate)")
_READ_OPERATIONS = {
    "kms": {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "GenerateRandom", "ReEncrypt", "Sign", "Verify", "VerifyMac"},
    "sts": {"AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"},
    "logs": {"StartQuery", "StopQuery"},
    "iam": {"GenerateCredentialReport", "GenerateServiceLastAccessedDetails"},
}
# Data events: recorded only by a trail that asks for them, never as management events.
_DATA_OPERATIONS = {
    "lambda": {"Invoke", "InvokeAsync", "InvokeWithResponseStream"},
    "sqs": {"SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch",
            "ChangeMessageVisibility", "ChangeMessageVisibilityBatch"},
    "sns": {"Publish", "PublishBatch"},
    "events": {"PutEvents"},
    "dynamodb": {"PutItem", "UpdateItem", "DeleteItem", "GetItem", "BatchWriteItem", "BatchGetItem", "Query", "Scan",
                 "TransactWriteItems", "TransactGetItems", "ExecuteStatement", "ExecuteTransaction", "BatchExecuteStatement"},
    "dynamodbstreams": {"GetRecords", "GetShardIterator"},
    "s3": {"PutObject", "GetObject", "HeadObject", "DeleteObject", "DeleteObjects", "CopyObject", "CreateMultipartUpload",
           "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts", "ListObjects", "ListObjectsV2",
           "ListObjectVersions", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging", "GetObjectAcl", "PutObjectAcl",
           "HeadBucket"},
    "cloudwatch": {"PutMetricData", "GetMetricData", "GetMetricStatistics"},
    "logs": {"PutLogEvents", "GetLogEvents", "FilterLogEvents"},
    "kinesis": {"PutRecord", "PutRecords", "GetRecords", "GetShardIterator"},
    "xray": {"PutTraceSegments", "PutTelemetryRecords"},
    "ssmmessages": set(),
    "apigatewaymanagementapi": {"PostToConnection", "GetConnection", "DeleteConnection"},
}
_GLOBAL = {"iam", "organizations", "cloudfront", "route53", "account"}

# Members that CloudTrail leaves out (None) or empties ({}), by service.
_REDACTED = {
    "lambda": {"ZipFile": None, "Environment": {}},
    "secretsmanager": {"SecretString": None, "SecretBinary": None},
    "cloudformation": {"TemplateBody": None, "ParameterValue": None, "StackPolicyBody": None},
    "iam": {"SecretAccessKey": None, "Password": None, "NewPassword": None, "OldPassword": None},
    "kms": {"Plaintext": None, "CiphertextBlob": None, "PrivateKeyPlaintext": None},
    "ssm": {"Value": "HIDDEN_DUE_TO_SECURITY_REASONS"},
    "apigatewayv2": {"StageVariables": "***"},
}


def is_read(model: str, operation: str) -> bool:
    return bool(_READS.match(operation)) or operation in _READ_OPERATIONS.get(model, ())


def is_data(model: str, operation: str) -> bool:
    return operation in _DATA_OPERATIONS.get(model, ())


def event_name(model: str, operation: str) -> str:
    return LAMBDA_NAMES.get(operation, operation) if model == "lambda" else operation


def _lower_first(name: str) -> str:
    return "arn" if name == "ARN" else name[:1].lower() + name[1:]


def _time(value: datetime.datetime) -> str:
    return f"{value:%b} {value.day}, {value.year} {value.hour % 12 or 12}:{value:%M:%S %p}"


def _plain(shape, value, redacted: dict):
    """A value as most services' records have it: member names with a small first letter, the keys of maps untouched."""
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        return _time(value)
    if isinstance(value, (bytes, bytearray)):
        return None
    kind = getattr(shape, "type_name", None)
    if isinstance(value, dict):
        if kind == "map":
            return {key: _plain(shape.value, item, redacted) for key, item in value.items()}
        members = shape.members if kind == "structure" else {}
        by_wire_name = {member.serialization.get("name", name): (name, member) for name, member in members.items()}
        result = {}
        for key, item in value.items():
            name, member = by_wire_name.get(key) or (key, members.get(key))
            if kind == "structure" and member is None:
                continue
            if key in redacted or name in redacted:
                replacement = redacted.get(key, redacted.get(name))
                if replacement is not None:
                    result[_lower_first(name)] = replacement
                continue
            item = _plain(member, item, redacted)
            if item is not None:
                result[_lower_first(name)] = item
        return result
    if isinstance(value, list):
        member = shape.member if kind == "list" else None
        return [item for item in (_plain(member, item, redacted) for item in value) if item is not None]
    if kind == "timestamp" and isinstance(value, (int, float)):
        return _time(datetime.datetime.fromtimestamp(value, datetime.timezone.utc))
    if kind == "blob":
        return None
    return value


def _ec2_name(name: str, member) -> str:
    return _lower_first(member.serialization.get("name", name))


def _ec2_plain(shape, value, request: bool):
    """EC2's older records: the names of the XML, and `items` where the API has a list."""
    if isinstance(value, datetime.datetime):
        return int(value.timestamp() * 1000)
    if shape.type_name == "structure":
        result = {}
        for name, member in shape.members.items():
            if name in value:
                result[_ec2_name(name, member)] = _ec2_plain(member, value[name], request)
            elif request and shape.name == "IpPermission" and member.type_name == "list":
                result[_ec2_name(name, member)] = {}
        return result
    if shape.type_name == "list":
        items = [_ec2_plain(shape.member, item, request) for item in value]
        if shape.name == "TagList":
            return items
        return {"items": items} if items else {}
    return value


def _ec2_list_of_ids(items: list, label: str) -> dict:
    return {"items": [{label: item} if not isinstance(item, dict) else item for item in items]} if items else {}


def _ec2_wrapped(shape, value):
    """EC2's newer records: the names of the request itself, `tag` counts a list, an only element is no list."""
    if shape.type_name == "structure":
        result = {}
        for name, member in shape.members.items():
            if name in value:
                label = member.serialization.get("queryName") or member.serialization.get("name", name)
                result[label[0].upper() + label[1:]] = _ec2_wrapped(member, value[name])
        return result
    if shape.type_name == "list":
        items = []
        for index, item in enumerate(value, 1):
            inner = _ec2_wrapped(shape.member, item)
            items.append({**inner, "tag": index} if isinstance(inner, dict) else {"tag": index, "content": inner})
        return items[0] if len(items) == 1 else items
    return value


def _ec2_wrapped_answer(shape, value):
    if isinstance(value, datetime.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if shape.type_name == "structure":
        return {_ec2_name(name, member): _ec2_wrapped_answer(member, value[name])
                for name, member in shape.members.items() if name in value}
    if shape.type_name == "list":
        items = [_ec2_wrapped_answer(shape.member, item) for item in value]
        return ({"item": items[0] if len(items) == 1 else items}) if items else ""
    return value


def _ec2(call: Call, input_shape, output_shape):
    params = {key: value for key, value in call.params.items() if key != "DryRun"}
    result = call.result
    if EC2_WRAPPED.match(call.operation):
        request = {f"{call.operation}Request": _ec2_wrapped(input_shape, params)}
        response = None
        if result is not None:
            response = {f"{call.operation}Response": {
                **(_ec2_wrapped_answer(output_shape, result) if output_shape else {}),
                "xmlns": "http://ec2.amazonaws.com/doc/2016-11-15/", "requestId": call.request_id}}
        return request, response
    request = _ec2_plain(input_shape, params, True) or {}
    if re.match(r"^(Authorize|Revoke)SecurityGroup(In|E)gress$", call.operation):
        request.setdefault("ipPermissions", {})
        if "SecurityGroupRuleIds" in params:
            request.pop("securityGroupRuleId", None)
            request["securityGroupRuleIds"] = _ec2_list_of_ids(params["SecurityGroupRuleIds"], "securityGroupRuleId")
    if call.operation in ("CreateTags", "DeleteTags"):
        tags = [{key.lower(): value for key, value in tag.items()} for tag in params.get("Tags", [])]
        request = {"resourcesSet": _ec2_list_of_ids(params.get("Resources", []), "resourceId"), "tagSet": {"items": tags} if tags else {}}
    if call.operation == "CreateNetworkInterface":
        # https://docs.aws.amazon.com/efs/latest/ug/logging-using-cloudtrail.html
        request.pop("securityGroupId", None)
        request["groupSet"] = _ec2_list_of_ids(params.get("Groups", []), "groupId")
    if "TagSpecifications" in params:
        specifications = request.pop("tagSpecification", None) or request.pop("tagSpecificationSet", None)
        if specifications:
            request["tagSpecificationSet"] = {"items": [
                {**{key: value for key, value in item.items() if key != "tag"}, "tags": item.get("tag", item.get("tags", []))}
                for item in specifications.get("items", [])]}
    response = None
    if result is not None:
        response = {"requestId": call.request_id, **(_ec2_plain(output_shape, result, False) if output_shape else {})}
        if "return" in response:
            response["_return"] = response.pop("return")
        else:
            response["_return"] = True
    return request, response


def _lambda_request(call: Call, request: dict) -> dict:
    operation, params = call.operation, call.params
    if operation == "CreateFunction":
        request["code"] = {key: value for key, value in (request.get("code") or {}).items()}
        request.setdefault("publish", False)
    elif operation == "UpdateFunctionCode":
        request.setdefault("publish", False)
        request.setdefault("dryRun", False)
        given = str(params.get("FunctionName", ""))
        name = given.split(":function:")[-1]
        name = name.rsplit(":", 1)[-1] if ":function:" not in given and given.count(":") > 1 else name.split(":")[0]
        request["fullyQualifiedArn"] = {
            "arnPrefix": {"partition": "aws", "region": call.region, "account": call.account},
            "relativeId": {"functionName": name},
            "functionQualifier": {},
        }
    elif operation == "PublishLayerVersion":
        request["content"] = {}
    return request


def _apigateway_request(call: Call, input_shape, request: dict) -> dict:
    path_members = {_lower_first(name) for name, member in input_shape.members.items()
                    if member.serialization.get("location") in ("uri", "querystring")}
    body = {key: value for key, value in request.items() if key not in path_members}
    wrapped = {key: value for key, value in request.items() if key in path_members}
    if body or call.operation.startswith(("Create", "Put", "Update", "Import")):
        wrapped[f"{_lower_first(call.operation)}Input"] = body
    return {**wrapped, "template": False}


def parameters(call: Call):
    """requestParameters and responseElements of a call."""
    service = operations.model(call.model)
    if service is None or call.operation not in service.operation_names:
        return call.params or None, None
    described = service.operation_model(call.operation)
    redacted = _REDACTED.get(call.model, {})
    if call.model == "ec2":
        return _ec2(call, described.input_shape, described.output_shape)
    request = _plain(described.input_shape, call.params, redacted)
    if call.model == "lambda":
        request = _lambda_request(call, request)
    elif call.model == "apigateway":
        request = _apigateway_request(call, described.input_shape, request)
    elif call.model == "s3":
        request = {"bucketName": call.params.get("Bucket", ""), "Host": f"{call.params.get('Bucket', '')}.s3.amazonaws.com",
                   **({"key": call.params["Key"]} if "Key" in call.params else {})}
    response = None
    if call.result:
        response = _plain(described.output_shape, call.result, redacted)
        if call.model == "secretsmanager" and response:
            # The record names the secret and nothing of its versions.
            response = {"arn": response["arn"]} if "arn" in response else response
    return request or None, response or None


_ERRORS = {"AccessDeniedException": "AccessDenied", "AuthorizationError": "AccessDenied", "UnauthorizedOperation": "UnauthorizedOperation"}


def error_code(model: str, code: str) -> str:
    """The error code as CloudTrail spells it."""
    if model == "ec2":
        return ("Server." if code.startswith("Internal") else "Client.") + code
    code = _ERRORS.get(code, code)
    if model == "iam" and code not in ("AccessDenied", "Throttling", "ValidationError") and not code.endswith("Exception"):
        return code + "Exception"
    return code


def build(call: Call) -> dict:
    """The CloudTrail record of a finished call."""
    region = "us-east-1" if call.model in _GLOBAL else call.region
    request, response = parameters(call)
    denied = bool(call.error_code) and error_code(call.model, call.error_code) in ("AccessDenied", "Client.UnauthorizedOperation")
    record = {
        "eventVersion": "1.11",
        "userIdentity": call.identity,
        "eventTime": journal.iso(),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": event_name(call.model, call.operation),
        "awsRegion": region,
        "sourceIPAddress": call.source_ip,
        "userAgent": call.user_agent,
    }
    if call.error_code:
        record["errorCode"] = error_code(call.model, call.error_code)
        if call.error_message:
            record["errorMessage"] = call.error_message
    record["requestParameters"] = None if denied else request
    record["responseElements"] = None if call.error_code else response
    record.update({
        "requestID": call.request_id,
        "eventID": str(uuid.uuid4()),
        "readOnly": is_read(call.model, call.operation),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                       "clientProvidedHostHeader": f"{call.service}.{region}.amazonaws.com"},
    })
    if call.console:
        record["sessionCredentialFromConsole"] = "true"
    return record


def open_trail(account: str, region: str) -> None:
    """The trail that an account in use has: of every region, of all management events, and logging."""
    with request_scope(account, region):
        trails._create_trail({"Name": "management-events", "S3BucketName": "management-events", "IsMultiRegionTrail": True})
        trails._start_logging({"Name": "management-events"})
    _with_trail.add(account)


# Accounts that have a trail, or had one. Others deliver without any, so that tests of several accounts need none.
_with_trail: set = set()


def _takes_in(selector: dict) -> bool:
    """Whether a selector takes in management events that are no reads."""
    if "FieldSelectors" in selector:
        fields = {field["Field"]: field.get("Equals") for field in selector["FieldSelectors"]}
        return "Management" in (fields.get("eventCategory") or []) and "false" in (fields.get("readOnly") or ["false"])
    return selector.get("IncludeManagementEvents", True) and selector.get("ReadWriteType", "All") != "ReadOnly"


def _taken_in(record: dict) -> bool:
    """Whether a trail hands this record on: one of its region, or of all regions, that is logging. What a trail itself is told to do is
    handed on as if the trail had still been as it was before."""
    account, region = record["recipientAccountId"], record["awsRegion"]
    if account not in _with_trail or record["eventSource"] == "cloudtrail.amazonaws.com":
        return True
    for home, name, trail in trails._account_trail_items(account):
        if (home == region or trail.get("IsMultiRegionTrail")) and trail.get("IsLogging"):
            selectors = trails._event_selectors.get_scoped(account, home, name, trails._DEFAULT_EVENT_SELECTORS)
            if any(_takes_in(selector) for selector in selectors):
                return True
    return False


def deliver(record: dict) -> None:
    """Give a record to the account's default bus, as CloudTrail does with every management event that is not read-only."""
    account, region = record["recipientAccountId"], record["awsRegion"]
    if not _taken_in(record):
        return
    with request_scope(account, region):
        eventbridge._ensure_default_bus()
        eventbridge._put_events({"Entries": [{
            "Source": "aws." + record["eventSource"].split(".")[0],
            "DetailType": "AWS Service Event via CloudTrail" if record["eventType"] == "AwsServiceEvent" else "AWS API Call via CloudTrail",
            "Detail": json.dumps(record),
            "EventBusName": "default",
        }]}, allow_aws_source=True)
        log = eventbridge._events_log_list()
        if len(log) > 1000:
            del log[:500]


def tell(service: str, name: str, account: str, region: str, data: dict, error: str = "") -> None:
    """Record and deliver what a service did by itself: nobody called, and the identity is no more than an account.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/non-api-aws-service-events.html"""
    host = f"{service}.amazonaws.com"
    told = {
        "eventVersion": "1.11",
        "userIdentity": {"accountId": account, "invokedBy": host},
        "eventTime": journal.iso(),
        "eventSource": host,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": host,
        "userAgent": host,
        **({"errorMessage": error} if error else {}),
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": data,
        "eventID": str(uuid.uuid4()),
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }
    journal.records.add(told)
    deliver(told)


def record(call: Call) -> None:
    """Record a finished call and deliver it."""
    if not call.operation or is_data(call.model, call.operation) or is_read(call.model, call.operation):
        return
    try:
        written = build(call)
        journal.records.add(written)
        deliver(written)
    except Exception:
        logger.exception("no record of %s %s", call.model, call.operation)
