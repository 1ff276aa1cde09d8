"""Makes or removes a whole deployment in one region, and yields each step when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gg import __version__
from gg.deploy import functions, role
from gg.deploy import make_bucket as bucket
from gg.deploy.aws_calls import AwsService, ResourceAction
from gg.deploy.found import Deployment, FoundFunction
from gg.deploy.layers import STAYS, Choice, Layers
from gg.deploy.package import Package
from gg.deploy.wanted import Account, Wanted

if TYPE_CHECKING:
    from gg.aws.setup import AwsSession


def account(session: AwsSession) -> Account:
    """The account that these credentials belong to."""
    told = AwsService(session, "sts", dry=True).ask("get_caller_identity")
    return Account(told["Account"], told["Arn"].split(":")[1])


def concurrency(session: AwsSession) -> int:
    """How many functions this account may run at once, in the session's region."""
    told = AwsService(session, "lambda", dry=True).ask("get_account_settings")
    return int(told["AccountLimit"]["ConcurrentExecutions"])


def deploy(
    session: AwsSession, wanted: Wanted, package: Package, *, dry: bool, with_bucket: bool = True, layer: Choice = STAYS
) -> Iterator[ResourceAction]:
    """Make the whole deployment, in an order in which each thing finds what it needs."""
    if with_bucket:
        yield from bucket.deploy(AwsService(session, "s3", dry=dry, owner=wanted.bucket_owner), wanted)
    yield from role.deploy(AwsService(session, "iam", dry=dry), wanted)
    service, logs = AwsService(session, "lambda", dry=dry), AwsService(session, "logs", dry=dry)
    description = f"gg worker {__version__} {package.digest[:12]}"
    shelf = Layers(service, wanted, AwsService(session, "s3", dry=dry, owner=wanted.bucket_owner))
    arn = yield from shelf.settle(layer)
    yield from functions.Functions(service, logs, wanted, package.data, description, layer=arn).deploy()
    if arn or not layer.stays:
        yield from shelf.remove(keep=arn)


def undeploy(
    session: AwsSession, wanted: Wanted, *, dry: bool, contents: bool, with_bucket: bool = True
) -> Iterator[ResourceAction]:
    """Remove everything of the deployment. Things that are not there are passed over."""
    service, logs = AwsService(session, "lambda", dry=dry), AwsService(session, "logs", dry=dry)
    yield from functions.remove(service, logs, wanted.name, wanted.architecture)
    yield from Layers(service, wanted).remove()
    yield from role.remove(AwsService(session, "iam", dry=dry), wanted)
    if with_bucket:
        yield from bucket.remove(
            AwsService(session, "s3", dry=dry, owner=wanted.bucket_owner), wanted, contents=contents
        )


def made(wanted: Wanted) -> Deployment:
    """What an engine needs to know of the deployment."""
    known = tuple(FoundFunction(wanted.function(memory), memory) for memory in wanted.memory)
    return Deployment(wanted.region, wanted.architecture, known, wanted.uri)
