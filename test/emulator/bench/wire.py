"""The ASGI application in front of the emulator: it sees every request and answer, journals them, and answers /_bench/."""
import asyncio
import json
import logging
import re
import time
import uuid
from urllib.parse import parse_qs, unquote

from ministack import app as emulator
from ministack.core.sigv4 import decode_header_value

from . import clock, cloudtrail, functions, identity, journal, metrics, operations, workers
from .context import Call, current
from .faults import faults, reset_connection

logger = logging.getLogger("bench")

_SCOPE = re.compile(r"Credential=([^/,]+)/\d{8}/([^/]*)/([^/]+)/aws4_request")


def _headers(scope) -> dict:
    headers: dict[str, str] = {}
    for name, value in scope.get("headers", []):
        headers[name.decode("latin-1").lower()] = decode_header_value(value)
    return headers


def _credential(headers: dict, query: dict) -> tuple[str, str, str]:
    """Access key, region and service of the request's signature."""
    found = _SCOPE.search(headers.get("authorization", ""))
    if found:
        return found.group(1), found.group(2), found.group(3)
    parts = query.get("X-Amz-Credential", "").split("/")
    if len(parts) == 5:
        return parts[0], parts[2], parts[3]
    return "", "", ""


async def _read(receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(chunks)


def _replay(body: bytes, receive):
    """A receive channel that gives the body again, then whatever follows."""
    given = False

    async def again():
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def _describe(method: str, raw_path: str, headers: dict, query: dict, lists: dict, body: bytes, client: str) -> Call | None:
    access_key, region, service = _credential(headers, query)
    path = unquote(raw_path)
    url = emulator._parse_lambda_url(headers.get("host", ""), path)
    if url:
        access_key = access_key or ""
        service, operation, model, labels = "lambda", "InvokeFunctionUrl", "", {"FunctionUrlId": url[0]}
        form = {}
    else:
        if not service:
            return None
        form = {}
        if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()}
        model, operation, labels = operations.identify(service, method, raw_path, query, headers, form)
    account = emulator.find_iam_access_key_account(access_key) if access_key else None
    if not account:
        account = access_key if re.fullmatch(r"\d{12}", access_key or "") else ACCOUNT
    who, principal, function = identity.resolve(access_key, account)
    call = Call(
        service=service, model=model, operation=operation, region=region or REGION, access_key=access_key,
        account=who.get("accountId") if re.fullmatch(r"\d{12}", who.get("accountId", "")) else account,
        identity=who, principal=principal, function=function, source_ip=client,
        user_agent=headers.get("user-agent", ""), console=headers.get("x-bench-console", "").lower() == "true",
        host=headers.get("host", ""), raw={"form": form, "body": body, "query": query, "headers": headers},
    )
    if model:
        try:
            call.params = operations.parameters(model, operation, labels, query, lists, headers, form, body)
        except Exception:
            logger.exception("cannot read the parameters of %s %s", model, operation)
    else:
        call.params = dict(labels)
    return call


ACCOUNT = "000000000000"
REGION = "us-east-1"


def _resources(call: Call) -> list[str]:
    return list(dict.fromkeys(resource for _, resource, _ in call.authorized))


def _journal(call: Call, started: float) -> None:
    entry = {
        "time": journal.iso(started), "ms": round((time.time() - started) * 1000, 1), "service": call.service,
        "operation": call.operation, "actions": list(dict.fromkeys(action for action, _, _ in call.authorized)),
        "resources": _resources(call), "principalArn": call.principal, "account": call.account, "region": call.region,
        "status": call.status,
    }
    if call.fault:
        entry["fault"] = call.fault["kind"]
    if call.function:
        entry["functionName"] = call.function
    if call.error_code:
        entry["errorCode"] = call.error_code
    if call.model == "dynamodb":
        entry["keys"] = _partition_keys(call.params)
    journal.calls.add(entry)


def _partition_keys(params: dict) -> list[str]:
    """The values of `pk` that a call of DynamoDB is about, in tables whose partition key has this name."""
    writes = [write for item in params.get("TransactItems") or [] for write in item.values()]
    values = [place.get("pk") for write in (params, *writes) for place in (write.get("Key") or {}, write.get("Item") or {})]
    values.append((params.get("ExpressionAttributeValues") or {}).get(":pk"))
    for entry in (params.get("RequestItems") or {}).values():
        values += [key.get("pk") for key in entry.get("Keys", [])] if isinstance(entry, dict) else []
    return [value["S"] for value in values if isinstance(value, dict) and "S" in value]


def _finish(call: Call, status: int, headers: dict, body: bytes, started: float) -> None:
    """Journal a served call, write its record and deliver it."""
    call.status = status
    request_id = headers.get("x-amzn-requestid") or headers.get("x-amz-request-id")
    call.request_id = request_id or str(uuid.uuid4())
    needs_result = call.model and not cloudtrail.is_read(call.model, call.operation) and not cloudtrail.is_data(call.model, call.operation)
    if call.model and (needs_result or status >= 400):
        try:
            result = operations.answer(call.model, call.operation, status, headers, body)
        except Exception:
            logger.exception("cannot read the answer of %s %s", call.model, call.operation)
            result = {}
        error = result.get("Error") if status >= 400 else None
        if status >= 400:
            call.error_code = (error or {}).get("Code") or str(status)
            call.error_message = (error or {}).get("Message") or ""
        else:
            call.result = result
    elif status >= 400:
        call.error_code = str(status)
    _journal(call, started)
    if call.model:
        cloudtrail.record(call)


def _error_answer(call: Call, fault: dict) -> tuple[int, list, bytes]:
    """A fault in the protocol of the service."""
    protocol = getattr(operations.model(call.model), "metadata", {}).get("protocol", "json") if call.model else "json"
    code, message, status = fault["errorCode"], fault["message"], fault["status"]
    request_id = str(uuid.uuid4())
    headers = [(b"x-amzn-requestid", request_id.encode())]
    if "cbor" in call.raw["headers"].get("content-type", ""):
        import cbor2
        return status, [*headers, (b"content-type", b"application/cbor"), (b"smithy-protocol", b"rpc-v2-cbor")], cbor2.dumps(
            {"__type": code, "message": message, **fault["members"]})
    if protocol == "ec2":
        body = f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{request_id}</RequestID></Response>"
    elif protocol == "query" and not call.raw["headers"].get("x-amz-target"):
        body = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    elif protocol == "rest-xml":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
    else:
        return status, [*headers, (b"content-type", b"application/x-amz-json-1.1"), (b"x-amzn-errortype", code.encode())], json.dumps(
            {"__type": code, "message": message, **fault["members"]}).encode()
    return status, [*headers, (b"content-type", b"text/xml")], body.encode()


async def _answer(send, status: int, headers: list, body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _control(scope, receive, send, query: dict) -> None:
    """The bench's own endpoints; they take no credentials and are for tests alone."""
    path, method = scope["path"], scope["method"]
    since = int(query.get("since", "0") or 0)
    status, result = 200, None
    logs = {"/_bench/calls": ("calls", journal.calls), "/_bench/records": ("records", journal.records),
            "/_bench/denied": ("denied", journal.denials), "/_bench/undelivered": ("undelivered", journal.undelivered)}
    body = await _read(receive) if method in ("POST", "PUT") else b""
    try:
        if path in logs and method == "GET":
            name, log = logs[path]
            last, entries = log.since(since)
            result = {"next": last, name: entries}
        elif path == "/_bench/running":
            result = {"running": workers.running()}
        elif path == "/_bench/faults" and method == "POST":
            result = {"fault": faults.add(json.loads(body))}
        elif path == "/_bench/faults" and method == "GET":
            result = {"faults": faults.list()}
        elif path == "/_bench/faults" and method == "DELETE":
            faults.clear(query.get("resource"))
            result = {}
        elif path == "/_bench/fire" and method == "POST":
            result = {"fired": clock.fire(json.loads(body)["name"])}
        elif path == "/_bench/redeliver" and method == "POST":
            result = {"redelivered": clock.redeliver(json.loads(body)["queue"])}
        elif path == "/_bench/functions" and method == "POST":
            result = {"functions": functions.make(json.loads(body), ACCOUNT, REGION)}
        elif path == "/_bench/metrics" and method == "POST":
            result = {"written": metrics.write(json.loads(body), ACCOUNT, REGION)}
        elif path == "/_bench/health":
            result = {"ok": True}
        else:
            status, result = 404, {"message": f"no {method} {path}"}
    except (ValueError, KeyError, TypeError) as error:
        status, result = 400, {"message": f"{type(error).__name__}: {error}"}
    await _answer(send, status, [(b"content-type", b"application/json")], json.dumps(result).encode())


async def _serve_with_a_fault(call: Call, scope, request: bytes, receive, send, started: float) -> None:
    """A call that suffers what a test asked for."""
    fault, kind = call.fault, call.fault["kind"]
    made = fault["after"] or kind in ("partial", "slow", "kill")
    messages: list[dict] = []
    if made:
        async def keep(message):
            messages.append(message)

        await emulator.app(scope, _replay(request, receive), keep)
        if kind == "kill":
            workers.kill(call.access_key)
        head = messages[0]
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.get("headers", [])}
        _finish(call, head["status"], headers, b"".join(message.get("body", b"") for message in messages[1:]), started)
    if kind == "reset":
        if not made:
            call.error_code = "ConnectionReset"
            _journal(call, started)
        reset_connection()
    elif kind in ("partial", "slow", "kill"):
        await asyncio.sleep(fault.get("seconds", 0))
        for message in messages:
            await send(message)
    else:
        status, headers, body = _error_answer(call, fault)
        await _answer(send, status, headers, body)
        if not made:
            _finish(call, status, {name.decode(): value.decode() for name, value in headers}, body, started)


async def app(scope, receive, send):
    if scope["type"] != "http":
        await emulator.app(scope, receive, send)
        return
    lists = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    query = {key: values[0] for key, values in lists.items()}
    if scope["path"].startswith("/_bench/"):
        await _control(scope, receive, send, query)
        return
    started = time.time()
    body = await _read(receive)
    headers = _headers(scope)
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    client = (headers.get("x-forwarded-for") or (scope.get("client") or ("127.0.0.1",))[0]).split(",")[0].strip()
    try:
        call = _describe(scope["method"], raw_path, headers, query, lists, body, client)
    except Exception:
        logger.exception("cannot identify %s %s", scope["method"], raw_path)
        call = None
    token = current.set(call)
    try:
        if call is None:
            await emulator.app(scope, _replay(body, receive), send)
            return
        call.fault = faults.take(call)
        if call.fault:
            await _serve_with_a_fault(call, scope, body, receive, send, started)
            return
        status, answer_headers, chunks = 0, {}, []

        async def tee(message):
            nonlocal status, answer_headers
            if message["type"] == "http.response.start":
                status = message["status"]
                answer_headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in message.get("headers", [])}
            elif message["type"] == "http.response.body" and len(chunks) < 64:
                chunks.append(message.get("body", b""))
            await send(message)

        await emulator.app(scope, _replay(body, receive), tee)
        _finish(call, status, answer_headers, b"".join(chunks), started)
    finally:
        current.reset(token)
