"""Lambda: what it refuses while a function changes, the shapes of its answers, policies, function URLs and networks."""
import hashlib
import json
import logging
import queue
import re
import time

from ministack.core import iam_evaluator, lambda_runtime
from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid
from ministack.services import iam as iam_svc
from ministack.services import lambda_svc, sqs

from bench.context import current

from . import iam, resources, services
from .patch import one, wrap

logger = logging.getLogger("bench")

SERVICE = "lambda.amazonaws.com"


# --- updates ---------------------------------------------------------------------------------------------------------------------

def _busy(name: str):
    """The refusal of a change while the function is being created or updated, or None."""
    config = (lambda_svc._functions.get(name) or {}).get("config") or {}
    if config.get("State") == "Pending":
        message = "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    elif config.get("LastUpdateStatus") == "InProgress":
        message = f"The operation cannot be performed at this time. An update is in progress for resource: {config.get('FunctionArn')}"
    else:
        return None
    return error_response_json("ResourceConflictException", message, 409)


def conflicts_while_a_function_changes() -> None:
    """Code and configuration cannot be changed, nor a version be published, until the last change is done; the function itself stays
    Active through an update. https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html"""
    for handler in ("_update_code", "_update_config"):
        @wrap(lambda_svc, handler)
        def update(original, name, data):
            busy = _is_call("UpdateFunctionCode", "UpdateFunctionConfiguration") and _busy(name)
            if busy:
                return busy
            status, headers, body = original(name, data)
            if status < 300:
                config = lambda_svc._functions[name]["config"]
                config["State"] = "Active"
                config.pop("StateReason", None)
                config.pop("StateReasonCode", None)
                answer = json.loads(body)
                answer["State"] = "Active"
                answer.pop("StateReason", None)
                answer.pop("StateReasonCode", None)
                return json_response(answer, status)
            return status, headers, body

    @wrap(lambda_svc, "_publish_version")
    def publish(original, name, data):
        return (_is_call("PublishVersion") and _busy(name)) or original(name, data)


def invocations_end_with_what_they_began_with() -> None:
    """A change of a function never ends an invocation that is under way: it goes on in its own environment, the next one
    begins in a new one. The emulator alone kills it. https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html"""
    retired = set()

    @wrap(lambda_svc, "invalidate_worker")
    def invalidate(original, func_name, *args, **kwargs):
        if _is_call("UpdateFunctionCode", "UpdateFunctionConfiguration"):
            with lambda_runtime._lock:
                for key, workers in lambda_runtime._workers.items():
                    if key.split(":")[-2] == func_name:
                        retired.update(worker for worker in workers if worker.in_use)
                        workers[:] = [worker for worker in workers if not worker.in_use]
        return original(func_name, *args, **kwargs)

    @wrap(lambda_svc, "release_worker")
    def release(original, worker):
        original(worker)
        if worker in retired:
            retired.discard(worker)
            lambda_runtime.kill_workers([worker])


def _is_call(*operations: str) -> bool:
    """Whether this very operation was called, rather than CloudFormation doing the same in its own way."""
    call = current.get()
    return call is not None and call.model == "lambda" and call.operation in operations


def dry_run_changes_nothing() -> None:
    """UpdateFunctionCode with DryRun validates the request and its permissions and changes nothing.
    https://docs.aws.amazon.com/lambda/latest/api/API_UpdateFunctionCode.html"""
    @wrap(lambda_svc, "_update_code")
    def update_code(original, name, data):
        if not data.get("DryRun") or name not in lambda_svc._functions:
            return original(name, data)
        func = lambda_svc._functions[name]
        wrong = lambda_svc._check_revision(func["config"], data)
        if wrong is not None:
            return wrong
        answer = dict(func["config"])
        package = lambda_svc.base64.b64decode(data["ZipFile"]) if data.get("ZipFile") else None
        if data.get("S3Bucket"):
            package = lambda_svc._fetch_code_from_s3(data["S3Bucket"], data.get("S3Key", ""), version_id=data.get("S3ObjectVersion"))
            if package is None:
                return error_response_json("InvalidParameterValueException", "Error occurred while GetObject. S3 Error Code: NoSuchKey.", 400)
        unreadable = lambda_svc._reject_unreadable_zip(package)
        if unreadable is not None:
            return unreadable
        if package:
            answer["CodeSize"] = len(package)
            answer["CodeSha256"] = lambda_svc.base64.b64encode(hashlib.sha256(package).digest()).decode()
        return json_response(answer)


def versions_have_their_number_in_the_arn() -> None:
    """The ARN of a published version ends with its number, also when it was published by CreateFunction or UpdateFunctionCode.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-versions.html"""
    def number(response):
        status, headers, body = response
        if status >= 300:
            return response
        answer = json.loads(body)
        name, version = answer.get("FunctionName"), answer.get("Version")
        record = (lambda_svc._functions.get(name) or {}).get("versions", {}).get(version)
        if record is None:
            return response
        arn = f"{lambda_svc._func_arn(name)}:{version}"
        record["config"]["FunctionArn"] = arn
        record.setdefault("function_revision", lambda_svc._functions[name]["config"].get("RevisionId"))
        answer["FunctionArn"] = arn
        return json_response(answer, status)

    for handler in ("_create_function", "_update_code"):
        @wrap(lambda_svc, handler)
        def published(original, *args):
            return number(original(*args))


def role_problem(role_arn: str) -> str | None:
    """Why Lambda cannot assume a role, or None."""
    refused = "The role defined for the function cannot be assumed by Lambda."
    role = iam_svc._roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None or role.get("Arn") != role_arn:
        return refused
    document = json.loads(role.get("AssumeRolePolicyDocument") or "{}")
    statements = document.get("Statement", [])
    allowed = False
    for statement in statements if isinstance(statements, list) else [statements]:
        principals = statement.get("Principal")
        named = principals.get("Service", []) if isinstance(principals, dict) else []
        named = [named] if isinstance(named, str) else named
        if SERVICE in named or principals == "*":
            if statement.get("Effect") == "Deny":
                return refused
            allowed = True
    return None if allowed else refused


def roles_must_trust_lambda() -> None:
    """A function's role must exist and let lambda.amazonaws.com assume it.
    https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html"""
    @wrap(lambda_svc, "_create_function")
    def create(original, data):
        message = data.get("Role") and role_problem(data["Role"])
        return error_response_json("InvalidParameterValueException", message, 400) if message else original(data)

    @wrap(lambda_svc, "_update_config")
    def update(original, name, data):
        message = data.get("Role") and role_problem(data["Role"])
        return error_response_json("InvalidParameterValueException", message, 400) if message else original(name, data)


def vpc_problem(role_arn: str, vpc: dict) -> str | None:
    """Why a function with this role cannot enter these subnets and groups, or None."""
    from ministack.services import ec2
    if not (vpc or {}).get("SubnetIds"):
        return None
    ec2._ensure_defaults_initialized()
    for subnet in vpc["SubnetIds"]:
        if subnet not in ec2._subnets:
            return ("Error occurred while DescribeSubnets. EC2 Error Code: InvalidSubnetID.NotFound. "
                    f"EC2 Error Message: The subnet ID '{subnet}' does not exist")
    for group in vpc.get("SecurityGroupIds") or []:
        if group not in ec2._security_groups:
            return ("Error occurred while DescribeSecurityGroups. EC2 Error Code: InvalidGroup.NotFound. "
                    f"EC2 Error Message: The security group '{group}' does not exist")
    if not iam.role_may(role_arn, "ec2:CreateNetworkInterface", "*", "ec2", SERVICE):
        return "The provided execution role does not have permissions to call CreateNetworkInterface on EC2"
    return None


def roles_of_functions_in_a_vpc() -> None:
    """A function enters a VPC only with a role that may create network interfaces, and only with subnets and groups that exist.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions"""
    @wrap(lambda_svc, "_create_function")
    def create(original, data):
        message = vpc_problem(data.get("Role", ""), data.get("VpcConfig") or {})
        return error_response_json("InvalidParameterValueException", message, 400) if message else original(data)

    @wrap(lambda_svc, "_update_config")
    def update(original, name, data):
        if _is_call("UpdateFunctionConfiguration") and ("VpcConfig" in data or "Role" in data) and name in lambda_svc._functions:
            config = lambda_svc._functions[name]["config"]
            vpc = data["VpcConfig"] if "VpcConfig" in data else config.get("VpcConfig")
            message = vpc_problem(data.get("Role") or config.get("Role", ""), vpc or {})
            if message:
                return error_response_json("InvalidParameterValueException", message, 400)
        return original(name, data)


def new_roles_reach_the_function() -> None:
    """After a change of the role the function runs with the new role's credentials."""
    @wrap(lambda_svc, "_update_config")
    def update(original, name, data):
        before = (lambda_svc._functions.get(name) or {}).get("config", {}).get("Role")
        response = original(name, data)
        if response[0] < 300 and data.get("Role") and data["Role"] != before:
            lambda_svc.invalidate_worker(name, qualifier="$LATEST", account=get_account_id(), region=get_region())
        return response


def environments_are_bounded() -> None:
    """Environment variables take 4 KB together, and the names that Lambda sets itself are reserved.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    reserved = {"_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
                "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"}

    def problem(data):
        variables = (data.get("Environment") or {}).get("Variables") or {}
        used = sorted(reserved & set(variables))
        if used:
            return ("Lambda was unable to configure your environment variables because the environment variables you have provided contains "
                    f"reserved keys that are currently not supported for modification. Reserved keys used in this request: {', '.join(used)}")
        if len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode()) > 4096:
            return ("Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the "
                    "4KB limit. String measured: " + json.dumps(variables)[:64])
        return None

    @wrap(lambda_svc, "_create_function")
    def create(original, data):
        message = problem(data)
        return error_response_json("InvalidParameterValueException", message, 400) if message else original(data)

    @wrap(lambda_svc, "_update_config")
    def update(original, name, data):
        message = problem(data)
        return error_response_json("InvalidParameterValueException", message, 400) if message else original(name, data)


# --- shapes ------------------------------------------------------------------------------------------------------------------------

def _shaped(config: dict, decrypt: bool = True) -> dict:
    config = dict(config)
    if not config.get("KMSKeyArn"):
        config.pop("KMSKeyArn", None)
    if not config.get("Layers"):
        config.pop("Layers", None)
    vpc = config.get("VpcConfig")
    if vpc is not None and not vpc.get("SubnetIds") and not vpc.get("SecurityGroupIds") and not vpc.get("VpcId"):
        config.pop("VpcConfig", None)
    if not (config.get("Environment") or {}).get("Variables"):
        config.pop("Environment", None)
    elif decrypt and config.get("KMSKeyArn") and not _may_decrypt(config["KMSKeyArn"]):
        config["Environment"] = {"Error": {
            "ErrorCode": "AccessDeniedException",
            "Message": "Lambda was unable to decrypt your environment variables because the KMS access was denied. Please check your KMS permissions. "
                       "KMS Exception: AccessDeniedException"}}
    for key in ("StateReason", "StateReasonCode", "LastUpdateStatusReason", "LastUpdateStatusReasonCode"):
        if not config.get(key):
            config.pop(key, None)
    if not (config.get("RuntimeVersionConfig") or {}).get("RuntimeVersionArn"):
        config.pop("RuntimeVersionConfig", None)
    return config


def _may_decrypt(key: str) -> bool:
    """Whether the caller may decrypt with a customer managed key through Lambda."""
    call = current.get()
    if call is None or not call.access_key:
        return True
    principal = iam_evaluator.resolve_principal(call.access_key, call.account)
    if isinstance(principal, iam_evaluator.AuthError):
        return False
    if principal.policies is None:
        return True
    ctx = iam_evaluator.EvalContext(
        principal_arn=principal.arn, principal_type=principal.type, principal_account=principal.account, action="kms:Decrypt", resource_arn=key,
        region=get_region(), service_context={"kms:viaservice": f"lambda.{get_region()}.amazonaws.com", "kms:calleraccount": principal.account},
        principal_keys=principal.keys)
    result = iam_evaluator.evaluate(ctx, principal.policies, *principal.limits)
    found = iam_evaluator._resource_policy("kms", key)
    if found is None:
        return False
    return iam_evaluator.combine_resource_policy(result, ctx, *found, required=True, limits=principal.limits).decision == "Allow"


def empty_members_are_left_out() -> None:
    """An answer has no KMSKeyArn, Layers, VpcConfig, Environment or reasons when there are none; the environment is readable only by those
    who may decrypt it. https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html"""
    def shape(response, *path):
        status, headers, body = response
        if status >= 300 or not body:
            return response
        answer = json.loads(body)
        if not path:
            answer = _shaped(answer)
        elif isinstance(answer.get(path[0]), list):
            answer[path[0]] = [_shaped(item) for item in answer[path[0]]]
        elif path[0] in answer:
            answer[path[0]] = _shaped(answer[path[0]])
        return json_response(answer, status)

    for handler, path in (("_create_function", ()), ("_get_function", ("Configuration",)), ("_get_function_config", ()), ("_update_code", ()),
                          ("_update_config", ()), ("_publish_version", ()), ("_list_functions", ("Functions",)), ("_list_versions", ("Versions",))):
        @wrap(lambda_svc, handler)
        def shaped(original, *args, _path=path, **kwargs):
            return shape(original(*args, **kwargs), *_path)


def tags_are_left_out_when_empty() -> None:
    """GetFunction has no Tags without tags, and none for a qualifier. https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html"""
    @wrap(lambda_svc, "_get_function")
    def get_function(original, name, qualifier=None):
        status, headers, body = original(name, qualifier)
        if status < 300:
            answer = json.loads(body)
            if not answer.get("Tags") or qualifier:
                answer.pop("Tags", None)
            return json_response(answer, status)
        return status, headers, body


def code_of_a_version() -> None:
    """GetFunction with a qualifier leads to that version's package. https://docs.aws.amazon.com/lambda/latest/api/API_GetFunction.html"""
    @wrap(lambda_svc, "_get_function")
    def get_function(original, name, qualifier=None):
        status, headers, body = original(name, qualifier)
        if status < 300 and qualifier and qualifier != "$LATEST":
            answer = json.loads(body)
            version = answer["Configuration"].get("Version", "")
            if answer.get("Code", {}).get("Location") and version != "$LATEST":
                answer["Code"]["Location"] = answer["Code"]["Location"].replace(f"/{name}?", f"/{name}:{version}?")
            return json_response(answer, status)
        return status, headers, body

    @wrap(lambda_svc, "serve_function_code")
    def serve(original, func_name, account_id=None, region=None):
        name, _, version = func_name.partition(":")
        func = lambda_svc._functions.get_scoped(account_id, region, name) if account_id and region else None
        if func is None or not version:
            return original(func_name, account_id=account_id, region=region)
        package = (func.get("versions", {}).get(version) or {}).get("code_zip")
        return (200, {"Content-Type": "application/zip"}, package) if package else (404, {"Content-Type": "text/plain"}, b"not found")


def all_versions_in_the_list() -> None:
    """ListFunctions with FunctionVersion=ALL lists every published version beside the unpublished one.
    https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html"""
    @wrap(lambda_svc, "_list_functions")
    def list_functions(original, query_params):
        if one(query_params.get("FunctionVersion")) != "ALL":
            return original(query_params)
        entries = []
        for name in sorted(lambda_svc._functions.keys()):
            func = lambda_svc._functions[name]
            latest = {**func["config"], "FunctionArn": f"{lambda_svc._func_arn(name)}:$LATEST"}
            entries.append(latest)
            entries += [func["versions"][number]["config"] for number in sorted(func.get("versions", {}), key=int)]
        start = int(one(query_params.get("Marker")) or 0)
        size = min(int(one(query_params.get("MaxItems")) or 50), 50)
        answer = {"Functions": entries[start:start + size]}
        if start + size < len(entries):
            answer["NextMarker"] = str(start + size)
        return json_response(answer)


# --- code signing ----------------------------------------------------------------------------------------------------------------------

_signing: dict[str, dict] = {}


def signing_config(arn: str) -> dict | None:
    return _signing.get(arn)


def create_signing_config(data: dict) -> dict:
    identifier = f"csc-{new_uuid().replace('-', '')[:17]}"
    arn = f"arn:aws:lambda:{get_region()}:{get_account_id()}:code-signing-config:{identifier}"
    _signing[arn] = {
        "CodeSigningConfigId": identifier, "CodeSigningConfigArn": arn, "Description": data.get("Description", ""),
        "AllowedPublishers": data.get("AllowedPublishers") or {"SigningProfileVersionArns": []},
        "CodeSigningPolicies": data.get("CodeSigningPolicies") or {"UntrustedArtifactOnDeployment": "Warn"},
        "LastModified": time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime()),
    }
    return _signing[arn]


def _with_signing_config(arn: str) -> list[str]:
    """The names of the functions that have a configuration."""
    return [name for name in lambda_svc._functions.keys() if lambda_svc._functions[name].get("code_signing_config_arn") == arn]


def code_signing_configs() -> None:
    """Code signing configurations exist, and are attached to functions with a zip package alone; one that is in use is not deleted. The
    emulator answers {} and takes any text for one. https://docs.aws.amazon.com/lambda/latest/api/API_CreateCodeSigningConfig.html"""
    own = re.compile(r"^/2020-04-22/code-signing-configs(?:/(arn:[^/]+?))?(/functions)?/?$")
    of_function = re.compile(r"^/2020-06-30/functions/([^/]+)/code-signing-config$")

    def missing(arn, code="ResourceNotFoundException"):
        return error_response_json(code, f"The code signing configuration cannot be found. Check that the provided configuration is not deleted: {arn}.", 404)

    @wrap(lambda_svc, "handle_request")
    async def handle_request(original, method, path, headers, body, query_params):
        path = lambda_svc.unquote(path)
        found, attaching = own.match(path), of_function.match(path)
        data = json.loads(body) if body else {}
        if attaching and method == "PUT":
            name = lambda_svc._resolve_request_scoped_name(attaching.group(1))
            func = lambda_svc._functions.get(name)
            if func and data.get("CodeSigningConfigArn") not in _signing:
                return missing(data.get("CodeSigningConfigArn"), "CodeSigningConfigNotFoundException")
            if func and func["config"].get("PackageType") == "Image":
                return error_response_json("InvalidParameterValueException", "Code signing is not supported for functions with package type Image", 400)
        if attaching and lambda_svc._resolve_request_scoped_name(attaching.group(1)) not in lambda_svc._functions:
            return error_response_json("ResourceNotFoundException", f"Function not found: {attaching.group(1)}", 404)
        if not found:
            return await original(method, path, headers, body, query_params)
        arn, functions = found.groups()
        if arn is None:
            if method == "POST":
                return json_response({"CodeSigningConfig": create_signing_config(data)}, 201)
            return json_response({"CodeSigningConfigs": list(_signing.values())})
        if arn not in _signing:
            return missing(arn)
        if functions:
            return json_response({"FunctionArns": [lambda_svc._func_arn(name) for name in _with_signing_config(arn)]})
        if method == "DELETE":
            if _with_signing_config(arn):
                return error_response_json("ResourceConflictException", "Delete code signing config failed: it is in use.", 409)
            del _signing[arn]
            return 204, {}, b""
        if method == "PUT":
            changes = {key: data[key] for key in ("Description", "AllowedPublishers", "CodeSigningPolicies") if data.get(key)}
            _signing[arn] = {**_signing[arn], **changes, "LastModified": time.strftime("%Y-%m-%dT%H:%M:%S.000+0000", time.gmtime())}
        return json_response({"CodeSigningConfig": _signing[arn]})

    @wrap(lambda_svc, "_create_function")
    def create(original, data):
        arn = data.get("CodeSigningConfigArn")
        if arn and arn not in _signing:
            return missing(arn, "CodeSigningConfigNotFoundException")
        response = original(data)
        if arn and response[0] < 300:
            lambda_svc._functions[data["FunctionName"]]["code_signing_config_arn"] = arn
        return response


def unsigned_code_is_refused() -> None:
    """A configuration that enforces lets no code in that nobody signed; nothing is signed here.
    https://docs.aws.amazon.com/lambda/latest/dg/configuration-codesigning.html"""
    @wrap(lambda_svc, "_update_code")
    def update(original, name, data):
        config = _signing.get((lambda_svc._functions.get(name) or {}).get("code_signing_config_arn") or "")
        if config and config["CodeSigningPolicies"].get("UntrustedArtifactOnDeployment") == "Enforce":
            return error_response_json(
                "CodeVerificationFailedException", "Lambda cannot deploy the function. The function or layer might be signed using a signature that the "
                "client is not configured to accept. Check the provided signature for your function.", 400)
        return original(name, data)


# --- function URLs -------------------------------------------------------------------------------------------------------------------

def public_urls_need_both_statements() -> None:
    """A function URL with AuthType NONE answers only if the function's policy lets everyone both lambda:InvokeFunctionUrl and
    lambda:InvokeFunction through a URL; otherwise 403. https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"""
    @wrap(lambda_svc, "handle_function_url_request")
    async def handle(original, url_id, method, path, headers, body, query_params, resolved=None, source_ip=None):
        found = resolved or lambda_svc.resolve_function_url(url_id)
        if found is not None:
            account, region, name, qualifier, config = found
            func = lambda_svc._functions.get_scoped(account, region, name)
            if func is not None and config.get("AuthType") == "NONE" and not (method == "OPTIONS" and config.get("Cors")):
                arn = f"arn:aws:lambda:{region}:{account}:function:{name}" + (f":{qualifier}" if qualifier else "")
                keys = {"lambda:functionurlauthtype": "NONE", "lambda:invokedviafunctionurl": "true"}
                policy = lambda_svc.function_policy_for_arn(arn)[0]
                for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
                    context = dict(keys) if action == "lambda:InvokeFunction" else {"lambda:functionurlauthtype": "NONE"}
                    ctx = iam_evaluator.EvalContext(
                        principal_arn="*", principal_type="Anonymous", principal_account="", action=action, resource_arn=arn, region=region,
                        service_context=context)
                    if iam_evaluator.evaluate_resource_policy(policy, ctx).decision != "Allow":
                        return 403, {"Content-Type": "application/json", "x-amzn-RequestId": new_uuid(),
                                     "x-amzn-ErrorType": "AccessDeniedException"}, json.dumps({
                                         "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
                                                    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}).encode()
        return await original(url_id, method, path, headers, body, query_params, resolved=resolved, source_ip=source_ip)


def signed_urls_tell_who_called() -> None:
    """The event of a URL with AuthType AWS_IAM says whose signature it was.
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads"""
    @wrap(lambda_svc, "_build_function_url_event")
    def build(original, *args, anonymous=False, **kwargs):
        event = original(*args, anonymous=anonymous, **kwargs)
        call = current.get()
        if call is not None and call.principal and not anonymous:
            who = call.identity
            event["requestContext"]["authorizer"] = {"iam": {
                "accessKey": call.access_key, "accountId": who.get("accountId"), "callerId": who.get("principalId"), "cognitoIdentity": None,
                "principalOrgId": None, "userArn": who.get("arn"), "userId": who.get("principalId"),
            }}
        return event


def urls_of_aliases() -> None:
    """A URL on an alias says so in its FunctionArn. https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunctionUrlConfig.html"""
    @wrap(lambda_svc, "_create_function_url_config")
    def create(original, func_name, data, qualifier):
        status, headers, body = original(func_name, data, qualifier)
        if status < 300 and qualifier and qualifier != "$LATEST":
            config = lambda_svc._function_urls[lambda_svc._url_config_key(func_name, qualifier)]
            config["FunctionArn"] = f"{lambda_svc._func_arn(func_name)}:{qualifier}"
            return json_response(config, status)
        return status, headers, body


def deleted_functions_leave_no_url() -> None:
    """A function's URLs and event source mappings go with it, an alias's URL with the alias.
    https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html"""
    @wrap(lambda_svc, "_delete_function")
    def delete(original, name, query_params, path_qualifier=None):
        response = original(name, query_params, path_qualifier)
        if response[0] < 300 and name not in lambda_svc._functions:
            for key in [key for key in lambda_svc._function_urls.keys() if key.split(":")[0] == name]:
                lambda_svc._function_urls.pop(key, None)
        return response

    @wrap(lambda_svc, "_delete_alias")
    def delete_alias(original, func_name, alias_name):
        response = original(func_name, alias_name)
        if response[0] < 300:
            lambda_svc._function_urls.pop(lambda_svc._url_config_key(func_name, alias_name), None)
        return response


# --- event sources and destinations ----------------------------------------------------------------------------------------------------

_SOURCE_ACTIONS = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"),
}


def event_sources_need_the_role() -> None:
    """A mapping reads its source with the function's role, which must be allowed to when the mapping is made and whenever it polls.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions"""
    @wrap(lambda_svc, "_create_esm")
    def create(original, data):
        source = data.get("EventSourceArn", "")
        name, _qualifier = lambda_svc._resolve_request_scoped_name_and_qualifier(data.get("FunctionName", ""))
        func = lambda_svc._functions.get(name)
        missing = func and source.startswith("arn:") and lacking(source, func["config"].get("Role", ""), name)
        if missing and _is_call("CreateEventSourceMapping"):
            kind = {"sqs": "SQS", "dynamodb": "DynamoDB"}.get(source.split(":")[2], source.split(":")[2])
            return error_response_json("InvalidParameterValueException",
                                       f"The function execution role does not have permissions to call {missing} on {kind}", 400)
        return original(data)


def lacking(source: str, role: str, name: str) -> str:
    """The first operation on an event source that a role may not do, or ''."""
    service = source.split(":")[2]
    for action in _SOURCE_ACTIONS.get(service, ()):
        if not iam.role_may(role, action, source, service, name):
            return action.split(":")[1]
    if service == "sqs":
        queue = sqs._queue_by_arn(source)
        key = services.key_of(queue["attributes"]) if queue else ""
        if key and "alias/aws/" not in key:
            arn = resources.kms_key_arn(key, source.split(":")[3], source.split(":")[4])
            if not iam.role_may(role, "kms:Decrypt", arn, "kms", name, {"kms:viaservice": f"sqs.{source.split(':')[3]}.amazonaws.com"}):
                return "Decrypt"
    return ""


def batches_are_read_with_the_role_and_strictly() -> None:
    """Messages of a queue that the role may not read stay there. An item failure without an identifier, or with one that is not in the
    batch, fails the whole batch.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting"""
    def put_back(esm, batch):
        with sqs._queues_lock:
            for message in batch:
                message["visible_at"] = time.time() + 1
                message["receive_count"] = max(0, message["receive_count"] - 1)
        lambda_svc._esm_backoff_until[esm["UUID"]] = time.time() + 1

    def failures(esm, result, batch):
        """The ids of the messages that failed, or None if all did."""
        if result.get("throttle") or result.get("error"):
            return None
        body = result.get("body")
        if isinstance(body, str):
            try:
                body = json.loads(body)
            except ValueError:
                body = None
        if "ReportBatchItemFailures" not in (esm.get("FunctionResponseTypes") or []) or not isinstance(body, dict):
            return set()
        named = body.get("batchItemFailures") or []
        found = {item.get("itemIdentifier") if isinstance(item, dict) else None for item in named}
        return found if found <= {message["id"] for message in batch} else None

    def run(esm, func_rec, event, batch, queue_url, queue_name):
        name = esm["FunctionName"]
        role = (func_rec.get("config") or {}).get("Role", "")
        missing = lacking(esm.get("EventSourceArn", ""), role, name)
        if missing:
            esm["LastProcessingResult"] = f"PROBLEM: The function execution role does not have permissions to call {missing} on SQS"
            return put_back(esm, batch)
        result = lambda_svc._execute_function(func_rec, event)
        if result.get("log"):
            logger.info("%s: %s", name, result["log"])
        if result.get("throttle"):
            return put_back(esm, batch)
        failed = failures(esm, result, batch)
        if failed is None:
            esm["LastProcessingResult"] = "FAILED"
            logger.warning("%s failed a batch of %s: %s", name, queue_name, result.get("body"))
            return None
        handles = {message["receipt_handle"] for message in batch if message["id"] not in failed and message.get("receipt_handle")}
        if handles:
            sqs._delete_messages_for_esm(queue_url, handles)
        esm["LastProcessingResult"] = "OK" if not failed else f"OK - {len(failed)} partial failures"
        return None

    lambda_svc._run_sqs_batch = run


_DESTINATION_ACTIONS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction", "events": "events:PutEvents"}


def destination_problem(role: str, target: str, name: str = "") -> str | None:
    """Why a function with this role cannot send to a destination, or None."""
    service = target.split(":")[2] if target.count(":") >= 5 else ""
    action = _DESTINATION_ACTIONS.get(service)
    if action and role and not iam.role_may(role, action, target, service, name):
        return f"The provided execution role does not have permissions to call {action.split(':')[1]} on {service.upper()}"
    return None


def destinations_need_the_role() -> None:
    """What an asynchronous invocation fails to do goes to its destination with the function's role, which must be allowed to send.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html"""
    @wrap(lambda_svc, "_route_async_failure")
    def route(original, target_arn, func_name, event, result):
        problem = destination_problem((lambda_svc._functions.get(func_name) or {}).get("config", {}).get("Role", ""), target_arn, func_name)
        if problem:
            logger.warning("%s: %s (%s)", func_name, problem, target_arn)
            return None
        return original(target_arn, func_name, event, result)

    @wrap(lambda_svc, "_put_event_invoke_config")
    def put(original, func_name, qualifier, data):
        func = lambda_svc._functions.get(func_name)
        for kind in ("OnFailure", "OnSuccess"):
            target = ((data.get("DestinationConfig") or {}).get(kind) or {}).get("Destination")
            message = func and target and destination_problem(func["config"].get("Role", ""), target)
            if message:
                return error_response_json("InvalidParameterValueException", message, 400)
        return original(func_name, qualifier, data)

    for handler in ("_create_function", "_update_config"):
        @wrap(lambda_svc, handler)
        def with_queue(original, *args):
            data = args[-1]
            target = (data.get("DeadLetterConfig") or {}).get("TargetArn")
            role = data.get("Role") or (lambda_svc._functions.get(args[0]) or {}).get("config", {}).get("Role", "") if len(args) > 1 else data.get("Role", "")
            message = target and destination_problem(role, target)
            return error_response_json("InvalidParameterValueException", message, 400) if message else original(*args)


def event_invoke_configs_without_qualifier() -> None:
    """Without a qualifier the configuration of asynchronous invocation is that of $LATEST.
    https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionEventInvokeConfig.html"""
    @wrap(lambda_svc, "_get_event_invoke_config")
    def get(original, func_name, qualifier=None):
        response = original(func_name, qualifier)
        return response if response[0] < 300 or qualifier else original(func_name, "$LATEST")


def quick_polling() -> None:
    """A mapping polls all the time: the emulator waits a twentieth of a second for messages, and half a second to make a function active."""
    lambda_svc._ESM_IDLE_WAKE_GAP_SECONDS = 0.002
    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0.25


def logs_are_whole() -> None:
    """The log has every line that an invocation wrote before its answer, and the invocation ends with the answer. The emulator alone
    waits for lines after the answer, and misses those that come later than that.
    https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html"""
    mark = "-- the invocation ends: e1b1f0c5 --"
    # Node writes to a pipe at once: what is written before the answer comes before it.
    started, ready, invoked = lambda_runtime._NODEJS_WORKER_SCRIPT.partition('status: "ready"')
    answer = "_realStdoutWrite(JSON.stringify("
    lambda_runtime._NODEJS_WORKER_SCRIPT = started + ready + invoked.replace(answer, f'_stderrWrite("{mark}\\n"), {answer}')

    @wrap(lambda_runtime.Worker, "_drain_stderr_bounded")
    def drained(original, self, **waits):
        if not self.config.get("Runtime", "").startswith("nodejs"):
            return original(self, **waits)
        lines = []
        while not lines or not lines[-1].endswith(mark):
            # Of a process that died there is no more than what it wrote.
            written = not self._stderr_thread.is_alive()
            try:
                lines.append(self._stderr_queue.get(timeout=0 if written else 0.05))
            except queue.Empty:
                if written:
                    break
        return "\n".join(lines).removesuffix(mark).removesuffix("\n")


def apply() -> None:
    # The order is that of wrapping: the last one is asked first.
    new_roles_reach_the_function()
    conflicts_while_a_function_changes()
    invocations_end_with_what_they_began_with()
    dry_run_changes_nothing()
    versions_have_their_number_in_the_arn()
    roles_of_functions_in_a_vpc()
    roles_must_trust_lambda()
    environments_are_bounded()
    destinations_need_the_role()
    all_versions_in_the_list()
    empty_members_are_left_out()
    code_of_a_version()
    tags_are_left_out_when_empty()
    code_signing_configs()
    unsigned_code_is_refused()
    public_urls_need_both_statements()
    signed_urls_tell_who_called()
    urls_of_aliases()
    deleted_functions_leave_no_url()
    event_sources_need_the_role()
    batches_are_read_with_the_role_and_strictly()
    event_invoke_configs_without_qualifier()
    quick_polling()
    logs_are_whole()
