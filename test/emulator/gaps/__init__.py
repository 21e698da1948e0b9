"""Corrections of the emulator, one function for one thing that AWS does and the emulator does not."""


def apply() -> None:
    """Put every correction in place. Called once, before the first request."""
    from . import apigateway, cloudformation, cloudwatch, ec2, eventbridge, iam, lambda_, lambda_policies, secretsmanager, sns, sqs
    sqs.apply()
    iam.apply()
    lambda_policies.apply()
    lambda_.apply()
    ec2.apply()
    apigateway.apply()
    secretsmanager.apply()
    sns.apply()
    eventbridge.apply()
    cloudwatch.apply()
    cloudformation.apply()
