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
