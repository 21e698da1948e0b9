"""Which operation a request is, and its parameters and answer in the API's own member names, read with botocore's models."""
import json
import re
from functools import lru_cache
from urllib.parse import parse_qsl, unquote

import botocore.session
from botocore import parsers
from botocore.exceptions import UnknownServiceError

_session = botocore.session.Session()

# The signing name where it is not botocore's name of the service.
_MODELS = {
    "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi", "states": "stepfunctions",
    "elasticloadbalancing": "elbv2", "email": "ses", "execute-api": "apigatewaymanagementapi",
    "aoss": "opensearchserverless",
}


@lru_cache(maxsize=None)
def model(name: str):
    """Botocore's model of a service, or None."""
    try:
        return _session.get_service_model(name)
    except UnknownServiceError:
        return None


def preload(names=("lambda", "iam", "sqs", "events", "sns", "dynamodb", "sts", "cloudformation", "ec2", "kms", "secretsmanager", "s3")) -> None:
    """Read the models that every test needs, so that no call has to wait for them."""
    from ministack.core import iam_actions
    for name in names:
        if model(name) is not None and name != "s3":
            _routes(name) if model(name).metadata.get("protocol") == "rest-json" else model(name).operation_names
        iam_actions._tag_operations(name)


def model_name(signing: str, path: str) -> str:
    if signing == "apigateway":
        return "apigatewayv2" if path.startswith("/v2/") else "apigateway"
    return _MODELS.get(signing, signing)


@lru_cache(maxsize=None)
def _routes(name: str):
    """REST routes of a service: (method, path pattern, required query literals, labels, operation), the most literal first."""
    service = model(name)
    routes = []
    for operation in service.operation_names if service else ():
        http = service.operation_model(operation).http
        uri, _, query = http.get("requestUri", "/").partition("?")
        labels = re.findall(r"\{([^}]+)\}", uri)
        pattern = re.escape(uri)
        for label in labels:
            greedy = label.endswith("+")
            pattern = pattern.replace(re.escape("{" + label + "}"), "(.+)" if greedy else "([^/]+)")
        literals = dict(parse_qsl(query, keep_blank_values=True))
        routes.append((http.get("method", "POST"), re.compile("^" + pattern + "/?$"), literals,
                       [label.rstrip("+") for label in labels], operation))
    routes.sort(key=lambda route: (len(route[2]), -len(route[3])), reverse=True)
    return routes


def _rest(name: str, method: str, raw_path: str, query: dict):
    for verb, pattern, literals, labels, operation in _routes(name):
        if verb != method or any(query.get(key) is None or (value and query[key] != value) for key, value in literals.items()):
            continue
        found = pattern.match(raw_path)
        if found:
            return operation, dict(zip(labels, (unquote(value) for value in found.groups())))
    return "", {}


# S3 has one path for dozens of operations; the sub-resource in the query tells them apart.
_S3_SUBRESOURCES = {
    "versioning": "BucketVersioning", "policy": "BucketPolicy", "lifecycle": "BucketLifecycleConfiguration",
    "encryption": "BucketEncryption", "publicAccessBlock": "PublicAccessBlock", "tagging": "Tagging", "cors": "BucketCors",
    "acl": "Acl", "logging": "BucketLogging", "notification": "BucketNotificationConfiguration", "ownershipControls":
    "BucketOwnershipControls", "object-lock": "ObjectLockConfiguration", "replication": "BucketReplication",
    "website": "BucketWebsite", "requestPayment": "BucketRequestPayment", "accelerate": "BucketAccelerateConfiguration",
}


def _s3(method: str, path: str, query: dict):
    bucket, _, key = path.lstrip("/").partition("/")
    params = {name: value for name, value in (("Bucket", bucket), ("Key", key)) if value}
    if not bucket:
        return "ListBuckets", params
    for literal, noun in _S3_SUBRESOURCES.items():
        if literal in query:
            verb = {"GET": "Get", "HEAD": "Get", "PUT": "Put", "DELETE": "Delete", "POST": "Put"}.get(method, method)
            if noun in ("Tagging", "Acl"):
                noun = ("Object" if key else "Bucket") + noun
            return verb + noun, params
    if key:
        if "uploads" in query:
            return "CreateMultipartUpload", params
        if "uploadId" in query:
            return {"POST": "CompleteMultipartUpload", "PUT": "UploadPart", "DELETE": "AbortMultipartUpload"}.get(method, "ListParts"), params
        return {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject", "POST": "PutObject"}.get(method, method), params
    if method == "POST" and "delete" in query:
        return "DeleteObjects", params
    if method == "GET":
        if "versions" in query:
            return "ListObjectVersions", params
        if "location" in query:
            return "GetBucketLocation", params
        return ("ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"), params
    return {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}.get(method, method), params


def identify(signing: str, method: str, raw_path: str, query: dict, headers: dict, form: dict):
    """(botocore service name, operation, parameters found in the path) of a request."""
    path = unquote(raw_path)
    name = model_name(signing, path)
    target = headers.get("x-amz-target", "")
    if "." in target:
        operation = target.rsplit(".", 1)[-1]
        if name == "dynamodb" and target.startswith("DynamoDBStreams"):
            name = "dynamodbstreams"
        return name, operation, {}
    cbor = re.match(r"^/service/[^/]+/operation/([A-Za-z0-9]+)$", path)
    if cbor:
        return name, cbor.group(1), {}
    action = form.get("Action") or query.get("Action")
    if action:
        return name, action, {}
    if signing == "s3":
        return (name, *_s3(method, path, query))
    return (name, *_rest(name, method, raw_path, query))


def _scalar(shape, value: str):
    if shape.type_name in ("integer", "long"):
        return int(value) if re.fullmatch(r"-?\d+", value) else value
    if shape.type_name in ("double", "float"):
        return float(value)
    if shape.type_name == "boolean":
        return value.lower() == "true"
    return value


def _from_form(shape, form: dict, prefix: str, ec2: bool):
    """A query protocol's flat parameters, as the structure that the model describes."""
    if shape.type_name == "structure":
        result = {}
        for name, member in shape.members.items():
            if ec2:
                label = member.serialization.get("queryName")
                if not label:
                    label = member.serialization.get("name", name)
                    label = label[0].upper() + label[1:]
            else:
                label = member.serialization.get("name", name)
            value = _from_form(member, form, f"{prefix}.{label}" if prefix else label, ec2)
            if value is not None:
                result[name] = value
        return result or (None if prefix else {})
    if shape.type_name == "list":
        stems = [prefix]
        if not ec2 and not shape.serialization.get("flattened"):
            stems = [f"{prefix}.{shape.member.serialization.get('name', 'member')}", f"{prefix}.member", prefix]
        elif not ec2:
            label = shape.member.serialization.get("name")
            if label:
                stems = [".".join(prefix.split(".")[:-1] + [label]), prefix]
        for stem in stems:
            values, index = [], 1
            while (value := _from_form(shape.member, form, f"{stem}.{index}", ec2)) is not None:
                values.append(value)
                index += 1
            if values:
                return values
        return [] if form.get(prefix) == "" else None
    if shape.type_name == "map":
        for stem in (prefix, f"{prefix}.entry"):
            key_name = shape.key.serialization.get("name", "key")
            value_name = shape.value.serialization.get("name", "value")
            values, index = {}, 1
            while (key := form.get(f"{stem}.{index}.{key_name}")) is not None:
                values[key] = _from_form(shape.value, form, f"{stem}.{index}.{value_name}", ec2)
                index += 1
            if values:
                return values
        return None
    value = form.get(prefix)
    return None if value is None else _scalar(shape, value)


def _json(body: bytes):
    try:
        return json.loads(body) if body else {}
    except (ValueError, UnicodeDecodeError):
        return {}


def parameters(name: str, operation: str, labels: dict, query: dict, lists: dict, headers: dict, form: dict, body: bytes) -> dict:
    """The request's parameters in the API's member names. `lists` holds every value of a query parameter that is repeated."""
    service = model(name)
    if service is None or operation not in service.operation_names:
        return dict(labels)
    shape = service.operation_model(operation).input_shape
    protocol = service.metadata.get("protocol", "")
    if shape is None:
        return {}
    content = headers.get("content-type", "")
    if "cbor" in content:
        import cbor2
        return cbor2.loads(body) if body else {}
    if headers.get("x-amz-target"):
        return _json(body)
    if form.get("Action") or query.get("Action"):
        return _from_form(shape, {**query, **form}, "", protocol == "ec2") or {}
    if name == "s3":
        return dict(labels)
    values = _json(body) if protocol == "rest-json" else {}
    payload = shape.serialization.get("payload")
    result = {}
    for member_name, member in shape.members.items():
        location = member.serialization.get("location")
        label = member.serialization.get("name", member_name)
        if location == "uri" and label in labels:
            result[member_name] = labels[label]
        elif location == "querystring" and label in query:
            result[member_name] = lists[label] if member.type_name == "list" else _scalar(member, query[label])
        elif location == "header" and label.lower() in headers:
            result[member_name] = headers[label.lower()]
        elif location is None and isinstance(values, dict) and not payload and label in values:
            result[member_name] = values[label]
    if payload and isinstance(values, dict) and shape.members[payload].type_name == "structure":
        result[payload] = values
    return result


def answer(name: str, operation: str, status: int, headers: dict, body: bytes) -> dict:
    """The answer in the API's member names; an error's code and message under Error."""
    service = model(name)
    if service is None or operation not in service.operation_names:
        return {}
    protocol = service.metadata.get("protocol", "json")
    content = headers.get("content-type", "")
    if "cbor" in content:
        import cbor2
        decoded = cbor2.loads(body) if body else {}
        return decoded if status < 400 else _json_error(decoded, headers)
    if protocol in ("json", "rest-json") and "xml" not in content:
        decoded = _json(body)
        if status >= 400:
            return _json_error(decoded if isinstance(decoded, dict) else {}, headers)
        return decoded if isinstance(decoded, dict) else {}
    if body[:1] == b"{":
        decoded = _json(body)
        return _json_error(decoded, headers) if status >= 400 else decoded
    kind = protocol if protocol in ("query", "ec2", "rest-xml") else "query"
    try:
        parsed = parsers.create_parser(kind).parse(
            {"status_code": status, "headers": headers, "body": body},
            service.operation_model(operation).output_shape)
    except Exception:
        return {}
    parsed.pop("ResponseMetadata", None)
    return parsed


def _json_error(decoded: dict, headers: dict) -> dict:
    code = str(decoded.get("__type") or decoded.get("code") or headers.get("x-amzn-errortype", "")).split("#")[-1].split(":")[0]
    return {"Error": {"Code": code, "Message": decoded.get("message") or decoded.get("Message") or ""}}
