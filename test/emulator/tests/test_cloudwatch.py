"""Alarms."""
import json
import time

from .account import Case, eventually, plain, unique


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
