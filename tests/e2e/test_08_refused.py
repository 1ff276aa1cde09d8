"""What a tool refuses, or does otherwise than one might think: the same words, statuses and files as plainly."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project

# Each line is one command; its status and what it says are kept beside.
OUTPUTS = {
    "the source": "gcc -c x.c -o x.c\ngcc -c x.c -o ./x.c\ngcc -c d/../x.c -o x.c\ngcc -S x.c -o x.c\ngcc -E x.c -o d/../x.c",
    "the source by another name": "gcc -c link.c -o x.c\ngcc -c x.c -o link.c\nas y.s -o y.s\ngcc -c y.s -o ./y.s",
    "an object": "gcc x.o -o x.o\nld -r -o x.o x.o\nld -r -o ./x.o x.o\nld -r x.o p.o -o p.o\nobjcopy x.o x.o\nobjcopy x.o ./x.o",
    "no name": 'gcc -c x.c -o ""\nar rc "" x.o\nstrip ""\nobjcopy "" x.o\ngcc -MMD -MF "" -c x.c -o z.o\ngcc -c x.c ""',
    "no file": "gcc -c x.c -o d\ngcc -c x.c -o d/\ngcc -c x.c -o nowhere/x.o\ngcc -c x.c -o /dev/null\nar rc d x.o\n"
    "gcc -c x.c -o ../../../../../../../../../dev/null\ngcc -c x.c -o x.o/y.o\ngcc -c x.c -o dangling",
    "a dependency file": "gcc -MMD -MF x.c -c x.c -o z.o\ncp kept.c x.c\ngcc -MMD -MF z.o -c x.c -o z.o\n"
    "gcc -MMD -MF ./w.o -c x.c -o w.o\ngcc -MMD -MF x.h -c h.c -o h.o\ngcc -MMD -MF d -c x.c -o v.o",
    "a header": "gcc -c h.c -o x.h\ncp kept.h x.h\ngcc -c h.c -o ./x.h",
    "a listing": "as y.s -o z.o -al=z.o\nas y.s -o z.o -al=y.s\ncp kept.s y.s\n"
    "ld -r x.o -o z.o -Map=z.o\nld -r x.o -o z.o -Map=x.o",
    "a response file": "gcc @args -o args\ncp kept.args args\ngcc @args -o ./args",
    "no PATH": "env -i gcc -c x.c -o n.o\nenv -i gcc -c y.s -o m.o\nenv -u PATH $(command -v gcc) -c x.c -o k.o\nls",
    "several names": "ln x.o z.o\ngcc -c x.c -o z.o\nstrip -g x.o\nln y.s z.s\ngcc -S x.c -o z.s\nln -s x.o w.o\ngcc -c h.c -o w.o",
}
EDITS = {
    "strip": "strip -v p script q\nstrip p script\nstrip script\nstrip empty\nstrip cut.o\nstrip d\nstrip missing p\nstrip text",
    "strip to another": "strip -o o1 script\nstrip -o o2 empty\nstrip -o p script\nstrip -o o3 cut.o\nstrip -o d p",
    "objcopy": "objcopy script\nobjcopy script o1\nobjcopy cut.o\nobjcopy empty o2\nobjcopy script p\nobjcopy missing p",
    "objcopy to formats": "objcopy -I binary -O elf64-x86-64 text t.o\nobjcopy -O binary p p.bin\nobjcopy p.bin\n"
    "objcopy -I binary -O elf64-x86-64 empty e.o\nstrip t.o\nobjcopy -O srec p p.srec",
    "ranlib": "ranlib script\nranlib x.o\nranlib empty\nranlib text\nranlib cut.a\nranlib l.a script\nranlib d",
    "ar": "ar rc script x.o\nar rc empty x.o\nar rc text x.o\nar rc cut.a x.o\nar r l.a text\nar rc x.o x.o\nar q l.a l.a",
    "ar's members": "ar rc n.a missing.o\nar rc m.a x.o missing.o\nar rc k.a d\nar rcs j.a script text empty\nar d l.a missing.o",
    "archives": "strip -g l.a\nar rc t.a text x.o\nstrip t.a\nstrip -g cut.a\nobjcopy l.a\nobjcopy t.a t2.a",
    "what is recorded": "gcc -S x.c -o n.s\nstrip n.s\ngcc -c x.c -o n.o\nranlib n.o\nstrip -g n.o\ngcc -E x.c -o n.i\n"
    "ar rc n.a n.o\nstrip -g n.a\nobjcopy -O binary n.o n.bin\nstrip n.bin\nar r n.i n.o\nobjcopy n.s\nranlib n.a",
    "other machines": "strip other.o\nobjcopy other.o o1.o\nstrip -o o2.o other.o",
    "modes": "chmod 700 p\nobjcopy --add-section .x=text p o1\nchmod 600 x.o\nstrip -g x.o\nobjcopy x.o o2\nobjcopy -O binary p o3",
}


def write(project: Project) -> None:
    project.write("x.c", "int f(void) { return 1; }\n")
    project.write("h.c", '#include "x.h"\n')
    project.write("x.h", "int header;\n")
    project.write("y.s", "f:\n nop\n")
    project.write("main.c", "int main(void) { return 7; }\n")
    project.write("args", "-c x.c")
    for kept, name in (("kept.c", "x.c"), ("kept.h", "x.h"), ("kept.s", "y.s"), ("kept.args", "args")):
        project.write(kept, project.path(name).read_bytes())
    project.write("script", "#!/bin/sh\nexit 9\n", 0o755)
    project.write("empty", "")
    project.write("text", "text\n")
    project.write("d/.keep", "")
    project.path("link.c").symlink_to("x.c")
    project.path("dangling").symlink_to("nothing")
    project.run("gcc", "-g", "-c", "x.c")
    project.run("gcc", "-g", "-c", "h.c", "-o", "p.o")
    project.run("gcc", "-g", "main.c", "-o", "p")
    project.run("gcc", "-g", "main.c", "-o", "q")
    project.run("ar", "rc", "l.a", "x.o", "p.o")
    whole = project.path("x.o").read_bytes()
    project.write("cut.o", whole[:-200])
    project.write("cut.a", project.path("l.a").read_bytes()[:-200])
    project.write("other.o", whole[:18] + b"\x15\0" + whole[20:])  # e_machine of PowerPC


def script(lines: str) -> str:
    """Each line runs, and its status and words are kept; names of temporary files are no part of that."""
    kept = [
        f"{{ {line}; }} >out 2>&1; echo $? >>said; sed 's,/tmp/cc[^.]*,/tmp/cc,g;s,\\<st[A-Za-z0-9]\\{{6\\}},st,g' out >>said"
        for line in lines.split("\n")
    ]
    return "\n".join([*kept, "rm out"])


@pytest.mark.parametrize("lines", [*OUTPUTS.values(), *EDITS.values()], ids=[*OUTPUTS, *EDITS])
def test_refused_as_plainly(project: Project, lines: str) -> None:
    write(project)
    project.same_as_plain("sh", "-c", script(lines), make=False)


@pytest.mark.parametrize("lines", [*OUTPUTS.values(), *EDITS.values()], ids=[*OUTPUTS, *EDITS])
def test_the_same_files_where_nobody_looks(project: Project, lines: str) -> None:
    """What a command says goes where gg-infer's own words go, so nothing makes it run at once."""
    write(project)
    project.same_as_plain("sh", "-c", f"{lines}\ntrue", make=False)
