"""SQS: messages are not lost, and who may deliver."""
import asyncio
import threading
import time

from ministack.core.responses import new_uuid
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


def dead_letters_can_be_moved_back() -> None:
    """StartMessageMoveTask sends the messages of a dead-letter queue on as new ones: to the queues that they came from, or to one that is named.
    AWS does so in the background, and a task that fails says why in ListMessageMoveTasks; here it is done or refused at once.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html"""
    def start_message_move_task(data, _url):
        dead = sqs._queue_by_arn(data.get("SourceArn", ""))
        if dead is None:
            raise sqs._Err("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.", 404)
        with sqs._queues_lock:
            for message in [each for each in dead["messages"] if each["visible_at"] <= time.time()]:
                to = sqs._queue_by_arn(data.get("DestinationArn") or message["sys"].get("DeadLetterQueueSourceArn", ""))
                if to is None:
                    raise sqs._Err("InvalidParameterValue", "CouldNotDetermineMessageSource")
                sqs._act_send_message({"QueueUrl": to["url"], "MessageBody": message["body"], "MessageAttributes": message["message_attributes"]}, "")
                dead["messages"].remove(message)
        return {"TaskHandle": new_uuid()}

    sqs._HANDLERS["StartMessageMoveTask"] = start_message_move_task


def apply() -> None:
    queues_lose_nothing()
    dead_letters_can_be_moved_back()
    long_polls_end_with_the_first_message()
    services_are_no_principals_of_the_account()
