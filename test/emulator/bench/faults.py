"""The faults that tests ask for: what becomes of a call that is to suffer one."""
import contextvars
import json
import socket
import struct
import threading

from . import operations

KINDS = ("error", "throttling", "unavailable", "denied", "conflict", "partial", "slow", "reset", "kill")

# The error of a service that stands for each kind, and its HTTP status, where they are not the ones that all services have in common:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CommonErrors.html
_COMMON = {"throttling": ("ThrottlingException", 400), "unavailable": ("InternalFailure", 500), "denied": ("AccessDeniedException", 400)}
_OWN = {
    # https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionConfiguration.html#API_UpdateFunctionConfiguration_Errors
    "lambda": {"throttling": ("TooManyRequestsException", 429), "unavailable": ("ServiceException", 500), "denied": ("AccessDeniedException", 403),
               "conflict": ("ResourceConflictException", 409)},
    # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
    "ec2": {"throttling": ("RequestLimitExceeded", 503), "unavailable": ("InternalError", 500), "denied": ("UnauthorizedOperation", 403),
            "conflict": ("DependencyViolation", 400)},
    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html#API_CreateRole_Errors
    "iam": {"throttling": ("Throttling", 400), "unavailable": ("ServiceFailure", 500), "denied": ("AccessDenied", 403),
            "conflict": ("ConcurrentModification", 409)},
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    "dynamodb": {"throttling": ("ProvisionedThroughputExceededException", 400), "unavailable": ("InternalServerError", 500),
                 "conflict": ("TransactionConflictException", 400)},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html#API_SendMessage_Errors
    "sqs": {"throttling": ("RequestThrottled", 400), "denied": ("AccessDenied", 403)},
    # https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors
    "sns": {"throttling": ("Throttled", 429), "unavailable": ("InternalError", 500), "denied": ("AuthorizationError", 403),
            "conflict": ("ConcurrentAccess", 400)},
    # https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html#API_PutEvents_Errors
    "events": {"unavailable": ("InternalException", 500), "conflict": ("ConcurrentModificationException", 400)},
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    "s3": {"throttling": ("SlowDown", 503), "unavailable": ("InternalError", 500), "denied": ("AccessDenied", 403),
           "conflict": ("ConditionalRequestConflict", 409)},
    # https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html#API_Decrypt_Errors
    "kms": {"unavailable": ("KMSInternalException", 500), "conflict": ("KMSInvalidStateException", 400)},
    # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html#API_GetSecretValue_Errors
    "secretsmanager": {"unavailable": ("InternalServiceError", 500)},
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
    "cloudformation": {"throttling": ("Throttling", 400), "denied": ("AccessDenied", 403)},
    # https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
    "sts": {"throttling": ("Throttling", 400), "denied": ("AccessDenied", 403)},
    # https://docs.aws.amazon.com/apigateway/latest/api/API_UpdateMethod.html
    "apigateway": {"throttling": ("TooManyRequestsException", 429), "denied": ("AccessDeniedException", 403), "conflict": ("ConflictException", 409)},
    "apigatewayv2": {"throttling": ("TooManyRequestsException", 429), "denied": ("AccessDeniedException", 403), "conflict": ("ConflictException", 409)},
}
_MESSAGES = {"throttling": "Rate exceeded", "unavailable": "An internal error occurred.", "denied": "User is not authorized to perform the operation.",
             "conflict": "The operation conflicts with another one that is in progress."}


def _error_of(kind: str, service: str) -> tuple[str, int]:
    found = _OWN.get(operations.model_name(service, "/"), {}).get(kind) or _COMMON.get(kind)
    if found is None:
        raise ValueError(f"{service} has no error of the kind {kind}: give an errorCode")
    return found


class Faults:
    """Of the calls that match, the first and so on suffer it: `times` calls, beginning with the one that is number `first`."""

    def __init__(self):
        self._faults: list[dict] = []
        self._lock = threading.Lock()

    def add(self, asked: dict) -> dict:
        unknown = set(asked) - {"kind", "service", "operation", "resource", "function", "principalMatches", "first", "times", "after", "seconds",
                                "entries", "errorCode", "status", "message", "members"}
        if unknown:
            raise ValueError(f"a fault has no {', '.join(sorted(unknown))}")
        kind = asked.get("kind", "error")
        if kind not in KINDS:
            raise ValueError(f"{kind} is none of {', '.join(KINDS)}")
        fault = {
            "kind": kind, "service": asked["service"], "operation": asked.get("operation", "*"), "resource": asked.get("resource", ""),
            "function": asked.get("function", ""), "principalMatches": asked.get("principalMatches", ""), "first": int(asked.get("first", 1)),
            "times": int(asked.get("times", 1)), "after": bool(asked.get("after", False)), "seen": 0, "used": 0,
        }
        if kind == "slow":
            fault["seconds"] = float(asked["seconds"])
        elif kind == "partial":
            fault["entries"] = asked.get("entries")
        if kind not in ("slow", "reset", "kill"):
            own = "errorCode" in asked or kind in ("error", "partial")
            code, status = ("ThrottlingException" if kind == "error" else "InternalFailure", 400) if own else _error_of(kind, fault["service"])
            fault.update({"errorCode": asked.get("errorCode", code), "status": int(asked.get("status", status)),
                          "message": asked.get("message", _MESSAGES.get(kind, "Rate exceeded")), "members": asked.get("members") or {}})
        with self._lock:
            self._faults.append(fault)
        return dict(fault)

    def clear(self, resource: str | None = None) -> None:
        """All of them, or those of one resource."""
        with self._lock:
            self._faults = [fault for fault in self._faults if resource not in (None, fault["resource"])]

    def list(self) -> list[dict]:
        with self._lock:
            return [dict(fault) for fault in self._faults]

    def take(self, call) -> dict | None:
        """What this call is to suffer. Every fault that it matches counts it."""
        taken = None
        with self._lock:
            for fault in self._faults:
                if not _matches(fault, call):
                    continue
                fault["seen"] += 1
                if taken is None and fault["first"] <= fault["seen"] < fault["first"] + fault["times"]:
                    fault["used"] += 1
                    taken = dict(fault)
        return taken


def _matches(fault: dict, call) -> bool:
    return (fault["service"] in (call.service, call.model, "*") and fault["operation"] in (call.operation, "*")
            and fault["function"] in (call.function, "") and fault["principalMatches"] in call.principal
            and (not fault["resource"] or fault["resource"] in json.dumps(call.params, default=str)))


faults = Faults()

# The connection that a call came on: what hypercorn writes the answer to.
_connection: contextvars.ContextVar = contextvars.ContextVar("bench_connection")


def reset_connection() -> None:
    """The client of the call being served sees its connection reset."""
    writer = _connection.get()
    # Without lingering the kernel sends a reset in the place of an orderly end.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _remember_connections() -> None:
    from hypercorn.asyncio import tcp_server
    run = tcp_server.TCPServer.run

    async def remembering(self):
        # The task of every request on this connection begins with a copy of this context.
        _connection.set(self.writer)
        await run(self)

    tcp_server.TCPServer.run = remembering


def _partial_answers() -> None:
    """Of a batch some entries are refused and the others are served, in one answer with status 200.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html#API_PutEvents_ResponseSyntax
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html#API_SendMessageBatch_ResponseSyntax"""
    from gaps.patch import wrap
    from ministack.services import eventbridge, sqs

    from .context import current

    def refused(operation: str, entries: list) -> tuple[dict, set]:
        call = current.get()
        fault = call.fault if call is not None and call.operation == operation else None
        if fault is None or fault["kind"] != "partial":
            return {}, set()
        last = [len(entries) - 1]
        return fault, set(last if fault["entries"] is None else fault["entries"]) & set(range(len(entries)))

    @wrap(eventbridge, "_put_events")
    def put_events(original, data, *args, **kwargs):
        entries = data.get("Entries", [])
        fault, failing = refused("PutEvents", entries)
        if not failing:
            return original(data, *args, **kwargs)
        status, headers, body = original({**data, "Entries": [entry for index, entry in enumerate(entries) if index not in failing]}, *args, **kwargs)
        answer = json.loads(body)
        served = iter(answer["Entries"])
        failure = {"ErrorCode": fault["errorCode"], "ErrorMessage": fault["message"]}
        results = [dict(failure) if index in failing else next(served) for index in range(len(entries))]
        return eventbridge.json_response({"FailedEntryCount": answer["FailedEntryCount"] + len(failing), "Entries": results})

    @wrap(sqs, "_act_send_message_batch")
    def send_message_batch(original, data, url):
        entries = data.get("Entries", [])
        fault, failing = refused("SendMessageBatch", entries)
        if not failing:
            return original(data, url)
        kept = [entry for index, entry in enumerate(entries) if index not in failing]
        answer = original({**data, "Entries": kept}, url) if kept else {"Successful": [], "Failed": []}
        answer["Failed"] += [{"Id": entries[index]["Id"], "Code": fault["errorCode"], "Message": fault["message"], "SenderFault": False}
                             for index in sorted(failing)]
        return answer

    sqs._HANDLERS["SendMessageBatch"] = sqs._act_send_message_batch


def install() -> None:
    _remember_connections()
    _partial_answers()
