"""Settings: flags over environment over `gg.toml` in the workspace over the user's own file. The environment is read here alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from gg.core.slotted import names_of, replace, slotted
from gg.errors import UsageError

_ISOLATIONS = ("pathmap", "namespace")
MOST_OF_A_PATH = 460
"""Bytes of the path of a directory that holds state: SQLite opens no path of more than 512."""


@slotted(kw_only=True)
class Settings:
    """What a run is told. `jobs` 0 means one a processor; `budget` in dollars, 0 for no limit."""

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
    trace: tuple[str, ...] = ()
    functions: str = "gg-worker"
    regions: tuple[str, ...] = ()
    known_as: str = ""
    budget: float = 0.0

    def width(self) -> int:
        """How many attempts may run at once."""
        return self.jobs or len(os.sched_getaffinity(0))


_ENVIRONMENT = {
    "jobs": "GG_JOBS",
    "engine": "GG_ENGINE",
    "fallback": "GG_FALLBACK",
    "isolation": "GG_ISOLATION",
    "keep_going": "GG_KEEP_GOING",
    "retries": "GG_RETRIES",
    "memory": "GG_MEMORY",
    "real": "GG_REAL",
    "store": "GG_STORAGE_URI",
    "share": "GG_SHARE",
    "trusted": "GG_TRUSTED",
    "trace": "GG_TRACE",
    "functions": "GG_FUNCTIONS",
    "regions": "GG_REGIONS",
    "known_as": "GG_KNOWN_AS",
    "budget": "GG_BUDGET",
}


_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")  # what Python sets LC_CTYPE to

TRACED = ("configure", "cmake", "meson")
"""What `--trace` alone is about."""


def gg_dir() -> str:
    """`GG_DIR`, the directory in which the workspace's state is to be; empty when it is not set."""
    return os.environ.get("GG_DIR", "")


def recorder_socket() -> str:
    """`GG_SOCKET`: set inside a command that is being recorded."""
    return os.environ.get("GG_SOCKET", "")


def given_environment() -> dict[str, str]:
    """The environment that this process was given, for the command that is recorded.

    Where the locale is C, Python sets LC_CTYPE as it starts (PEP 538): that is taken out again.
    """
    env = dict(os.environ)
    if env.get("LC_CTYPE") in _COERCED:
        try:
            with open("/proc/self/environ", "rb") as file:
                given = file.read()
        except OSError:
            given = b""
        if b"\0LC_CTYPE=" not in b"\0" + given:
            del env["LC_CTYPE"]
    return env


def secret_key() -> str:
    """`GG_KEY`: the text of a secret key to sign results with, for machines without a home; empty when it is not set."""
    return os.environ.get("GG_KEY", "")


def lambda_role() -> str:
    """`GG_LAMBDA_ROLE`: the ARN of a role for gg deploy to use instead of making one; empty when it is not set."""
    return os.environ.get("GG_LAMBDA_ROLE", "")


def aws_variables() -> dict[str, str]:
    """The variables of the environment that AWS's own library looks at."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def has_proxies() -> bool:
    """Whether the environment names any proxy."""
    names = [name.lower() for name, value in os.environ.items() if value]
    return any(name.endswith("_proxy") and name != "no_proxy" for name in names)


def without_settings(home: str) -> dict[str, str]:
    """The environment of a command for which none of gg's settings holds; `home`: a directory in which there are none."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GG_")}
    return {**kept, "XDG_CONFIG_HOME": home}


def cache_home() -> str:
    """Where gg keeps what can be had again, the state of workspaces included: the first of `state_homes` that can be written.

    A path at which nothing can be made where there is none.
    """
    return next((path for path in state_homes() if _usable(path)), "/dev/null/gg")


def state_homes() -> tuple[str, ...]:
    """Where state may be: XDG_CACHE_HOME/gg or ~/.cache/gg; and below TMPDIR, for whoever has no home to write to."""
    spare = os.path.join(_absolute("TMPDIR") or "/tmp", f"gg-{os.geteuid()}")
    cache = _absolute("XDG_CACHE_HOME") or (os.path.join(top, ".cache") if (top := user_home()) else "")
    return (os.path.join(cache, "gg"), spare) if cache else (spare,)


def user_home() -> str:
    """The user's home directory, absolute; empty when nobody tells."""
    named = os.environ.get("HOME", "") or os.path.expanduser("~")
    return named if os.path.isabs(named) else ""


def _absolute(name: str) -> str:
    value = os.environ.get(name, "")
    return value if os.path.isabs(value) else ""


def _usable(path: str) -> bool:
    """Whether state can be kept there: a directory of this user's, or a path at which one can be made."""
    if len(os.fsencode(path)) > MOST_OF_A_PATH:
        return False
    try:
        info = os.lstat(path)
    except OSError:
        return _can_be_made(path)
    if path == state_homes()[-1] and (
        not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o77
    ):
        return False  # where everybody may write, somebody else may have made it
    return os.access(path, os.W_OK | os.X_OK)


def _can_be_made(path: str) -> bool:
    """Not in a home directory that does not exist: it is named so that nothing is kept there (/homeless-shelter)."""
    top = user_home()
    if os.path.lexists(path) or (top and path.startswith(top.rstrip("/") + "/") and not os.path.isdir(top)):
        return False
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    return os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)


def home() -> str:
    """Where the user's own `gg.toml` is looked for: XDG_CONFIG_HOME/gg, or ~/.config/gg."""
    return os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "gg")


def load(workspace_root: str | None, **flags: object) -> Settings:
    """The settings in force; a flag that is None was not given. UsageError names the place of a wrong one."""
    settings = Settings()
    places = [os.path.join(home(), "gg.toml")]
    if workspace_root:
        places.append(os.path.join(workspace_root, "gg.toml"))
    for place in places:
        settings = _merge(settings, _file(place), place)
    settings = _merge(settings, {k: os.environ[v] for k, v in _ENVIRONMENT.items() if os.environ.get(v)}, "environment")
    return _merge(settings, {k: v for k, v in flags.items() if v is not None}, "command line")


def tools(workspace_root: str | None) -> list[tuple[str, Mapping[str, object]]]:
    """The `[tool.NAME]` tables: each settings file that has some, the user's own first, and what it says."""
    places = [os.path.join(d, "gg.toml") for d in (home(), workspace_root) if d]
    found = [(place, _read(place).get("tool", {})) for place in places]
    for place, tables in found:
        if not isinstance(tables, dict):
            raise UsageError(f"{place}: tool is no table", hint="[tool.NAME] declares what a tool reads and writes")
    return [(place, tables) for place, tables in found if isinstance(tables, dict) and tables]


def _file(path: str) -> Mapping[str, object]:
    return {k.replace("-", "_"): v for k, v in _read(path).items() if not isinstance(v, dict)}


def _read(path: str) -> Mapping[str, object]:
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}", hint="mend the file or move it away") from error


def _merge(settings: Settings, values: Mapping[str, object], place: str) -> Settings:
    known = names_of(Settings)
    changed: dict[str, object] = {}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"{place}: unknown setting {name!r}", hint=f"known: {', '.join(sorted(known))}")
        changed[name] = _converted(name, value, getattr(settings, name), place)
    merged = replace(settings, **changed)
    if merged.isolation not in _ISOLATIONS:
        raise UsageError(f"{place}: isolation is {merged.isolation!r}", hint=f"one of {', '.join(_ISOLATIONS)}")
    if merged.jobs < 0 or merged.retries < 1:
        raise UsageError(f"{place}: jobs and retries are positive numbers")
    if not 0 <= merged.budget < float("inf") or ("budget" in changed and not merged.budget):
        raise UsageError(f"{place}: the budget is a number of dollars above 0", hint="for instance 2.50")
    return merged


def _converted(name: str, value: object, default: object, place: str) -> object:
    try:
        if isinstance(default, bool):
            if isinstance(value, str):
                return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
            return bool(value)
        if isinstance(default, int):
            return int(str(value))
        if isinstance(default, float):
            return float(str(value))
        if isinstance(default, tuple):
            if isinstance(value, str):
                return tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, (list, tuple)):
                return tuple(str(part) for part in value)
            raise ValueError
        return str(value)
    except (ValueError, KeyError):
        raise UsageError(f"{place}: {name} cannot be {value!r}") from None
