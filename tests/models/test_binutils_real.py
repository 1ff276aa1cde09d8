"""The models against the real binary utilities.

A command is run twice in directories of the same content: as it is, and with only the files that its Draft declares
there. It must print the same, end the same way, and write the same bytes to the declared outputs and to nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gg.models.binutils import MODELS
from gg.models.drafts import Call, Draft, Lexer, RunReal, Tool
from tests.models.binutils_probe import DiskProbe

SOURCES = {
    "a.c": "int b(void);\nint main(void) { return b(); }\n",
    "b.c": "int c(void);\nint b(void) { return c(); }\n",
    "c.c": "int c(void) { return 0; }\n",
    "x.s": '.include "part.inc"\n.incbin "blob.bin"\nnop\n',
    "inc/part.inc": "one = 1\n",
    "x.asm": '%include "inc.mac"\nsection .text\nglobal f\nf: ret\nincbin "blob.bin"\n',
    "inc/inc.mac": "%define ONE 1\n",
    "pre.asm": "%define TWO 2\n",
    "blob.bin": "blob",
    "names": "b renamed\n",
    "objects": "b.o 'c.o'\n",
}

SETUP = """
gcc -g -c a.c && gcc -g -c -fPIC b.c && gcc -g -c -fPIC c.c
ar cr old.a b.o && ar crT thin.a b.o c.o && gcc -o prog a.o b.o c.o && cp prog prog.copy && ar rS noindex.a b.o
gcc -shared -o libbc.so b.o c.o && mkdir out && ln -s old.a link.a && objcopy --only-keep-debug prog prog.debug
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with sources, objects, archives and programs."""
    root = tmp_path_factory.mktemp("binutils")
    for name, text in SOURCES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    subprocess.run(["sh", "-e", "-c", SETUP], cwd=root, check=True, capture_output=True)
    return root


COMMANDS = [
    "ar cr new.a b.o c.o",
    "ar crs new.a b.o c.o",
    "ar cru new.a b.o c.o",
    "ar rcsD new.a b.o",
    "ar r new.a b.o",
    "ar crv new.a b.o c.o",
    "ar qc new.a b.o c.o",
    "ar csrDT new.a b.o c.o",
    "ar --thin -cr out/new.a b.o",
    "ar crT new.a thin.a a.o",
    "ar crT new.a old.a a.o",
    "ar cr new.a @objects",
    "ar cr new.a",
    "ar -rcs new.a b.o",
    "ar -r -c new.a b.o",
    "ar --target=elf64-x86-64 cr new.a b.o",
    "ar rc new.a thin.a",
    "ar r old.a c.o",
    "ar rb b.o old.a c.o",
    "ar q old.a c.o",
    "ar cru old.a b.o",
    "ar d old.a b.o",
    "ar m old.a b.o",
    "ar s noindex.a",
    "ar -s noindex.a",
    "ar r link.a c.o",
    "gcc-ar cr new.a b.o c.o",
    "ranlib noindex.a",
    "ranlib -D old.a noindex.a",
    "ranlib thin.a",
    "gcc-ranlib noindex.a",
    "strip prog",
    "strip -g a.o b.o",
    "strip --strip-unneeded libbc.so",
    "strip -o out/prog prog",
    "strip prog prog.copy",
    "strip -g old.a",
    "strip -wx -K main a.o",
    "strip link.a",
    "objcopy --only-keep-debug prog out/prog.debug",
    "objcopy --strip-debug --add-gnu-debuglink=prog.debug prog",
    "objcopy -O binary prog prog.bin",
    "objcopy -I binary -O elf64-x86-64 -B i386:x86-64 blob.bin blob.o",
    "objcopy --redefine-syms=names b.o",
    "objcopy --redefine-syms names b.o out/b.o",
    "objcopy --localize-symbols=names --weaken b.o",
    "objcopy --add-section .blob=blob.bin --set-section-flags .blob=noload,readonly b.o out/b.o",
    "objcopy --dump-section .text=text.bin b.o /dev/null",
    "objcopy --dump-section .text=text.bin b.o out/b.o",
    "objcopy --compress-debug-sections=zlib b.o",
    "as -I inc -o x.o x.s",
    "as -Iinc x.s",
    "as -g --64 -Iinc -o x.o x.s",
    "as --64 -I inc -ahls=x.lst -o x.o x.s",
    "as -I inc -al=x.lst -o x.o x.s",
    "as -I inc --MD x.d -o x.o x.s",
    "as -v -I inc -o x.o x.s",
    "nasm -f elf64 -I inc/ -o x.o x.asm",
    "nasm -felf64 -Iinc -l x.lst -ox.o x.asm",
    "nasm -f elf64 -Iinc/ x.asm",
    "nasm -Iinc/ x.asm",
    "nasm -f elf64 -Ppre.asm -iinc/ -DX=TWO -Ox -g -F dwarf -o x.o x.asm",
    "nasm -f elf64 -Iinc/ -MD x.d -o x.o x.asm",
    "nasm -f elf64 -Iinc/ -MD -o x.o x.asm",
    "nasm -f elf64 -Iinc/ -MP -MQ a$b -MF x.d -MD -o x.o x.asm",
    "nasm -f elf64 -Iinc/ -Zerrors -o x.o x.asm",
    "nasm -f elf64 -I inc/ -MQ x.obj -MF x.obj.ndep x.asm -o x.obj",
    "nasm -E -Iinc/ -o x.i x.asm",
    "nasm -f win64 -Iinc/ x.asm",
    "yasm -f elf64 -I inc -o x.o x.asm",
    "yasm -f elf64 -m amd64 -Iinc -P pre.asm -l x.lst x.asm",
    "yasm --oformat=elf64 --objfile=x.o -I inc x.asm",
    "ld -r -o all.o b.o c.o",
    "ld -r -o all.o @objects",
    "ld -r -o all.o b.o thin.a",
    "ld -r -Map=all.map -o all.o b.o c.o",
    "ld -shared -soname libx.so.1 -o libx.so b.o c.o",
    "ld -e main -o main a.o b.o c.o",
    "ld -e main -o main a.o thin.a",
    "ld -e main -o main a.o libbc.so",
    "ld -e main -o main a.o -L. -l:thin.a",
    "ld -r -b binary -o blob.o blob.bin",
    "ld -r -o all.o --dependency-file=all.d b.o c.o",
    "ld.gold -e main -o main a.o b.o c.o",
    "ld.gold -r -o all.o b.o thin.a",
    "ld.lld -e main -o main a.o thin.a",
    "ld.lld -shared -o libx.so b.o c.o",
    "mold -e main -o main a.o b.o c.o",
]

# What the include scan adds, for those commands that have one.
SCANNED = {Lexer.GAS: (b"inc/part.inc", b"blob.bin"), Lexer.NASM: (b"inc/inc.mac", b"blob.bin")}
PROBE = DiskProbe()


def files_in(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_symlink() or path.is_file())


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in files_in(root)}


def bring(name: bytes, source: Path, to: Path) -> None:
    """Copy one declared file, its symbolic link too, by a path as the Draft has it."""
    relative = os.path.relpath(os.path.join(os.fsencode(source), name), os.fsencode(source)).decode()
    if relative.startswith("../"):
        return  # the toolchain's own
    (to / relative).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / relative, to / relative, follow_symlinks=False)
    if (source / relative).is_symlink():
        bring(os.fsencode((source / relative).readlink()), source, to)


def run(call: Call, cwd: Path) -> tuple[int, bytes, bytes]:
    done = subprocess.run(list(call.argv), cwd=cwd, env=dict(call.env), stdin=subprocess.DEVNULL, capture_output=True)
    return done.returncode, done.stdout, done.stderr


def real_call(line: str, cwd: Path) -> Call:
    argv = tuple(word.encode() for word in line.split())
    path = shutil.which(argv[0])
    assert path is not None, f"{line.split()[0]} is not installed"
    env = {b"PATH": os.environb[b"PATH"], b"LC_ALL": b"C"}
    return Call(Tool(argv[0].decode(), path), argv, os.fsencode(cwd), env)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_needs_and_makes_what_its_draft_says(line: str, tree: Path, tmp_path: Path) -> None:
    whole, bare, done = tmp_path / "work", tmp_path / "bare", tmp_path / "done"
    shutil.copytree(tree, whole, symlinks=True)
    bare.mkdir(parents=True)
    call = real_call(line, whole)
    draft = MODELS[call.tool.name](call, PROBE)
    assert isinstance(draft, Draft), draft
    scanned = [name for scan in draft.scans for name in (*scan.forced, *SCANNED[scan.lexer])]
    for name in (*draft.inputs, *scanned):
        bring(name, whole, bare)
    for directory in (*draft.directories, *(os.path.dirname(output.path) for output in draft.outputs)):
        (bare / directory.decode()).mkdir(parents=True, exist_ok=True)
    before = snapshot(whole)
    as_it_is = run(call, whole)
    whole.rename(done)
    bare.rename(whole)  # both at one path, for debug information holds it
    assert run(call, whole) == as_it_is
    assert as_it_is[0] == 0, as_it_is
    after, again = snapshot(done), snapshot(whole)
    declared = {os.fsdecode(os.path.relpath(os.path.join(call.cwd, output.path), call.cwd)) for output in draft.outputs}
    changed = {name for name in after if after[name] != before.get(name) and not (done / name).is_symlink()}
    assert changed <= declared
    assert {name for name in declared if name not in after} <= {
        os.fsdecode(output.path) for output in draft.outputs if output.optional
    }
    assert {name: again.get(name) for name in declared} == {name: after.get(name) for name in declared}
    if draft.depfile is not None:
        target, _, listed = after[draft.depfile.path.decode()].partition(b"\n\n")[0].partition(b":")
        assert target.strip() in draft.depfile.targets
        assert set(draft.inputs) <= set(listed.replace(b"\\\n", b" ").split())


@pytest.mark.parametrize(
    "line",
    [
        "ar t old.a",
        "ar x old.a",
        "ar p thin.a",
        "nm a.o",
        "nm thin.a",
        "objdump -d prog",
        "readelf -h b.o",
        "size prog",
        "strings prog",
    ],
)
def test_a_tool_that_prints_names_what_it_reads(line: str, tree: Path, tmp_path: Path) -> None:
    whole, bare = tmp_path / "w", tmp_path / "b"
    shutil.copytree(tree, whole, symlinks=True)
    bare.mkdir()
    call = real_call(line, whole)
    answer = MODELS[call.tool.name](call, PROBE)
    assert isinstance(answer, RunReal)
    assert not answer.reads_all
    for name in answer.reads:
        bring(name, whole, bare)
    status, out, err = run(call, whole)
    assert (status, out, err) == run(call, bare)
    assert status == 0
