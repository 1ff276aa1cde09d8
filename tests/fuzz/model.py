"""A random project as values: what its sources and its Makefile say, and the edits that change it.

Every object depends on the Makefile, so an incremental build comes to what a clean one comes to. That holds for gg too, which
is what `tests.fuzz.round` compares.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

DIRECTORIES = ("include", "include/deep", "inc2")
FLAGS = (
    "-O0", "-O1", "-O2", "-Os", "-g", "-g3", "-fPIC", "-ffunction-sections", "-Wall", "-Wextra", "-Wshadow", "-fno-common",
    '-DNAME=\'"a b"\'', "-DTWO=1+1", "-UNAME", "-fvisibility=hidden", "-save-temps=obj", "-gz", "-march=native", "-w", "-pipe",
    "-fdebug-prefix-map=/=/x", "-fmacro-prefix-map=src=SRC", "-gsplit-dwarf",
)  # fmt: skip
# Without a seed of their own these two put a random number into what they make.
GCC_FLAGS = (
    "--coverage -frandom-seed=7", "-flto -frandom-seed=7", "-frecord-gcc-switches", "-fstack-usage", "-fanalyzer", "-fno-ident",
)  # fmt: skip
DEPENDENCIES = ("-MMD -MP", "-MD", "-MMD -MF $(@:.o=.dep)", "-Wp,-MD,$(@:.o=.dep)", "")
AFTERWARDS = (
    "", "", "", "", "", "", "strip -g $@", "cp $@ $@.copy", "ln -f $@ $@.link", "mv $@ $@.t && mv $@.t $@", "chmod 640 $@",
    "ln -sf $(notdir $@) $@.sym", "objcopy --add-section .z=Makefile $@", "touch $@", "wc -c < $@ > $@.size",
    "truncate -s %8 $@", "python3 -c 'import os, sys; print(os.path.getsize(sys.argv[1]))' $@ > $@.size", "cat $@ > $@.cat",
)  # fmt: skip
REPORTS = (
    "nm {lib} > $@", "./{prog} > $@", "size {prog} | tail -1 | cut -c1-40 > $@", "cmp {prog} {prog} > $@",
    "cksum {lib} {prog} > $@", "tar cf - {prog} | tar tvf - | tr -s ' ' | cut -d' ' -f3 > $@", "cp {prog} $@",
    "install -m 700 {prog} $@", "readelf -h {prog} > $@", "dd if={prog} bs=64 count=1 of=$@ 2>/dev/null",
    "gzip -nc {lib} > $@", "ls -s --block-size=1 {prog} > $@", "perl -e 'print -s shift' {prog} > $@",
)  # fmt: skip


@dataclass(slots=True)
class Unit:
    """One source file and how it is compiled."""

    name: str
    language: str
    headers: list[int]
    value: int
    flags: list[str] = field(default_factory=list)
    search: list[str] = field(default_factory=list)
    depends: str = ""
    afterwards: str = ""
    in_library: bool = False
    broken: str = ""
    warns: bool = False


class Model:
    """`files()` renders it; `mutate()` changes it in one way and says how."""

    def __init__(self, chance: random.Random, compilers: tuple[str, str]) -> None:
        self.chance = chance
        self.compilers = compilers
        self.headers: list[dict[str, int]] = [self._new_header() for _ in range(chance.randint(2, 6))]
        self.units = [self._new_unit(i) for i in range(chance.randint(3, 7))]
        self.flags = self._some_flags(chance.randint(1, 4))
        self.out = chance.choice(["build", "out put", "."])
        self.reports = chance.sample(REPORTS, chance.randint(0, 4))
        self.generates = chance.random() < 0.5
        self.data = 1
        self.shared = chance.random() < 0.4

    def _new_header(self) -> dict[str, int]:
        places = self.chance.sample(DIRECTORIES, self.chance.choice([1, 1, 2]))
        return {place: self.chance.randint(1, 99) for place in places}

    def _some_flags(self, count: int) -> list[str]:
        gcc = self.compilers[0] == "gcc"
        flags = self.chance.sample(FLAGS, count)
        if gcc and self.chance.random() < 0.3:
            flags.append(self.chance.choice(GCC_FLAGS))
        return flags

    def _new_unit(self, index: int) -> Unit:
        chance = self.chance
        return Unit(
            name=f"{chance.choice(['alpha', 'beta', 'a+b', 'gamma'])}{index}",
            language=chance.choice(["c", "c", "c", "cc", "S"]),
            headers=chance.sample(range(len(self.headers)), chance.randint(1, len(self.headers))),
            value=chance.randint(1, 999),
            flags=self._some_flags(chance.choice([0, 0, 1])),
            search=chance.sample(DIRECTORIES, len(DIRECTORIES)),
            depends=chance.choice(DEPENDENCIES),
            afterwards=chance.choice(AFTERWARDS),
            in_library=index % 2 == 1,
            warns=chance.random() < 0.3,
        )

    # Rendered

    def files(self) -> dict[str, str]:
        """Path and text of every source, the Makefile among them."""
        found = {"Makefile": self._makefile(), "main.c": self._main()}
        for index, places in enumerate(self.headers):
            for place, value in places.items():
                following = f'#include "h{index + 1}.h"\n' if value % 5 == 0 and index + 1 < len(self.headers) else ""
                text = f"#ifndef H{index}\n#define H{index} {value}\n{following}#endif\n"
                found[f"{place}/h{index}.h"] = text
        for unit in self.units:
            found[f"src/{unit.name}.{unit.language}"] = self._source(unit)
        if self.generates:
            found["gen.c"] = f'#include <stdio.h>\nint main(void) {{ puts("#define GEN {self.data}"); return 0; }}\n'
        return found

    def _source(self, unit: Unit) -> str:
        number = unit.name[-1]
        text = "".join(f"#include <h{i}.h>\n" for i in unit.headers)
        value = "+".join([f"H{i}" for i in unit.headers] + [str(unit.value)])
        if unit.broken == "include":
            text += "#include <does/not/exist.h>\n"
        if unit.language == "S":
            bad = " nonsense\n" if unit.broken == "syntax" else ""
            note = ' .section .note.GNU-stack,"",@progbits\n'
            return f"{text} .text\n .globl f{number}\nf{number}:\n movl $({value}), %eax\n ret\n{bad}{note}"
        if self.generates and unit.value % 2:
            text += '#include "gen.h"\n'
        external = 'extern "C" ' if unit.language == "cc" else ""
        visible = '__attribute__((visibility("default")))'
        body = f"int unused{number}; " if unit.warns else ""
        body += "return undeclared; " if unit.broken == "syntax" else ""
        body += "extern int nowhere(int); x = nowhere(x); " if unit.broken == "link" else ""
        return (
            f"{text}{external}{visible} int f{number}(int x);\nint f{number}(int x) {{ {body}return x + {value}; }}\n"
        )

    def _main(self) -> str:
        numbers = [unit.name[-1] for unit in self.units]
        declared = "".join(f"int f{n}(int);\n" for n in numbers)
        calls = " + ".join(f"f{n}(1)" for n in numbers)
        return f'#include <stdio.h>\n{declared}int main(void) {{ printf("%d\\n", {calls}); return 0; }}\n'

    def _makefile(self) -> str:
        out = self.out.replace(" ", "\\ ")
        library = "libx.so" if self.shared else "libx.a"
        inside = [unit for unit in self.units if unit.in_library]
        outside = [unit for unit in self.units if not unit.in_library]
        reports = [f"report{index}" for index in range(len(self.reports))]
        kept = " ".join(flag for flag in self.flags if flag.startswith(("--coverage", "-flto")))
        c, cxx = self.compilers
        members = self._quoted(inside)
        join = f"{cxx} -shared -o $@ {members}" if self.shared else f"rm -f $@; ar rcs $@ {members}"
        lines = [f"all: prog {' '.join(reports)}"]
        lines += [f"prog: main.o {library} {_targets(out, outside)} Makefile"]
        lines += [f"\t{cxx} {kept} -o $@ main.o {self._quoted(outside)} ./{library}"]
        lines += [f"{library}: {_targets(out, inside)} Makefile", f"\t{join}"]
        lines += ["main.o: main.c Makefile", f"\t{c} {' '.join(self.flags)} -c main.c -o $@"]
        for unit in self.units:
            lines += self._rule(unit, _targets(out, [unit]))
        if self.generates:
            lines += ["gen: gen.c Makefile", "\tgcc gen.c -o gen", "gen.h: gen", "\t./gen > gen.h"]
        for name, report in zip(reports, self.reports, strict=True):
            lines += [f"{name}: prog {library} Makefile", "\t" + report.format(lib=library, prog="prog")]
        return "\n".join(lines) + "\n"

    def _quoted(self, units: list[Unit]) -> str:
        return " ".join(f"'{self.out}/{unit.name}.o'" for unit in units)

    def _rule(self, unit: Unit, target: str) -> list[str]:
        compiler = self.compilers[unit.language == "cc"]
        pic = ["-fPIC"] if self.shared and unit.in_library else []
        flags = " ".join([*self.flags, *unit.flags, *pic, *[f"-I{d}" for d in unit.search], "-I."])
        headers = " ".join(f"{place}/h{i}.h" for i, places in enumerate(self.headers) for place in places)
        generated = " gen.h" if self.generates else ""
        depends = unit.depends.replace("$(@:.o=.dep)", f"{unit.name}.dep")
        lines = [
            f"{target}: src/{unit.name}.{unit.language} {headers}{generated} Makefile",
            f"\t@mkdir -p '{self.out}'",
        ]
        lines += [f"\t{compiler} {flags} {depends} -c src/{unit.name}.{unit.language} -o '$@'"]
        if unit.afterwards:
            lines += ["\t" + unit.afterwards.replace("$@", "'$@'")]
        return lines

    # Changed

    def mutate(self) -> str:
        """One edit, named."""
        return self.chance.choice(self._edits())()

    def _edits(self) -> list[Callable[[], str]]:
        return [
            self._edit_header, self._edit_header, self._edit_unit, self._edit_unit, self._shadow, self._unshadow,
            self._reflag, self._break, self._mend, self._search, self._regenerate, self._afterwards, self._add, self._report,
        ]  # fmt: skip

    def _edit_header(self) -> str:
        header = self.chance.choice(self.headers)
        place = self.chance.choice(sorted(header))
        header[place] = self.chance.randint(1, 99)
        return f"header {self.headers.index(header)} in {place}"

    def _edit_unit(self) -> str:
        unit = self.chance.choice(self.units)
        unit.value = self.chance.randint(1, 999)
        unit.warns = self.chance.random() < 0.3
        return f"unit {unit.name}"

    def _shadow(self) -> str:
        index = self.chance.randrange(len(self.headers))
        place = self.chance.choice(DIRECTORIES)
        self.headers[index].setdefault(place, self.chance.randint(1, 99))
        return f"header {index} also in {place}"

    def _unshadow(self) -> str:
        several = [header for header in self.headers if len(header) > 1]
        if not several:
            return self._edit_header()
        header = self.chance.choice(several)
        del header[self.chance.choice(sorted(header))]
        return f"header {self.headers.index(header)} in one place less"

    def _reflag(self) -> str:
        self.flags = self._some_flags(self.chance.randint(1, 4))
        return f"flags {self.flags}"

    def _break(self) -> str:
        unit = self.chance.choice(self.units)
        unit.broken = self.chance.choice(["include", "syntax"] + (["link"] if unit.language == "c" else []))
        return f"{unit.name} broken by {unit.broken}"

    def _mend(self) -> str:
        for unit in self.units:
            unit.broken = ""
        return "all mended"

    def _search(self) -> str:
        unit = self.chance.choice(self.units)
        self.chance.shuffle(unit.search)
        return f"{unit.name} searches {unit.search}"

    def _regenerate(self) -> str:
        self.data += 1
        return "generator"

    def _afterwards(self) -> str:
        unit = self.chance.choice(self.units)
        unit.afterwards = self.chance.choice(AFTERWARDS)
        return f"{unit.name} then {unit.afterwards!r}"

    def _add(self) -> str:
        if len(self.units) > 8:
            return self._edit_unit()
        self.units.append(self._new_unit(len(self.units)))
        return f"new unit {self.units[-1].name}"

    def _report(self) -> str:
        self.reports = self.chance.sample(REPORTS, self.chance.randint(0, 4))
        return "other reports"


def _targets(out: str, units: list[Unit]) -> str:
    """The objects of `units` as make is told them; `out` has its spaces escaped."""
    return " ".join(f"{out}/{unit.name}.o" for unit in units)
