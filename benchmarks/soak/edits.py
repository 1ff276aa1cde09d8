"""Random edits, seeded: each a step of a sequence, and the sequence has every kind about equally often."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.soak.subjects import WHERE_UNITS_GO, Edit, Subject


@dataclass(frozen=True, slots=True)
class Step:
    """What was done, in words, and the edit. A name in `touched` only gets the time of now."""

    what: str
    edit: Edit
    touched: tuple[str, ...] = ()

    def apply(self, root: Path) -> None:
        for name, data in self.edit.items():
            path = root / name
            if data is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(data)
        for name in self.touched:
            os.utime(root / name)


class Editor:
    """Chooses the next step for the tree at `root`, which must hold what the steps before it left."""

    def __init__(self, subject: Subject, root: Path, seed: int) -> None:
        self._subject = subject
        self._root = root
        self._random = random.Random(seed)
        self._number = 0
        self._bag: list[Callable[[], Step]] = []
        self._added: list[tuple[str, Callable[[], Edit]]] = []

    def next(self) -> Step:
        self._number += 1
        if not self._bag:
            self._bag = [
                self._touch, self._comment, self._code, self._header, self._header_line, self._new_unit,
                self._new_header, self._delete, self._flag, self._back,
            ]  # fmt: skip
            self._random.shuffle(self._bag)
        return self._bag.pop()()

    def _unit(self) -> str:
        return self._random.choice(self._subject.files(self._root, self._subject.units))

    def _text(self, name: str) -> str:
        return (self._root / name).read_text()

    def _suffix(self) -> str:
        return ".cc" if self._subject.name == "mosh" else ".c"

    def _touch(self) -> Step:
        every = self._subject.files(self._root, self._subject.units + self._subject.headers)
        names = tuple(self._random.sample(every, min(2, len(every))))
        return Step(f"touch {' '.join(names)}", {}, names)

    def _comment(self) -> Step:
        name = self._unit()
        line = f"/* soak {self._number} */\n"
        text = line + self._text(name) if self._random.random() < 0.5 else self._text(name) + line
        return Step(f"a comment in {name}", {name: text.encode()})

    def _function(self) -> str:
        n = self._number
        return f"int soak_code_{n}(void);\nint soak_code_{n}(void) {{ return {n}; }}\n"

    def _code(self) -> Step:
        name = self._unit()
        return Step(f"a function in {name}", {name: (self._text(name) + self._function()).encode()})

    def _any_header(self) -> str:
        return self._random.choice(self._subject.files(self._root, self._subject.headers))

    def _header(self) -> Step:
        """What a header declares at its end changes; most objects come out equal."""
        name, n = self._any_header(), self._number
        more = f"#ifndef SOAK_{n}\n#define SOAK_{n}\nenum {{ soak_constant_{n} = {n} }};\n#endif\n"
        return Step(f"a constant in {name}", {name: (self._text(name) + more).encode()})

    def _header_line(self) -> Step:
        """All lines of a header move: debug information changes with them."""
        name = self._any_header()
        return Step(f"a first line in {name}", {name: f"/* soak {self._number} */\n{self._text(name)}".encode()})

    def _new_unit(self) -> Step:
        name = f"{WHERE_UNITS_GO[self._subject.name]}/soak_{self._number}{self._suffix()}"

        def gone() -> Edit:
            return {name: None, **self._subject.unit(self._root, name, False)}

        self._added.append((f"remove {name}", gone))
        text = f"int soak_unit_{self._number}(void);\nint soak_unit_{self._number}(void) {{ return SOAK_FLAG; }}\n"
        text = f"#ifndef SOAK_FLAG\n#define SOAK_FLAG 0\n#endif\n{text}"
        return Step(f"new {name}", {name: text.encode(), **self._subject.unit(self._root, name, True)})

    def _new_header(self) -> Step:
        unit, n = self._unit(), self._number
        header = f"{os.path.dirname(unit)}/soak_{n}.h"
        included = f'#include "soak_{n}.h"\n'

        def gone() -> Edit:
            edit: Edit = {header: None}
            if (self._root / unit).exists():
                edit[unit] = self._text(unit).replace(included, "").encode()
            return edit

        self._added.append((f"remove {header}", gone))
        text = f"static inline int soak_inline_{n}(void) {{ return {n}; }}\n"
        return Step(f"new {header}", {header: text.encode(), unit: (included + self._text(unit)).encode()})

    def _delete(self) -> Step:
        if not self._added:
            return self._new_unit()
        what, gone = self._added.pop(self._random.randrange(len(self._added)))
        return Step(what, gone())

    def _flag(self) -> Step:
        return Step("another flag", self._subject.flag(self._root, self._number))

    def _back(self) -> Step:
        """A unit gets the bytes that it had before its last lines came: what was known once is asked for again."""
        name = self._unit()
        text = self._text(name)
        without = text.removesuffix(f"/* soak {self._number} */\n")
        lines = without.split("\n")
        kept = [line for line in lines if not line.startswith("/* soak ")]
        return Step(f"comments out of {name}", {name: "\n".join(kept).encode()})
