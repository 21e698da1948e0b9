"""Calls AWS with boto3, as told: a line of JSON in, a line of JSON out, until standard input closes.

    {"service": "lambda", "operation": "create_function", "params": {"Code": {"ZipFile": {"$base64": "…"}}}, "console": false}
    {"result": {…}}   or   {"error": {"code": "ResourceNotFoundException", "message": "…"}}
"""
import base64
import datetime
import json
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

console = False


def given(value):
    """Parameters as boto3 takes them: bytes come as {"$base64": …}."""
    if isinstance(value, dict):
        if set(value) == {"$base64"}:
            return base64.b64decode(value["$base64"])
        return {key: given(item) for key, item in value.items()}
    return [given(item) for item in value] if isinstance(value, list) else value


def plain(value):
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)


def mark_console(params, **_):
    if console:
        params["headers"]["x-bench-console"] = "true"


clients = {}


def client(service):
    if service not in clients:
        clients[service] = boto3.client(service)
        clients[service].meta.events.register("before-call", mark_console)
    return clients[service]


for line in sys.stdin:
    request = json.loads(line)
    console = request.get("console", False)
    try:
        result = getattr(client(request["service"]), request["operation"])(**given(request["params"]))
        result.pop("ResponseMetadata", None)
        answer = {"result": result}
    except ClientError as error:
        answer = {"error": {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}}
    except BotoCoreError as error:
        answer = {"error": {"code": type(error).__name__, "message": str(error)}}
    print(json.dumps(answer, default=plain), flush=True)
