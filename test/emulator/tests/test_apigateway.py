"""What API Gateway does that the emulator by itself does not."""
import json
import urllib.error
import urllib.request

from .account import Case, allow, plain, unique

ANSWER = "exports.handler = async () => ({ statusCode: 200, body: 'ok' })"


def status(aws, host: str, path: str) -> int:
    request = urllib.request.Request(aws.endpoint + path, headers={"Host": host})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class HttpApis(Case):
    def setUp(self):
        self.api = self.aws.client("apigatewayv2")

    def function_arn(self, aws=None) -> str:
        aws = aws or self.aws
        name = aws.function(ANSWER)
        return aws.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]

    def quick(self) -> str:
        return self.api.create_api(Name=unique("api"), ProtocolType="HTTP", Target=self.function_arn())["ApiId"]

    def status(self, api_id: str, path: str = "/orders") -> int:
        return status(self.aws, f"{api_id}.execute-api.us-east-1.amazonaws.com", path)

    def test_quick_create_makes_an_open_route_that_is_served(self):
        api_id = self.quick()
        [route] = self.api.get_routes(ApiId=api_id)["Items"]
        self.assertEqual(("$default", "NONE", True), (route["RouteKey"], route["AuthorizationType"], route["ApiGatewayManaged"]))
        [stage] = self.api.get_stages(ApiId=api_id)["Items"]
        self.assertEqual(("$default", True), (stage["StageName"], stage["AutoDeploy"]))
        self.assertEqual(200, self.status(api_id))
        self.api.update_route(ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
        self.assertEqual(403, self.status(api_id))

    def test_the_emulator_alone_makes_the_api_only(self):
        api = plain().client("apigatewayv2")
        api_id = api.create_api(Name=unique("api"), ProtocolType="HTTP", Target=self.function_arn(plain()))["ApiId"]
        self.assertEqual([], api.get_routes(ApiId=api_id)["Items"])

    def test_a_stage_without_auto_deploy_serves_its_deployment(self):
        api_id = self.quick()
        [route] = self.api.get_routes(ApiId=api_id)["Items"]
        self.api.create_stage(ApiId=api_id, StageName="prod")
        self.assertEqual(404, self.status(api_id, "/prod/orders"))
        first = self.api.create_deployment(ApiId=api_id, StageName="prod")["DeploymentId"]
        self.assertEqual(first, self.api.get_stage(ApiId=api_id, StageName="prod")["DeploymentId"])
        self.api.update_route(ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
        self.assertEqual(200, self.status(api_id, "/prod/orders"))
        second = self.api.create_deployment(ApiId=api_id, StageName="prod", Description="second")["DeploymentId"]
        self.assertEqual(403, self.status(api_id, "/prod/orders"))
        self.api.update_stage(ApiId=api_id, StageName="prod", DeploymentId=first)
        self.assertEqual(200, self.status(api_id, "/prod/orders"))
        self.assertNotEqual(first, second)
        self.refused("BadRequestException", self.api.update_stage, ApiId=api_id, StageName="prod", DeploymentId="gone")
        self.refused("NotFoundException", self.api.create_deployment, ApiId=api_id, StageName="none")

    def test_the_export_of_a_stage_is_what_it_serves(self):
        api_id = self.quick()
        [route] = self.api.get_routes(ApiId=api_id)["Items"]
        self.api.create_stage(ApiId=api_id, StageName="prod")
        self.api.create_deployment(ApiId=api_id, StageName="prod")
        self.api.update_route(ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")
        self.assertNotIn("security", self.exported(api_id, StageName="prod")["paths"]["/$default"]["x-amazon-apigateway-any-method"])
        self.assertEqual([{"sigv4": []}], self.exported(api_id)["paths"]["/$default"]["x-amazon-apigateway-any-method"]["security"])

    def exported(self, api_id: str, **of):
        return json.loads(self.api.export_api(ApiId=api_id, Specification="OAS30", OutputType="JSON", **of)["body"].read())

    def test_an_import_replaces_every_route(self):
        integration = {"type": "AWS_PROXY", "uri": self.function_arn(), "httpMethod": "POST", "payloadFormatVersion": "2.0"}
        spec = {"openapi": "3.0.1", "info": {"title": unique("api")}, "paths": {"/orders": {"get": {"x-amazon-apigateway-integration": integration}}}}
        api_id = self.api.import_api(Body=json.dumps(spec))["ApiId"]
        self.api.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
        self.assertEqual([("GET /orders", "NONE")], [(one["RouteKey"], one["AuthorizationType"]) for one in self.api.get_routes(ApiId=api_id)["Items"]])
        self.assertEqual(200, self.status(api_id))
        spec["paths"] = {"/payments": {"post": {"x-amazon-apigateway-integration": integration}}}
        [record] = self.aws.records(lambda: self.api.reimport_api(ApiId=api_id, Body=json.dumps(spec)), "ReimportApi")
        self.assertEqual(api_id, record["requestParameters"]["apiId"])
        self.assertEqual(["POST /payments"], [one["RouteKey"] for one in self.api.get_routes(ApiId=api_id)["Items"]])
        self.assertEqual(404, self.status(api_id))

    def test_an_authorizer_that_a_route_names_is_not_deleted(self):
        api_id = self.quick()
        authorizer = self.api.create_authorizer(ApiId=api_id, Name="users", AuthorizerType="JWT", IdentitySource=["$request.header.Authorization"],
                                                JwtConfiguration={"Issuer": "https://example.com", "Audience": ["shop"]})["AuthorizerId"]
        [route] = self.api.get_routes(ApiId=api_id)["Items"]
        self.api.update_route(ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="JWT", AuthorizerId=authorizer)
        self.refused("ConflictException", self.api.delete_authorizer, ApiId=api_id, AuthorizerId=authorizer)

    def test_the_type_that_a_route_is_given_is_a_condition_key(self):
        api_id = self.quick()
        [route] = self.api.get_routes(ApiId=api_id)["Items"]
        closing = allow("apigateway:PATCH", "arn:aws:apigateway:*::/apis/*/routes/*",
                        condition={"ForAnyValue:StringEquals": {"apigateway:Request/RouteAuthorizationType": "AWS_IAM"}})
        api = self.aws.client("apigatewayv2", self.aws.user(closing))
        self.refused("AccessDeniedException", api.update_route, ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="NONE")
        self.refused("AccessDeniedException", api.update_route, ApiId=api_id, RouteId=route["RouteId"], OperationName="orders")
        api.update_route(ApiId=api_id, RouteId=route["RouteId"], AuthorizationType="AWS_IAM")


class RestApis(Case):
    def setUp(self):
        self.api = self.aws.client("apigateway")

    def deployed(self, aws=None):
        """An API with GET /orders, open and deployed to prod: its id and the resource's."""
        aws = aws or self.aws
        api, name = aws.client("apigateway"), aws.function(ANSWER)
        arn = aws.client("lambda").get_function_configuration(FunctionName=name)["FunctionArn"]
        api_id = api.create_rest_api(name=unique("api"))["id"]
        [root] = api.get_resources(restApiId=api_id)["items"]
        orders = api.create_resource(restApiId=api_id, parentId=root["id"], pathPart="orders")["id"]
        named = {"restApiId": api_id, "resourceId": orders, "httpMethod": "GET"}
        api.put_method(**named, authorizationType="NONE")
        api.put_integration(**named, type="AWS_PROXY", integrationHttpMethod="POST",
                            uri=f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations")
        api.create_deployment(restApiId=api_id, stageName="prod")
        return api_id, named

    def status(self, api_id: str, stage: str = "prod") -> int:
        return status(self.aws, f"{api_id}.execute-api.us-east-1.amazonaws.com", f"/{stage}/orders")

    def close(self, named, api=None) -> None:
        (api or self.api).update_method(**named, patchOperations=[{"op": "replace", "path": "/authorizationType", "value": "AWS_IAM"}])

    def point(self, api_id: str, deployment: str) -> None:
        self.api.update_stage(restApiId=api_id, stageName="prod", patchOperations=[{"op": "replace", "path": "/deploymentId", "value": deployment}])

    def test_a_stage_serves_its_deployment(self):
        api_id, named = self.deployed()
        first = self.api.get_stage(restApiId=api_id, stageName="prod")["deploymentId"]
        self.close(named)
        self.assertEqual(200, self.status(api_id))
        second = self.api.create_deployment(restApiId=api_id, stageName="prod")["id"]
        self.assertEqual(403, self.status(api_id))
        summary = lambda id: self.api.get_deployment(restApiId=api_id, deploymentId=id, embed=["apisummary"])["apiSummary"]
        self.assertEqual({"/orders": {"GET": {"authorizationType": "NONE", "apiKeyRequired": False}}}, summary(first))
        self.assertEqual({"/orders": {"GET": {"authorizationType": "AWS_IAM", "apiKeyRequired": False}}}, summary(second))
        self.point(api_id, first)
        self.assertEqual(200, self.status(api_id))
        self.refused("BadRequestException", self.point, api_id, "gone")
        self.refused("BadRequestException", self.api.delete_deployment, restApiId=api_id, deploymentId=first)

    def test_the_emulator_alone_serves_the_api_as_it_is_now(self):
        api_id, named = self.deployed(plain())
        self.close(named, plain().client("apigateway"))
        plain_status = status(plain(), f"{api_id}.execute-api.127.0.0.1", "/prod/orders")
        self.assertNotEqual(200, plain_status)

    def test_a_resource_policy_counts_once_it_is_deployed(self):
        api_id, _ = self.deployed()
        policy = {"Version": "2012-10-17", "Statement": [{**allow("execute-api:Invoke", "execute-api:/*"), "Principal": "*",
                                                          "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}]}
        self.api.update_rest_api(restApiId=api_id, patchOperations=[{"op": "replace", "path": "/policy", "value": json.dumps(policy)}])
        self.assertEqual(200, self.status(api_id))
        self.api.create_deployment(restApiId=api_id, stageName="prod")
        self.assertEqual(403, self.status(api_id))
        self.assertEqual(policy, self.exported(api_id)["x-amazon-apigateway-policy"])

    def exported(self, api_id: str):
        return json.loads(self.api.get_export(restApiId=api_id, stageName="prod", exportType="oas30", parameters={"extensions": "apigateway"})["body"].read())

    def test_an_export_is_of_what_the_stage_serves(self):
        api_id, named = self.deployed()
        self.close(named)
        self.assertNotIn("security", self.exported(api_id)["paths"]["/orders"]["get"])
        self.api.create_deployment(restApiId=api_id, stageName="prod")
        self.assertEqual([{"sigv4": []}], self.exported(api_id)["paths"]["/orders"]["get"]["security"])
        self.assertEqual("awsSigv4", self.exported(api_id)["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"])

    def test_an_export_tells_whether_the_endpoint_is_disabled(self):
        api_id, _named = self.deployed()
        extension = "x-amazon-apigateway-endpoint-configuration"
        self.assertNotIn(extension, self.exported(api_id)["servers"][0])
        self.api.update_rest_api(restApiId=api_id, patchOperations=[{"op": "replace", "path": "/disableExecuteApiEndpoint", "value": "true"}])
        self.api.create_deployment(restApiId=api_id, stageName="prod")
        self.assertEqual({"disableExecuteApiEndpoint": True}, self.exported(api_id)["servers"][0][extension])

    def test_an_import_replaces_every_method(self):
        definition = lambda path, verb: json.dumps({"openapi": "3.0.1", "info": {"title": "shop"}, "paths": {path: {verb: {}}}}).encode()
        api_id = self.api.import_rest_api(body=definition("/orders", "get"))["id"]
        self.assertEqual({"/": [], "/orders": ["GET"]}, self.methods(api_id))
        [record] = self.aws.records(lambda: self.api.put_rest_api(restApiId=api_id, mode="overwrite", body=definition("/payments", "post")), "PutRestApi")
        self.assertEqual({"/": [], "/payments": ["POST"]}, self.methods(api_id))
        self.assertEqual(api_id, record["requestParameters"]["restApiId"])
        self.assertNotIn("paths", json.dumps(record["requestParameters"]))
        self.api.put_rest_api(restApiId=api_id, mode="merge", body=definition("/orders", "x-amazon-apigateway-any-method"))
        self.assertEqual({"/": [], "/payments": ["POST"], "/orders": ["ANY"]}, self.methods(api_id))

    def methods(self, api_id: str) -> dict:
        return {one["path"]: sorted(one.get("resourceMethods", {})) for one in self.api.get_resources(restApiId=api_id, embed=["methods"])["items"]}

    def test_what_is_refused(self):
        api_id, named = self.deployed()
        authorizer = self.api.create_authorizer(restApiId=api_id, name="users", type="TOKEN", authorizerUri="arn:aws:apigateway:us-east-1:lambda:path/users")["id"]
        self.api.put_method(**named, authorizationType="CUSTOM", authorizerId=authorizer)
        self.refused("ConflictException", self.api.delete_authorizer, restApiId=api_id, authorizerId=authorizer)
        self.refused("BadRequestException", self.api.put_method, **named, authorizationType="OPEN")
