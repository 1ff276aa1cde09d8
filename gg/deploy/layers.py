"""The layer in the account: published when its content is not there yet, removed when no function has it.

A version is known by its description, which begins with the digest of what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, NamedTuple

from gg.deploy.aws_calls import AwsService, ResourceAction
from gg.deploy.functions import arns_of, is_ours, listed
from gg.deploy.layer import MOST_DIRECT, Layer, megabytes
from gg.deploy.wanted import Wanted


class Choice(NamedTuple):
    """The wanted layer and its zip; or none; or `stays`: the user has said nothing, so the present layer stays."""

    layer: Layer | None = None
    zipped: Callable[[], bytes] = bytes
    stays: bool = False


STAYS = Choice(stays=True)


class Layers:
    """The layer of one deployment in one region. Large zips go through `bucket`; None if that is in another region."""

    def __init__(self, service: AwsService, wanted: Wanted, bucket: AwsService | None = None) -> None:
        self._lambda = service
        self._wanted = wanted
        self._bucket = bucket

    def settle(self, choice: Choice) -> Generator[ResourceAction, None, str]:
        """Make the chosen layer. Returns the ARN of the version that functions should have; empty for none."""
        what = f"layer {self._wanted.layer}"
        if choice.stays:
            arn = self._attached()
            if arn:
                yield ResourceAction("keep", what, "as it is; --layer changes it, --layer none takes it off")
            return arn
        if choice.layer is None:
            return ""
        return (yield from self._have(choice.layer, choice.zipped, what))

    def _have(self, layer: Layer, zipped: Callable[[], bytes], what: str) -> Generator[ResourceAction, None, str]:
        """Publish a version with this content, unless there is one. `zipped` is called only if there is none."""
        told = f"{', '.join(layer.told)}: {megabytes(layer.size)}"
        for version in self._versions():
            there = str(version.get("Description", "")).startswith(layer.mark)
            if there and self._wanted.architecture in version.get("CompatibleArchitectures", ()):
                yield ResourceAction("keep", what, told)
                return str(version["LayerVersionArn"])
        data = zipped()
        made = self._publish(layer, data)
        yield ResourceAction("make", what, f"{told}, zip of {megabytes(len(data))}")
        return str(made.get("LayerVersionArn", self._wanted.layer_arn))

    def remove(self, keep: str = "") -> Iterator[ResourceAction]:
        """Remove all versions except `keep` and those that functions of others have."""
        versions = [each for each in self._versions() if each["LayerVersionArn"] != keep]
        used = self._used_by_others() if versions else {}
        for version in versions:
            arn, what = version["LayerVersionArn"], f"layer {self._wanted.layer}, version {version['Version']}"
            if arn in used:
                yield ResourceAction("keep", what, f"function {used[arn]} has it")
                continue
            self._lambda.change("delete_layer_version", LayerName=self._wanted.layer, VersionNumber=version["Version"])
            yield ResourceAction("remove", what)

    def _attached(self) -> str:
        """The version that the deployment's functions have; empty if they have none."""
        functions = listed(self._lambda, self._wanted.name, self._wanted.architecture)
        arns = {arn for each in functions for arn in arns_of(each) if is_ours(arn, self._wanted)}
        return max(arns, key=_number, default="")

    def _publish(self, layer: Layer, data: bytes) -> dict[str, Any]:
        direct = len(data) <= MOST_DIRECT
        name, bucket = f"{self._wanted.prefix}/layers/{layer.digest}.zip", self._wanted.bucket
        if self._bucket and not direct:
            self._bucket.change("put_object", Bucket=bucket, Key=name, Body=data)
        made = self._lambda.change(
            "publish_layer_version",
            LayerName=self._wanted.layer,
            Description=layer.description,
            Content={"ZipFile": data} if direct else {"S3Bucket": bucket, "S3Key": name},
            CompatibleArchitectures=[self._wanted.architecture],
        )
        if self._bucket and not direct:  # Lambda has its own copy
            self._bucket.change("delete_object", Bucket=bucket, Key=name)
        return made

    def _versions(self) -> list[dict[str, Any]]:
        return self._lambda.pages("list_layer_versions", "LayerVersions", LayerName=self._wanted.layer)

    def _used_by_others(self) -> dict[str, str]:
        """Versions that functions of other deployments have, each with the name of one such function."""
        ours: Collection[str] = {
            each["FunctionName"] for each in listed(self._lambda, self._wanted.name, self._wanted.architecture)
        }
        functions = self._lambda.pages("list_functions", "Functions")
        return {
            arn: each["FunctionName"] for each in functions if each["FunctionName"] not in ours for arn in arns_of(each)
        }


def _number(arn: str) -> int:
    return int(arn.rpartition(":")[2])
