"""EventBridge: which targets an event reaches, and what becomes of the ones it does not reach."""
import contextvars
import hashlib
import json
import logging
import time

from ministack.core.arn import ArnParseError, parse_arn
from ministack.core.responses import get_account_id, get_region, new_uuid, request_scope
from ministack.services import eventbridge, lambda_svc, sns, sqs

from bench import journal

from . import iam, services
from .patch import wrap

logger = logging.getLogger("bench")

# The target, the rule (or schedule) and the event being delivered.
_delivery: contextvars.ContextVar[tuple] = contextvars.ContextVar("bench_delivery", default=({}, {}, ""))


def _source() -> str:
    rule = _delivery.get()[1]
    return rule.get("Arn", "")


def _is_schedule() -> bool:
    return ":scheduler:" in _source()


def _attribute(value: str) -> dict:
    return {"DataType": "String", "StringValue": value}


def _dead_letter(code: str, message: str) -> None:
    """What cannot be delivered for want of permission or of a target goes to the target's dead-letter queue, at once.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""
    target, rule, payload = _delivery.get()
    journal.undelivered.add({"time": journal.iso(), "rule": rule.get("Arn", ""), "target": target.get("Arn", ""), "errorCode": code, "message": message})
    queue_arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    queue = sqs._queue_by_arn(queue_arn) if queue_arn else None
    if queue is None:
        return
    if not _is_schedule() and not services.may(
            queue["attributes"].get("Policy"), "events.amazonaws.com", "sqs:SendMessage", queue_arn, rule.get("Arn", ""), get_account_id()):
        return
    attributes = {"ERROR_CODE": _attribute(code), "ERROR_MESSAGE": _attribute(message), "RULE_ARN": _attribute(rule.get("Arn", "")),
                  "TARGET_ARN": _attribute(target.get("Arn", "")), "RETRY_ATTEMPTS": {"DataType": "Number", "StringValue": "0"}}
    put(queue, payload, attributes)


def put(queue: dict, body: str, attributes: dict | None = None) -> None:
    """A message from inside AWS."""
    now = time.time()
    message = {
        "id": new_uuid(), "body": body, "md5_body": hashlib.md5(body.encode()).hexdigest(),
        "md5_attrs": sqs._md5_msg_attrs(attributes or {}), "receipt_handle": None, "sent_at": now, "visible_at": now + sqs.queue_delay(queue),
        "receive_count": 0, "message_attributes": attributes or {}, "sys": {"SenderId": "AIDAEXAMPLE", "SentTimestamp": str(int(now * 1000))},
    }
    sqs._ensure_msg_fields(message)
    with sqs._queues_lock:
        queue["messages"].append(message)
    sqs.esm_wake.set()


def _role_allows(action: str, resource: str, service: str) -> bool | None:
    """For a target that is reached with a role (every target of EventBridge Scheduler): whether the role may. None without a role."""
    role = _delivery.get()[0].get("RoleArn")
    return iam.role_may(role, action, resource, service) if role else None


def remember_the_delivery() -> None:
    """Where an event goes is known only while a target is being invoked."""
    @wrap(eventbridge, "_invoke_target")
    def invoke_target(original, target, event, rule, view=None):
        seen = view or eventbridge._pattern_event_view(event)
        token = _delivery.set((target, rule, json.dumps(seen.event_with_detail())))
        try:
            return original(target, event, rule, view)
        finally:
            _delivery.reset(token)


def queues_need_a_policy() -> None:
    """A queue is a target only if its policy lets events.amazonaws.com send for the rule; a schedule sends with its role.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sqs-permissions"""
    @wrap(eventbridge, "_dispatch_to_sqs")
    def dispatch(original, spec, payload, sqs_parameters=None):
        arn = str(spec)
        queue = sqs._queue_by_arn(arn)
        if queue is None:
            return _dead_letter("NO_RESOURCE", "The specified queue does not exist.")
        by_role = _role_allows("sqs:SendMessage", arn, "sqs")
        allowed = by_role if by_role is not None else services.may(
            queue["attributes"].get("Policy"), "events.amazonaws.com", "sqs:SendMessage", arn, _source(), get_account_id())
        if not allowed:
            return _dead_letter("NO_PERMISSIONS", f"Access to the resource {arn} is denied.")
        if by_role is None and not services.may_use_key(services.key_of(queue["attributes"]), "events.amazonaws.com", _source(), get_account_id(), spec.region):
            return _dead_letter("NO_PERMISSIONS", "The key of the queue does not let events.amazonaws.com use it.")
        with sqs._queues_lock:
            return original(spec, payload, sqs_parameters)


def topics_need_a_policy() -> None:
    """A topic is a target only if its policy lets events.amazonaws.com publish.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions"""
    @wrap(eventbridge, "_dispatch_to_sns")
    def dispatch(original, arn, payload):
        topic = sns._topic_by_arn_any_scope(arn)
        if topic is None:
            return _dead_letter("NO_RESOURCE", "The specified topic does not exist.")
        by_role = _role_allows("sns:Publish", arn, "sns")
        attributes = topic.get("attributes", {})
        allowed = by_role if by_role is not None else services.may(
            attributes.get("Policy"), "events.amazonaws.com", "sns:Publish", arn, _source(), get_account_id())
        if not allowed:
            return _dead_letter("NO_PERMISSIONS", f"Not authorized to publish to {arn}.")
        if by_role is None and not services.may_use_key(services.key_of(attributes), "events.amazonaws.com", _source(), get_account_id(), get_region()):
            return _dead_letter("NO_PERMISSIONS", "The key of the topic does not let events.amazonaws.com use it.")
        return original(arn, payload)


def functions_need_a_statement() -> None:
    """A function is a target only if its policy lets events.amazonaws.com invoke it for the rule; it is invoked asynchronously,
    with the retries and destinations of asynchronous invocation.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-lambda-permissions"""
    @wrap(eventbridge, "_dispatch_to_lambda")
    def dispatch(original, arn, payload):
        func, config, _name = lambda_svc._get_func_record_for_ref(arn)
        if not func or not config:
            return _dead_letter("NO_RESOURCE", f"Function not found: {arn}")
        by_role = _role_allows("lambda:InvokeFunction", arn, "lambda")
        found = lambda_svc.function_policy_for_arn(arn)
        allowed = by_role if by_role is not None else services.may(
            found and found[0], "events.amazonaws.com", "lambda:InvokeFunction", arn, _source(), get_account_id())
        if not allowed:
            return _dead_letter("NO_PERMISSIONS", f"Not authorized to invoke {arn}.")
        try:
            event = json.loads(payload)
        except (ValueError, TypeError):
            event = {"body": payload}
        lambda_svc.invoke_async_with_retry(lambda_svc._execution_record_for_config(func, config), event)


def buses_of_other_accounts_and_regions() -> None:
    """A bus of another region or account is a target: with the rule's role, and across accounts with the bus's policy. The event
    keeps the account and region that it comes from.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-region.html"""
    @wrap(eventbridge, "_dispatch_to_event_bus")
    def dispatch(original, spec, event, rule, event_path, target_input_payload=None):
        account, region = get_account_id(), get_region()
        if (spec.account_id, spec.region) == (account, region):
            return original(spec, event, rule, event_path, target_input_payload)
        name = spec.resource.split("/", 1)[-1]
        arn = str(spec)
        if eventbridge._event_buses.get_scoped(spec.account_id, spec.region, name) is None and name != "default":
            return _dead_letter("NO_RESOURCE", f"Event bus {name} does not exist.")
        if _role_allows("events:PutEvents", arn, "events") is False:
            return _dead_letter("NO_PERMISSIONS", f"The role may not put events on {arn}.")
        if spec.account_id != account:
            policy = eventbridge._event_bus_policies.get_scoped(spec.account_id, spec.region, name)
            role = _delivery.get()[0].get("RoleArn", "")
            ctx = iam.iam_evaluator.EvalContext(
                principal_arn=role or f"arn:aws:iam::{account}:root", principal_type="AssumedRole", principal_account=account,
                action="events:PutEvents", resource_arn=arn, region=spec.region)
            if iam.iam_evaluator.evaluate_resource_policy(policy, ctx).decision != "Allow":
                return _dead_letter("NO_PERMISSIONS", f"The policy of {arn} does not let account {account} in.")
        key = eventbridge._rule_key(rule.get("Name"), rule.get("EventBusName", "default"))
        forwarded = {**event, "EventBusName": name, "Account": event.get("Account", account), "Region": event.get("Region", region),
                     "_DispatchPath": [*event_path, f"{account}|{region}|{key}"]}
        if target_input_payload is not None:
            forwarded["Detail"] = target_input_payload
        with request_scope(spec.account_id, spec.region):
            eventbridge._ensure_default_bus()
            eventbridge._dispatch_event(forwarded)


def names_given_as_arns() -> None:
    """EventBusName may be the bus's ARN wherever a rule is named.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html"""
    for handler in ("_put_rule", "_delete_rule", "_describe_rule", "_enable_rule", "_disable_rule", "_put_targets", "_remove_targets",
                    "_list_targets_by_rule", "_list_rules", "_put_permission", "_remove_permission"):
        @wrap(eventbridge, handler)
        def named(original, data):
            bus = data.get("EventBusName")
            if isinstance(bus, str) and bus.startswith("arn:"):
                try:
                    data = {**data, "EventBusName": parse_arn(bus).resource.split("/", 1)[1]}
                except (ArnParseError, IndexError):
                    pass
            return original(data)


def whole_policies() -> None:
    """PutPermission takes a whole policy document as well as one statement.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutPermission.html"""
    @wrap(eventbridge, "_put_permission")
    def put_permission(original, data):
        if data.get("Policy"):
            eventbridge._event_bus_policies[data.get("EventBusName", "default")] = json.loads(data["Policy"])
            return eventbridge.json_response({})
        return original(data)


def rules_do_not_loop_with_targets() -> None:
    """A rule that still has targets cannot be deleted.
    https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_DeleteRule.html"""
    @wrap(eventbridge, "_delete_rule")
    def delete_rule(original, data):
        key = eventbridge._rule_key(data.get("Name"), data.get("EventBusName", "default"))
        from bench.context import current
        call = current.get()
        if call is not None and call.operation == "DeleteRule" and eventbridge._targets.get(key):
            return eventbridge.error_response_json("ValidationException", "Rule can't be deleted since it has targets.", 400)
        return original(data)


def schedules_are_punctual() -> None:
    """A schedule fires within a second or two of its time; the emulator looks every ten seconds."""
    from ministack.services import scheduler
    scheduler._SCHEDULE_TICK_INTERVAL = 1
    eventbridge._SCHEDULER_TICK_INTERVAL = 1


def apply() -> None:
    schedules_are_punctual()
    remember_the_delivery()
    queues_need_a_policy()
    topics_need_a_policy()
    functions_need_a_statement()
    buses_of_other_accounts_and_regions()
    names_given_as_arns()
    whole_policies()
    rules_do_not_loop_with_targets()
