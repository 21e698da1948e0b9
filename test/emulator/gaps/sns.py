"""SNS: what Publish refuses."""
import json
import re

from ministack.services import lambda_svc, sns

from . import services
from .patch import wrap


def subjects() -> None:
    """A subject is ASCII text of at most 100 characters without control characters or line breaks, and begins with a letter, a number
    or a punctuation mark. https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    @wrap(sns, "_publish")
    def publish(original, params):
        subject = sns._p(params, "Subject")
        if subject and not re.fullmatch(r"[\x21-\x7e][\x20-\x7e]{0,99}", subject):
            return sns._error("InvalidParameter", "Invalid parameter: Subject", 400)
        return original(params)


def json_messages_need_a_default() -> None:
    """With MessageStructure json the message is a JSON object with a string under "default".
    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""
    @wrap(sns, "_publish")
    def publish(original, params):
        structure = sns._p(params, "MessageStructure")
        if structure == "json":
            try:
                message = json.loads(sns._p(params, "Message"))
            except ValueError:
                return sns._error("InvalidParameter", "Invalid parameter: Message Structure - JSON message body failed to parse", 400)
            if not isinstance(message, dict) or not isinstance(message.get("default"), str):
                return sns._error("InvalidParameter", "Invalid parameter: Message Structure - No default entry in JSON message body", 400)
        elif structure:
            return sns._error("InvalidParameter", "Invalid parameter: MessageStructure", 400)
        return original(params)


def attributes_have_values() -> None:
    """A message attribute has a type and a value that is not empty. https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html"""
    @wrap(sns, "_publish")
    def publish(original, params):
        for name, attribute in sns._parse_message_attributes(params).items():
            kind = attribute.get("DataType", "")
            if not kind or (not attribute.get("StringValue") and not attribute.get("BinaryValue")):
                return sns._error("ParameterValueInvalid", f"The message attribute '{name}' must contain non-empty message attribute value "
                                  f"for message attribute type '{kind}'.", 400)
        return original(params)


def functions_need_a_statement() -> None:
    """A subscribed function is invoked only if its policy lets sns.amazonaws.com, and asynchronously.
    https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html"""
    @wrap(sns, "_deliver_to_lambda")
    def deliver(original, endpoint, envelope, topic_arn, sub_arn, *rest):
        found = lambda_svc.function_policy_for_arn(endpoint)
        if found and services.may(found[0], "sns.amazonaws.com", "lambda:InvokeFunction", endpoint, topic_arn, topic_arn.split(":")[4]):
            return original(endpoint, envelope, topic_arn, sub_arn, *rest)
        return None


def apply() -> None:
    functions_need_a_statement()
    subjects()
    json_messages_need_a_default()
    attributes_have_values()
