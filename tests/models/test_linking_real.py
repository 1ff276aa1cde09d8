"""The link resolver against what the real linkers say that they opened.

Each line is a link by GCC, taken from `gcc -###` as the linker gets it, or one of a linker itself. GNU ld names each
file it opens with --verbose and --trace; all four write them with --dependency-file. Every one must be declared.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from gg.models.linking.entry import default_search_dirs, default_sysroot, flavour_of, resolve
from tests.models.binutils_probe import DiskProbe

SOURCES = {
    "main.c": "int main(void) { return 0; }\n",
    "a.c": "int b(void);\nint main(void) { return b(); }\n",
    "b.c": "int c(void);\nint b(void) { return c(); }\n",
    "c.c": "int c(void) { return 0; }\n",
    "io.cc": '#include <iostream>\nint main() { std::cout << "x"; }\n',
    "v.map": "{ global: b; local: *; };\n",
    "d.list": "{ b; };\n",
    "group.ld": "INPUT(b.o -lc_static)\n",
    "lib/libgroup.so": "GROUP ( libcc.a AS_NEEDED ( -lm ) )\n",
    "extra.ld": "EXTERN(b)\n",
    "args": "-Llib 'a.o' -lb\n",
}

SETUP = """
gcc -c main.c a.c && gcc -c -fPIC b.c c.c && g++ -c -fPIC io.cc
mkdir -p deep out && gcc -shared -Wl,-soname,libc2.so.1 -o deep/libc2.so.1 c.o && ln -s libc2.so.1 deep/libc2.so
gcc -shared -o lib/libb.so b.o -Ldeep -lc2 && gcc -shared -o lib/libr.so b.o -Ldeep -lc2 -Wl,-rpath,'$ORIGIN/../deep'
ar cr lib/libc_static.a c.o && ar cr lib/libcc.a b.o c.o && ar crT thin.a b.o c.o
gcc -flto -c a.c -o lto.o && gcc -nostdlib -r -o rel.o b.o c.o
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with objects, libraries that need libraries, and scripts."""
    root = tmp_path_factory.mktemp("linking")
    for name, text in SOURCES.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    subprocess.run(["sh", "-e", "-c", SETUP], cwd=root, check=True, capture_output=True)
    return root


GCC = [
    "gcc main.o -o main",
    "gcc main.o",
    "gcc main.o -o main -lm -lpthread -ldl -lrt",
    "gcc -static main.o -o main",
    "gcc -static main.o -o main -lm",
    "gcc -static-pie main.o -o main",
    "gcc -no-pie main.o -o main",
    "gcc -nostdlib -shared b.o c.o -o libx.so",
    "gcc -shared b.o c.o -o libx.so",
    "gcc -shared b.o -o libx.so -Llib -lc_static -Wl,-soname,libx.so.1",
    "gcc -shared b.o c.o -Wl,--version-script=v.map -o libx.so",
    "gcc -shared b.o c.o -Wl,--version-script,v.map -Wl,-z,defs -o libx.so",
    "gcc -shared b.o c.o -Wl,--dynamic-list=d.list -o libx.so",
    "gcc -shared -Wl,--no-allow-shlib-undefined c.o lib/libr.so -o libx.so",
    "gcc -r -nostdlib b.o c.o -o r.o",
    "gcc a.o lib/libcc.a -o a",
    "gcc a.o thin.a -o a",
    "gcc a.o -Llib -lcc -o a",
    "gcc a.o -Llib -Wl,-Bstatic -lcc -Wl,-Bdynamic -o a",
    "gcc a.o -Llib -Wl,--push-state,-Bstatic -lcc -Wl,--pop-state -lm -o a",
    "gcc a.o -Llib -l:libcc.a -o a",
    "gcc a.o -Wl,--start-group b.o thin.a -Wl,--end-group -o a",
    "gcc a.o -Wl,--whole-archive lib/libcc.a -Wl,--no-whole-archive -o a",
    "gcc a.o b.o group.ld -Llib -o a -Wl,--allow-multiple-definition",
    "gcc a.o -Llib -lgroup -o a",
    "gcc a.o -Llib -lb -Wl,-rpath-link,deep -o a",
    "gcc a.o -Llib -lb -Wl,-rpath-link=none:deep -o a",
    "gcc a.o -Llib -lb -Wl,-rpath,deep -o a",
    "gcc a.o -Llib -lb -Wl,-R,deep -o a",
    "gcc a.o -Llib -lb -Ldeep -lc2 -o a",
    "gcc a.o -Llib -lr -o a",
    "gcc a.o lib/libr.so -o a",
    "gcc a.o -Wl,--as-needed -Llib -lr -lm -o a",
    "gcc a.o lib/libr.so -Wl,--copy-dt-needed-entries -o a",
    "gcc a.o -Wl,--just-symbols=rel.o -o a",
    "gcc a.o -Wl,-R,rel.o -o a",
    "gcc main.o extra.ld -Llib -lcc -o main",
    "gcc main.o -Wl,-Map=main.map,--cref -o main",
    "gcc main.o -Wl,--gc-sections,--build-id=sha1,-O1,--hash-style=both,-z,now -s -o main",
    "gcc main.o -fopenmp -o main",
    "gcc main.o --coverage -o main",
    "gcc main.o -pg -o main",
    "gcc main.o -pthread -o main",
    "gcc main.o -nostartfiles -o main -Wl,-e,main",
    "gcc main.o -nodefaultlibs -lc -o main",
    "gcc main.o -static-libgcc -o main",
    "gcc main.o -Wl,-retain-symbols-file=d.list -o main",
    "gcc main.o -Wl,--defsym=x=1,--wrap,malloc -o main",
    "g++ io.o -o io",
    "g++ io.o -static-libstdc++ -static-libgcc -o io",
    "g++ -static io.o -o io",
    "g++ io.o -Wl,--as-needed -lm -o io",
    "g++ -shared io.o -o libio.so",
    "gcc a.o -Wl,@args -Wl,-rpath-link,deep -Wl,--allow-multiple-definition -o a",
]

PLAIN = [
    "ld -r -o r.o b.o c.o",
    "ld -shared -o libx.so b.o c.o",
    "ld -e main -o a a.o b.o c.o",
    "ld -e main -o a a.o -Llib -lcc",
    "ld -e main -o a @args -rpath-link deep",
    "ld -e main -o a main.o -lm -lc",
    "ld -e main -o a main.o -nostdlib -L/usr/lib -Llib -lc_static",
    "ld -e main -o a a.o group.ld -Llib",
]

OTHERS = [
    "gcc main.o -o main",
    "gcc -static main.o -o main",
    "g++ io.o -o io",
    "gcc -shared b.o c.o -Wl,--version-script=v.map -o libx.so",
    "gcc a.o thin.a -lm -o a",
    "gcc a.o -Llib -lcc -o a",
    "gcc a.o -Llib -lr -Wl,-rpath-link,deep -o a",
]

PROBE = DiskProbe()
LINKERS = {"bfd": "ld.bfd", "gold": "ld.gold", "lld": "ld.lld", "mold": "mold"}


def run(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True)


def linker_words(line: str, cwd: Path) -> list[str]:
    """What GCC's linker would get; the line itself, without its first word, for a linker's own."""
    if line.startswith("ld "):
        return line.split()[1:]
    done = run([*line.split(), "-###"], cwd)
    command = next(text for text in done.stderr.splitlines() if "/collect2 " in text)
    return shlex.split(command)[1:]


def opened(linker: str, args: list[str], cwd: Path) -> set[str]:
    """The files that the linker says it opened, as real paths."""
    flavour = flavour_of(linker.encode())
    extra = ["--dependency-file=gg.d", *(["--verbose", "--trace"] if flavour == "bfd" else [])]
    done = run([linker, *args, *extra], cwd)
    assert done.returncode == 0, done.stderr
    listed = (cwd / "gg.d").read_text().partition("\n\n")[0].partition(":")[2].replace("\\\n", " ").split()
    text = done.stdout + done.stderr
    said = re.findall(r"^attempt to open (.*) succeeded$", text, re.MULTILINE)
    said += re.findall(r"^opened script file (.*)$", text, re.MULTILINE)
    said += re.findall(r"^found \S+ at (.*)$", text, re.MULTILINE)
    return {os.path.realpath(cwd / name) for name in (*listed, *said)}


def check(linker: str, line: str, tree: Path, tmp_path: Path) -> None:
    cwd = tmp_path / "w"
    shutil.copytree(tree, cwd, symlinks=True)
    program = shutil.which(linker)
    assert program is not None, f"{linker} is not installed"
    args = linker_words(line, cwd)
    linked = resolve(
        [os.fsencode(arg) for arg in args],
        cwd=os.fsencode(cwd),
        search_dirs=default_search_dirs(PROBE, os.fsencode(program)),
        sysroot=default_sysroot(PROBE, os.fsencode(program)),
        probe=PROBE,
        flavour=flavour_of(os.fsencode(linker)),
    )
    assert linked.run_real == ""
    declared = {os.path.realpath(cwd / os.fsdecode(name)) for name in linked.inputs}
    before = {path.relative_to(cwd) for path in cwd.rglob("*")}
    seen = opened(program, args, cwd)
    assert seen, "the linker named no file"
    assert seen - declared == set()
    made = {str(path.relative_to(cwd)) for path in cwd.rglob("*")} - {str(path) for path in before} - {"gg.d"}
    assert made == {os.path.normpath(os.fsdecode(o.path)) for o in linked.outputs if not o.optional}


@pytest.mark.parametrize("line", GCC + PLAIN)
def test_all_that_gnu_ld_opens_is_declared(line: str, tree: Path, tmp_path: Path) -> None:
    check(LINKERS["bfd"], line, tree, tmp_path)


@pytest.mark.parametrize("line", OTHERS)
@pytest.mark.parametrize("flavour", ["gold", "lld", "mold"])
def test_all_that_other_linkers_open_is_declared(flavour: str, line: str, tree: Path, tmp_path: Path) -> None:
    check(LINKERS[flavour], line, tree, tmp_path)
