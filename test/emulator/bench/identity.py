"""Who signed a call, as CloudTrail's userIdentity tells it.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""
import time

from ministack.core import iam_evaluator
from ministack.services import iam as iam_svc
from ministack.services import sts as sts_svc

from .journal import iso


def _role_session(credential, session: dict) -> dict:
    name = iam_evaluator._role_name_from_assumed_arn(credential.principal_arn)
    session_name = credential.principal_arn.rsplit("/", 1)[-1]
    role = iam_svc._roles.get_scoped(credential.account_id, None, name) or {}
    role_id = role.get("RoleId", "AROA" + "0" * 17)
    issued = session.get("IssuedAt") or session.get("_FirstSeen") or time.time()
    session.setdefault("_FirstSeen", issued)
    identity = {
        "type": "AssumedRole",
        "principalId": f"{role_id}:{session_name}",
        "arn": credential.principal_arn,
        "accountId": credential.account_id,
        "accessKeyId": credential.access_key_id,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role", "principalId": role_id,
                "arn": role.get("Arn", f"arn:aws:iam::{credential.account_id}:role/{name}"),
                "accountId": credential.account_id, "userName": name,
            },
            "attributes": {"creationDate": iso(issued), "mfaAuthenticated": "false"},
        },
    }
    function_arn = session.get("_FunctionArn")
    if function_arn:
        identity["inScopeOf"] = {"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": function_arn}
    return identity


def resolve(access_key: str, account: str) -> tuple[dict, str, str]:
    """(userIdentity, principal ARN, name of the function whose role this is) of an access key."""
    if not access_key:
        return {"type": "Unknown", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}, "", ""
    account = iam_evaluator.find_iam_access_key_account(access_key) or account
    session = sts_svc._sessions.get(access_key)
    if session is not None:
        account = iam_evaluator._account_from_arn(session.get("Arn", "")) or account
    credential = iam_evaluator.resolve_credential(access_key, account)
    if not isinstance(credential, iam_evaluator.ResolvedCredential):
        return {"type": "Unknown", "principalId": "", "accountId": account, "accessKeyId": access_key}, "", ""
    if credential.principal_type == "AssumedRole":
        identity = _role_session(credential, session or {})
        function_arn = (session or {}).get("_FunctionArn", "")
        return identity, credential.principal_arn, function_arn.split(":function:")[-1].split(":")[0] if function_arn else ""
    identity = {
        "type": "Root" if credential.principal_type == "Root" else "IAMUser",
        "principalId": credential.principal_id,
        "arn": credential.principal_arn,
        "accountId": credential.account_id,
        "accessKeyId": access_key,
    }
    if credential.principal_type != "Root":
        identity["userName"] = credential.principal_name
    return identity, credential.principal_arn, ""


def role_session_of(role_arn: str, session_name: str) -> dict:
    """The identity of a service that uses a role."""
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role = iam_svc._roles.get_scoped(account, None, name) or {}
    role_id = role.get("RoleId", "AROA" + "0" * 17)
    return {
        "type": "AssumedRole", "principalId": f"{role_id}:{session_name}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}", "accountId": account,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": role_id, "arn": role_arn, "accountId": account, "userName": name},
            "attributes": {"creationDate": iso(), "mfaAuthenticated": "false"},
        },
    }
