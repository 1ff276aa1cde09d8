"""Makes or removes a whole deployment in one region, and yields each step when it is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gg import __version__
from gg.deploy import functions, role
from gg.deploy import make_bucket as bucket
from gg.deploy.aws_calls import Calls, Done
from gg.deploy.found import Deployment, Function
from gg.deploy.layers import STAYS, Choice, Layers
from gg.deploy.package import Package
from gg.deploy.wanted import Account, Wanted

if TYPE_CHECKING:
    from gg.aws.setup import Session


def account(session: Session) -> Account:
    """Whose account these credentials belong to."""
    told = Calls(session, "sts", dry=True).ask("get_caller_identity")
    return Account(told["Account"], told["Arn"].split(":")[1])


def concurrency(session: Session) -> int:
    """How many functions this account may run at once, in the session's region."""
    told = Calls(session, "lambda", dry=True).ask("get_account_settings")
    return int(told["AccountLimit"]["ConcurrentExecutions"])


def deploy(
    session: Session, wanted: Wanted, package: Package, *, dry: bool, with_bucket: bool = True, layer: Choice = STAYS
) -> Iterator[Done]:
    """Have all of it, in an order in which each thing finds what it needs."""
    if with_bucket:
        yield from bucket.deploy(Calls(session, "s3", dry=dry, owner=wanted.bucket_owner), wanted)
    yield from role.deploy(Calls(session, "iam", dry=dry), wanted)
    service, logs = Calls(session, "lambda", dry=dry), Calls(session, "logs", dry=dry)
    description = f"gg worker {__version__} {package.digest[:12]}"
    shelf = Layers(service, wanted, Calls(session, "s3", dry=dry, owner=wanted.bucket_owner))
    arn = yield from shelf.settle(layer)
    yield from functions.Functions(service, logs, wanted, package.data, description, layer=arn).deploy()
    if arn or not layer.stays:
        yield from shelf.remove(keep=arn)


def undeploy(
    session: Session, wanted: Wanted, *, dry: bool, contents: bool, with_bucket: bool = True
) -> Iterator[Done]:
    """Remove all that is there; things that are not are passed over."""
    service, logs = Calls(session, "lambda", dry=dry), Calls(session, "logs", dry=dry)
    yield from functions.remove(service, logs, wanted.name, wanted.architecture)
    yield from Layers(service, wanted).remove()
    yield from role.remove(Calls(session, "iam", dry=dry), wanted)
    if with_bucket:
        yield from bucket.remove(Calls(session, "s3", dry=dry, owner=wanted.bucket_owner), wanted, contents=contents)


def made(wanted: Wanted) -> Deployment:
    """What an engine needs to know of it."""
    known = tuple(Function(wanted.function(memory), memory) for memory in wanted.memory)
    return Deployment(wanted.region, wanted.architecture, known, wanted.uri)
