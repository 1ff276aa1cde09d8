"""A Lambda layer that holds toolchains: its content, limits and zip. Each object is a file named by its digest. Pure.

Workers find the objects below /opt/gg/objects (`gg.worker.layer_objects`). The layer is marked by a digest of its objects' names,
which are digests themselves. So nothing needs to be read or packed to see that a layer is there already.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from blake3 import blake3

from gg.deploy.package import entry
from gg.deploy.toolchain import Object, ToolObjects
from gg.errors import UsageError

# docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: a function with its layers, unzipped, and the zip of a request.
MOST_UNZIPPED, MOST_DIRECT = 262_144_000, 50 << 20
_FORMAT = b"gg layer 1\0"
_PATH = "gg/objects/"
_MB = 1e6
_MOST_TEXT = 256  # of a layer version's description


class Layer(NamedTuple):
    """The content of /opt. `told`: each tool as it was given, and what it adds to those before it, for people."""

    told: tuple[str, ...]
    objects: Mapping[str, Object]

    @property
    def size(self) -> int:
        """Bytes, unzipped."""
        return sum(each.size for each in self.objects.values())

    @property
    def digest(self) -> str:
        return blake3(_FORMAT + "\0".join(sorted(self.objects)).encode()).hexdigest()[:32]

    @property
    def mark(self) -> str:
        """The beginning of the description of a version with this content."""
        return f"gg toolchain {self.digest}"

    @property
    def description(self) -> str:
        return f"{self.mark}: {', '.join(self.told)}"[:_MOST_TEXT]

    def zip(self) -> bytes:
        """The zip. Its bytes are the same for the same objects, wherever it is made with the same zlib."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, each in sorted(self.objects.items()):
                archive.writestr(entry(_PATH + name, each.executable), each.read(name), compresslevel=6)
        return out.getvalue()


def plan(tools: Sequence[ToolObjects], function: int) -> Layer:
    """One layer with all these tools, for a function of `function` bytes. UsageError if Lambda would not take it."""
    objects: dict[str, Object] = {}
    for tool in tools:
        objects |= tool.objects
    layer = Layer(_told(tools), objects)
    over = layer.size + function - MOST_UNZIPPED
    if over > 0:
        raise UsageError(
            f"unzipped, the layer has {megabytes(layer.size)} and the function {megabytes(function)}, and Lambda takes "
            f"{megabytes(MOST_UNZIPPED)}: {megabytes(over)} too much",
            hint=_advice(tools, over),
        )
    return layer


def _told(tools: Sequence[ToolObjects]) -> tuple[str, ...]:
    seen: set[str] = set()
    told: list[str] = []
    for tool in tools:
        told.append(f"{tool.name} {'+' * bool(seen)}{megabytes(_added(tool, seen))}")
        seen |= tool.objects.keys()
    return tuple(told)


def check_way(zipped: int, region: str, bucket_region: str) -> None:
    """UsageError for a zip that is too large for a request and cannot go through the bucket, which is in another region."""
    if zipped > MOST_DIRECT and region != bucket_region:
        raise UsageError(
            f"the layer's zip has {megabytes(zipped)}; above {megabytes(MOST_DIRECT)} Lambda takes it from a bucket in its "
            f"own region, and the bucket is in {bucket_region}, not in {region}",
            hint=f"leave out a compiler, or deploy to {region} by itself, with a bucket there",
        )


def _advice(tools: Sequence[ToolObjects], over: int) -> str:
    """Says what to leave out: the smallest tool that is large enough, or else how much each tool brings."""
    if len(tools) == 1:
        return f"leave --layer away: {tools[0].name} travels with the builds then"
    own = [(_own(tool, tools), tool.name) for tool in tools]
    enough = [each for each in own if each[0] >= over]
    if enough:
        return f"leave out {min(enough)[1]}, which brings {megabytes(min(enough)[0])}"
    return "leave out some: " + ", ".join(f"{name} brings {megabytes(size)}" for size, name in own)


def _own(tool: ToolObjects, tools: Sequence[ToolObjects]) -> int:
    """Bytes of a tool's objects that no other tool has."""
    others = set[str]().union(*(other.objects for other in tools if other is not tool))
    return _added(tool, others)


def _added(tool: ToolObjects, there: set[str]) -> int:
    return sum(each.size for name, each in tool.objects.items() if name not in there)


def megabytes(size: int) -> str:
    return f"{size / _MB:.1f} MB"
