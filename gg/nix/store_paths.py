"""Paths of nix's store: queries about them, and the import of new ones."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from gg.errors import GGError
from gg.formats import nar
from gg.workspace.settings import given_environment

_EXPORT = 0x4558494E


@dataclass(frozen=True, slots=True)
class PathToImport:
    """A path to import into the store. `dump` writes its archive."""

    path: str
    dump: Callable[[nar.Write], object]
    references: tuple[str, ...]


def query(*words: str) -> list[str]:
    """The lines that `nix-store --query` prints. GGError with its message when it fails."""
    done = subprocess.run(["nix-store", "--query", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise GGError(f"nix-store --query {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.split()


def closed(paths: Sequence[str]) -> list[str]:
    """The store paths with all that they refer to."""
    return query("--requisites", *paths) if paths else []


def add(trees: Sequence[PathToImport], deriver: str, held: Sequence[str] = ()) -> bool:
    """Have nix import these paths. True if it did. `held`: paths whose locks nix already holds for us."""
    env = {**given_environment(), "NIX_HELD_LOCKS": " ".join(held)}
    env["NIX_CONFIG"] = env.get("NIX_CONFIG", "") + "\nbuild-hook =\nrequire-sigs = false\n"
    if not held:
        del env["NIX_HELD_LOCKS"]
    with subprocess.Popen(
        ["nix-store", "--import"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env
    ) as importer:
        assert importer.stdin is not None
        for tree in _by_reference({tree.path: tree for tree in trees}):
            _export(importer.stdin.write, tree, deriver)
        importer.stdin.write((0).to_bytes(8, "little"))
    return importer.returncode == 0


def _by_reference(trees: Mapping[str, PathToImport]) -> list[PathToImport]:
    """The paths in an order in which each comes after those that it refers to."""
    ordered: dict[str, PathToImport] = {}

    def visit(path: str, above: tuple[str, ...]) -> None:
        if path in ordered or path in above:
            return
        for each in trees[path].references:
            if each in trees and each != path:
                visit(each, (*above, path))
        ordered[path] = trees[path]

    for path in trees:
        visit(path, ())
    return list(ordered.values())


def _export(write: nar.Write, tree: PathToImport, deriver: str) -> None:
    write((1).to_bytes(8, "little"))
    tree.dump(write)
    write(_EXPORT.to_bytes(8, "little"))
    write(nar.string(tree.path))
    write(len(tree.references).to_bytes(8, "little"))
    for each in tree.references:
        write(nar.string(each))
    write(nar.string(deriver))
    write((0).to_bytes(8, "little"))
