"""Secrets Manager: what names a version, and rotation."""
import json
import logging
import re
import threading
import time

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid, request_scope
from ministack.services import lambda_svc, secretsmanager

from bench import cloudtrail

from . import services
from .patch import wrap

logger = logging.getLogger("bench")

SERVICE = "secretsmanager.amazonaws.com"


def versions_have_the_callers_token() -> None:
    """The token of a request becomes the id of the version, and the same request again changes nothing.
    https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html"""
    @wrap(secretsmanager, "_create_secret")
    def create_secret(original, data):
        token = data.get("ClientRequestToken")
        _, present = secretsmanager._resolve(data.get("Name"))
        made = (present or {}).get("Versions", {}).get(token)
        if made and made["SecretString"] == data.get("SecretString") and made["SecretBinary"] == data.get("SecretBinary"):
            return json_response({"ARN": present["ARN"], "Name": present["Name"], "VersionId": token})
        status, headers, body = original(data)
        if status != 200 or not token:
            return status, headers, body
        _, secret = secretsmanager._resolve(data["Name"])
        answer = json.loads(body)
        secret["Versions"][token] = secret["Versions"].pop(answer["VersionId"])
        return json_response({**answer, "VersionId": token})


# --- rotation ----------------------------------------------------------------------------------------------------------------------

def _refused(secret):
    """Why nothing is done to a secret, or None."""
    if not secret:
        return error_response_json("ResourceNotFoundException", "Secrets Manager can't find the specified secret.", 400)
    if secret.get("DeletedDate"):
        return error_response_json(
            "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.", 400)
    return secretsmanager._replica_mutation_error() if secretsmanager._is_replica(secret) else None


def _pending(secret) -> str | None:
    """The version of a rotation that is not over."""
    return next((vid for vid, version in secret["Versions"].items()
                 if "AWSPENDING" in version["Stages"] and "AWSCURRENT" not in version["Stages"]), None)


def _interval(rules: dict) -> float:
    rate = re.match(r"rate\((\d+) (hour|day)s?\)", rules.get("ScheduleExpression", ""))
    if rate:
        return int(rate[1]) * (3600 if rate[2] == "hour" else 86400)
    return rules.get("AutomaticallyAfterDays", 30) * 86400


def _step(secret, step: str, token: str) -> str:
    """One invocation of the rotation function; the error, or nothing."""
    func, _config, _name = lambda_svc._get_func_record_for_ref(secret["RotationLambdaARN"])
    failed = func is None or lambda_svc._execute_function(func, {"Step": step, "SecretId": secret["ARN"], "ClientRequestToken": token}).get("error")
    return f"Error when executing lambda {secret['RotationLambdaARN']} during {step} step" if failed else ""


def _rotate(secret, token: str) -> str:
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        error = _step(secret, step, token)
        if error:
            return error
    if "AWSCURRENT" not in secret["Versions"].get(token, {"Stages": []})["Stages"]:
        return f"Pending secret version {token} for Secret {secret['ARN']} was not created by Lambda {secret['RotationLambdaARN']}."
    secret["_LastRotated"] = time.time()
    secretsmanager._remove_stage_everywhere(secret, "AWSPENDING", except_version_id=token)
    return ""


def _in_background(secret, prefix: str, token: str, work) -> None:
    account, region = get_account_id(), get_region()

    def tell(name: str, error: str = "") -> None:
        cloudtrail.tell("secretsmanager", name, account, region, {"SecretId": secret["ARN"]}, error)

    def run() -> None:
        with request_scope(account, region):
            try:
                tell(f"{prefix}Started")
                error = work(secret, token)
                tell(f"{prefix}Failed" if error else f"{prefix}Succeeded", error)
            except Exception:
                logger.exception("a rotation of %s", secret["Name"])
    threading.Thread(target=run, daemon=True, name="bench-rotation").start()


def rotation_is_done_by_its_function() -> None:
    """RotateSecret invokes the rotation function four times, or with RotateImmediately=false tests it by one step; the function's
    policy has to let Secrets Manager in; what comes of it is told by events of the service, not by the call. A rotation that failed
    leaves its version AWSPENDING. CancelRotateSecret turns rotation off, and the function and schedule go on being told.
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda.html"""
    @wrap(secretsmanager, "_rotate_secret")
    def rotate_secret(_original, data):
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        refused = _refused(secret)
        if refused:
            return refused
        arn = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
        if not arn:
            return error_response_json("InvalidRequestException", "No Lambda rotation function ARN is associated with this secret.", 400)
        if _pending(secret):
            return error_response_json("InvalidRequestException", "A previous rotation isn't complete. That rotation will be reattempted.", 400)
        found = lambda_svc.function_policy_for_arn(arn)
        if not services.may(found and found[0], SERVICE, "lambda:InvokeFunction", arn, secret["ARN"], get_account_id()):
            return error_response_json(
                "AccessDeniedException", "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy "
                "grants access to the principal secretsmanager.amazonaws.com.", 400)
        rules = data.get("RotationRules") or secret.get("RotationRules") or {"AutomaticallyAfterDays": 30}
        secret.update(RotationLambdaARN=arn, RotationRules=rules, RotationEnabled=True, _RotationConfigured=True,
                      _NextRotation=time.time() + _interval(rules))
        token = data.get("ClientRequestToken") or new_uuid()
        if data.get("RotateImmediately", True):
            secret["Versions"][token] = {"SecretString": None, "SecretBinary": None, "CreatedDate": int(time.time()), "Stages": ["AWSPENDING"]}
            _in_background(secret, "Rotation", token, _rotate)
        else:
            _in_background(secret, "TestRotation", token, lambda which, of: _step(which, "testSecret", of))
        return json_response({"ARN": secret["ARN"], "Name": secret["Name"], "VersionId": token})

    @wrap(secretsmanager, "handle_request")
    async def handle_request(original, method, path, headers, body, query_params):
        if headers.get("x-amz-target", "").split(".")[-1] != "CancelRotateSecret":
            return await original(method, path, headers, body, query_params)
        _, secret = secretsmanager._resolve(json.loads(body or "{}").get("SecretId"))
        refused = _refused(secret)
        if refused:
            return refused
        secret["RotationEnabled"] = False
        secretsmanager._remove_stage_everywhere(secret, "AWSPENDING")
        return json_response({"ARN": secret["ARN"], "Name": secret["Name"]})

    @wrap(secretsmanager, "_describe_secret")
    def describe_secret(original, data):
        status, headers, body = original(data)
        if status != 200:
            return status, headers, body
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        answer = json.loads(body)
        if not secret.get("_RotationConfigured"):
            # Of a secret that never was rotated AWS says nothing, rather than no.
            answer.pop("RotationEnabled", None)
        elif secret["RotationEnabled"]:
            answer["NextRotationDate"] = secret["_NextRotation"]
            if secret.get("_LastRotated"):
                answer["LastRotatedDate"] = secret["_LastRotated"]
        return json_response(answer)


def apply() -> None:
    versions_have_the_callers_token()
    rotation_is_done_by_its_function()
