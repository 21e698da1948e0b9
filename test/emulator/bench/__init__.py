"""The bench: an emulated AWS account that enforces IAM, writes CloudTrail records and delivers them to EventBridge."""
