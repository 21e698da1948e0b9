"""API Gateway: what the stages of REST, HTTP and WebSocket APIs serve, quick create, imports and exports."""
import contextlib
import contextvars
import copy
import json
import re
import time

import yaml

from ministack import app
from ministack.core.responses import AccountRegionScopedDict, get_account_id, get_region
from ministack.services import apigateway as http
from ministack.services import apigateway_v1 as rest

from .patch import wrap

# (id of a store, API) → what the store holds of the API for whoever asks for a deployed stage.
_view: contextvars.ContextVar[dict] = contextvars.ContextVar("deployed", default={})
# (account, region, API, deployment) → {store: what it held of the API when the deployment was made}
_snapshots: dict[tuple, dict] = {}


class Viewed(AccountRegionScopedDict):
    """A store of the emulator, seen through the deployment of a stage."""
    __slots__ = ()

    def get(self, key, default=None):
        view = _view.get()
        return view[id(self), key] if (id(self), key) in view else super().get(key, default)

    def get_scoped(self, account_id, region, key, default=None):
        view = _view.get()
        return view[id(self), key] if (id(self), key) in view else super().get_scoped(account_id, region, key, default)


def viewed(*stores) -> None:
    for store in stores:
        store.__class__ = Viewed


@contextlib.contextmanager
def as_deployed(api_id: str, contents: dict | None):
    """While it lasts, stores say of the API what a deployment holds. None: what they hold now."""
    token = _view.set({(id(store), api_id): content for store, content in (contents or {}).values()})
    try:
        yield
    finally:
        _view.reset(token)


def keep(api_id: str, deployment_id: str, **stores) -> None:
    contents = {name: (store, copy.deepcopy(store.get(api_id))) for name, store in stores.items()}
    _snapshots[get_account_id(), get_region(), api_id, deployment_id] = contents


def kept(api_id: str, deployment_id: str) -> dict | None:
    return _snapshots.get((get_account_id(), get_region(), api_id, deployment_id))


def made(answer) -> dict:
    """The body of an answer, empty where the call failed."""
    return json.loads(answer[2]) if answer[0] < 300 and answer[2] else {}


def specification(body) -> dict:
    text = body.decode() if isinstance(body, (bytes, bytearray)) else body
    return yaml.safe_load(text)


def hosts() -> None:
    """APIs answer at https://<id>.execute-api.<region>.amazonaws.com.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html"""
    own = app._EXECUTE_API_RE.pattern
    app._EXECUTE_API_RE = re.compile(own.replace(re.escape(app._MINISTACK_HOST), r"(?:[a-z0-9-]+\.amazonaws\.com|" + re.escape(app._MINISTACK_HOST) + ")"))


# --- deployments --------------------------------------------------------------------------------------------------------------

def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _deploy_automatically(api_id: str) -> None:
    for stage in (http._stages.get(api_id) or {}).values():
        if stage.get("autoDeploy"):
            answer = http._create_deployment(api_id, {"description": "Automatic deployment triggered by changes to the Api configuration"})
            http._deployments[api_id][made(answer)["deploymentId"]]["autoDeployed"] = True
            stage.update(deploymentId=made(answer)["deploymentId"], lastUpdatedDate=_now())


def _content(api_id: str, stage_name: str) -> dict | None:
    """What a stage serves: one deployment, or nothing without any. A stage with AutoDeploy has the latest."""
    stage = (http._stages.get(api_id) or {}).get(stage_name)
    if stage is None:
        return None
    nothing = {name: (store, {}) for name, store in (("routes", http._routes), ("integrations", http._integrations))}
    return kept(api_id, stage["deploymentId"]) if stage.get("deploymentId") else nothing


def http_deployments_are_snapshots() -> None:
    """A stage serves the deployment that it points to, and a change of the API reaches it with the next one; a stage with
    AutoDeploy gets one at every change. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html"""
    viewed(http._routes, http._integrations)

    @wrap(http, "_create_deployment")
    def create_deployment(original, api_id, data):
        stage_name = data.get("stageName")
        stage = (http._stages.get(api_id) or {}).get(stage_name)
        if stage_name and stage is None:
            return http._apigw_error("NotFoundException", f"Unable to find Stage by name {stage_name}", 404)
        answer = original(api_id, data)
        if deployment := made(answer):
            keep(api_id, deployment["deploymentId"], routes=http._routes, integrations=http._integrations)
            if stage:
                stage.update(deploymentId=deployment["deploymentId"], lastUpdatedDate=_now())
        return answer

    for name in ("_create_route", "_update_route", "_delete_route", "_create_integration", "_update_integration", "_delete_integration",
                 "_update_api", "_create_stage", "_update_stage"):
        @wrap(http, name)
        def change(original, api_id, *args):
            deployment = args[-1].get("deploymentId") if isinstance(args[-1], dict) else None
            if deployment and deployment not in (http._deployments.get(api_id) or {}):
                return http._apigw_error("BadRequestException", "Deployment id does not exist", 400)
            answer = original(api_id, *args)
            if answer[0] < 300:
                _deploy_automatically(api_id)
            return answer

    @wrap(http, "_handle_execute_in_scope")
    async def execute(original, api_id, stage, *args):
        with as_deployed(api_id, _content(api_id, stage)):
            return await original(api_id, stage, *args)

    @wrap(http, "route_authorization_type")
    def route_authorization_type(original, api_id, stage, *args):
        scope = http.find_api_scope(api_id)
        if scope is None:
            return original(api_id, stage, *args)
        with http.request_scope(*scope):
            content = _content(api_id, stage)
        with as_deployed(api_id, content):
            return original(api_id, stage, *args)


def an_authorizer_in_use_stays() -> None:
    """AWS deletes no authorizer that a route names: ConflictException, `is referenced in route`.
    https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/apis-apiid-authorizers-authorizerid.html"""
    @wrap(http, "_delete_authorizer")
    def delete_authorizer(original, api_id, authorizer_id):
        for route in (http._routes.get(api_id) or {}).values():
            if route.get("authorizerId") == authorizer_id:
                return http._apigw_error("ConflictException", f"Cannot delete authorizer, is referenced in route: {route['routeKey']}", 409)
        return original(api_id, authorizer_id)


# --- quick create, imports, exports -------------------------------------------------------------------------------------------

def quick_create() -> None:
    """CreateApi with a target makes an integration, a route without authorization and the stage $default with AutoDeploy.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop.html#http-api-examples.cli.quick-create"""
    @wrap(http, "_create_api")
    def create_api(original, data):
        answer = original(data)
        api, target = made(answer), data.get("target")
        if api and target:
            kind = "AWS_PROXY" if ":lambda:" in target else "HTTP_PROXY"
            integration = made(http._create_integration(api["apiId"], {"integrationType": kind, "integrationUri": target}))
            managed = {"apiGatewayManaged": True}
            http._integrations[api["apiId"]][integration["integrationId"]].update(managed)
            route = made(http._create_route(api["apiId"], {"routeKey": data.get("routeKey", "$default"), "target": f"integrations/{integration['integrationId']}"}))
            http._routes[api["apiId"]][route["routeId"]].update(managed)
            http._create_stage(api["apiId"], {"stageName": "$default", "autoDeploy": True})
            http._stages[api["apiId"]]["$default"].update(managed)
        return answer


_ANY = "x-amazon-apigateway-any-method"
_INTEGRATION = {"type": "integrationType", "uri": "integrationUri", "httpMethod": "integrationMethod",
                "payloadFormatVersion": "payloadFormatVersion", "timeoutInMillis": "timeoutInMillis", "connectionType": "connectionType"}


def _import(api_id: str, spec: dict) -> None:
    """Routes and integrations of a definition, in the place of those that are there."""
    http._routes[api_id], http._integrations[api_id] = {}, {}
    schemes = (spec.get("components") or {}).get("securitySchemes") or {}
    for path, item in (spec.get("paths") or {}).items():
        for verb, operation in item.items():
            extension = operation.get("x-amazon-apigateway-integration") or {}
            integration = made(http._create_integration(api_id, {ours: extension[theirs] for theirs, ours in _INTEGRATION.items() if theirs in extension}))
            names = [name for requirement in operation.get("security") or [] for name in requirement]
            iam = any((schemes.get(name) or {}).get("x-amazon-apigateway-authtype") == "awsSigv4" for name in names)
            key = "$default" if path == "/$default" else f"{'ANY' if verb == _ANY else verb.upper()} {path}"
            http._create_route(api_id, {"routeKey": key, "target": f"integrations/{integration['integrationId']}",
                                        "authorizationType": "AWS_IAM" if iam else "NONE"})


def _export(api_id: str, stage_name: str) -> dict:
    api, paths, iam = http._apis[api_id], {}, False
    for route in (http._routes.get(api_id) or {}).values():
        verb, _, path = ("ANY", "", "/$default") if route["routeKey"] == "$default" else route["routeKey"].partition(" ")
        integration = (http._integrations.get(api_id) or {}).get(route["target"].removeprefix("integrations/"), {})
        operation = {"responses": {"default": {"description": f"Default response for {route['routeKey']}"}},
                     "x-amazon-apigateway-integration": {theirs: integration[ours] for theirs, ours in _INTEGRATION.items() if integration.get(ours)}}
        kind = route.get("authorizationType", "NONE")
        iam = iam or kind == "AWS_IAM"
        if kind != "NONE":
            authorizer = (http._authorizers.get(api_id) or {}).get(route.get("authorizerId"), {})
            operation["security"] = [{"sigv4" if kind == "AWS_IAM" else authorizer.get("name", ""): []}]
        paths.setdefault(path, {})[_ANY if verb == "ANY" else verb.lower()] = operation
    sigv4 = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
    return {"openapi": "3.0.1", "info": {"title": api["name"], "version": _now()},
            "servers": [{"url": f"{api['apiEndpoint']}/{{basePath}}", "variables": {"basePath": {"default": stage_name}}}],
            "paths": paths, **({"components": {"securitySchemes": {"sigv4": sigv4}}} if iam else {}),
            "x-amazon-apigateway-importexport-version": "1.0"}


def imports_and_exports_of_http_apis() -> None:
    """ImportApi, ReimportApi (everything is replaced) and ExportApi: a stage's export is what it serves, without a stage it is
    the API as it is now. https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-export.html"""
    @wrap(http, "handle_request")
    async def handle_request(original, method, path, headers, body, query_params):
        parts = [part for part in path.strip("/").split("/") if part]
        if parts[:2] != ["v2", "apis"] or not (method == "PUT" and len(parts) in (2, 3) or "exports" in parts[3:4]):
            return await original(method, path, headers, body, query_params)
        api_id = parts[2] if len(parts) > 2 else None
        if api_id and api_id not in http._apis:
            return http._api_not_found(api_id)
        if method == "PUT":
            spec = specification(json.loads(body)["body"])
            answer = http._apigw_response(http._apis[api_id], 201) if api_id else http._create_api({"name": spec["info"]["title"]})
            api_id = made(answer)["apiId"]
            _import(api_id, spec)
            _deploy_automatically(api_id)
            return answer
        if http._apis[api_id]["protocolType"] != "HTTP":
            return http._apigw_error("BadRequestException", "Only HTTP APIs can be exported", 400)
        stage_name = query_params.get("stageName")
        stage_name = stage_name[0] if isinstance(stage_name, list) else stage_name
        with as_deployed(api_id, _content(api_id, stage_name) if stage_name else None):
            document = _export(api_id, stage_name or "")
        return 200, {"Content-Type": "application/json"}, json.dumps(document).encode()


# --- REST APIs ----------------------------------------------------------------------------------------------------------------

_REST = {"apis": rest._rest_apis, "resources": rest._resources, "authorizers": rest._authorizers_v1, "models": rest._models,
         "validators": rest._request_validators, "responses": rest._gateway_responses}


def _rest_content(api_id: str, stage_name: str) -> dict | None:
    stage = (rest._stages_v1.get(api_id) or {}).get(stage_name)
    return kept(api_id, stage.get("deploymentId")) if stage else None


def rest_deployments_are_snapshots() -> None:
    """A change of a REST API, of its resource policy too, is served with the next deployment only.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/updating-api.html"""
    viewed(*_REST.values())

    @wrap(rest, "_build_api_summary")
    def build_api_summary(original, api_id):
        # https://docs.aws.amazon.com/apigateway/latest/api/API_MethodSnapshot.html
        return {resource["path"]: {verb: {"authorizationType": method["authorizationType"], "apiKeyRequired": bool(method.get("apiKeyRequired"))}
                                   for verb, method in resource["resourceMethods"].items()}
                for resource in rest._resources.get(api_id, {}).values() if resource.get("resourceMethods")}

    @wrap(rest, "_create_deployment")
    def create_deployment(original, api_id, data):
        answer = original(api_id, data)
        if deployment := made(answer):
            keep(api_id, deployment["id"], **_REST)
        return answer

    @wrap(rest, "_handle_execute_in_scope")
    async def execute(original, api_id, stage_name, *args):
        with as_deployed(api_id, _rest_content(api_id, stage_name)):
            return await original(api_id, stage_name, *args)

    @wrap(rest, "method_authorization_type")
    def method_authorization_type(original, api_id, stage_name, *args):
        scope = rest.find_api_scope(api_id)
        if scope is None:
            return None
        with rest.request_scope(*scope):
            content = _rest_content(api_id, stage_name)
        with as_deployed(api_id, content):
            return original(api_id, stage_name, *args)

    @wrap(rest, "rest_api_policy_for_arn")
    def rest_api_policy_for_arn(original, arn):
        api_id, _, path = arn.split(":", 5)[-1].partition("/")
        scope = rest.find_api_scope(api_id)
        if scope is None:
            return original(arn)
        with rest.request_scope(*scope):
            content = _rest_content(api_id, path.split("/")[0])
        with as_deployed(api_id, content):
            return original(arn)


def what_rest_apis_refuse() -> None:
    """A stage points to deployments that are there, none of those is deleted, no authorizer that a method names is, and a
    method's authorization is of a kind that exists.
    https://docs.aws.amazon.com/apigateway/latest/api/API_UpdateStage.html"""
    def refused(message: str, code: str = "BadRequestException", status: int = 400):
        return rest._v1_error(code, message, status)

    @wrap(rest, "_update_stage")
    def update_stage(original, api_id, stage_name, data):
        for patch in data.get("patchOperations", []):
            if patch.get("path") == "/deploymentId" and patch.get("value") not in (rest._deployments_v1.get(api_id) or {}):
                return refused("Deployment id does not exist")
        return original(api_id, stage_name, data)

    @wrap(rest, "_delete_deployment")
    def delete_deployment(original, api_id, deployment_id):
        if any(stage.get("deploymentId") == deployment_id for stage in (rest._stages_v1.get(api_id) or {}).values()):
            return refused("Active stages pointing to this deployment must be moved or deleted")
        return original(api_id, deployment_id)

    @wrap(rest, "_delete_authorizer")
    def delete_authorizer(original, api_id, authorizer_id):
        for resource in (rest._resources.get(api_id) or {}).values():
            for verb, method in resource["resourceMethods"].items():
                if method.get("authorizerId") == authorizer_id:
                    return refused(f"Cannot delete authorizer, is referenced in method: {verb}/{resource['path']}", "ConflictException", 409)
        return original(api_id, authorizer_id)

    kinds = ("NONE", "AWS_IAM", "CUSTOM", "COGNITO_USER_POOLS")

    @wrap(rest, "_put_method")
    def put_method(original, api_id, resource_id, verb, data):
        if data.get("authorizationType", "NONE") not in kinds:
            return refused("Invalid authorization type specified. Valid values are [NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS]")
        return original(api_id, resource_id, verb, data)

    @wrap(rest, "_update_method")
    def update_method(original, api_id, resource_id, verb, data):
        for patch in data.get("patchOperations", []):
            if patch.get("path") == "/authorizationType" and patch.get("value") not in kinds:
                return refused("Invalid authorization type specified. Valid values are [NONE, AWS_IAM, CUSTOM, COGNITO_USER_POOLS]")
        return original(api_id, resource_id, verb, data)


def _complete(document: dict, api_id: str) -> dict:
    """What exports of AWS hold beside what the emulator writes."""
    api, schemes = rest._rest_apis.get(api_id), document["components"].setdefault("securitySchemes", {})
    validators = rest._request_validators.get(api_id) or {}
    for resource in (rest._resources.get(api_id) or {}).values():
        for verb, method in resource["resourceMethods"].items():
            operation = document["paths"][resource["path"]][_ANY if verb == "ANY" else verb.lower()]
            if not method.get("methodResponses"):
                operation["responses"] = {}
            kind = method.get("authorizationType")
            if kind == "AWS_IAM":
                schemes["sigv4"] = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
                operation.setdefault("security", []).append({"sigv4": []})
            elif kind == "COGNITO_USER_POOLS":
                authorizer = (rest._authorizers_v1.get(api_id) or {}).get(method.get("authorizerId"), {})
                extension = {"type": "cognito_user_pools", "providerARNs": authorizer.get("providerARNs", [])}
                schemes[authorizer.get("name", "")] = {
                    "type": "apiKey", "name": authorizer.get("identitySource", "").split(".")[-1], "in": "header",
                    "x-amazon-apigateway-authtype": "cognito_user_pools", "x-amazon-apigateway-authorizer": extension}
                operation.setdefault("security", []).append({authorizer.get("name", ""): method.get("authorizationScopes") or []})
            if validator := validators.get(method.get("requestValidatorId")):
                operation["x-amazon-apigateway-request-validator"] = validator["name"]
    if validators:
        document["x-amazon-apigateway-request-validators"] = {
            one["name"]: {key: one[key] for key in ("validateRequestBody", "validateRequestParameters")} for one in validators.values()}
    if responses := rest._gateway_responses.get(api_id):
        document["x-amazon-apigateway-gateway-responses"] = {
            kind: {key: one[key] for key in ("statusCode", "responseParameters", "responseTemplates") if one.get(key)} for kind, one in responses.items()}
    if api.get("policy"):
        document["x-amazon-apigateway-policy"] = json.loads(api["policy"]) if isinstance(api["policy"], str) else api["policy"]
    if str(api.get("disableExecuteApiEndpoint")).lower() == "true":
        for server in document["servers"]:
            server["x-amazon-apigateway-endpoint-configuration"] = {"disableExecuteApiEndpoint": True}
    if api.get("binaryMediaTypes"):
        document["x-amazon-apigateway-binary-media-types"] = api["binaryMediaTypes"]
    return document


def exports_of_rest_apis() -> None:
    """An export is of what the stage serves, with what its methods ask of callers, and with the extension `apigateway` all else.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-export-api.html"""
    @wrap(rest, "_build_api_export")
    def build_api_export(original, api_id, stage_name, export_type, include_integrations, include_authorizers):
        with as_deployed(api_id, _rest_content(api_id, stage_name)):
            document = original(api_id, stage_name, export_type, include_integrations, include_authorizers)
            whole = export_type == "oas30" and include_integrations and include_authorizers
            return _complete(document, api_id) if whole else document


def imports_of_rest_apis() -> None:
    """ImportRestApi and PutRestApi take the definition as the body. PutRestApi with the mode overwrite replaces every method.
    https://docs.aws.amazon.com/apigateway/latest/api/API_PutRestApi.html"""
    def take(api_id: str, spec: dict) -> None:
        schemes = rest._import_security_schemes(api_id, spec)
        for path, item in (spec.get("paths") or {}).items():
            rest._import_path_item(api_id, path, item, schemes, spec.get("security"))
            if _ANY in item:
                [resource] = [one["id"] for one in rest._resources[api_id].values() if one["path"] == path]
                rest._import_operation(api_id, resource, "ANY", item[_ANY], schemes, spec.get("security"))
        if policy := spec.get("x-amazon-apigateway-policy"):
            rest._rest_apis[api_id]["policy"] = json.dumps(policy)

    @wrap(rest, "handle_request")
    async def handle_request(original, method, path, headers, body, query_params):
        parts = [part for part in path.strip("/").split("/") if part]
        mode = query_params.get("mode")
        mode = mode[0] if isinstance(mode, list) else mode
        if parts == ["restapis"] and method == "POST" and mode == "import":
            spec = specification(body)
            answer = rest._create_rest_api({"name": (spec.get("info") or {}).get("title", "imported")})
            take(made(answer)["id"], spec)
            return answer
        if parts[:1] == ["restapis"] and len(parts) == 2 and method == "PUT":
            if parts[1] not in rest._rest_apis:
                return rest._v1_error("NotFoundException", "Invalid API identifier specified", 404)
            if mode == "overwrite":
                [root] = [one for one in rest._resources[parts[1]].values() if one["path"] == "/"]
                rest._resources[parts[1]] = {root["id"]: {**root, "resourceMethods": {}}}
                rest._authorizers_v1[parts[1]] = {}
            take(parts[1], specification(body))
            return rest._get_rest_api(parts[1])
        return await original(method, path, headers, body, query_params)


def apply() -> None:
    hosts()
    http_deployments_are_snapshots()
    an_authorizer_in_use_stays()
    quick_create()
    imports_and_exports_of_http_apis()
    rest_deployments_are_snapshots()
    what_rest_apis_refuse()
    exports_of_rest_apis()
    imports_of_rest_apis()
