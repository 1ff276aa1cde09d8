"""Which settings of a workspace count unasked, and what is remembered of answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gg.errors import SetupError, UsageError
from gg.light.slotted import names_of
from gg.workspace import allowed, homes
from gg.workspace import settings as config
from gg.workspace.allowed import Allowance
from gg.workspace.elsewhere_needed import need_place
from gg.workspace.engine_names import ENGINES, PLACES
from gg.workspace.harmless import ASKED, HARMLESS
from tests.support.traps import trap

KEY = "ann:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GG_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "config"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    return home / "gg"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


def said(tree: Path, text: str) -> config.Held | None:
    (tree / "gg.toml").write_text(text)
    return config.held(str(tree))


def test_somebody_has_decided_about_every_setting() -> None:
    names = set(names_of(config.Settings))
    places = {setting for settings in PLACES.values() for setting in settings}
    assert places <= names
    of_engines = places | {name for name in names if name.partition("_")[0] in ENGINES}
    assert set(HARMLESS) | ASKED | of_engines == names
    assert not set(HARMLESS) & (ASKED | of_engines)
    assert not ASKED & of_engines


@pytest.mark.parametrize(
    "text",
    [
        "jobs = 2", "keep-going = true", 'engine = "local"', 'fallback = "never"', 'isolation = "namespace"', "share = false",
        'real = ["ld"]', "memory = 1", "budget = 1.5", "retries = 1", 'trace = ["configure"]', 'known_as = "/src/x"', "",
        'isolation = "pathmap"', 'fallback = "local"', 'store = ""', 'store_size = "20G"', "share = true",
    ],
)  # fmt: skip
def test_what_counts_unasked(tree: Path, text: str) -> None:
    assert said(tree, text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('engine = "lambda"', "engine"),
        ('engine = ["local", "lambda"]', "engine"),
        ('fallback = "lambda"', "fallback"),
        ('engine = "remote"', "engine"),
        ('engine = "local,remote=theirs"', "engine"),
        ('workers = ["theirs"]', "workers"),
        ('store = "s3://theirs/x"', "store"),
        (f'trusted = ["{KEY}"]', "trusted"),
        ('functions = "theirs"', "functions"),
        ('regions = ["us-east-1"]', "regions"),
        ('store-size = "1"', "store_size"),
        ("store_size = 0", "store_size"),
        ('[tool.cat]\noperands = ["input"]', "tool"),
    ],
)
def test_what_does_not(tree: Path, text: str, name: str) -> None:
    held = said(tree, f"jobs = 3\n{text}\n")
    assert held is not None
    assert list(held.said) == [name]
    plain = config.Settings(jobs=3)
    assert config.load(str(tree)) == plain
    assert config.tools(str(tree)) == []
    allowed.allow(homes.home(), Allowance("settings", held.digest, held.path))
    assert config.held(str(tree)) is None
    assert (config.load(str(tree)), config.tools(str(tree))) != (plain, [])


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ('isolation = "namespace"', 'isolation = "pathmap"'),
        ("share = false", "share = true"),
        ("budget = 1.0", "budget = 2.0"),
        ('store = "s3://mine/x"', 'store = ""'),
        (f'trusted = ["{KEY}"]', "trusted = []"),
    ],
)
def test_no_limit_of_the_users_own_is_lifted(tree: Path, home: Path, mine: str, theirs: str) -> None:
    home.mkdir(parents=True)
    (home / "gg.toml").write_text(mine)
    before = config.load(str(tree))
    assert said(tree, theirs) is not None
    assert config.load(str(tree)) == before


def test_what_is_allowed_is_its_content(tree: Path) -> None:
    held = said(tree, 'store = "s3://ours/x"\n')
    assert held is not None
    allowed.allow(homes.home(), Allowance("settings", held.digest, held.path))
    assert said(tree, 'jobs = 7 # a comment\nstore="s3://ours/x"\n') is None
    assert config.load(str(tree)).store == "s3://ours/x"
    assert said(tree, 'store = "s3://theirs/x"\n') is not None
    assert said(tree, f'store = "s3://ours/x"\ntrusted = ["{KEY}"]\n') is not None


def test_where_nobody_is_asked(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = said(tree, 'store = "s3://ours/x"\n')
    assert held is not None
    monkeypatch.setenv("GG_TRUST", f"0123,{held.digest}")
    assert config.held(str(tree)) is None
    assert said(tree, 'store = "s3://theirs/x"\n') is not None
    monkeypatch.setenv("GG_TRUST", "all")
    assert config.held(str(tree)) is None


def test_answers_are_kept_and_forgotten(tmp_path: Path) -> None:
    home = str(tmp_path / "home" / "gg")
    odd = 'a "path"\nwith \N{SNOWMAN} and \udcff'
    one, two = Allowance("settings", "d1", odd), Allowance("refused", "d2", "/tree/gg.toml")
    allowed.allow(home, one)
    allowed.allow(home, two)
    assert allowed.listed(home) == [one, two]
    path = tmp_path / "home" / "gg" / "allowed"
    assert path.stat().st_mode & 0o777 == 0o600
    allowed.allow(home, two._replace(kind="settings"))
    assert allowed.listed(home)[1].kind == "settings", "the last answer counts"
    assert allowed.remove(home, "/tree") == [two._replace(kind="settings")]
    path.write_bytes(path.read_bytes() + b"settings\nsettings d3 {\nsettings d4 5\n\xff\xfe\n")
    assert allowed.listed(home) == [one]
    path.chmod(0o666)
    assert allowed.listed(home) == [], "somebody else may have written it"


def test_a_mistake_of_the_workspace_is_told_whether_or_not_it_counts(tree: Path) -> None:
    with pytest.raises(UsageError, match="store cannot be 5"):
        said(tree, "store = 5\n")


@pytest.mark.parametrize("kind", ["pipe", "device", "holes", "deep", "large", "directory", "loop"])
def test_a_file_of_settings_that_is_a_trap(tree: Path, kind: str) -> None:
    path = tree / "gg.toml"
    if kind in ("pipe", "device", "holes"):
        trap(path, kind)
    elif kind == "deep":
        path.write_text("a = " + "[" * 100_000)
    elif kind == "large":
        path.write_text("# " + "x" * (1 << 21))
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("gg.toml")
        assert config.load(str(tree)) == config.Settings(), "it is not there"
        return
    with pytest.raises(UsageError, match=r"gg\.toml"):
        config.load(str(tree))


@pytest.mark.parametrize("variables", [{"XDG_CONFIG_HOME": ".config"}, {"XDG_CONFIG_HOME": "", "HOME": "."}])
def test_no_directory_of_the_tree_is_the_users_own(
    variables: dict[str, str], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is none: what it leads to depends on where the user is."""
    for name, value in {"HOME": str(tree.parent), **variables}.items():
        monkeypatch.setenv(name, value)
    (tree / ".config" / "gg").mkdir(parents=True)
    (tree / ".config" / "gg" / "gg.toml").write_text('store = "s3://theirs/x"\n')
    (tree / ".config" / "gg" / "allowed").write_text(f'settings {"0" * 64} "x"\n')
    monkeypatch.chdir(tree)
    assert config.load(str(tree)) == config.Settings()
    assert os.path.isabs(homes.home())
    assert not allowed.listed(homes.home())


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_another_users_mistake_above_stops_nobody(tree: Path, tmp_path: Path) -> None:
    for text in ("jobs = \n", "nothing = 1\n", "store = 5\n"):
        (tmp_path / "gg.toml").write_text(text)
        os.chown(tmp_path / "gg.toml", 1234, 1234)
        assert config.load(str(tree)) == config.Settings()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
def test_another_users_settings_above_count_when_they_are_allowed(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "gg.toml").write_text("jobs = 3\n")
    os.chown(tmp_path / "gg.toml", 1234, 1234)
    held = config.held(str(tree))
    assert held is not None
    assert held.owner == 1234
    assert config.load(str(tree)).jobs == 0
    allowed.allow(homes.home(), Allowance("settings", held.digest, held.path))
    assert config.load(str(tree)).jobs == 3


@pytest.mark.parametrize(
    ("text", "flags", "refused"),
    [
        ('functions = "theirs"', {}, False),
        ('functions = "theirs"', {"engine": "lambda"}, True),
        ('functions = "theirs"', {"engine": "lambda", "functions": "mine"}, False),
        ('store = "s3://theirs/x"', {"engine": "lambda"}, True),
        ('store = "s3://theirs/x"', {"store": "s3://mine/x"}, False),
        ('engine = "lambda"', {}, False),
        ('engine = "lambda"\nfallback = "never"', {}, True),
        (f'trusted = ["{KEY}"]', {"store": "s3://mine/x"}, False),
    ],
)
def test_work_does_not_go_to_another_place_than_asked(
    tree: Path, text: str, flags: dict[str, Any], refused: bool
) -> None:
    held = said(tree, text)
    assert held is not None
    settings = config.load(str(tree), **flags)
    if refused:
        with pytest.raises(SetupError, match="is not allowed to"):
            need_place(held, settings, config.given(flags))
    else:
        need_place(held, settings, config.given(flags))
