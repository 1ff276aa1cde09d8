"""gg in nix's shells: what is built there through gg has the bytes that it has without."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.nix import world

_PLAIN = "mkdir at && cd at && unpackPhase && cd $sourceRoot && configurePhase && buildPhase"
_GG = (
    "mkdir at && cd at && unpackPhase && cd $sourceRoot && ggConfigurePhase && ggBuildPhase && gg explain && gg status"
)
_DOCUMENTED = (world.ROOT / "docs/nix.md").read_text().partition("```sh nix-shell\n")[2].partition("```")[0]
_TYPED = f"mkdir at && cd at && {_DOCUMENTED.strip().replace(chr(10), ' && ')} && gg explain"
_SHELL = """
let pkgs = import {nixpkgs} {{ overlays = [ (import {checkout}/nix/overlay.nix) ]; }};
in pkgs.ggShell {{ inputsFrom = [ pkgs.{package} ]; jobs = 2; }}
"""
_OF_ONES_OWN = """
let pkgs = import {nixpkgs} {{ overlays = [ (import {checkout}/nix/overlay.nix) ]; }};
in pkgs.mkShell {{
  inputsFrom = [ pkgs.words pkgs.count ];
  packages = [ pkgs.gg ];
  shellHook = "source ${{pkgs.gg.shellHookScript}}";
}}
"""
_OF_TWO = """
let pkgs = import {nixpkgs} {{ overlays = [ (import {checkout}/nix/overlay.nix) ]; }};
in pkgs.ggShell {{ inputsFrom = [ pkgs.words pkgs.count ]; engine = "local"; jobs = 2; }}
"""
_FLAKE = """
{{
  inputs.nixpkgs.url = "path:{nixpkgs}";
  inputs.gg = {{ url = "git+file://{checkout}?dir=nix"; inputs.nixpkgs.follows = "nixpkgs"; }};
  outputs = {{ self, nixpkgs, gg }}:
    let pkgs = import nixpkgs {{ system = "x86_64-linux"; overlays = [ gg.overlays.default ]; }}; in {{
      devShells.x86_64-linux.default = pkgs.ggShell {{ inputsFrom = [ pkgs.{package} ]; jobs = 2; }};
    }};
}}
"""
SHELLS = {
    "nix-shell": ["nix-shell", "--run"],
    "pure": ["nix-shell", "--pure", "--run"],
    "develop": ["script", "--quiet", "--return", "--command", "nix develop", "/dev/null"],  # at a terminal
}


def shell(directory: Path, package: str, expression: str = _SHELL) -> None:
    """Write a `shell.nix` and a flake for the package."""
    names = {"nixpkgs": world.nixpkgs(), "checkout": world.checkout(), "package": package}
    (directory / "shell.nix").write_text(expression.format(**names))
    (directory / "flake.nix").write_text(_FLAKE.format(**names))


def say(how: str, script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Say a script in such a shell, as one would type it there."""
    if how == "develop":
        done = world.run(SHELLS[how], cwd=directory, typed=f"({script}); exit $?\n")
    else:
        done = world.run([*SHELLS[how], script], cwd=directory)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def same(plain: Path, other: Path) -> int:
    """Files of a plain build that the other one has too, with the same bytes: objects, archives, libraries, programs."""
    compared = 0
    for file in sorted(path for path in plain.rglob("*") if path.is_file() and not path.is_symlink()):
        data = file.read_bytes()
        if data.startswith((b"\x7fELF", b"!<arch>")):
            assert (other / file.relative_to(plain)).read_bytes() == data, file
            compared += 1
    return compared


def compare(how: str, directory: Path, typed: str) -> tuple[int, str]:
    """Build plainly, then by gg at the same path, which debug information may have; files that are equal, what gg printed."""
    say(how, _PLAIN, directory)
    (directory / "at").rename(directory / "plain")
    done = say(how, typed, directory)
    return same(directory / "plain", directory / "at"), done.stdout


@pytest.mark.parametrize(
    "how", ["nix-shell", *(pytest.param(how, marks=pytest.mark.slow) for how in ("pure", "develop"))]
)
def test_same_bytes_in_a_shell(how: str, tmp_path: Path) -> None:
    shell(tmp_path, "words")
    compared, told = compare(how, tmp_path, _GG)
    assert "0 calls ran for real" in told
    assert compared == 4


@pytest.mark.parametrize("expression", [_OF_ONES_OWN, _OF_TWO], ids=["one's own", "of two packages"])
def test_a_shell_for_more_than_one_package(expression: str, tmp_path: Path) -> None:
    shell(tmp_path, "", expression)
    begin = f"cp -r --preserve=timestamps {world.MINI}/words at && cd at && "
    say("nix-shell", begin + "make", tmp_path)
    (tmp_path / "at").rename(tmp_path / "plain")
    typed = begin + "ggBuildPhase && gg explain && echo by ${GG_ENGINE-none}, ${GG_JOBS-any}"
    told = say("nix-shell", typed, tmp_path).stdout
    assert ("by local, 2" if expression is _OF_TWO else "by none, any") in told
    assert same(tmp_path / "plain", tmp_path / "at") == 4
    assert "every call of the last gg-infer became a thunk" in told


@pytest.mark.parametrize(("variable", "real"), [("NIX_CC_USE_RESPONSE_FILE", 1), ("NIX_LD_USE_RESPONSE_FILE", 0)])
def test_wrappers_that_write_response_files(variable: str, real: int, tmp_path: Path) -> None:
    """gcc does not tell how it links with such a file, so the link runs for real."""
    shell(tmp_path, "words")
    begin = f"export {variable}=1 && "
    say("nix-shell", begin + _PLAIN, tmp_path)
    (tmp_path / "at").rename(tmp_path / "plain")
    told = say("nix-shell", begin + _GG, tmp_path).stdout
    assert same(tmp_path / "plain", tmp_path / "at") == 4
    assert f"{real} calls ran for real" in told


def test_a_wrapper_that_judges_paths(tmp_path: Path) -> None:
    """NIX_ENFORCE_PURITY leaves out directories outside of nix's own: with `known_as` no others than without."""
    shell(tmp_path, "words")
    begin = (
        f"export NIX_ENFORCE_PURITY=1 && cp -r --preserve=timestamps {world.MINI}/words at && cd at && mkdir more && touch "
        "more/more.h && echo '#include <more.h>' >> main.c && "
    )
    make = 'make CFLAGS="-I$PWD/more"'
    say("nix-shell", begin + make, tmp_path)
    (tmp_path / "at").rename(tmp_path / "plain")
    typed = f"{begin} gg-infer --known-as /known/words {make} && gg-force && gg explain"
    told = say("nix-shell", typed, tmp_path).stdout
    assert same(tmp_path / "plain", tmp_path / "at") == 4
    assert "every call of the last gg-infer became a thunk" in told


@pytest.mark.parametrize("how", ["nix", "flake"])
def test_direnv(how: str, tmp_path: Path) -> None:
    """It carries variables and PATH into a shell of one's own."""
    shell(tmp_path, "words")
    shutil.copytree(world.MINI / "words", tmp_path / "source", copy_function=shutil.copy2)
    (tmp_path / ".envrc").write_text(f"use {how}\n")
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert world.run(["direnv", "allow"], cwd=tmp_path, env=env).returncode == 0
    begin = "cd source && make && mv words plain && rm *.o names.h"
    script = f"{begin} && gg-infer make && gg-force && cmp words plain && gg explain"
    done = world.run(["direnv", "exec", ".", "sh", "-c", script], cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert "every call of the last gg-infer became a thunk" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", SHELLS)
@pytest.mark.parametrize("package", ["zlib", "hello", "mosh"])
def test_packages_in_a_shell(how: str, package: str, tmp_path: Path) -> None:
    world.source(package)
    shell(tmp_path, package)
    compared, told = compare(how, tmp_path, _TYPED)
    assert compared > 20
    assert "every call of the last gg-infer became a thunk" in told
