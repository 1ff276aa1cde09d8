"""The functions and layers that were deployed: their settings as the Lambda API gives them, and their code on disk."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import shutil
import time
import uuid
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.servers.lambda_service.errors import conflict, invalid, not_found, too_large
from tests.servers.lambda_service.image import PYTHON

MAX_ZIP, MAX_UNZIPPED, MAX_LAYERS = 50 << 20, 250 << 20, 5
_MEMORY, _DISK, _TIMEOUT = range(128, 10241), range(512, 10241), range(1, 901)
_RESERVED: tuple[str, ...] = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
_RESERVED += (
    "AWS_LAMBDA_",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "AWS_EXECUTION_ENV",
)
_KEPT: tuple[str, ...] = (
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment",
    "EphemeralStorage",
    "LoggingConfig",
)
_KEPT += ("TracingConfig", "Runtime")


@dataclass(slots=True)
class Code:
    """An unpacked zip. `size` is that of the zip."""

    directory: Path
    sha256: str
    size: int
    unzipped: int


@dataclass(slots=True)
class Function:
    """One function. `settings` are the fields of its configuration that a caller sets; `layers`: ARNs, and bytes zipped."""

    name: str
    arn: str
    settings: dict[str, Any]
    code: Code
    architecture: str
    layers: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    changed: float = field(default_factory=time.time)
    active_at: float = 0.0
    updated_at: float = 0.0
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))
    generation: int = 0
    retries: int = 2

    @property
    def memory_mb(self) -> int:
        return int(self.settings.get("MemorySize", 128))

    @property
    def timeout_s(self) -> float:
        return float(self.settings.get("Timeout", 3))

    @property
    def disk_mb(self) -> int:
        return int(self.settings.get("EphemeralStorage", {}).get("Size", 512))

    @property
    def variables(self) -> dict[str, str]:
        return dict(self.settings.get("Environment", {}).get("Variables", {}))

    def configuration(self, now: float) -> dict[str, Any]:
        """What GetFunctionConfiguration answers."""
        pending, updating = now < self.active_at, now < self.updated_at
        why = {"StateReason": "The function is being created.", "StateReasonCode": "Creating"} if pending else {}
        return {
            "Timeout": 3,
            "MemorySize": 128,
            "EphemeralStorage": {"Size": 512},
            "Description": "",
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{self.name}"},
            "TracingConfig": {"Mode": "PassThrough"},
            **self.settings,
            "FunctionName": self.name,
            "FunctionArn": self.arn,
            "CodeSize": self.code.size,
            "CodeSha256": self.code.sha256,
            "Version": "$LATEST",
            "PackageType": "Zip",
            "Architectures": [self.architecture],
            "Layers": [{"Arn": arn, "CodeSize": size} for arn, size in self.layers.items()],
            "LastModified": datetime.fromtimestamp(self.changed, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            "RevisionId": self.revision,
            "State": "Pending" if pending else "Active",
            "LastUpdateStatus": "InProgress" if pending or updating else "Successful",
            **why,
        }

    def change(self, now: float, ready_at: float) -> None:
        """Settings or code have changed: what was started before serves no more."""
        self.changed, self.updated_at = now, ready_at
        self.revision = str(uuid.uuid4())
        self.generation += 1

    def need_settled(self, now: float) -> None:
        """Refused while it is being made or changed."""
        if now < self.active_at:
            raise conflict(
                "The operation cannot be performed at this time. The function is currently in the following state: Pending"
            )
        if now < self.updated_at:
            raise conflict(
                f"The operation cannot be performed at this time. An update is in progress for resource: {self.arn}"
            )


def checked(body: dict[str, Any]) -> dict[str, Any]:
    """The fields of a request that a configuration keeps. Refused when Lambda would."""
    settings = {name: body[name] for name in _KEPT if name in body}
    _within(settings.get("MemorySize", 128), _MEMORY, "memorySize")
    _within(settings.get("Timeout", 3), _TIMEOUT, "timeout")
    _within(settings.get("EphemeralStorage", {}).get("Size", 512), _DISK, "ephemeralStorage.size")
    if settings.get("Runtime", PYTHON) != PYTHON:
        raise invalid(
            f"Value {settings['Runtime']} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{PYTHON}]"
        )
    for name in settings.get("Environment", {}).get("Variables", {}):
        if name.startswith(_RESERVED):
            raise invalid(
                "Lambda was unable to configure your environment variables because the environment variables you have"
                f" provided contains reserved keys that are currently not supported for modification. Reserved keys used: {name}"
            )
    return settings


def _within(value: object, allowed: range, name: str) -> None:
    if not isinstance(value, int) or value not in allowed:
        raise invalid(
            f"'{value}' at '{name}' failed to satisfy constraint: between {allowed.start} and {allowed.stop - 1}"
        )


def direct(data: bytes, operation: str) -> bytes:
    """A zip that came in a request. Refused when it is too large for one."""
    if len(data) > MAX_ZIP:
        raise too_large(70167211, operation)
    return data


def unpack(data: bytes, parent: Path) -> Code:
    """Unpack a zip, its permissions included: a file that nobody else may read is not readable in the sandbox either."""
    directory = parent / uuid.uuid4().hex
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unzipped = sum(info.file_size for info in archive.infolist())
            if unzipped > MAX_UNZIPPED:
                raise invalid(f"Unzipped size must be smaller than {MAX_UNZIPPED} bytes")
            directory.mkdir(parents=True)
            archive.extractall(directory)
            for info in archive.infolist():
                _permit(directory / info.filename, info.external_attr >> 16)
    except zipfile.BadZipFile:
        raise invalid("Could not unzip uploaded file. Please check your file, then try to upload again.") from None
    return Code(directory, base64.b64encode(hashlib.sha256(data).digest()).decode(), len(data), unzipped)


def _permit(path: Path, mode: int) -> None:
    """The sandbox's user is not the owner of /var/task in Lambda, so only the rights of others count."""
    others = mode & 0o7
    os.chmod(path, 0o700 if path.is_dir() else (others * 0o100 | 0o200 if mode else 0o644))


class Shelf:
    """All functions and layers of an account."""

    def __init__(self, region: str, account: str, directory: Path) -> None:
        self._prefix = f"arn:aws:lambda:{region}:{account}"
        self.directory = directory
        self.functions: dict[str, Function] = {}
        self.layers: dict[str, dict[int, dict[str, Any]]] = {}
        self._layer_code: dict[str, Code] = {}
        self._numbers: dict[str, int] = {}

    def arn(self, name: str) -> str:
        return f"{self._prefix}:function:{name}"

    def find(self, given: str) -> Function:
        """By name, partial ARN or ARN, with a qualifier or without. Refused when there is none."""
        parts = given.split(":")
        name = parts[parts.index("function") + 1] if "function" in parts else parts[0]
        if name not in self.functions:
            raise not_found(f"Function not found: {self.arn(name)}")
        return self.functions[name]

    def by_arn(self, arn: str) -> Function:
        return self.find(arn)

    def add_layer(self, name: str, body: dict[str, Any], data: bytes) -> dict[str, Any]:
        versions = self.layers.setdefault(name, {})
        number = self._numbers[name] = self._numbers.get(name, 0) + 1  # one that was removed is not given again
        code = unpack(data, self.directory)
        arn = f"{self._prefix}:layer:{name}"
        versions[number] = {
            "Content": {"CodeSha256": code.sha256, "CodeSize": code.size, "Location": ""},
            "LayerArn": arn,
            "LayerVersionArn": f"{arn}:{number}",
            "Description": body.get("Description", ""),
            "CreatedDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
            "Version": number,
            "CompatibleRuntimes": body.get("CompatibleRuntimes", []),
            "CompatibleArchitectures": body.get("CompatibleArchitectures", []),
        }
        self._layer_code[f"{arn}:{number}"] = code
        return versions[number]

    def layer(self, name: str, number: int) -> dict[str, Any]:
        try:
            return self.layers[name][number]
        except KeyError:
            raise not_found(f"The resource you requested does not exist: layer {name}, version {number}") from None

    def remove_layer(self, name: str, number: int) -> None:
        """Nobody can attach it any more; functions that have it keep it."""
        self.layers.get(name, {}).pop(number, None)

    def need_layers(self, arns: list[str], code: Code) -> dict[str, int]:
        """The layers of a function with this code, and their sizes. Refused when Lambda would."""
        if len(arns) > MAX_LAYERS:
            raise invalid(f"Cannot reference more than {MAX_LAYERS} layers.")
        there = {version["LayerVersionArn"] for versions in self.layers.values() for version in versions.values()}
        for arn in arns:
            if arn not in there:
                raise invalid(f"Layer version {arn} does not exist.")
        if len({arn.rpartition(":")[0] for arn in arns}) < len(arns):
            raise invalid(
                "Two different versions of the same layer are not allowed to be referenced in the same function."
            )
        self.need_room(arns, code)
        return {arn: self._layer_code[arn].size for arn in arns}

    def need_room(self, arns: Iterable[str], code: Code) -> None:
        """Refused when a function's code and its layers are more than Lambda unpacks."""
        size = code.unzipped + sum(self._layer_code[arn].unzipped for arn in arns)
        if size > MAX_UNZIPPED:
            raise invalid(
                "Function code combined with layers exceeds the maximum allowed size of"
                f" {MAX_UNZIPPED} bytes. The actual size is {size} bytes."
            )

    def opt(self, function: Function) -> Path | None:
        """The directory for /opt: the function's layers, one over the other."""
        if not function.layers:
            return None
        merged = self.directory / f"opt-{hashlib.sha256(' '.join(function.layers).encode()).hexdigest()[:16]}"
        if not merged.exists():
            for arn in function.layers:
                directory = self._layer_code[arn].directory
                shutil.copytree(directory, merged, dirs_exist_ok=True, symlinks=True, copy_function=_linked)
        return merged


def _linked(source: str, target: str) -> None:
    """A layer over another one replaces its files."""
    Path(target).unlink(missing_ok=True)
    os.link(source, target, follow_symlinks=False)
