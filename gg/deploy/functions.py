"""The functions, one a memory size, all from the same zip; and their log groups, which forget."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

from gg.deploy.aws_calls import AwsService, Refusal, ResourceAction
from gg.deploy.wanted import HANDLER, Wanted, log_group
from gg.errors import StoreError

_SETTLE_S, _STEP_S = 120.0, 1.0
_TAG = "gg:deployment"
_BUSY = frozenset({"ResourceConflictException"})
_EARLY = frozenset({"InvalidParameterValueException"})


class Functions:
    """Makes and updates the functions. `layer`: the ARN of the version of the deployment's layer that they should have, or empty;
    layers of others are left. `clock` and `sleep` are for tests.
    """

    def __init__(
        self,
        service: AwsService,
        logs: AwsService,
        wanted: Wanted,
        package: bytes,
        description: str,
        *,
        layer: str = "",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lambda = service
        self._logs = logs
        self._wanted = wanted
        self._package = package
        self._description = description
        self._layer = layer
        self._clock = clock
        self._sleep = sleep

    def deploy(self) -> Iterator[ResourceAction]:
        for memory in self._wanted.memory:
            name = self._wanted.function(memory)
            yield self._log(name)
            yield self._function(name, memory)
        yield from remove(
            self._lambda, self._logs, self._wanted.name, self._wanted.architecture, keep=self._wanted.functions
        )

    def _log(self, name: str) -> ResourceAction:
        group, days = log_group(name), self._wanted.log_days
        listed = self._logs.pages("describe_log_groups", "logGroups", logGroupNamePrefix=group)
        found = [each for each in listed if each["logGroupName"] == group]
        detail = f"kept for {days} days"
        if found and found[0].get("retentionInDays") == days:
            return ResourceAction("keep", f"log {group}", detail)
        if not found:
            self._logs.change("create_log_group", logGroupName=group, tags={_TAG: self._wanted.name})
        self._logs.change("put_retention_policy", logGroupName=group, retentionInDays=days)
        return ResourceAction("change" if found else "make", f"log {group}", detail)

    def _function(self, name: str, memory: int) -> ResourceAction:
        what = f"function {name}"
        detail = (
            f"{self._wanted.runtime.name}, {memory} MB, /tmp of {self._wanted.disk_mb} MB, {self._wanted.timeout_s} s"
        )
        found = self._lambda.find("get_function", FunctionName=name)
        if found is None:
            self._create(name, memory)
            return ResourceAction("make", what, detail)
        configuration = found["Configuration"]
        old_code = configuration["CodeSha256"] != base64.b64encode(hashlib.sha256(self._package).digest()).decode()
        attached, layers = arns_of(configuration), self._layers(arns_of(configuration))
        old_settings = any(configuration.get(key) != value for key, value in self._settings(memory).items())
        if old_settings or attached != layers:
            changes = {**self._settings(memory), **({} if attached == layers else {"Layers": layers})}
            self._retried("update_function_configuration", _BUSY, FunctionName=name, **changes)
            self._await_settled(name)
        if old_code:
            self._retried("update_function_code", _BUSY, FunctionName=name, ZipFile=self._package)
            self._await_settled(name)
        looked_at = (("settings", old_settings), ("layers", attached != layers), ("code", old_code))
        changed = [text for text, is_old in looked_at if is_old]
        return ResourceAction(
            "change" if changed else "keep", what, f"{detail}{'; ' if changed else ''}{' and '.join(changed)}"
        )

    def _settings(self, memory: int) -> dict[str, Any]:
        return {
            "Role": self._wanted.role_arn,
            "Handler": HANDLER,
            "Runtime": self._wanted.runtime.name,
            "Description": self._description,
            "Timeout": self._wanted.timeout_s,
            "MemorySize": memory,
            "EphemeralStorage": {"Size": self._wanted.disk_mb},
        }

    def _layers(self, attached: list[str]) -> list[str]:
        """The layers that a function should have, if it has these now."""
        return [arn for arn in attached if not is_ours(arn, self._wanted)] + ([self._layer] if self._layer else [])

    def _create(self, name: str, memory: int) -> None:
        self._retried(
            "create_function",
            _EARLY,  # a new role is not known everywhere at once
            FunctionName=name,
            Code={"ZipFile": self._package},
            Architectures=[self._wanted.architecture],
            Tags={_TAG: self._wanted.name},
            **({"Layers": self._layers([])} if self._layer else {}),
            **self._settings(memory),
        )
        self._await_settled(name)
        self._lambda.change("put_function_event_invoke_config", FunctionName=name, MaximumRetryAttempts=0)

    def _retried(self, operation: str, passing: frozenset[str], **arguments: Any) -> None:
        """Call again while the error is one that passes with time."""
        until = self._clock() + _SETTLE_S
        while True:
            try:
                self._lambda.change(operation, seen=passing, **arguments)
                return
            except Refusal as refusal:
                hopeless = refusal.code in _EARLY and "cannot be assumed" not in refusal.message
                if hopeless or self._clock() >= until:
                    raise StoreError(f"Lambda refuses {operation.replace('_', ' ')}: {refusal.message}") from refusal
            self._sleep(_STEP_S)

    def _await_settled(self, name: str) -> None:
        until = self._clock() + _SETTLE_S
        while not self._lambda.dry:
            now = self._lambda.ask("get_function_configuration", FunctionName=name)
            if now.get("State") == "Active" and now.get("LastUpdateStatus") == "Successful":
                return
            if "Failed" in (now.get("State"), now.get("LastUpdateStatus")) or self._clock() >= until:
                why = now.get("LastUpdateStatusReason") or now.get("StateReason") or f"it stays {now.get('State')}"
                raise StoreError(
                    f"function {name} does not become active: {why}", hint="gg deploy lambda can be repeated"
                )
            self._sleep(_STEP_S / 4)


def remove(
    service: AwsService, logs: AwsService, name: str, architecture: str, keep: tuple[str, ...] = ()
) -> Iterator[ResourceAction]:
    """Remove every function of the deployment, of any memory size, and its log, except those in `keep`."""
    for function in listed(service, name, architecture):
        if function["FunctionName"] in keep:
            continue
        service.change("delete_function", FunctionName=function["FunctionName"])
        yield ResourceAction("remove", f"function {function['FunctionName']}")
        group = log_group(function["FunctionName"])
        found = logs.pages("describe_log_groups", "logGroups", logGroupNamePrefix=group)
        if any(each["logGroupName"] == group for each in found):
            logs.change("delete_log_group", logGroupName=group)
            yield ResourceAction("remove", f"log {group}")


def listed(service: AwsService, name: str, architecture: str) -> list[dict[str, Any]]:
    """The configurations of the deployment's functions, the smallest first."""
    prefix = f"{name}-{architecture}-"
    found = [
        each
        for each in service.pages("list_functions", "Functions")
        if each["FunctionName"].startswith(prefix) and each["FunctionName"].removeprefix(prefix).isdigit()
    ]
    return sorted(found, key=lambda each: int(each["MemorySize"]))


def arns_of(configuration: dict[str, Any]) -> list[str]:
    """The versions of layers that a function has."""
    return [str(each["Arn"]) for each in configuration.get("Layers", ())]


def is_ours(arn: str, wanted: Wanted) -> bool:
    """Whether an ARN is that of a version of this deployment's own layer."""
    return arn.startswith(f"{wanted.layer_arn}:")
