"""The parcel that a spot worker installs: `gg worker`, the parts of gg and the packages that it needs, as one zip.

It is made as the function's zip is. botocore is in it, to find a machine's own credentials, with the descriptions of three services
out of three hundred.
"""

from __future__ import annotations

from gg.deploy import package, wheels
from gg.deploy.package import Package
from gg.deploy.runtimes import OFFERED, Runtime
from gg.deploy.wheels import ZipMember

ENTRIES = ("gg.cli.main", "gg.cli.worker", "gg.worker.slot_process")
PACKAGES = (*wheels.PACKAGES, "click", "botocore", "jmespath", "python-dateutil", "six", "urllib3")
_SERVICES = ("s3", "sqs", "sts")
_START = b"from gg.cli.main import main\n\nmain()\n"
_OF_AMAZON_LINUX = ((3, 11), (3, 12), (3, 13))


def runtime(python: tuple[int, int]) -> Runtime:
    """The runtime of this Python if Amazon Linux 2023 has it, else of the newest one there."""
    there = [each for each in OFFERED if each.python in _OF_AMAZON_LINUX]
    return next((each for each in there if each.python == python), there[0])


def build(wanted: Runtime, architecture: str, cache: str) -> Package:
    """The zip for machines with this Python. GGError if a part is missing."""
    parts = package.parts(wanted, architecture, cache, entries=ENTRIES, packages=PACKAGES, root="/opt/gg/worker")
    parts = [part for part in parts if _needed(part.path)]
    return package.zipped([*parts, ZipMember("start.py", _START)])


def _needed(path: str) -> bool:
    kept, described = "botocore/data/", path.removeprefix("botocore/data/")
    return not path.startswith(kept) or "/" not in described or described.partition("/")[0] in _SERVICES
