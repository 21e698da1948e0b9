"""What an AWS service may do when it calls in its own name: resource policies, key policies, and a role that it was given."""
from ministack.core import iam_evaluator
from ministack.core.responses import get_region

from . import resources


def may(policy, service: str, action: str, resource: str, source_arn: str, source_account: str, owner: str | None = None) -> bool:
    """Whether a resource policy lets a service do something for a source."""
    if not policy:
        return False
    ctx = iam_evaluator.EvalContext(
        principal_arn="*", principal_type="Service", principal_account="", action=action, resource_arn=resource, region=get_region(),
        secure_transport=True,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": source_account, "aws:principalservicename": service,
                         **({"aws:sourceowner": owner} if owner else {})})
    return iam_evaluator.evaluate_resource_policy(policy, ctx, service=service).decision == "Allow"


def key_of(attributes: dict) -> str:
    """The KMS key of a queue or a topic, or ''."""
    return attributes.get("KmsMasterKeyId") or ""


def may_use_key(key: str, service: str, source_arn: str, source_account: str, region: str) -> bool:
    """Whether a service may encrypt for a queue or topic: the keys that AWS manages let no other service in.
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html#compatibility-with-aws-services"""
    from ministack.services import kms
    if not key:
        return True
    if key.split(":")[-1].startswith("alias/aws/"):
        return False
    arn = resources.kms_key_arn(key, region, source_account)
    found = kms.key_policy_for_arn(arn)
    return found is not None and all(
        may(found[0], service, action, arn, source_arn, source_account) for action in ("kms:GenerateDataKey", "kms:Decrypt"))
