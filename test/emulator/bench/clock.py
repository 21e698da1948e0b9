"""Times that need not be waited for."""
import time

from ministack.core.responses import new_uuid, request_scope
from ministack.services import eventbridge, scheduler, sqs


def fire(name: str) -> list[str]:
    """Fire the schedules and the scheduled rules of this name, whenever they would be due. Their ARNs."""
    fired = []
    for (account, region, _key), schedule in list(scheduler._schedules._data.items()):
        if schedule.get("Name") == name:
            with request_scope(account, region):
                event = _event("aws.scheduler", schedule, account, region)
                eventbridge._invoke_target(schedule.get("Target") or {}, event, schedule)
            fired.append(schedule.get("Arn", ""))
    for (account, region, key), rule in list(eventbridge._rules._data.items()):
        if rule.get("Name") == name and rule.get("ScheduleExpression"):
            with request_scope(account, region):
                event = _event("aws.events", rule, account, region)
                view = eventbridge._pattern_event_view(event)
                for target in eventbridge._targets._data.get((account, region, key), []):
                    eventbridge._invoke_target(target, event, rule, view)
            fired.append(rule.get("Arn", ""))
    return fired


def redeliver(name: str) -> int:
    """The visibility timeout of every message that a queue has given out is over. How many there are."""
    now, count = time.time(), 0
    for (_account, _region, _url), queue in list(sqs._queues.to_dict().items()):
        if queue["name"] != name:
            continue
        with sqs._queues_lock:
            out = [message for message in queue["messages"] if message["receive_count"] > 0 and message["visible_at"] > now]
            for message in out:
                message["visible_at"] = now
        count += len(out)
    return count


def _event(source: str, rule: dict, account: str, region: str) -> dict:
    return {"EventId": new_uuid(), "Source": source, "DetailType": "Scheduled Event", "Detail": "{}", "EventBusName": rule.get("EventBusName", "default"),
            "Time": int(time.time()), "Resources": [rule.get("Arn", "")], "Account": account, "Region": region}
