"""SQS: messages are not lost, and who may deliver."""
import asyncio
import threading

from ministack.services import lambda_svc, sns, sqs

from . import services
from .patch import wrap


def queues_lose_nothing() -> None:
    """A queue keeps every message that was sent. The emulator's poller replaces a queue's list from a thread of its own while requests
    append to it, so that a message in between is gone: every function that touches the list takes one lock."""
    lock = threading.RLock()
    sqs._queues_lock = lock

    def locked(module, name):
        @wrap(module, name)
        def with_lock(original, *args, **kwargs):
            with lock:
                return original(*args, **kwargs)

    for name in ("_act_send_message", "_act_delete_message", "_act_change_visibility", "_act_change_visibility_batch", "_act_purge_queue",
                 "_collect_msgs", "_dlq_sweep", "_expire_retained", "_refresh_counts", "_receive_messages_for_esm",
                 "_delete_messages_for_esm"):
        locked(sqs, name)
    locked(sns, "_deliver_to_sqs")
    locked(lambda_svc, "_route_async_failure")
    for action, handler in list(sqs._HANDLERS.items()):
        replacement = getattr(sqs, handler.__name__, None)
        if replacement is not None:
            sqs._HANDLERS[action] = replacement


def services_are_no_principals_of_the_account() -> None:
    """SNS and S3 send to a queue as services: the conditions see aws:SourceArn, aws:SourceAccount and aws:PrincipalIsAWSService, and an
    encrypted queue's key must let the service in.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html#compatibility-with-aws-services"""
    @wrap(sqs, "queue_policy_allows")
    def queue_policy_allows(original, queue_arn, service, source_arn, source_account):
        queue = sqs._queue_by_arn(queue_arn)
        if queue is None:
            return False
        attributes = queue["attributes"]
        return services.may(attributes.get("Policy"), service, "sqs:SendMessage", queue_arn, source_arn, source_account) and \
            services.may_use_key(services.key_of(attributes), service, source_arn, source_account, queue_arn.split(":")[3])


def long_polls_end_with_the_first_message() -> None:
    """A long poll answers as soon as a message is there; the emulator looks every tenth of a second.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html"""
    class Quick:
        def __getattr__(self, name):
            return getattr(asyncio, name)

        @staticmethod
        def sleep(seconds):
            return asyncio.sleep(min(seconds, 0.005))

    sqs.asyncio = Quick()


def apply() -> None:
    queues_lose_nothing()
    long_polls_end_with_the_first_message()
    services_are_no_principals_of_the_account()
