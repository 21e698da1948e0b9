"""Alarms, and the metrics of queues and functions."""
import json
import time

from .account import Case, allow, eventually, function_metric, plain, unique


class Alarms(Case):
    def alarm(self, aws, queue: str, topic: str = "", **more) -> str:
        name = unique("alarm")
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible", Statistic="Maximum", Period=60, EvaluationPeriods=1,
            Threshold=0, ComparisonOperator="GreaterThanThreshold", Dimensions=[{"Name": "QueueName", "Value": queue}], AlarmActions=[topic] if topic else [], **more)
        return name

    def state(self, aws, name: str) -> str:
        return aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]

    def test_a_message_in_a_queue_raises_the_alarm_of_that_queue_alone(self):
        aws = self.aws
        (url, arn), (_other, other_arn) = aws.queue(), aws.queue()
        topic = aws.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        end, end_arn = aws.queue({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"})
        aws.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=end_arn, Attributes={"RawMessageDelivery": "true"})
        mine, other = self.alarm(aws, arn.split(":")[-1], topic), self.alarm(aws, other_arn.split(":")[-1])
        eventually(lambda: self.state(aws, mine) == self.state(aws, other) == "OK")
        aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
        message = json.loads(aws.messages(end, 5)[0]["Body"])
        self.assertEqual((mine, "ALARM"), (message["AlarmName"], message["NewStateValue"]))
        self.assertEqual("OK", self.state(aws, other))

    def test_the_emulator_alone_knows_no_metrics_of_queues(self):
        aws = plain()
        url, arn = aws.queue()
        name = self.alarm(aws, arn.split(":")[-1])
        aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
        time.sleep(1.2)
        self.assertEqual("INSUFFICIENT_DATA", self.state(aws, name))

    def test_the_age_of_the_oldest_message_is_told(self):
        aws = self.aws
        url, arn = aws.queue()
        self.alarm(aws, arn.split(":")[-1])
        aws.client("sqs").send_message(QueueUrl=url, MessageBody="x")
        query = {"Id": "age", "MetricStat": {"Metric": {"Namespace": "AWS/SQS", "MetricName": "ApproximateAgeOfOldestMessage", "Dimensions": [
            {"Name": "QueueName", "Value": arn.split(":")[-1]}]}, "Period": 60, "Stat": "Maximum"}}
        eventually(lambda: any(value > 1 for value in aws.client("cloudwatch").get_metric_data(
            MetricDataQueries=[query], StartTime=time.time() - 120, EndTime=time.time() + 60)["MetricDataResults"][0]["Values"]))


FAILS = "exports.handler = async () => { throw new Error('x') }"


class Functions(Case):
    def total(self, aws, name: str, metric: str) -> float:
        now = time.time()
        return sum(function_metric(aws, name, metric, "Sum", now - 600, now + 60))

    def test_every_invocation_counts_whoever_made_it(self):
        aws = self.aws
        api, role = aws.client("lambda"), aws.role(allow(["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]))
        name = aws.function(role=role)
        api.invoke(FunctionName=name)
        api.invoke(FunctionName=name, InvocationType="Event")
        url = api.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
        api.add_permission(FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE")
        api.add_permission(FunctionName=name, StatementId="all", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True)
        self.assertEqual(200, aws.http("/", host=url.split("/")[2]))
        queue, arn = aws.queue()
        api.create_event_source_mapping(FunctionName=name, EventSourceArn=arn)
        aws.client("sqs").send_message(QueueUrl=queue, MessageBody="x")
        eventually(lambda: self.total(aws, name, "Invocations") == 4)
        time.sleep(0.3)
        self.assertEqual((4, 0, 0), tuple(self.total(aws, name, metric) for metric in ("Invocations", "Errors", "Throttles")))
        self.assertGreater(self.total(aws, name, "Duration"), 0)

    def test_what_fails_counts_as_an_error_and_what_is_throttled_as_that_alone(self):
        aws, name = self.aws, self.aws.function(FAILS)
        api = aws.client("lambda")
        api.invoke(FunctionName=name)
        api.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        self.refused("TooManyRequestsException", api.invoke, FunctionName=name)
        self.assertEqual((1, 1, 1), tuple(self.total(aws, name, metric) for metric in ("Invocations", "Errors", "Throttles")))

    def test_the_emulator_alone_counts_a_throttled_invocation_twice(self):
        aws, name = plain(), plain().function()
        aws.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        self.refused("TooManyRequestsException", aws.client("lambda").invoke, FunctionName=name)
        self.assertEqual((2, 2), (self.total(aws, name, "Invocations"), self.total(aws, name, "Throttles")))

    def test_a_dead_letter_that_cannot_be_put_down_counts(self):
        aws = self.aws
        queue, arn = aws.queue()
        role = aws.role(allow("sqs:SendMessage", arn))
        lost, kept = (aws.function(FAILS, role=role, DeadLetterConfig={"TargetArn": arn}) for _ in range(2))
        for name in (kept, lost):
            aws.client("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        aws.client("lambda").invoke(FunctionName=kept, InvocationType="Event")
        self.assertEqual(1, len(aws.messages(queue, 5)))
        aws.client("sqs").delete_queue(QueueUrl=queue)
        aws.client("lambda").invoke(FunctionName=lost, InvocationType="Event")
        eventually(lambda: self.total(aws, lost, "DeadLetterErrors") == 1)
        self.assertEqual(0, self.total(aws, kept, "DeadLetterErrors"))

    def test_metric_data_is_that_of_the_minutes_asked_for_the_latest_first(self):
        aws, name = self.aws, unique("fn")
        minute = (time.time() - 7200) // 60 * 60
        points = [(-1, 100), (0, 1), (30, 2), (60, 4), (119, 8), (120, 200)]
        aws.bench("/_bench/metrics", "POST", [{"function": name, "metric": "Errors", "value": value, "at": (minute + second) * 1000} for second, value in points])
        # The minute in which it begins counts whole.
        for start in (minute, minute + 31):
            self.assertEqual([12, 3], function_metric(aws, name, "Errors", "Sum", start, minute + 120))
        self.assertEqual([8, 2], function_metric(aws, name, "Errors", "Maximum", minute, minute + 120))
        self.assertEqual([3, 12], function_metric(aws, name, "Errors", "Sum", minute, minute + 120, ScanBy="TimestampAscending"))
        self.assertEqual([], function_metric(aws, f"{name}-2", "Errors", "Sum", minute, minute + 120))

    def test_several_metrics_come_at_once_each_of_its_own_function(self):
        aws, names, now = self.aws, [unique("fn"), unique("fn")], time.time()
        aws.bench("/_bench/metrics", "POST", [{"function": name, "metric": metric, "value": value, "at": now * 1000} for name, metric, value in (
            (names[0], "Errors", 1), (names[0], "Invocations", 2), (names[1], "Errors", 4), (names[1], "IteratorAge", 900))])
        queries = [{"Id": f"{metric.lower()}{index}", "MetricStat": {"Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [
            {"Name": "FunctionName", "Value": name}]}, "Period": 60, "Stat": "Sum"}} for index, name in enumerate(names) for metric in ("Errors", "Invocations", "IteratorAge")]
        results = aws.client("cloudwatch").get_metric_data(MetricDataQueries=queries, StartTime=now - 60, EndTime=now + 60)["MetricDataResults"]
        self.assertEqual({"errors0": [1], "invocations0": [2], "iteratorage0": [], "errors1": [4], "invocations1": [], "iteratorage1": [900]},
                         {result["Id"]: result["Values"] for result in results})
        self.assertEqual({"Complete"}, {result["StatusCode"] for result in results})

    def test_metric_data_needs_a_permission_for_everything(self):
        aws = self.aws
        query = {"MetricDataQueries": [], "StartTime": 0, "EndTime": 1}
        aws.client("cloudwatch", aws.user(allow("cloudwatch:GetMetricData"))).get_metric_data(**query)
        for statement in (allow("cloudwatch:ListMetrics"), allow("cloudwatch:GetMetricData", f"arn:aws:lambda:us-east-1:{aws.id}:function:x")):
            self.refused("AccessDeniedException", aws.client("cloudwatch", aws.user(statement)).get_metric_data, **query)
