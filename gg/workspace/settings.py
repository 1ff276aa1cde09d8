"""Settings: flags over environment over `gg.toml` in the workspace over the user's own file. The environment is read here alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from gg.errors import UsageError
from gg.light.named import NamedTuple
from gg.light.slotted import names_of, replace, slotted
from gg.workspace import homes
from gg.workspace.engine_names import ENGINES

_ISOLATIONS = ("pathmap", "namespace")


@slotted(kw_only=True)
class Settings:
    """What a run is told. `jobs` 0 means one a processor; `budget` in dollars, 0 for no limit; `store_size` in bytes, 0 for
    no limit."""

    jobs: int = 0
    engine: tuple[str, ...] = ("local",)
    fallback: str = "local"
    isolation: str = "pathmap"
    keep_going: bool = False
    retries: int = 4
    memory: int = 0
    real: tuple[str, ...] = ()
    store: str = ""
    share: bool = True
    trusted: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    functions: str = "gg-worker"
    regions: tuple[str, ...] = ()
    workers: tuple[str, ...] = ()
    queue: str = ""
    silence: float = 120.0
    spot_cpus: int = 0
    spot_budget: float = 0.0
    reapi: str = ""
    reapi_root: str = "/"
    reapi_platform: tuple[str, ...] = ()
    reapi_headers: tuple[str, ...] = ()
    reapi_priority: int = 0
    reapi_ca: str = ""
    reapi_certificate: str = ""
    reapi_key: str = ""
    known_as: str = ""
    budget: float = 0.0
    store_size: int = 20 << 30

    def width(self) -> int:
        """How many attempts may run at once."""
        if self.jobs:
            return self.jobs
        from gg.host.machine import processors

        return processors()


class Held(NamedTuple):
    """Settings in the workspace's `gg.toml` at `path` that do not count, for this user has not allowed them.

    `said`: names and values as they are in the file, `[tool]` tables under `tool`. `settings`: all settings as they would be
    if these counted. `owner`: if nothing of the file counts, the user who put it there; else None.
    """

    path: str
    digest: str
    said: Mapping[str, object]
    settings: Settings
    owner: int | None


_ENVIRONMENT = {name: f"GG_{name.upper()}" for name in names_of(Settings)} | {"store": "GG_STORAGE_URI"}
_INSIDE = ("SOCKET", "SHIM", "SHIMS", "TOOLS", "DECLARED", "BYPASS", "WATCHED", "EXEC_PATH", "OUTSIDE", "SECRETS")
_RECORDINGS = frozenset(f"GG_{name}" for name in _INSIDE)
_KEPT, _PLACES = "GG_GIVEN_", ("HOME", "PYTHONHOME", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONUSERBASE")
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")  # what Python sets LC_CTYPE to

TRACED = ("configure", "cmake", "meson")
"""The settings that matter to `--trace` alone."""


def gg_dir() -> str:
    """`GG_DIR`, the directory in which the workspace's state is to be; empty when it is not set."""
    return os.environ.get("GG_DIR", "")


def recorder_socket() -> str:
    """`GG_SOCKET`: set inside a command that is being recorded."""
    return os.environ.get("GG_SOCKET", "")


def outside_environment() -> dict[str, str]:
    """The environment that this process was given, without the variables that a recording around it has put there."""
    env = given_environment()
    shims = env.get("GG_SHIMS")
    if shims and "PATH" in env:
        env["PATH"] = os.pathsep.join(part for part in env["PATH"].split(os.pathsep) if part != shims)
    return {name: value for name, value in env.items() if name not in _RECORDINGS}


def is_interposed() -> bool:
    """Is the interposer loaded into this process, and can it be left behind?"""
    return "libgg-record.so" in os.environ.get("LD_PRELOAD", "") and "GG_OUTSIDE" not in os.environ


def go_outside() -> None:
    """Take on the environment of a process outside of any recording."""
    env = outside_environment()
    os.environ.clear()
    os.environ.update(env)


def given_environment() -> dict[str, str]:
    """The environment that this process was given, for the command that is recorded. What toolchain-wrappers/start/start.c has kept
    is put back. In the C locale Python sets LC_CTYPE when it starts (PEP 538); that is taken out again.
    """
    env = dict(os.environ)
    env.update({name: env.pop(_KEPT + name) for name in _PLACES if _KEPT + name in env})
    if env.get("LC_CTYPE") in _COERCED:
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read()
        except OSError:
            given = b""
        if b"\0LC_CTYPE=" not in b"\0" + given:
            del env["LC_CTYPE"]
    return env


def without_withheld(env: Mapping[str, str], headers: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """The environment of a recorded build, and the names of those that are not in it: secrets that only gg needs, except what
    `GG_PASS` names. `headers`: the setting `reapi_headers`."""
    from gg.core.secrets import PASSED, secrets_in

    found = secrets_in(env, headers)
    passed = found.intersection(os.environ.get("GG_PASS", "").replace(",", " ").split())
    kept = {name: value for name, value in env.items() if name not in found or name in passed}
    return {**kept, PASSED: " ".join(sorted(passed))} if passed else kept, sorted(found - passed)


def secret_key() -> str:
    """`GG_KEY`: the text of a secret key to sign results with, for machines without a home; empty when it is not set."""
    return os.environ.get("GG_KEY", "")


def variable(name: str) -> str:
    """A variable of the environment that a setting names; empty when it is not set."""
    return os.environ.get(name, "")


def lambda_role() -> str:
    """`GG_LAMBDA_ROLE`: the ARN of a role for gg deploy to use instead of making one; empty when it is not set."""
    return os.environ.get("GG_LAMBDA_ROLE", "")


def aws_variables() -> dict[str, str]:
    """The variables of the environment that AWS's own library looks at."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def terminal_variables() -> dict[str, str]:
    """The variables that describe the terminal."""
    names = ("TERM", "COLORTERM", "GCC_URLS", "TERM_URLS")
    return {name: os.environ[name] for name in names if name in os.environ}


def has_proxies() -> bool:
    """Whether the environment names any proxy."""
    names = [name.lower() for name, value in os.environ.items() if value]
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def without_settings(home: str) -> dict[str, str]:
    """The environment of a command for which none of gg's settings holds; `home`: a directory in which there are none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GG_")}
    return {**kept, "XDG_CONFIG_HOME": home}


def load(workspace_root: str | None, **flags: object) -> Settings:
    """The settings in force; a flag that is None was not given. UsageError names the place of a wrong one."""
    settings = _of_files(workspace_root)[0]
    settings = _merge(settings, {k: os.environ[v] for k, v in _ENVIRONMENT.items() if os.environ.get(v)}, "environment")
    settings = _merge(settings, {k: v for k, v in flags.items() if v is not None}, "command line")
    _check_engines(settings)
    if settings.known_as:
        from gg.workspace.setting_values import check_known_as

        check_known_as(settings.known_as, workspace_root)
    return settings


def held(workspace_root: str | None) -> Held | None:
    """The settings in the workspace's file that are not harmless and that this user has not allowed; None if there are none."""
    return _of_files(workspace_root)[1]


def given(flags: Mapping[str, object]) -> set[str]:
    """The names of the settings that the command line or the environment gives."""
    return {k for k, v in _ENVIRONMENT.items() if os.environ.get(v)} | {k for k, v in flags.items() if v is not None}


def allowed_here() -> tuple[str, ...]:
    """`GG_TRUST`: digests of the settings that are allowed, or `all`, for machines on which nobody can be asked (CI)."""
    return tuple(os.environ.get("GG_TRUST", "").replace(",", " ").split())


def _of_files(workspace_root: str | None) -> tuple[Settings, Held | None]:
    """The settings of the user's own file and the workspace's, and those of the workspace's that do not count."""
    own = os.path.join(homes.home(), "gg.toml")
    homes.need_closed(own)
    settings = _merge(Settings(), _file(own)[0], own)
    place, owner = _nearest(workspace_root) if workspace_root else (None, None)
    if place is None or place == own:
        return settings, None
    from gg.workspace.harmless import beyond_harmless
    from gg.workspace.setting_values import refuse_keys

    try:
        values, tables = _file(place)
        refuse_keys(values, place)
        whole = _merge(settings, values, place)
    except UsageError:
        if owner is None:
            raise
        return settings, None  # a mistake in somebody's file must not stop others
    said = {
        **(beyond_harmless(settings, whole, values) if owner is None else values),
        **({"tool": tables} if tables else {}),
    }
    digest = _digest(said) if said else ""
    if not said or _is_allowed(digest):
        return whole, None
    counted = {name: getattr(whole, name) for name in values if name not in said}
    return replace(settings, **counted) if counted else settings, Held(place, digest, said, whole, owner)


def _digest(said: Mapping[str, object]) -> str:
    """The digest of the settings in a file, however they are written."""
    import json

    from blake3 import blake3

    return str(blake3(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest())


def _is_allowed(digest: str) -> bool:
    from gg.workspace import allowed

    return bool({"all", digest} & set(allowed_here())) or allowed.is_allowed(homes.home(), "settings", digest)


def _check_engines(settings: Settings) -> None:
    for name in (*settings.engine, *([] if settings.fallback == "never" else [settings.fallback])):
        if name not in ENGINES:
            raise UsageError(f"there is no engine {name!r}", hint=f"one of: {', '.join(ENGINES)}")
    if not settings.engine:
        raise UsageError("no engine is named", hint=f"one of, or several: {', '.join(ENGINES)}")


def tools(workspace_root: str | None) -> list[tuple[str, Mapping[str, object]]]:
    """The `[tool.NAME]` tables that count: each settings file that has some, the user's own first, and what it says."""
    own = os.path.join(homes.home(), "gg.toml")
    place = _nearest(workspace_root)[0] if workspace_root else None
    found = [(own, _file(own)[1])]
    if place is not None and place != own and not held(workspace_root):
        found.append((place, _file(place)[1]))
    return [(place, tables) for place, tables in found if tables]


def _nearest(root: str) -> tuple[str, int | None] | tuple[None, None]:
    """The `gg.toml` at or above `root`; and its owner, if it is above and somebody else can have put it there."""
    path = os.path.join(root, "gg.toml")
    if os.path.exists(path):
        return path, None
    believed = {0, os.geteuid(), os.stat(root).st_uid} if os.path.isdir(root) else set()
    while (above := os.path.dirname(root)) != root:
        root, path = above, os.path.join(above, "gg.toml")
        try:
            owners = [os.lstat(path).st_uid, os.stat(path).st_uid, os.stat(root).st_uid]
            open_to_all = os.stat(root).st_mode & 0o002
        except OSError:
            continue
        strangers = [owner for owner in owners if owner not in believed]
        return path, strangers[0] if strangers else owners[0] if open_to_all else None
    return None, None


def _file(path: str) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The settings and the `[tool]` tables in a file. UsageError for a name or a type that is wrong."""
    if not os.path.lexists(path):
        return {}, {}
    from gg.workspace.settings_file import read

    return read(path, {name: getattr(Settings(), name) for name in names_of(Settings)})


def _merge(settings: Settings, values: Mapping[str, object], place: str) -> Settings:
    if not values:
        return settings
    from gg.workspace.setting_values import converted, with_hosts

    changed: dict[str, object] = {}
    for name, value in values.items():
        changed[name] = converted(name, value, getattr(settings, name), place)
    if "engine" in changed:
        changed |= with_hosts(changed["engine"], place)
    settings = replace(settings, **changed)
    _check(settings, changed, place)
    return settings


def _check(settings: Settings, changed: Mapping[str, object], place: str) -> None:
    """UsageError for an impossible value, even if nothing will need it."""
    if settings.isolation not in _ISOLATIONS:
        raise UsageError(f"{place}: isolation is {settings.isolation!r}", hint=f"one of {', '.join(_ISOLATIONS)}")
    if settings.jobs < 0 or settings.retries < 1:
        raise UsageError(f"{place}: jobs and retries are positive numbers")
    if settings.memory < 0:
        raise UsageError(f"{place}: memory is a number of bytes")
    if settings.spot_cpus < 0 or not 0 <= settings.spot_budget < float("inf"):
        raise UsageError(f"{place}: spot_cpus and spot_budget are positive numbers: of processors, of dollars a day")
    if not 0 < settings.silence < float("inf"):
        raise UsageError(f"{place}: silence is a number of seconds above 0")
    if not 0 <= settings.budget < float("inf") or ("budget" in changed and not settings.budget):
        raise UsageError(f"{place}: the budget is a number of dollars above 0", hint="for instance 2.50")
