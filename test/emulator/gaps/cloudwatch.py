"""CloudWatch: the metrics of queues and functions, and alarms that look at their own dimensions all the time."""
import logging
import threading
import time

from ministack.core.responses import get_account_id, get_region, request_scope
from ministack.services import cloudwatch, lambda_svc, sns, sqs

from bench import metrics

from . import lambda_, services
from .patch import wrap

logger = logging.getLogger("bench")

_KEPT = 3600  # seconds of data points


def _periods(alarm: dict) -> list[list]:
    """The data points of the periods that an alarm looks at, the latest first. Periods end now: a test need not wait for the minute."""
    dimensions = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions") or []))
    period, count, now = int(alarm.get("Period") or 60), int(alarm.get("EvaluationPeriods") or 1), time.time()
    found: list[list] = [[] for _ in range(count)]
    for point in list(cloudwatch._metrics.get((alarm.get("Namespace"), alarm.get("MetricName"), dimensions)) or []):
        index = int((now - point["Timestamp"]) // period)
        if 0 <= index < count:
            found[index].append(point)
    return found


_COMPARE = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def alarms_look_at_their_dimensions() -> None:
    """An alarm is about the metric with exactly its dimensions, M of N periods, and treats missing data as it says.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html"""
    def evaluate(alarm):
        compare = _COMPARE.get(alarm.get("ComparisonOperator", ""))
        if not alarm.get("MetricName") or compare is None:
            return
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
        missing = alarm.get("TreatMissingData") or "missing"
        results = []
        for points in _periods(alarm):
            value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points) if points else None
            results.append(None if value is None else compare(value, float(alarm.get("Threshold") or 0)))
        window = int(alarm.get("Period") or 60) * int(alarm.get("EvaluationPeriods") or 1)
        young = time.time() - float(alarm.get("AlarmConfigurationUpdatedTimestamp") or 0) < window
        if all(result is None for result in results):
            if young or missing == "ignore":
                return
            state = {"breaching": "ALARM", "notBreaching": "OK"}.get(missing, "INSUFFICIENT_DATA")
        else:
            assumed = missing == "breaching" and not young
            breaching = sum(1 for result in results if result or (result is None and assumed))
            needed = int(alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods") or 1)
            known = sum(1 for result in results if result is not None)
            state = "ALARM" if breaching >= min(needed, known if missing in ("missing", "ignore") else needed) and breaching else "OK"
        before = alarm["StateValue"]
        if state == before:
            return
        reason = f"Threshold Crossed: {statistic} {alarm.get('ComparisonOperator')} {alarm.get('Threshold')}"
        alarm.update({"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": int(time.time())})
        cloudwatch._record_history(alarm["AlarmName"], before, state, reason)
        cloudwatch._dispatch_alarm_actions(alarm, before, state, reason)
        cloudwatch._evaluate_parent_alarms(alarm)

    cloudwatch._evaluate_alarm = evaluate


def alarms_publish_as_a_service() -> None:
    """An alarm reaches a topic whose policy and key let cloudwatch.amazonaws.com in.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html"""
    def reachable(topic_arn: str, alarm_arn: str) -> bool:
        topic = sns._topic_by_arn_any_scope(topic_arn)
        if topic is None:
            return False
        attributes, account = topic.get("attributes", {}), get_account_id()
        return services.may(attributes.get("Policy"), "cloudwatch.amazonaws.com", "sns:Publish", topic_arn, alarm_arn, account, owner=account) and \
            services.may_use_key(services.key_of(attributes), "cloudwatch.amazonaws.com", alarm_arn, account, get_region())

    @wrap(cloudwatch, "_dispatch_alarm_actions")
    def dispatch(original, alarm, old_state, new_state, reason):
        allowed = {key: [arn for arn in alarm.get(key) or [] if ":sns:" not in arn or reachable(arn, alarm.get("AlarmArn", ""))]
                   for key in ("AlarmActions", "OKActions", "InsufficientDataActions")}
        return original({**alarm, **allowed}, old_state, new_state, reason)


def metrics_of_queues() -> None:
    """Queues tell how many messages wait and how old the oldest is; alarms are evaluated all the time.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
    def measure() -> None:
        now = time.time()
        for (account, region, _url), queue in list(sqs._queues.to_dict().items()):
            with request_scope(account, region):
                with sqs._queues_lock:
                    visible = [message for message in queue["messages"] if message.get("visible_at", 0) <= now]
                    held = len(queue["messages"]) - len(visible)
                    oldest = max((now - message.get("sent_at", now) for message in queue["messages"]), default=0)
                dimensions = {"QueueName": queue["name"]}
                for name, value in (("ApproximateNumberOfMessagesVisible", len(visible)), ("ApproximateNumberOfMessagesNotVisible", held),
                                    ("ApproximateAgeOfOldestMessage", oldest)):
                    with metrics.lock:
                        points = cloudwatch._metric_bucket(("AWS/SQS", name, cloudwatch._dims_key(dimensions)))
                        points.append({"Timestamp": now, "Value": float(value), "Unit": "Count", "Dimensions": dict(dimensions)})
                        while points and points[0]["Timestamp"] < now - _KEPT:
                            points.pop(0)

    def run() -> None:
        while True:
            time.sleep(1)
            try:
                if not cloudwatch._alarms.has_any():
                    continue
                measure()
                for account, region in {key[:2] for key in list(cloudwatch._alarms.to_dict())}:
                    with request_scope(account, region):
                        cloudwatch._evaluate_all_alarms()
            except Exception:
                logger.exception("alarms")

    threading.Thread(target=run, daemon=True, name="bench-alarms").start()


def metrics_of_every_invocation() -> None:
    """Every invocation counts in AWS/Lambda, whoever made it; one that is throttled counts as that alone.
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""
    @wrap(lambda_svc, "_execute_function_dispatch")
    def execute(original, func, config, event, request_id, started):
        result = original(func, config, event, request_id, started)
        name = config.get("FunctionName", "unknown")
        for metric, value in (("Invocations", 1), ("Errors", bool(result.get("error"))), ("Throttles", 0), ("Duration", (time.time() - started) * 1000)):
            metrics.record(name, metric, value)
        return result

    @wrap(lambda_svc, "_acquire_execution_slot")
    def acquire(original, func, config, *rest):
        slot, limit = original(func, config, *rest)
        if slot is None:
            metrics.record(config.get("FunctionName", "unknown"), "Throttles", 1)
        return slot, limit

    lambda_svc._emit_lambda_metrics = lambda *args, **kwargs: None


def metrics_of_dead_letters() -> None:
    """What Lambda could not put into a function's dead-letter queue counts as DeadLetterErrors, in a destination as DestinationDeliveryFailures.
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html#invocation-metrics"""
    def missing(target: str) -> bool:
        service = target.split(":")[2] if target.count(":") >= 5 else ""
        return (service == "sqs" and sqs._queue_by_arn(target) is None) or (service == "sns" and sns._topic_by_arn_any_scope(target) is None)

    @wrap(lambda_svc, "_route_async_failure")
    def route(original, target, name, event, result):
        config = (lambda_svc._functions.get(name) or {}).get("config") or {}
        if lambda_.destination_problem(config.get("Role", ""), target, name) or missing(target):
            letters = (config.get("DeadLetterConfig") or {}).get("TargetArn") == target
            metrics.record(name, "DeadLetterErrors" if letters else "DestinationDeliveryFailures", 1)
        return original(target, name, event, result)


def metric_data_of_one_metric() -> None:
    """GetMetricData is about the metric with exactly the given dimensions; it begins with the minute that StartTime lies in, ends before
    EndTime, and gives the latest data point first unless ScanBy says otherwise.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html"""
    def result_of(query: dict, start: float, end: float, latest_first: bool) -> dict:
        stat = query["MetricStat"]
        metric, period, statistic = stat["Metric"], int(stat.get("Period") or 60), stat.get("Stat", "Average")
        key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(cloudwatch._dims_from_list(metric.get("Dimensions") or [])))
        periods: dict[float, list] = {}
        for point in cloudwatch._metrics.get(key) or []:
            begin = point["Timestamp"] // period * period
            if point["Timestamp"] >= start // 60 * 60 and begin < end:
                periods.setdefault(begin, []).append(point)
        values = [(begin, cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points))
                  for begin, points in sorted(periods.items(), reverse=latest_first)]
        return {"Id": query["Id"], "Label": query.get("Label") or metric["MetricName"], "StatusCode": "Complete",
                "Timestamps": [cloudwatch._ts_iso(begin) for begin, _ in values], "Values": [value for _, value in values]}

    @wrap(cloudwatch, "_get_metric_data")
    def get_metric_data(original, params, data, is_cbor, is_json=False):
        queries = data.get("MetricDataQueries") or []
        if not queries or any("MetricStat" not in query for query in queries):
            return original(params, data, is_cbor, is_json)
        start, end = cloudwatch._parse_ts(data["StartTime"]), cloudwatch._parse_ts(data["EndTime"])
        with metrics.lock:
            results = [result_of(query, start, end, data.get("ScanBy") != "TimestampAscending")
                       for query in queries if query.get("ReturnData", True)]
        if is_cbor:
            return cloudwatch._cbor_ok({"MetricDataResults": [cloudwatch._cbor_metric_data_result(result) for result in results]})
        return cloudwatch._json_ok({"MetricDataResults": results})

    @wrap(cloudwatch, "_evict_old_metrics")
    def evict(original):
        with metrics.lock:
            return original()


def apply() -> None:
    alarms_look_at_their_dimensions()
    alarms_publish_as_a_service()
    metrics_of_queues()
    metrics_of_every_invocation()
    metrics_of_dead_letters()
    metric_data_of_one_metric()
