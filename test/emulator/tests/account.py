"""The emulated accounts of the tests, and what the tests do again and again."""
import atexit
import functools
import io
import json
import os
import subprocess
import sys
import time
import unittest
import urllib.request
import uuid
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

SERVER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "server.py")
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}


# A function that makes one signed call without any package: the SDK is not on the path of a bare Node.
CALLER = r"""
const { createHash, createHmac } = require('node:crypto');
const hash = (text) => createHash('sha256').update(text).digest('hex');
const mac = (key, text) => createHmac('sha256', key).update(text).digest();
exports.call = async (service, target, input, type = 'application/x-amz-json-1.0') => {
  const url = new URL(process.env.AWS_ENDPOINT_URL), region = process.env.AWS_REGION;
  const body = JSON.stringify(input), now = new Date().toISOString().replace(/[-:]|\.\d{3}/g, ''), day = now.slice(0, 8);
  const headers = { 'content-type': type, host: url.host, 'x-amz-date': now, 'x-amz-security-token': process.env.AWS_SESSION_TOKEN, 'x-amz-target': target };
  const names = Object.keys(headers).sort(), scope = `${day}/${region}/${service}/aws4_request`;
  const canonical = ['POST', '/', '', ...names.map((name) => `${name}:${headers[name]}`), '', names.join(';'), hash(body)].join('\n');
  const key = mac(mac(mac(mac('AWS4' + process.env.AWS_SECRET_ACCESS_KEY, day), region), service), 'aws4_request');
  const signature = createHmac('sha256', key).update(['AWS4-HMAC-SHA256', now, scope, hash(canonical)].join('\n')).digest('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${process.env.AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  const answer = await fetch(url, { method: 'POST', body, headers: { ...headers, authorization } });
  return { status: answer.status, body: await answer.text() };
};
exports.handler = (event) => exports.call('sqs', 'AmazonSQS.CreateQueue', { QueueName: 'made-by-a-function' });
"""


class Account:
    def __init__(self, *options: str):
        self._process = subprocess.Popen([sys.executable, SERVER, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        self.info = json.loads(line)
        self.id = self.info["account"]
        self.endpoint = self.info["endpoint"]
        self.root = (self.info["accessKeyId"], self.info["secretAccessKey"], None)
        atexit.register(self.close)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)

    @functools.lru_cache(maxsize=None)
    def client(self, service: str, keys=None, region: str = "us-east-1", console: bool = False):
        access, secret, token = keys or self.root
        client = boto3.client(
            service, endpoint_url=self.endpoint, region_name=region, aws_access_key_id=access, aws_secret_access_key=secret,
            aws_session_token=token, config=Config(retries={"max_attempts": 0}, parameter_validation=False))
        if console:
            client.meta.events.register("before-sign.*.*", lambda request, **_: request.headers.add_header("x-bench-console", "true"))
        return client

    def bench(self, path: str, method: str = "GET", body=None):
        request = urllib.request.Request(self.endpoint + path, method=method, data=json.dumps(body).encode() if body is not None else None)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def http(self, path: str, host: str = ""):
        request = urllib.request.Request(self.endpoint + path, headers={"Host": host} if host else {})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    # --- what tests need again and again ---

    def user(self, *statements: dict, boundary: str = ""):
        """A user with these statements, as a set of keys."""
        iam = self.client("iam")
        name = unique("user")
        iam.create_user(UserName=name, **({"PermissionsBoundary": boundary} if boundary else {}))
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"], None

    @functools.cached_property
    def admin(self):
        return self.user(allow("*", "*"))

    def role(self, *statements: dict, path: str = "/", trust=None, name: str = "") -> str:
        iam = self.client("iam")
        name = name or unique("role")
        arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust or TRUST))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        return arn

    def function(self, code: str = "exports.handler = async () => ({statusCode: 200, body: 'ok'})", role: str = "", wait: bool = True, **more) -> str:
        name = more.pop("FunctionName", unique("fn"))
        awslambda = self.client("lambda")
        awslambda.create_function(FunctionName=name, Role=role or self.role(), Runtime="nodejs22.x", Handler="index.handler",
                                  Code={"ZipFile": package(code)}, **more)
        if wait:
            self.settled(name)
        return name

    def settled(self, name: str) -> None:
        awslambda = self.client("lambda")
        eventually(lambda: (lambda c: c["State"] == "Active" and c["LastUpdateStatus"] == "Successful")(
            awslambda.get_function_configuration(FunctionName=name)))

    def queue(self, *statements: dict, **attributes) -> tuple[str, str]:
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=unique("queue"), Attributes=attributes)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        if statements:
            policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn} for statement in statements]}
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        return url, arn

    def messages(self, url: str, wait: float = 0, count: int = 1) -> list:
        sqs, deadline, found = self.client("sqs"), time.time() + wait, []
        while True:
            got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
            for message in got:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found += got
            if len(found) >= count or time.time() > deadline:
                return found
            time.sleep(0.01)

    def records(self, do, *names: str, keys=None) -> list:
        """The CloudTrail records that something leaves behind."""
        before = self.bench("/_bench/records?since=999999999")["next"]
        try:
            do()
        except ClientError:
            pass
        found = self.bench(f"/_bench/records?since={before}")["records"]
        return [record for record in found if not names or record["eventName"] in names]


def function_metric(aws: Account, name: str, metric: str, statistic: str, start: float, end: float, **more) -> list:
    """The values of a function's metric, a minute each, as GetMetricData tells them."""
    query = {"Id": "m", "MetricStat": {"Metric": {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": [{"Name": "FunctionName", "Value": name}]},
                                       "Period": 60, "Stat": statistic}}
    return aws.client("cloudwatch").get_metric_data(MetricDataQueries=[query], StartTime=start, EndTime=end, **more)["MetricDataResults"][0]["Values"]


def allow(action, resource="*", **condition) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **({"Condition": condition["condition"]} if condition else {})}


def deny(action, resource="*") -> dict:
    return {"Effect": "Deny", "Action": action, "Resource": resource}


def unique(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


def package(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.js", code)
    return buffer.getvalue()


def eventually(true, seconds: float = 5):
    deadline = time.time() + seconds
    while True:
        result = true()
        if result or time.time() > deadline:
            assert result, "it did not become true"
            return result
        time.sleep(0.02)


@functools.lru_cache(maxsize=None)
def account() -> Account:
    return Account()


@functools.lru_cache(maxsize=None)
def plain() -> Account:
    """The emulator without corrections."""
    return Account("--plain")


class Case(unittest.TestCase):
    maxDiff = None

    @property
    def aws(self) -> Account:
        return account()

    def refused(self, code: str, do, *args, **kwargs) -> str:
        """The message of the error with which a call is refused."""
        with self.assertRaises(ClientError) as caught:
            do(*args, **kwargs)
        self.assertEqual(code, caught.exception.response["Error"]["Code"], caught.exception)
        return caught.exception.response["Error"]["Message"]
