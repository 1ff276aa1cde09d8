"""Settings: flags over environment over `gg.toml` in the workspace over the user's own file. The environment is read here alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from gg.core.slotted import names_of, replace, slotted
from gg.errors import UsageError

ENGINES = ("local", "lambda")
"""Those that exist (`gg.engines.registry`)."""
_ISOLATIONS = ("pathmap", "namespace")
MOST_OF_A_PATH = 460
"""Bytes of the path of a directory that holds state: SQLite opens no path of more than 512."""
_TABLES = ("tool",)


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
    trace: tuple[str, ...] = ()
    functions: str = "gg-worker"
    regions: tuple[str, ...] = ()
    known_as: str = ""
    budget: float = 0.0
    store_size: int = 20 << 30

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
    "store_size": "GG_STORE_SIZE",
}


_RECORDINGS = frozenset(
    f"GG_{name}"
    for name in ("SOCKET", "SHIM", "SHIMS", "TOOLS", "DECLARED", "BYPASS", "WATCHED", "EXEC_PATH", "OUTSIDE")
)
_COERCED = ("C.UTF-8", "C.utf8", "UTF-8")  # what Python sets LC_CTYPE to

TRACED = ("configure", "cmake", "meson")
"""What `--trace` alone is about."""


def gg_dir() -> str:
    """`GG_DIR`, the directory in which the workspace's state is to be; empty when it is not set."""
    return os.environ.get("GG_DIR", "")


def recorder_socket() -> str:
    """`GG_SOCKET`: set inside a command that is being recorded."""
    return os.environ.get("GG_SOCKET", "")


def outside_environment() -> dict[str, str]:
    """The environment that this process was given, without what a recording that it is part of has put there."""
    env = given_environment()
    shims = env.get("GG_SHIMS")
    if shims and "PATH" in env:
        env["PATH"] = os.pathsep.join(part for part in env["PATH"].split(os.pathsep) if part != shims)
    return {name: value for name, value in env.items() if name not in _RECORDINGS}


def is_interposed() -> bool:
    """Is the interposer loaded into this process, and can it be left behind?"""
    return "libgg-record.so" in os.environ.get("LD_PRELOAD", "") and "GG_OUTSIDE" not in os.environ


def go_outside() -> None:
    """Have the environment of a process that no recording knows of."""
    env = outside_environment()
    os.environ.clear()
    os.environ.update(env)


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


def terminal_variables() -> dict[str, str]:
    """What the environment says of the terminal."""
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
    for place in _places(workspace_root):
        settings = _merge(settings, _file(place), place)
    settings = _merge(settings, {k: os.environ[v] for k, v in _ENVIRONMENT.items() if os.environ.get(v)}, "environment")
    settings = _merge(settings, {k: v for k, v in flags.items() if v is not None}, "command line")
    _check_engines(settings)
    return settings


def _check_engines(settings: Settings) -> None:
    for name in (*settings.engine, *([] if settings.fallback == "never" else [settings.fallback])):
        if name not in ENGINES:
            raise UsageError(f"there is no engine {name!r}", hint=f"one of: {', '.join(ENGINES)}")
    if not settings.engine:
        raise UsageError("no engine is named", hint=f"one of, or several: {', '.join(ENGINES)}")


def tools(workspace_root: str | None) -> list[tuple[str, Mapping[str, object]]]:
    """The `[tool.NAME]` tables: each settings file that has some, the user's own first, and what it says."""
    found = [(place, _tables(place)) for place in _places(workspace_root)]
    return [(place, tables) for place, tables in found if tables]


def _places(workspace_root: str | None) -> list[str]:
    """The settings files that count: the user's own, then the nearest at or above the workspace's directory."""
    places = [os.path.join(home(), "gg.toml")]
    nearest = _nearest(workspace_root) if workspace_root else None
    return [*places, nearest] if nearest and nearest not in places else places


def _nearest(root: str) -> str | None:
    """The `gg.toml` at or above `root`. One above is only believed where nobody else could have put it."""
    path = os.path.join(root, "gg.toml")
    if os.path.exists(path):
        return path
    believed = {0, os.geteuid(), os.stat(root).st_uid} if os.path.isdir(root) else set()
    while (above := os.path.dirname(root)) != root:
        root, path = above, os.path.join(above, "gg.toml")
        try:
            if (
                os.stat(path).st_uid in believed
                and os.stat(root).st_uid in believed
                and not os.stat(root).st_mode & 0o002
            ):
                return path
        except OSError:
            continue
    return None


def _tables(path: str) -> Mapping[str, object]:
    tables = _read(path).get("tool", {})
    if not isinstance(tables, dict):
        raise UsageError(
            f"{path}: unknown setting 'tool'",
            hint="[tool.NAME] is a table, which declares what a tool reads and writes",
        )
    return tables


def _file(path: str) -> Mapping[str, object]:
    """The settings in a file. UsageError for a name or a type that is wrong."""
    _tables(path)
    found: dict[str, object] = {}
    for key, value in _read(path).items():
        name = key.replace("-", "_")
        if key not in _TABLES:
            found[name] = value
            _check_file_type(name, value, path)
    return found


def _check_file_type(name: str, value: object, path: str) -> None:
    """TOML has types: `keep_going = "maybe"` and `jobs = true` are mistakes."""
    if name not in names_of(Settings):
        tables = value if isinstance(value, list) else [value]
        raise _unknown(name, path, table=any(isinstance(each, dict) for each in tables))
    default = getattr(Settings(), name)
    if isinstance(default, bool):
        kind, right = "true or false", isinstance(value, bool)
    elif isinstance(default, int):
        kind, right = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        kind, right = "a number", isinstance(value, (int, float)) and not isinstance(value, bool)
    elif isinstance(default, tuple):
        texts = value if isinstance(value, list) else [value]
        kind, right = "a string, or a list of strings", all(isinstance(text, str) for text in texts)
    else:
        kind, right = "a string", isinstance(value, str)
    if not right:
        raise UsageError(f"{path}: {name} cannot be {value!r}", hint=f"it is {kind}")


def _unknown(name: str, place: str, *, table: bool = False) -> UsageError:
    from gg.core.nearest import known_names

    settings = sorted(names_of(Settings))
    if not table:
        return UsageError(f"{place}: unknown setting {name!r}", hint=known_names(name, settings))
    hint = known_names(name, _TABLES) + "; settings are not in a table, they come before the first one"
    return UsageError(f"{place}: unknown table {name!r}", hint=hint)


def _read(path: str) -> Mapping[str, object]:
    try:
        with open(path, "rb") as file:
            import tomllib

            return tomllib.load(file)
    except (FileNotFoundError, NotADirectoryError):  # a home may be /dev/null
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}", hint="mend the file or move it away") from error


def _merge(settings: Settings, values: Mapping[str, object], place: str) -> Settings:
    known = names_of(Settings)
    changed: dict[str, object] = {}
    for name, value in values.items():
        if name not in known:
            raise _unknown(name, place)
        changed[name] = _converted(name, value, getattr(settings, name), place)
    if changed:
        settings = replace(settings, **changed)
        _check(settings, changed, place)
    return settings


def _check(settings: Settings, changed: Mapping[str, object], place: str) -> None:
    """UsageError for a value that cannot be, whether or not anything will need it."""
    if settings.isolation not in _ISOLATIONS:
        raise UsageError(f"{place}: isolation is {settings.isolation!r}", hint=f"one of {', '.join(_ISOLATIONS)}")
    if settings.jobs < 0 or settings.retries < 1:
        raise UsageError(f"{place}: jobs and retries are positive numbers")
    if settings.memory < 0:
        raise UsageError(f"{place}: memory is a number of bytes")
    if not 0 <= settings.budget < float("inf") or ("budget" in changed and not settings.budget):
        raise UsageError(f"{place}: the budget is a number of dollars above 0", hint="for instance 2.50")


def size(text: str, place: str) -> int:
    """Bytes, of a number with a unit if it has one: 500M, 10G. UsageError."""
    number, unit = text.strip().lower().removesuffix("b").removesuffix("i"), 1
    if number[-1:] in tuple("kmgt"):
        number, unit = number[:-1], 1 << 10 * (1 + "kmgt".index(number[-1]))
    try:
        if float(number) >= 0:
            return int(float(number) * unit)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{place}: {text!r} is no size", hint="bytes, or a number and a unit: 500M, 10G")


def _converted(name: str, value: object, default: object, place: str) -> object:
    try:
        if isinstance(default, bool):
            if isinstance(value, str):
                return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
            return bool(value)
        if name == "store_size":
            return size(str(value), place)
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
