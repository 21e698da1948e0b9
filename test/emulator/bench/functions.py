"""Many functions at once, for accounts that are to be large before anything is measured in them."""
import json
import re

from ministack.core.responses import request_scope
from ministack.services import iam, lambda_svc


def make(asked: dict, account: str, region: str) -> list[dict]:
    """What CreateRole, AttachRolePolicy and CreateFunction make of each function: CreateFunction's parameters without a role, the role being
    its own and named after it. The answers of CreateFunction. Nobody calls, so that nothing is recorded."""
    made = []
    with request_scope(account, region):
        for function in asked["functions"]:
            name = function["FunctionName"]
            role = _done(iam._IAM_HANDLERS["CreateRole"]({
                "RoleName": name, "AssumeRolePolicyDocument": asked["trust"]}))
            _done(iam._IAM_HANDLERS["AttachRolePolicy"]({"RoleName": name, "PolicyArn": asked["policy"]}))
            arn = re.search(rb"<Arn>([^<]+)</Arn>", role).group(1).decode()
            made.append(json.loads(_done(lambda_svc._create_function({**function, "Role": arn}))))
    return made


def _done(response: tuple) -> bytes:
    """The body of an answer. ValueError where it is an error."""
    status, _headers, body = response
    if status >= 300:
        raise ValueError(body.decode() if isinstance(body, bytes) else body)
    return body if isinstance(body, bytes) else body.encode()
