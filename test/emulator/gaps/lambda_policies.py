"""Lambda's resource policies: one document for a function, a version or an alias, written whole or statement by statement."""
import copy
import json
import re

from ministack.core.responses import error_response_json, json_response, new_uuid
from ministack.services import iam as iam_svc
from ministack.services import lambda_svc

from .patch import one, wrap

# Documents stand in func["policies"] by the ARN of what they are attached to; func["policy"] holds the statements of all of
# them, for whoever in the emulator looks there.
_LIMIT = 20 * 1024
_PATH = re.compile(r"^/2026-07-09/resource-policy/(.+)$")
_UNIQUE_ID = re.compile(r"A(IDA|ROA)[A-Z0-9]{12,}")


def _refused(code: str, message: str, status: int = 400):
    return error_response_json(code, message, status)


def _stored(func: dict, arn: str) -> dict | None:
    return func.setdefault("policies", {}).get(arn)


def _store(func: dict, arn: str, document: dict | None) -> None:
    """Write the document of a resource, or remove it; every write has a revision of its own."""
    policies = func.setdefault("policies", {})
    if document is None:
        policies.pop(arn, None)
    else:
        policies[arn] = {"document": document, "revision": new_uuid()}
    func["policy"] = {"Version": "2012-10-17", "Id": "default", "Statement": [
        statement for policy in policies.values() for statement in _statements(policy["document"])]}


def _statements(document: dict) -> list:
    statements = document.get("Statement", [])
    return statements if isinstance(statements, list) else [statements]


def _stale(func: dict, arn: str, revision: str | None):
    """The refusal of a write that is bound to another revision, or None."""
    if not revision or revision == (_stored(func, arn) or {}).get("revision"):
        return None
    return _refused("PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id. Call the "
                    "GetPolicy API to retrieve the latest Revision Id", 412)


def _absent():
    return _refused("ResourceNotFoundException", "The resource you requested does not exist.", 404)


def _answer(func: dict, arn: str):
    policy = _stored(func, arn)
    if policy is None:
        return _absent()
    return json_response({"Policy": json.dumps(policy["document"], separators=(",", ":")), "RevisionId": policy["revision"]})


def _resource_of(name: str, query_params, path_qualifier) -> str:
    return lambda_svc._policy_resource_arn(name, lambda_svc._qualifier_from_path_or_query(path_qualifier, query_params))


def _wrong_principal(principals) -> bool:
    """Whether a principal of this account does not exist, or is a unique id: Lambda takes neither."""
    named = principals.get("AWS", []) if isinstance(principals, dict) else []
    for principal in [named] if isinstance(named, str) else named:
        if _UNIQUE_ID.fullmatch(principal):
            return True
        found = re.fullmatch(rf"arn:aws:iam::{lambda_svc.get_account_id()}:(role|user)/(?:.*/)?([^/]+)", principal)
        if found and found.group(2) not in (iam_svc._roles if found.group(1) == "role" else iam_svc._users):
            return True
    return False


def _problem(document) -> str | None:
    """Why Lambda does not take a policy, or None."""
    if not isinstance(document, dict) or not _statements(document):
        return "The policy has no statements."
    for statement in _statements(document):
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            return "A statement of the policy has no effect."
        for element in ("Principal", "Action"):
            if (element in statement) == (f"Not{element}" in statement):
                return f"A statement of the policy needs one of {element} and Not{element}."
        if _wrong_principal(statement.get("Principal")) or _wrong_principal(statement.get("NotPrincipal")):
            return "The provided principal was invalid. Please check the principal and try again."
    return None


def put(arn: str, text: str, revision: str | None = None):
    """Replace the policy of a function, version or alias."""
    name, qualifier = _target(arn)
    missing = _missing(arn, name, qualifier)
    if missing:
        return missing
    func = lambda_svc._functions[name]
    if qualifier == "$LATEST":
        return _refused("InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")
    if len(text.encode()) > _LIMIT:
        return _refused("PolicyLengthExceededException", f"The final policy size ({len(text.encode())}) is bigger than the limit ({_LIMIT}).")
    try:
        document = json.loads(text)
    except ValueError:
        return _refused("InvalidParameterValueException", "The policy is not JSON.")
    problem = _problem(document)
    if problem:
        return _refused("InvalidParameterValueException", problem)
    refused = _stale(func, arn, revision)
    if refused:
        return refused
    _store(func, arn, document)
    return _answer(func, arn)


def delete(arn: str, revision: str | None = None):
    """Remove the policy of a function, version or alias."""
    name, qualifier = _target(arn)
    missing = _missing(arn, name, qualifier)
    if missing:
        return missing
    func = lambda_svc._functions[name]
    refused = _absent() if _stored(func, arn) is None else _stale(func, arn, revision)
    if refused:
        return refused
    _store(func, arn, None)
    return 204, {}, b""


def _target(arn: str) -> tuple[str, str]:
    name, _, qualifier = arn.split(":function:")[-1].partition(":")
    return name, qualifier


def _missing(arn: str, name: str, qualifier: str):
    if not re.fullmatch(r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(:[\w$-]+)?", arn):
        return _refused("InvalidParameterValueException", f"Value '{arn}' at 'resourceArn' failed to satisfy constraint")
    if name not in lambda_svc._functions or not arn.startswith(lambda_svc._func_arn(name)):
        return _refused("ResourceNotFoundException", f"Function not found: {arn}", 404)
    return lambda_svc._validate_function_qualifier_exists(name, qualifier or None)


def policies_as_documents() -> None:
    """GetResourcePolicy, PutResourcePolicy and DeleteResourcePolicy read, replace and remove the whole policy of a function, version or
    alias: any statements, of 20 KB together, bound to a revision if one is given.
    https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""
    @wrap(lambda_svc, "handle_request")
    async def handle_request(original, method, path, headers, body, query_params):
        found = _PATH.match(path)
        if not found:
            return await original(method, path, headers, body, query_params)
        arn = lambda_svc.unquote(found.group(1))
        if method == "PUT":
            data = json.loads(body) if body else {}
            return put(arn, data.get("Policy") or "", data.get("RevisionId"))
        if method == "DELETE":
            return delete(arn, one(query_params.get("RevisionId")))
        name, qualifier = _target(arn)
        return _missing(arn, name, qualifier) or _answer(lambda_svc._functions[name], arn)


def statements_of_the_same_document() -> None:
    """AddPermission appends a statement to that document, RemovePermission takes one out by its Sid, GetPolicy shows it. Every function,
    version and alias has its own, with a revision that each write can be bound to; without a statement there is none.
    https://docs.aws.amazon.com/lambda/latest/api/API_RemovePermission.html"""
    @wrap(lambda_svc, "_add_permission")
    def add(original, func_name, data, query_params=None, path_qualifier=None):
        func = lambda_svc._functions.get(func_name)
        if func is None:
            return original(func_name, data, query_params, path_qualifier)
        arn = _resource_of(func_name, query_params, path_qualifier)
        if arn.endswith(":$LATEST"):
            return _refused("InvalidParameterValueException", "We currently do not support adding policies for $LATEST.")
        refused = _stale(func, arn, data.get("RevisionId"))
        if refused:
            return refused
        if data.get("FunctionUrlAuthType") and data.get("Action") not in ("lambda:InvokeFunctionUrl",):
            return _refused("InvalidParameterValueException", "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action")
        document = copy.deepcopy((_stored(func, arn) or {}).get("document") or {"Version": "2012-10-17", "Id": "default"})
        document["Statement"] = _statements(document)
        # Statement ids are unique in one policy only, not across a function's versions and aliases.
        everything, func["policy"] = func["policy"], document
        try:
            response = original(func_name, data, query_params, path_qualifier)
        finally:
            func["policy"] = everything
        if response[0] >= 300:
            return response
        statement = document["Statement"][-1]
        principal = data.get("Principal", "")
        if re.fullmatch(r"\d{12}", principal):
            statement["Principal"] = {"AWS": f"arn:aws:iam::{principal}:root"}
        elif re.fullmatch(r"[a-z0-9.-]+\.(amazonaws|amazon)\.com", principal):
            statement["Principal"] = {"Service": principal}
        if len(json.dumps(document, separators=(",", ":"))) > _LIMIT:
            return _refused("PolicyLengthExceededException", f"The final policy size is bigger than the limit ({_LIMIT}).")
        _store(func, arn, document)
        return json_response({"Statement": json.dumps(statement, separators=(",", ":"))}, 201)

    @wrap(lambda_svc, "_remove_permission")
    def remove(original, func_name, sid, query_params, path_qualifier=None):
        func = lambda_svc._functions.get(func_name)
        if func is None:
            return original(func_name, sid, query_params, path_qualifier)
        arn = _resource_of(func_name, query_params, path_qualifier)
        policy = _stored(func, arn)
        if policy is None:
            return _absent()
        refused = _stale(func, arn, one((query_params or {}).get("RevisionId")))
        if refused:
            return refused
        kept = [statement for statement in _statements(policy["document"]) if statement.get("Sid") != sid]
        if len(kept) == len(_statements(policy["document"])):
            return _refused("ResourceNotFoundException", f"Statement {sid} is not found in resource policy.", 404)
        _store(func, arn, {**policy["document"], "Statement": kept} if kept else None)
        return 204, {}, b""

    @wrap(lambda_svc, "_get_policy")
    def get(original, func_name, query_params=None, path_qualifier=None):
        response = original(func_name, query_params, path_qualifier)
        func = lambda_svc._functions.get(func_name)
        if func is None or (response[0] >= 300 and b"Function not found" in response[2]):
            return response
        return _answer(func, _resource_of(func_name, query_params, path_qualifier))


def what_a_policy_decides() -> None:
    """A call on a version or alias is decided by its own policy, and by what the function's says of it.
    https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""
    @wrap(lambda_svc, "function_policy_for_arn")
    def policy_for_arn(original, resource_arn):
        found = original(resource_arn)
        if found is None:
            return None
        name, qualifier = _target(lambda_svc.unquote(resource_arn))
        func = lambda_svc._functions.get(name)
        if func is None:
            return found
        base = lambda_svc._func_arn(name)
        documents = [policy["document"] for arn in dict.fromkeys((base, f"{base}:{qualifier}" if qualifier else base))
                     if (policy := _stored(func, arn)) is not None]
        return {"Version": "2012-10-17", "Statement": [statement for document in documents for statement in _statements(document)]}, found[1]


def policies_go_with_what_they_are_attached_to() -> None:
    """An alias or version that is deleted takes its policy along. https://docs.aws.amazon.com/lambda/latest/dg/configuration-aliases.html"""
    @wrap(lambda_svc, "_delete_alias")
    def delete_alias(original, func_name, alias_name):
        response = original(func_name, alias_name)
        func = lambda_svc._functions.get(func_name)
        if response[0] < 300 and func is not None:
            _store(func, lambda_svc._policy_resource_arn(func_name, alias_name), None)
        return response

    @wrap(lambda_svc, "_delete_function")
    def delete_version(original, name, query_params, path_qualifier=None):
        response = original(name, query_params, path_qualifier)
        func, arn = lambda_svc._functions.get(name), _resource_of(name, query_params, path_qualifier)
        if response[0] < 300 and func is not None:
            _store(func, arn, None)
        return response


def apply() -> None:
    statements_of_the_same_document()
    policies_as_documents()
    what_a_policy_decides()
    policies_go_with_what_they_are_attached_to()
