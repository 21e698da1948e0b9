"""IAM: what a call is authorized for, with which condition keys, and what follows from it."""
import copy
import logging
import re
import uuid
from xml.etree import ElementTree

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam as iam_svc
from ministack.services import sts as sts_svc

from bench import journal
from bench.context import Call, current

from . import resources
from .patch import wrap

logger = logging.getLogger("bench")


def actions_of_batches() -> None:
    """AWS has no permissions of their own for the batch calls of SQS and SNS: SendMessageBatch needs sqs:SendMessage.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsqs.html"""
    same = {"sqs:SendMessageBatch": "sqs:SendMessage", "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility", "sns:PublishBatch": "sns:Publish"}

    @wrap(iam_actions, "extract_iam_action")
    def extract_iam_action(original, *args):
        action = original(*args)
        return same.get(action, action)


def actions_of_lambda() -> None:
    """Every Lambda operation is authorized under its own name (the emulator takes UpdateAlias for ListAliases and
    DeleteFunctionUrlConfig for CreateFunctionUrlConfig).
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html"""
    other = {"Invoke": "InvokeFunction", "InvokeAsync": "InvokeAsync", "InvokeWithResponseStream": "InvokeFunction",
             "GetLayerVersionByArn": "GetLayerVersion"}

    @wrap(iam_actions, "extract_iam_action")
    def extract_iam_action(original, service, *args):
        call = current.get()
        if service == "lambda" and call is not None and call.model == "lambda" and call.operation:
            return "lambda:" + other.get(call.operation, call.operation)
        return original(service, *args)


def resource_arns() -> None:
    """Calls are authorized on the ARNs of the service authorization reference: roles with their path, functions with their
    qualifier, rules of the default bus without a bus."""
    @wrap(iam_actions, "extract_resource_arn")
    def extract_resource_arn(original, service, *args):
        call = current.get()
        if call is not None and call.model:
            try:
                derived = resources.derive(call)
            except Exception:
                logger.exception("no resource for %s %s", call.model, call.operation)
                derived = None
            if isinstance(derived, list):
                return derived[0]
            if derived:
                return derived
        return original(service, *args)


# --- what else a call needs ---------------------------------------------------------------------------------------------------

def _passed_roles(call: Call) -> list[tuple[str, str]]:
    """(role, service that it is passed to) of a call."""
    params, operation = call.params, call.operation
    if call.model == "lambda" and operation in ("CreateFunction", "UpdateFunctionConfiguration") and params.get("Role"):
        return [(params["Role"], "lambda.amazonaws.com")]
    if call.model == "scheduler" and operation in ("CreateSchedule", "UpdateSchedule"):
        role = (params.get("Target") or {}).get("RoleArn")
        return [(role, "scheduler.amazonaws.com")] if role else []
    if call.model == "events" and operation == "PutTargets":
        return [(target["RoleArn"], "events.amazonaws.com") for target in params.get("Targets") or [] if target.get("RoleArn")]
    if call.model == "events" and operation == "PutRule" and params.get("RoleArn"):
        return [(params["RoleArn"], "events.amazonaws.com")]
    if call.model == "cloudformation" and params.get("RoleARN"):
        return [(params["RoleARN"], "cloudformation.amazonaws.com")]
    return []


def _more_checks(call: Call) -> list[tuple[str, str, str, dict]]:
    """(service, action, resource, condition keys) that a call needs beside its own action."""
    params, operation, region, account = call.params, call.operation, get_region(), get_account_id()
    checks = []
    derived = resources.derive(call)
    for arn in derived[1:] if isinstance(derived, list) else []:
        checks.append((call.service, "", arn, {}))
    for role, service in _passed_roles(call):
        keys = {"iam:passedtoservice": service}
        if call.model == "lambda":
            keys["iam:associatedresourcearn"] = resources.function_arn(params.get("FunctionName", ""), region, account)
        checks.append(("iam", "iam:PassRole", role, keys))
    if call.model == "lambda" and operation in ("CreateFunction", "UpdateFunctionConfiguration", "UpdateFunctionCode"):
        for layer in params.get("Layers") or []:
            checks.append(("lambda", "lambda:GetLayerVersion", layer, {}))
        if (params.get("VpcConfig") or {}).get("SubnetIds"):
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions
            checks += [("ec2", f"ec2:Describe{what}", "*", {}) for what in ("SecurityGroups", "Subnets", "Vpcs")]
        code = params.get("Code") or params
        if code.get("S3Bucket") and code.get("S3Key"):
            action = "s3:GetObjectVersion" if code.get("S3ObjectVersion") else "s3:GetObject"
            checks.append(("s3", action, f"arn:aws:s3:::{code['S3Bucket']}/{code['S3Key']}", {}))
        if params.get("KMSKeyArn"):
            # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
            via = {"kms:viaservice": f"lambda.{region}.amazonaws.com", "kms:calleraccount": call.account}
            checks += [("kms", f"kms:{what}", params["KMSKeyArn"], via) for what in ("CreateGrant", "Encrypt")]
        before = _key_of_variables(params.get("FunctionName", ""))
        if "KMSKeyArn" in params and before and before != params["KMSKeyArn"]:
            # What is encrypted with one key has to be read before it is encrypted with another.
            via = {"kms:viaservice": f"lambda.{region}.amazonaws.com", "kms:calleraccount": call.account}
            checks.append(("kms", "kms:Decrypt", before, via))
    if call.model == "lambda" and params.get("ResourceArn"):
        # https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html (Required permissions)
        older = {"PutResourcePolicy": ("AddPermission", "RemovePermission"), "DeleteResourcePolicy": ("RemovePermission",),
                 "GetResourcePolicy": ("GetPolicy",)}
        checks += [("lambda", f"lambda:{what}", params["ResourceArn"], {}) for what in older.get(operation, ())]
    if call.model == "sqs" and operation == "StartMessageMoveTask":
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-configure-dead-letter-queue-redrive.html
        checks += [("sqs", f"sqs:{what}", params["SourceArn"], {}) for what in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")]
        checks += [("sqs", "sqs:SendMessage", params["DestinationArn"], {})] if params.get("DestinationArn") else []
    if call.model == "secretsmanager" and operation in ("CreateSecret", "PutSecretValue", "UpdateSecret", "GetSecretValue"):
        key = params.get("KmsKeyId") or _secret_key(params.get("SecretId", ""))
        if key and not key.endswith("alias/aws/secretsmanager"):
            via = {"kms:viaservice": f"secretsmanager.{region}.amazonaws.com", "kms:calleraccount": call.account}
            needed = ("Decrypt",) if operation == "GetSecretValue" else ("GenerateDataKey", "Decrypt")
            checks += [("kms", f"kms:{what}", resources.kms_key_arn(key, region, account), via) for what in needed]
    if call.model == "secretsmanager" and operation == "RotateSecret" and params.get("RotationLambdaARN"):
        # https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
        checks.append(("lambda", "lambda:InvokeFunction", params["RotationLambdaARN"], {}))
    key, service, needed = _key_in_use(call)
    if key and "alias/aws/" not in key:
        via = {"kms:viaservice": f"{service}.{region}.amazonaws.com", "kms:calleraccount": call.account, **_encryption_context(call)}
        checks += [("kms", f"kms:{what}", resources.kms_key_arn(key, region, account), via) for what in needed]
    return checks


def _key_of_variables(function: str) -> str:
    """The customer managed key of a function that has variables, or ''."""
    from ministack.services import lambda_svc
    name, _qualifier = lambda_svc._resolve_request_scoped_name_and_qualifier(function)
    config = (lambda_svc._functions.get(name) or {}).get("config") or {}
    return (config.get("KMSKeyArn") or "") if (config.get("Environment") or {}).get("Variables") else ""


def _encryption_context(call: Call) -> dict:
    """What the services hand to KMS beside the key. https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html"""
    params = call.params
    if call.model == "sqs":
        return {"kms:encryptioncontext:aws:sqs:arn": resources.queue_arn(params.get("QueueUrl", ""), call.region, call.account)}
    if call.model == "sns":
        return {"kms:encryptioncontext:aws:sns:topicarn": params.get("TopicArn", "")}
    if call.model == "dynamodb":
        return {"kms:encryptioncontext:aws:dynamodb:tablename": str(params.get("TableName", "")).split("/")[-1],
                "kms:encryptioncontext:aws:dynamodb:subscriberid": call.account}
    if call.model == "s3":
        return {"kms:encryptioncontext:aws:s3:arn": f"arn:aws:s3:::{params.get('Bucket', '')}/{params.get('Key', '')}"}
    return {}


_WRITE, _READ = ("GenerateDataKey", "Decrypt"), ("Decrypt",)


def _key_in_use(call: Call) -> tuple[str, str, tuple]:
    """The customer managed key that a call on an encrypted queue, topic, bucket or table uses in the caller's name: (key, service, permissions).
    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html"""
    from ministack.services import dynamodb, s3, sns, sqs
    params, operation = call.params, call.operation
    if call.model == "sqs" and operation in ("SendMessage", "SendMessageBatch", "ReceiveMessage"):
        queue = sqs._queues.get(sqs._queue_url(str(params.get("QueueUrl", "")).rstrip("/").rsplit("/", 1)[-1])) or {"attributes": {}}
        return queue["attributes"].get("KmsMasterKeyId") or "", "sqs", _READ if operation == "ReceiveMessage" else _WRITE
    if call.model == "sns" and operation in ("Publish", "PublishBatch"):
        topic = sns._topics.get(params.get("TopicArn") or params.get("TargetArn") or "") or {}
        return (topic.get("attributes") or {}).get("KmsMasterKeyId") or "", "sns", _WRITE
    if call.model == "s3" and operation in ("PutObject", "GetObject", "CreateMultipartUpload"):
        given = call.raw["headers"].get("x-amz-server-side-encryption-aws-kms-key-id", "") if operation != "GetObject" else ""
        default = s3._bucket_encryption.get(params.get("Bucket", "")) or ""
        found = re.search(r"<KMSMasterKeyID>([^<]+)<", default) if "aws:kms" in default else None
        return given or (found.group(1) if found else ""), "s3", _READ if operation == "GetObject" else ("GenerateDataKey",)
    if call.model == "dynamodb" and re.search(r"Item|^(Query|Scan)$|^TransactGet|^TransactWrite", operation):
        names = [params.get("TableName"), *(params.get("RequestItems") or {}),
                 *(part.get("TableName") for entry in params.get("TransactItems") or [] for part in entry.values())]
        for name in filter(None, names):
            key = ((dynamodb._tables.get(name.split("/")[-1]) or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn", "")
            if key:
                return key, "dynamodb", _READ
    return "", "", ()


def _secret_key(secret_id: str) -> str:
    from ministack.services import secretsmanager
    _, secret = secretsmanager._resolve(secret_id) if secret_id else (None, None)
    return (secret or {}).get("KmsKeyId") or ""


def condition_keys_and_further_permissions() -> None:
    """Every decision gets the condition keys of its service, and calls that need a second permission are refused without it:
    iam:PassRole above all, which AWS checks wherever a role is handed to a service.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html"""
    @wrap(iam_evaluator, "enforce")
    def enforce(original, access_key_id, iam_action, service, region, resource_arn="*", service_context=None):
        call = current.get()
        if call is None:
            return original(access_key_id, iam_action, service, region, resource_arn=resource_arn, service_context=service_context)
        try:
            keys = {**resources.condition_keys(call), **(service_context or {})}
            more = _more_checks(call) if not call.authorized else []
        except Exception:
            logger.exception("no condition keys for %s %s", call.model, call.operation)
            keys, more = dict(service_context or {}), []
        first = not call.authorized
        if iam_action == "lambda:InvokeFunctionUrl" and access_key_id and resource_arn != "*":
            # A function URL needs both permissions: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
            more = [("lambda", "lambda:InvokeFunction", resource_arn, {"lambda:invokedviafunctionurl": "true"})]
        result = _decide(original, call, access_key_id, iam_action, service, region, resource_arn, keys)
        if result is not None or not first:
            return result
        for other_service, action, resource, extra in more:
            context = {**keys, **extra} if not action else dict(extra)
            result = _decide(original, call, access_key_id, action or iam_action, other_service or service, region, resource, context)
            if result is not None:
                return result
        return None


def _decide(original, call: Call, access_key: str, action: str, service: str, region: str, resource: str, keys: dict):
    result = original(access_key, action, service, region, resource_arn=resource, service_context=keys)
    call.authorized.append((action, resource, result is None))
    if result is not None:
        call.denied = (action, resource)
        refused = isinstance(result, iam_evaluator.EvalResult)
        journal.denials.add({
            "time": journal.iso(), "principalArn": call.principal, "action": action, "resource": resource,
            "operation": call.operation, "functionName": call.function,
            "reason": result.decision if refused else result.code,
        })
    return result


def denial_messages() -> None:
    """The message of a refusal names the action and the resource that were refused, which need not be those of the call."""
    @wrap(iam_actions, "access_denied_response")
    def access_denied_response(original, service, action, principal_arn, request_id, **options):
        call = current.get()
        if call is not None and call.denied and not options.get("error_code"):
            action, resource = call.denied
            options["resource_arn"] = resource
            if not options.get("message") and not (options.get("explicit_deny") and options.get("resource_policy_arn")):
                shown = re.sub(r"^arn:aws:iam::\d+:(role|user|group|policy)/.*?([^/]+)$", r"\1 \2", resource) \
                    if service == "iam" and action != "iam:PassRole" else resource
                options["message"] = iam_actions.identity_denial_message(action, principal_arn, shown, options.get("explicit_deny", False))
        return original(service, action, principal_arn, request_id, **options)


def principal_keys() -> None:
    """aws:PrincipalArn of a role's session is the role; a service that calls has no ARN but aws:PrincipalIsAWSService.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn"""
    @wrap(iam_evaluator, "_resolve_condition_key")
    def resolve(original, key, ctx):
        name = key.lower()
        if name == "aws:principalisawsservice":
            return "true" if ctx.principal_type == "Service" else "false"
        if name == "aws:viaawsservice":
            return "false"
        # The bench speaks HTTP on the loopback interface; the clients that it stands in for speak TLS.
        if name == "aws:securetransport":
            return "true"
        if name in ("aws:principalarn", "aws:principalaccount", "aws:principaltype", "aws:sourceip") and ctx.principal_type == "Service":
            return None
        if name == "aws:principalservicename":
            return ctx.service_context.get(name)
        if name == "aws:principalarn" and ":assumed-role/" in ctx.principal_arn:
            account = ctx.principal_arn.split(":")[4]
            role = iam_svc._roles.get_scoped(account, None, iam_evaluator._role_name_from_assumed_arn(ctx.principal_arn))
            return (role or {}).get("Arn") or ctx.principal_arn
        return original(key, ctx)


_VARIABLE = re.compile(r"\$\{([^}]+)\}")


def policy_variables() -> None:
    """${aws:PrincipalAccount} and its like in resources and conditions stand for the request's values.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html"""
    def expand(value, ctx):
        if isinstance(value, list):
            return [expand(item, ctx) for item in value]
        if isinstance(value, dict):
            return {key: expand(item, ctx) for key, item in value.items()}
        if not isinstance(value, str) or "${" not in value:
            return value

        def replace(found):
            name, _, default = found.group(1).partition(",")
            if name in ("*", "?", "$"):
                return name
            actual = iam_evaluator._resolve_condition_key(name.strip(), ctx)
            if actual is None or isinstance(actual, list):
                return default.strip().strip("'") if default else found.group(0)
            return str(actual)
        return _VARIABLE.sub(replace, value)

    @wrap(iam_evaluator, "_first_match")
    def first_match(original, ctx, stmts, effect):
        expanded = []
        for stmt in stmts:
            if stmt.effect == effect and "${" in f"{stmt.resources}{stmt.not_resources}{stmt.conditions}":
                stmt = copy.copy(stmt)
                stmt.resources = expand(stmt.resources, ctx)
                stmt.not_resources = expand(stmt.not_resources, ctx)
                stmt.conditions = expand(stmt.conditions, ctx)
            expanded.append(stmt)
        return original(ctx, expanded, effect)


def sessions_of_functions() -> None:
    """A function's credentials are a session of its role, named after the function, and tell for which function they were made."""
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    @wrap(lambda_runtime, "execution_credentials")
    def execution_credentials(original, config):
        credentials = original(config)
        session = sts_svc._sessions.get(credentials["AWS_ACCESS_KEY_ID"])
        if session is not None:
            session["_FunctionArn"] = ":".join(config.get("FunctionArn", "").split(":")[:7])
            account = session["Arn"].split(":")[4]
            role = iam_svc._roles.get_scoped(account, None, iam_evaluator._role_name_from_assumed_arn(session["Arn"]))
            if role:
                session["UserId"] = f"{role['RoleId']}:{session['Arn'].rsplit('/', 1)[-1]}"
        return credentials

    lambda_svc.execution_credentials = lambda_runtime.execution_credentials


def set_default_policy_version() -> None:
    """SetDefaultPolicyVersion chooses which version of a managed policy is in force.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html"""
    def handler(p):
        policy = iam_svc._policies.get(iam_svc._p(p, "PolicyArn"))
        version = iam_svc._p(p, "VersionId")
        if not policy or version not in policy["Versions"]:
            return iam_svc._error(404, "NoSuchEntity", f"Policy version {version} does not exist or is not attachable.", ns="iam")
        for name, record in policy["Versions"].items():
            record["IsDefaultVersion"] = name == version
        policy["DefaultVersionId"] = version
        return iam_svc._xml(200, "SetDefaultPolicyVersionResponse", "", ns="iam")

    iam_svc._IAM_HANDLERS.setdefault("SetDefaultPolicyVersion", handler)


# --- simulation -----------------------------------------------------------------------------------------------------------------

def _members(p, prefix: str) -> list[str]:
    values, index = [], 1
    while (value := iam_svc._p(p, f"{prefix}.member.{index}")):
        values.append(value)
        index += 1
    return values


def _context_entries(p) -> dict:
    entries, index = {}, 1
    while (name := iam_svc._p(p, f"ContextEntries.member.{index}.ContextKeyName")):
        values = _members(p, f"ContextEntries.member.{index}.ContextKeyValues")
        kind = iam_svc._p(p, f"ContextEntries.member.{index}.ContextKeyType") or "string"
        entries[name.lower()] = values if kind.endswith("List") or len(values) > 1 else (values[0] if values else None)
        index += 1
    return entries


def _wanted_keys(policies) -> set[str]:
    return {key for layer in policies for stmt in layer for block in stmt.conditions.values() if isinstance(block, dict) for key in block}


def simulations() -> None:
    """SimulatePrincipalPolicy evaluates the principal's policies within its permissions boundary, for every resource and with the
    context that is given; it names missing context and matched statements. SimulateCustomPolicy does the same with policies that
    belong to nobody.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulateCustomPolicy.html"""
    def gather(arn: str):
        account = arn.split(":")[4]
        kind, _, rest = arn.split(":", 5)[5].partition("/")
        name = rest.rsplit("/", 1)[-1]
        if kind == "role":
            if iam_svc._roles.get(name) is None:
                return None
            return iam_evaluator._gather_role_policies(name, account), iam_evaluator._permissions_boundary(iam_svc._roles, name, account), "AssumedRole"
        if kind == "user":
            if iam_svc._users.get(name) is None:
                return None
            return iam_evaluator._gather_user_policies(name, account), iam_evaluator._permissions_boundary(iam_svc._users, name, account), "User"
        group = iam_svc._groups.get(name)
        if kind != "group" or group is None:
            return None
        documents = list((iam_svc._group_inline_policies.get(name) or {}).values())
        documents += [iam_evaluator._resolve_managed_policy_document(policy, account) for policy in group.get("AttachedPolicies", [])]
        return [iam_evaluator.parse_policy_document(document) for document in documents if document], [], "User"

    @wrap(iam_evaluator, "_resolve_condition_key")
    def resolve(original, key, ctx):
        given = getattr(ctx, "simulated", {})
        return given[key.lower()] if key.lower() in given else original(key, ctx)

    def decide(action, resource, source, found, given, resource_policy):
        policies, limits, kind = found
        ctx = iam_evaluator.EvalContext(
            principal_arn=source, principal_type=kind, principal_account=source.split(":")[4], action=action, resource_arn=resource,
            region=get_region(), source_ip="127.0.0.1", secure_transport=True, service_context=dict(given))
        ctx.simulated = given
        result = iam_evaluator.evaluate(ctx, policies, *limits)
        if resource_policy and result.decision != "Deny":
            decided = iam_evaluator.evaluate_resource_policy(resource_policy, ctx)
            if decided.decision == "Deny" or (decided.decision == "Allow" and not limits):
                result = decided
        decision = {"Allow": "allowed", "Deny": "explicitDeny"}.get(result.decision, "implicitDeny")
        effect = "Deny" if decision == "explicitDeny" else "Allow"
        matched = sum(1 for layer in policies if iam_evaluator._first_match(ctx, layer, effect))
        missing = {key for key in _wanted_keys(policies)
                   if key.lower() not in given and iam_evaluator._resolve_condition_key(key, ctx) is None}
        within = all(iam_evaluator._first_match(ctx, [stmt for layer in limit for stmt in layer], "Allow") for limit in limits)
        return decision, matched, missing, within

    def members(values) -> str:
        return "".join(f"<member>{value}</member>" for value in values)

    def one_action(action, resources, source, found, given, resource_policy):
        """One result an action: the most restrictive of its resources, and each by itself where ARNs were given.
        https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html"""
        decided = [(resource, *decide(action, resource, source, found, given, resource_policy)) for resource in resources]
        order = ("explicitDeny", "implicitDeny", "allowed")
        decision = min((one[1] for one in decided), key=order.index)
        missing = sorted(set().union(*(one[3] for one in decided)))
        matched = "<member><SourcePolicyType>IAM Policy</SourcePolicyType></member>" * max(one[2] for one in decided)

        def boundary(within) -> str:
            return ("<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>"
                    f"{str(within).lower()}</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>") if found[1] else ""

        each = "".join(
            f"<member><EvalResourceName>{resource}</EvalResourceName><EvalResourceDecision>{of}</EvalResourceDecision>"
            f"<MissingContextValues>{members(sorted(lacking))}</MissingContextValues>{boundary(within)}</member>"
            for resource, of, _, lacking, within in decided) if resources != ["*"] else ""
        name = resources[0] if len(resources) == 1 else "*"
        return (f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{name}</EvalResourceName>"
                f"<EvalDecision>{decision}</EvalDecision><MatchedStatements>{matched}</MatchedStatements>"
                f"<MissingContextValues>{members(missing)}</MissingContextValues>{boundary(all(one[4] for one in decided))}"
                f"<ResourceSpecificResults>{each}</ResourceSpecificResults></member>")

    def simulated(p, name, source, policies, limits, kind):
        given_boundary = _members(p, "PermissionsBoundaryPolicyInputList")
        if given_boundary:
            limits = [[iam_evaluator.parse_policy_document(document) for document in given_boundary]]
        extra = [iam_evaluator.parse_policy_document(document) for document in _members(p, "PolicyInputList")]
        resources = _members(p, "ResourceArns") or ["*"]
        results = "".join(
            one_action(action, resources, source, (policies + extra, limits, kind), _context_entries(p), iam_svc._p(p, "ResourcePolicy"))
            for action in _members(p, "ActionNames"))
        return iam_svc._xml(200, f"{name}Response", f"<{name}Result><EvaluationResults>{results}</EvaluationResults>"
                                                    f"<IsTruncated>false</IsTruncated></{name}Result>", ns="iam")

    def principal(p):
        source = iam_svc._p(p, "PolicySourceArn")
        if not re.match(r"^arn:aws[a-z-]*:iam::\d{12}:(user|role|group)/", source or ""):
            return iam_svc._error(400, "InvalidInput", f"Invalid ARN: {source}", ns="iam")
        found = gather(source)
        if found is None:
            return iam_svc._error(404, "NoSuchEntity", f"The entity {source} cannot be found.", ns="iam")
        return simulated(p, "SimulatePrincipalPolicy", source, *found)

    def custom(p):
        return simulated(p, "SimulateCustomPolicy", f"arn:aws:iam::{get_account_id()}:user/nobody", [], [], "User")

    iam_svc._IAM_HANDLERS["SimulatePrincipalPolicy"] = principal
    iam_svc._IAM_HANDLERS["SimulateCustomPolicy"] = custom


def pages_of_account_details() -> None:
    """GetAccountAuthorizationDetails answers MaxItems principals and policies at a time, with a Marker for the next page, and tells
    the permissions boundary of each user and role.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html"""
    lists = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    original = iam_svc._IAM_HANDLERS["GetAccountAuthorizationDetails"]

    def boundary_of(member, tag) -> str | None:
        store, key = {"UserDetailList": (iam_svc._users, "UserName"), "RoleDetailList": (iam_svc._roles, "RoleName")}.get(tag, (None, ""))
        name = next((child.text for child in member if child.tag.endswith(key)), None) if key else None
        found = (store.get(name) or {}).get("PermissionsBoundary") if store is not None and name else None
        return found.get("PermissionsBoundaryArn") if isinstance(found, dict) else found

    def boundary(member, tag, space) -> None:
        if arn := boundary_of(member, tag):
            detail = ElementTree.SubElement(member, f"{space}PermissionsBoundary")
            ElementTree.SubElement(detail, f"{space}PermissionsBoundaryType").text = "Policy"
            ElementTree.SubElement(detail, f"{space}PermissionsBoundaryArn").text = arn

    # The original makes everything at once, and a page of it takes as long: how the account was at its first page is what the others tell.
    began: dict[str, tuple[dict, str, bytes, list]] = {}

    def begin(headers, body) -> str:
        root = ElementTree.fromstring(body)
        space = root.tag.partition("}")[0] + "}" if "}" in root.tag else ""
        result = root.find(f"{space}GetAccountAuthorizationDetailsResult")
        members = []
        for tag in lists:
            if (found := result.find(f"{space}{tag}")) is not None:
                members += [(tag, member) for member in found]
                found[:] = []
        for tag, member in members:
            boundary(member, tag, space)
        for old in [*result.findall(f"{space}IsTruncated"), *result.findall(f"{space}Marker")]:
            result.remove(old)
        token = uuid.uuid4().hex
        began[token] = (dict(headers), space, ElementTree.tostring(root), members)
        while len(began) > 20:
            del began[next(iter(began))]
        return token

    def handler(p):
        token, _, start = (iam_svc._p(p, "Marker") or "").partition("-")
        if token and token not in began:
            return iam_svc._error(400, "ValidationError", "Invalid Marker.")
        if not token:
            status, headers, body = original(p)
            if status != 200:
                return status, headers, body
            token, start = begin(headers, body), "0"
        headers, space, empty, members = began[token]
        first, size = int(start), int(iam_svc._p(p, "MaxItems") or 100)
        more = first + size < len(members)
        root = ElementTree.fromstring(empty)
        result = root.find(f"{space}GetAccountAuthorizationDetailsResult")
        for tag, member in members[first : first + size]:
            result.find(f"{space}{tag}").append(member)
        for tag, text in (("IsTruncated", str(more).lower()), ("Marker", f"{token}-{first + size}" if more else None)):
            if text is not None:
                ElementTree.SubElement(result, f"{space}{tag}").text = text
        # A prefix before every name is as good as none to XML, but not to every SDK.
        ElementTree.register_namespace("", space[1:-1])
        return 200, dict(headers), ElementTree.tostring(root)

    iam_svc._IAM_HANDLERS["GetAccountAuthorizationDetails"] = handler


def resource_tags_of_ec2() -> None:
    """aws:ResourceTag works on EC2's resources too."""
    from ministack.services import ec2, tagging

    @wrap(tagging, "resource_tags")
    def resource_tags(original, arn):
        if arn.startswith("arn:aws:ec2:") and "/" in arn:
            return {tag["Key"]: tag.get("Value", "") for tag in ec2._tags.get(arn.rsplit("/", 1)[-1]) or []}
        if arn.startswith("arn:aws:lambda:"):
            arn = ":".join(arn.split(":")[:7])
        return original(arn)


def policies_of_buses_and_tables() -> None:
    """An event bus and a DynamoDB table carry resource policies: a Deny there holds for everyone.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-bus-perms.html
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/access-control-resource-based.html"""
    from ministack.services import dynamodb, eventbridge

    def bus_policy_for_arn(arn: str):
        parts = arn.split(":")
        if not parts[-1].startswith("event-bus/"):
            return None
        policy = eventbridge._event_bus_policies.get_scoped(parts[4], parts[3], parts[-1].split("/", 1)[1])
        return (policy, parts[4]) if policy else None

    def table_policy_for_arn(arn: str):
        parts = arn.split(":")
        if len(parts) < 6 or not parts[5].startswith("table/"):
            return None
        stores = getattr(dynamodb, "_resource_policies", None)
        table = arn.split("/index/")[0].split("/stream/")[0]
        record = stores.get_scoped(parts[4], parts[3], table) if stores is not None else None
        policy = record.get("Policy") if isinstance(record, dict) and "Policy" in record else record
        return (policy, parts[4]) if policy else None

    eventbridge.bus_policy_for_arn = bus_policy_for_arn
    dynamodb.table_policy_for_arn = table_policy_for_arn
    iam_evaluator._RESOURCE_POLICY_LOOKUPS.setdefault("events", ("eventbridge", "bus_policy_for_arn"))
    iam_evaluator._RESOURCE_POLICY_LOOKUPS.setdefault("dynamodb", ("dynamodb", "table_policy_for_arn"))


def role_may(role_arn: str, action: str, resource: str, service: str, session: str = "service", context: dict | None = None) -> bool:
    """Whether a role, used by a service in its name, may do something. For what services do with a function's role."""
    account = role_arn.split(":")[4]
    name = role_arn.rsplit("/", 1)[-1]
    policies = iam_evaluator._gather_role_policies(name, account)
    limits = iam_evaluator._permissions_boundary(iam_svc._roles, name, account)
    ctx = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}", principal_type="AssumedRole", principal_account=account,
        action=action, resource_arn=resource, region=get_region(),
        service_context={**({"kms:calleraccount": account} if service == "kms" else {}), **(context or {})})
    result = iam_evaluator.evaluate(ctx, policies, *limits)
    found = iam_evaluator._resource_policy(service, resource)
    if found is not None:
        result = iam_evaluator.combine_resource_policy(result, ctx, *found, required=service in iam_evaluator._POLICY_REQUIRED, limits=limits)
    return result.decision == "Allow"


def apply() -> None:
    actions_of_batches()
    actions_of_lambda()
    resource_arns()
    condition_keys_and_further_permissions()
    denial_messages()
    principal_keys()
    policy_variables()
    sessions_of_functions()
    set_default_policy_version()
    simulations()
    pages_of_account_details()
    resource_tags_of_ec2()
    policies_of_buses_and_tables()



