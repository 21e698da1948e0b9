"""Secrets Manager: what names a version."""
import json

from ministack.core.responses import json_response
from ministack.services import secretsmanager

from .patch import wrap


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


def apply() -> None:
    versions_have_the_callers_token()
