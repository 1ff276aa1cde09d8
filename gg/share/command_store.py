"""The store that a command uses: the workspace's own, and the team's behind it if one is set."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from gg.errors import SetupError
from gg.light.slotted import replace
from gg.store.directory import DirectoryStore
from gg.workspace import homes
from gg.workspace import settings as config
from gg.workspace.workspace import Workspace

if TYPE_CHECKING:
    from gg.share.keys import Keyring
    from gg.share.s3.remote import Remote
    from gg.share.s3.uri import StoreUri
    from gg.store.base import Store

ReportTrouble = Callable[[str], None]

SOCKET = "unix:"
_ON_AWS = frozenset({"lambda", "spot"})
_OBSTORE = ("obstore", "cryptography", "zstandard")


def open_store(
    workspace: Workspace,
    settings: config.Settings,
    report: ReportTrouble = lambda text: None,
    near: Store | None = None,
) -> Store:
    """The store of `workspace`, in front of the team's store that `settings.store` names. `report(text)` is called for trouble
    with the team's store.

    `near`: the workspace's store, if the caller has it open already; closing the result leaves that one open.
    """
    settings = _with_store(workspace, settings)
    borrowed = near is not None
    near = near or DirectoryStore(os.fsencode(workspace.store))
    if not settings.store:
        return near
    needed = not _ON_AWS.isdisjoint((*settings.engine, settings.fallback))
    if settings.store.startswith(SOCKET) and not needed:
        return _by_socket(workspace, settings, near, report, borrowed=borrowed)
    try:
        remote = open_remote(workspace, settings)
        if needed and remote.where.scheme != "s3":
            remote.close()
            raise SetupError(
                f"functions of Lambda and spot workers cannot read {remote.where}",
                hint="they need a store in S3: s3://BUCKET/PREFIX?region=R",
            )
    except BaseException as error:
        if isinstance(error, SetupError) and not needed:  # the library that the store needs is not installed
            report(f"going on without the shared store: {error.what}")
            return near
        if not borrowed:
            near.close()
        raise
    return _tiered(workspace, settings, remote, near, report, borrowed=borrowed, needed=needed)


def _by_socket(
    workspace: Workspace, settings: config.Settings, near: Store, report: ReportTrouble, *, borrowed: bool
) -> Store:
    """`near` before the store at the socket that `settings.store` names."""
    from gg.share.s3 import uri
    from gg.share.socket_store import SocketStore
    from gg.share.tiered import Tiered

    far = SocketStore(uri.parse(settings.store).prefix)
    scratch = os.fsencode(workspace.tmp)
    return Tiered(near, far, share=settings.share, report=report, scratch=scratch, borrowed=borrowed, needed=False)


def _tiered(
    workspace: Workspace,
    settings: config.Settings,
    remote: Remote,
    near: Store,
    report: ReportTrouble,
    *,
    borrowed: bool,
    needed: bool,
) -> Store:
    """`near` before the store that `remote` reaches."""
    from gg.share.s3.store import S3Store
    from gg.share.tiered import Tiered
    from gg.share.unshared import PREFIX, Unshared

    share = settings.share and remote.where.writable
    if share and remote.keyring.own is None:
        report(
            "results are not shared: there is no key to sign them with (gg key new; or share = false, to say no more)"
        )
        share = False
    return Tiered(
        near,
        S3Store(remote, report=report),
        share=share,
        report=report,
        scratch=os.fsencode(workspace.tmp),
        borrowed=borrowed,
        needed=needed,
        unshared=Unshared(os.fsencode(os.path.join(workspace.dot, PREFIX + _name(remote.where)))),
    )


def check(settings: config.Settings) -> None:
    """UsageError for a text that can be no store or no key, even if nothing will need it."""
    if settings.store:
        from gg.share.s3 import uri

        uri.parse(settings.store)
    if settings.trusted:
        from gg.share import keys as trust

        for text in settings.trusted:
            trust.parse_public(text)


def _with_store(workspace: Workspace, settings: config.Settings) -> config.Settings:
    """The settings, with a default for the lambda engine: the store that its functions were deployed with."""
    if settings.store or "lambda" not in (*settings.engine, settings.fallback):
        return settings
    from gg.deploy.found import remembered

    return replace(settings, store=next((each.store for each in remembered(workspace.dot) if each.store), ""))


def open_remote(workspace: Workspace, settings: config.Settings) -> Remote:
    """The store that `settings.store` names, remembered in the workspace. No request is made yet."""
    from gg.aws.failures import need_extra
    from gg.share.s3 import uri

    where = uri.parse(settings.store)
    if where.scheme == "unix":
        raise SetupError(
            f"{settings.store} is a socket of this machine", hint="for engines elsewhere a store is in a bucket"
        )
    if where.scheme == "s3":
        need_extra("a store in a bucket")
    else:
        need_extra(f"a store in {where.scheme}://", *_OBSTORE, extra="buckets")
    from gg.share.s3.remote import Remote

    return Remote(where, os.fsencode(os.path.join(workspace.dot, f"remote-{_name(where)}.db")), keyring(settings))


def _name(where: StoreUri) -> str:
    """The name under which the records keep what is remembered of the store at `where`."""
    from blake3 import blake3

    return blake3(f"{where}\0{where.region}\0{where.endpoint}".encode()).hexdigest(length=8)


def keyring(settings: config.Settings) -> Keyring:
    """The key to sign with and those to trust: the user's own, and the workspace's gg.toml's."""
    from gg.share import keys as trust

    home = homes.home()
    keys = [*trust.trusted(home), *map(trust.parse_public, settings.trusted)]
    return trust.Keyring.of(trust.own(home, config.secret_key()), keys)


def remote_of(store: Store) -> Remote | None:
    """The team's store behind `store`, if there is one."""
    from gg.share.s3.store import S3Store
    from gg.share.tiered import Tiered

    return store.far.remote if isinstance(store, Tiered) and isinstance(store.far, S3Store) else None
