"""The Lambda REST API but for Invoke: what `gg deploy` and boto3's waiters call, with Lambda's own paths, answers and refusals."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from tests.servers.lambda_service.config import Config
from tests.servers.lambda_service.errors import conflict, invalid, not_found
from tests.servers.lambda_service.functions import Function, Shelf, checked, direct, unpack
from tests.servers.lambda_service.http import Request
from tests.servers.lambda_service.limits import Admission

Body = dict[str, Any]
_NAME = re.compile(r"(arn:aws:lambda:[^:]+:\d+:function:)?[A-Za-z0-9_-]{1,64}")
_MIN_UNRESERVED = 100


class Route(NamedTuple):
    """An operation: its method and path, and what does it. The action's name is what rights are asked for."""

    method: str
    path: re.Pattern[str]
    action: str
    run: Callable[..., Coroutine[Any, Any, tuple[int, Body | None]]]


class Api:
    """The operations on one account's functions."""

    def __init__(self, config: Config, shelf: Shelf, admission: Admission) -> None:
        self._config = config
        self._shelf = shelf
        self._admission = admission
        self._refusals = config.role_refusals
        function, layer = r"/2015-03-31/functions/([^/]+)", r"/2018-10-31/layers/([^/]+)/versions"
        table = (
            ("POST", r"/2015-03-31/functions/?", "CreateFunction", self._create),
            ("GET", r"/2015-03-31/functions/?", "ListFunctions", self._list),
            ("GET", function, "GetFunction", self._get),
            ("GET", function + "/configuration", "GetFunctionConfiguration", self._configuration),
            ("PUT", function + "/configuration", "UpdateFunctionConfiguration", self._configure),
            ("PUT", function + "/code", "UpdateFunctionCode", self._replace),
            ("DELETE", function, "DeleteFunction", self._delete),
            ("PUT", r"/2017-10-31/functions/([^/]+)/concurrency", "PutFunctionConcurrency", self._reserve),
            ("DELETE", r"/2017-10-31/functions/([^/]+)/concurrency", "DeleteFunctionConcurrency", self._unreserve),
            ("GET", r"/2019-09-30/functions/([^/]+)/concurrency", "GetFunctionConcurrency", self._reserved),
            (
                "PUT",
                r"/2019-09-25/functions/([^/]+)/event-invoke-config",
                "PutFunctionEventInvokeConfig",
                self._retries,
            ),
            ("GET", r"/2017-03-31/tags/(.+)", "ListTags", self._tags),
            ("POST", r"/2017-03-31/tags/(.+)", "TagResource", self._tag),
            ("DELETE", r"/2017-03-31/tags/(.+)", "UntagResource", self._untag),
            ("POST", layer, "PublishLayerVersion", self._publish),
            ("GET", layer, "ListLayerVersions", self._layer_versions),
            ("GET", layer + r"/(\d+)", "GetLayerVersion", self._layer),
            ("DELETE", layer + r"/(\d+)", "DeleteLayerVersion", self._unpublish),
            ("GET", r"/2018-10-31/layers/?", "ListLayers", self._layers),
            ("GET", r"/2016-08-19/account-settings/?", "GetAccountSettings", self._account),
        )
        self._routes = tuple(
            Route(method, re.compile(path), f"lambda:{action}", run) for method, path, action, run in table
        )

    def find(self, request: Request) -> tuple[Route, tuple[str, ...]]:
        """The operation and the variable parts of its path. Refused when there is no such operation."""
        for route in self._routes:
            if route.method == request.method and (found := route.path.fullmatch(request.path)):
                return route, found.groups()
        raise not_found(f"Unable to determine service/operation name to be authorized: {request.method} {request.path}")

    async def _create(self, request: Request) -> tuple[int, Body | None]:
        body = json.loads(request.body)
        name = body["FunctionName"].rpartition(":")[2]
        if not _NAME.fullmatch(name):
            raise invalid(f"Value '{name}' at 'functionName' failed to satisfy constraint: [a-zA-Z0-9-_]+")
        if name in self._shelf.functions:
            raise conflict(f"Function already exist: {name}")
        settings = checked(body)
        for needed in ("Runtime", "Handler", "Role"):
            if needed not in settings:
                raise invalid(f"{needed} is mandatory for functions created with deployment packages.")
        if self._refusals > 0:
            self._refusals -= 1
            raise invalid("The role defined for the function cannot be assumed by Lambda.")
        code = unpack(await self._bytes(body["Code"], "CreateFunction"), self._shelf.directory)
        architecture = body.get("Architectures", ["x86_64"])[0]
        layers = self._shelf.need_layers(body.get("Layers", []), code)
        function = Function(name, self._shelf.arn(name), settings, code, architecture, layers, body.get("Tags", {}))
        function.active_at = time.time() + self._config.activation_s
        self._shelf.functions[name] = function
        return 201, function.configuration(time.time())

    async def _list(self, request: Request) -> tuple[int, Body | None]:
        names = sorted(self._shelf.functions)
        start = int(request.query.get("Marker", "0"))
        stop = start + int(request.query.get("MaxItems", "50"))
        listed: Body = {"Functions": [self._shelf.functions[n].configuration(time.time()) for n in names[start:stop]]}
        return 200, {**listed, **({"NextMarker": str(stop)} if stop < len(names) else {})}

    async def _get(self, request: Request, name: str) -> tuple[int, Body | None]:
        function = self._shelf.find(name)
        reserved = self._admission.reserved(function.name)
        return 200, {
            "Configuration": function.configuration(time.time()),
            "Code": {"RepositoryType": "S3", "Location": ""},
            "Tags": function.tags,
            **({} if reserved is None else {"Concurrency": {"ReservedConcurrentExecutions": reserved}}),
        }

    async def _configuration(self, request: Request, name: str) -> tuple[int, Body | None]:
        return 200, self._shelf.find(name).configuration(time.time())

    async def _configure(self, request: Request, name: str) -> tuple[int, Body | None]:
        function, body, now = self._shelf.find(name), json.loads(request.body), time.time()
        function.need_settled(now)
        settings = checked(body)
        if "Layers" in body:
            function.layers = self._shelf.need_layers(body["Layers"], function.code)
        function.settings |= settings
        function.change(now, now + self._config.activation_s)
        return 200, function.configuration(now)

    async def _replace(self, request: Request, name: str) -> tuple[int, Body | None]:
        function, body, now = self._shelf.find(name), json.loads(request.body), time.time()
        function.need_settled(now)
        if not body.get("DryRun"):
            code = unpack(await self._bytes(body, "UpdateFunctionCode"), self._shelf.directory)
            self._shelf.need_room(function.layers, code)
            function.code = code
            function.architecture = body.get("Architectures", [function.architecture])[0]
            function.change(now, now + self._config.activation_s)
        return 200, function.configuration(now)

    async def _delete(self, request: Request, name: str) -> tuple[int, Body | None]:
        function = self._shelf.find(name)
        del self._shelf.functions[function.name]
        self._admission.reserve(function.name, None, time.monotonic())
        function.generation += 1
        return 204, None

    async def _bytes(self, code: Body, operation: str) -> bytes:
        """The zip: in the request, or an object that this service fetches with its own rights."""
        if "ZipFile" in code:
            return direct(base64.b64decode(code["ZipFile"]), operation)
        if "S3Bucket" not in code:
            raise invalid("Please provide a source for function code.")
        return await asyncio.to_thread(self._fetch, code["S3Bucket"], code["S3Key"])

    def _fetch(self, bucket: str, key: str) -> bytes:
        import boto3
        from botocore.exceptions import ClientError

        first = self._config.identities[0]
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=self._config.s3_endpoint,
            aws_access_key_id=first.access_key,
            aws_secret_access_key=first.secret_key,
            region_name=self._config.region,
        )
        try:
            return bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise invalid(f"Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {error}") from None

    async def _reserve(self, request: Request, name: str) -> tuple[int, Body | None]:
        wanted = int(json.loads(request.body)["ReservedConcurrentExecutions"])
        function = self._shelf.find(name)
        free = self._admission.unreserved() + (self._admission.reserved(function.name) or 0)
        if free - wanted < min(_MIN_UNRESERVED, self._admission.limits.concurrency // 10):
            raise invalid(
                "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below"
                f" its minimum value of [{_MIN_UNRESERVED}]."
            )
        self._admission.reserve(function.name, wanted, time.monotonic())
        return 200, {"ReservedConcurrentExecutions": wanted}

    async def _unreserve(self, request: Request, name: str) -> tuple[int, Body | None]:
        self._admission.reserve(self._shelf.find(name).name, None, time.monotonic())
        return 204, None

    async def _reserved(self, request: Request, name: str) -> tuple[int, Body | None]:
        reserved = self._admission.reserved(self._shelf.find(name).name)
        return 200, {} if reserved is None else {"ReservedConcurrentExecutions": reserved}

    async def _retries(self, request: Request, name: str) -> tuple[int, Body | None]:
        function = self._shelf.find(name)
        function.retries = int(json.loads(request.body).get("MaximumRetryAttempts", 2))
        return 200, {"FunctionArn": f"{function.arn}:$LATEST", "MaximumRetryAttempts": function.retries}

    async def _tags(self, request: Request, arn: str) -> tuple[int, Body | None]:
        return 200, {"Tags": self._shelf.by_arn(arn).tags}

    async def _tag(self, request: Request, arn: str) -> tuple[int, Body | None]:
        self._shelf.by_arn(arn).tags |= json.loads(request.body)["Tags"]
        return 204, None

    async def _untag(self, request: Request, arn: str) -> tuple[int, Body | None]:
        self._shelf.by_arn(arn).tags.pop(request.query.get("tagKeys", ""), None)
        return 204, None

    async def _publish(self, request: Request, name: str) -> tuple[int, Body | None]:
        body = json.loads(request.body)
        return 201, self._shelf.add_layer(name, body, await self._bytes(body["Content"], "PublishLayerVersion"))

    async def _layer_versions(self, request: Request, name: str) -> tuple[int, Body | None]:
        newest_first = sorted(self._shelf.layers.get(name, {}).values(), key=lambda version: -version["Version"])
        wanted = request.query.get("CompatibleArchitecture", "")
        found = [each for each in newest_first if not wanted or wanted in each["CompatibleArchitectures"]]
        start = int(request.query.get("Marker", "0"))
        stop = start + int(request.query.get("MaxItems", "50"))
        more = {"NextMarker": str(stop)} if stop < len(found) else {}
        return 200, {"LayerVersions": found[start:stop], **more}

    async def _layer(self, request: Request, name: str, number: str) -> tuple[int, Body | None]:
        return 200, self._shelf.layer(name, int(number))

    async def _unpublish(self, request: Request, name: str, number: str) -> tuple[int, Body | None]:
        self._shelf.remove_layer(name, int(number))
        return 204, None

    async def _layers(self, request: Request) -> tuple[int, Body | None]:
        latest = {name: versions[max(versions)] for name, versions in self._shelf.layers.items() if versions}
        return 200, {
            "Layers": [
                {"LayerName": n, "LayerArn": v["LayerArn"], "LatestMatchingVersion": v} for n, v in latest.items()
            ]
        }

    async def _account(self, request: Request) -> tuple[int, Body | None]:
        concurrency = self._admission.limits.concurrency
        return 200, {
            "AccountLimit": {
                "ConcurrentExecutions": concurrency,
                "UnreservedConcurrentExecutions": self._admission.unreserved(),
                "CodeSizeUnzipped": 262144000,
                "CodeSizeZipped": 52428800,
                "TotalCodeSize": 80530636800,
            },
            "AccountUsage": {
                "FunctionCount": len(self._shelf.functions),
                "TotalCodeSize": sum(f.code.size for f in self._shelf.functions.values()),
            },
        }
