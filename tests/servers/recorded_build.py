"""A build of many small thunks that is recorded once and forced again and again, each time as if for the first time."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.e2e.project import Forced, Project, Tree
from tests.servers.deployed import Deployed


def assembly(units: int, parts: int) -> dict[str, str]:
    """Sources: `units` that are assembled, in `parts` libraries that are linked into one object."""
    each = units // parts
    makefile = f"""N = $(shell seq 1 {each})
LIBS = $(patsubst %,lib%.a,$(shell seq 1 {parts}))
all.o: $(LIBS) ; ld -r -o $@ --whole-archive $(LIBS)
define lib
lib$(1).a: $(patsubst %,u$(1)_%.o,$(N)) ; ar rcs $$@ $$^
endef
$(foreach part,$(shell seq 1 {parts}),$(eval $(call lib,$(part))))
%.o: %.s ; as -o $@ $<
"""
    names = [(part, number) for part in range(1, parts + 1) for number in range(1, each + 1)]
    return {
        "Makefile": makefile,
        **{f"u{p}_{n}.s": f".globl f{p}_{n}\nf{p}_{n}: .long {1000 * p + n}\n" for p, n in names},
    }


class RecordedBuild:
    """`make` in `project`, recorded; `plain` is what it makes without gg."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.plain: Tree = project.plain("make")[0]
        project.infer("make")
        self._kept = (project.root, Path(project.env["HOME"]))  # what gg knows of the build is in the home
        self._aside = project.root.with_name("recorded")
        for directory in self._kept:
            shutil.copytree(directory, self._aside / directory.name, symlinks=True)

    def restore(self, here: Deployed) -> None:
        """As it was recorded, in front of `here`."""
        for directory in self._kept:
            shutil.rmtree(directory)
            shutil.copytree(self._aside / directory.name, directory, symlinks=True)
        self.project.env |= here.environment()

    def force(self, here: Deployed, *arguments: str) -> Forced:
        """From the beginning, with functions that are whatever they have become; what earlier forces made is known to nobody."""
        self.restore(here)
        return self.project.forced(*arguments)
