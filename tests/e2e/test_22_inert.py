"""Two versions of one package differ in words that reach no byte of most compiles: results are shared just where that is so.

The compiler is behind a script in the manner of nix's, which reads flags from variables.
"""

from __future__ import annotations

import shutil

import pytest

from gg.run import inert
from gg.store.memory import MemoryStore
from tests.e2e.project import Project
from tests.support.thunks import Graph

_WRAPPER = """\
#!/bin/sh
# nix's compiler wrappers do this: flags from the environment, those of the linker for links alone
set -eu
link=1
for p in "$@"; do case $p in -c | -S | -E) link=0 ;; esac done
after=${NIX_CFLAGS_COMPILE:-}
if [ $link = 1 ]; then for flag in ${NIX_LDFLAGS:-}; do after="$after -Wl,$flag"; done; fi
%s
exec REAL "$@" $after
"""
_C = "static int twice(int x) { return 2 * x; } int f(int x) { return twice(x); }\n"
_HIDDEN = "struct S { S(); }; namespace { S s; }\n"
_ONE = {
    "NIX_CFLAGS_COMPILE": "-frandom-seed=aaaaaaaaaa",
    "NIX_LDFLAGS": "-rpath /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-it/lib",
}
_OTHER = {name: value.replace("a" * 10, "bbbbbbbbbb") for name, value in _ONE.items()}


@pytest.fixture
def wrapped(project: Project) -> Project:
    """With wrappers of gcc and g++ first on PATH."""
    install(project, "")
    project.write("x.c", _C)
    project.write("x.cc", _HIDDEN)
    return project


def install(project: Project, more: str) -> None:
    tools = project.root.with_name("tools")
    tools.mkdir(exist_ok=True)
    for name in ("gcc", "g++"):
        real = shutil.which(name)
        assert real
        (tools / name).write_text((_WRAPPER % more).replace("REAL", real))
        (tools / name).chmod(0o755)
    if str(tools) not in project.env["PATH"]:
        project.env["PATH"] = f"{tools}:{project.env['PATH']}"


def second(
    project: Project, *command: str, environments: tuple[dict[str, str], dict[str, str]] = (_ONE, _OTHER)
) -> list[str]:
    """Compile in both environments; what ran for the second, each result being what the tool makes without gg."""
    ran: list[str] = []
    for extra in environments:
        plain = dict(project.env)
        project.env |= extra
        done = project.run(*command)
        assert done.status == 0, done.text
        expected = project.tree()
        for name in ("x.o", "x.s", "x.gcno", "x"):
            project.path(name).unlink(missing_ok=True)
        project.infer(*command)
        ran = project.forced().ran
        project.assert_tree(expected)
        for name in ("x.o", "x.s", "x.gcno", "x"):
            project.path(name).unlink(missing_ok=True)
        project.env.clear()
        project.env.update(plain)
    return ran


@pytest.mark.parametrize("flags", [(), ("-O2", "-Wall", "-fPIC", "-fstack-protector-strong"), ("-g0",), ("-MMD",)])
def test_what_reaches_no_byte_keeps_no_results_apart(wrapped: Project, flags: tuple[str, ...]) -> None:
    assert second(wrapped, "gcc", *flags, "-c", "x.c") == []


def test_nor_in_cxx_where_no_name_is_made(wrapped: Project) -> None:
    wrapped.write("x.cc", "#include <string>\nstd::string g() { return std::string(3, 'x'); }\n")
    assert second(wrapped, "g++", "-c", "x.cc") == []


@pytest.mark.parametrize(
    "flags", [("-g",), ("-flto",), ("--coverage",), ("-frecord-gcc-switches",), ("-fverbose-asm", "-S")]
)
def test_where_the_seed_may_hide_they_are_apart(wrapped: Project, flags: tuple[str, ...]) -> None:
    words = flags if "-S" in flags else (*flags, "-c")
    assert len(second(wrapped, "gcc", *words, "x.c")) == 1


def test_a_file_without_a_name_of_its_own_has_the_tools_bytes(wrapped: Project) -> None:
    """For such a one GCC may make names of the seed (some versions do): `second` compares."""
    assert len(second(wrapped, "g++", "-c", "x.cc")) <= 1


def test_a_name_that_is_made_of_the_seed_is_seen() -> None:
    graph = Graph(MemoryStore())
    thunk = graph.thunks[graph.thunk("x.o", ["gcc", "-frandom-seed=abcdefghij", "-c", "x.c"])]
    assert inert.shows_seed(thunk, [b"\0_GLOBAL__sub_I_x.cc_0A1B2C3D_0x5f3e\0"])
    assert inert.shows_seed(thunk, [b"DW_AT_producer GNU C17 -frandom-seed=abcdefghij"])
    assert not inert.shows_seed(thunk, [b"\0_GLOBAL__sub_I_x.cc\0", b"warning: no"])


@pytest.mark.parametrize(
    "more",
    [
        'after="$after -DFLAGS=\\"$NIX_LDFLAGS\\""; set -f; IFS=:',
        'case ${NIX_LDFLAGS:-} in *aaaa*) after="$after -O3 -DA" ;; esac',
        'case ${NIX_CFLAGS_COMPILE:-} in *=b*) after="$after -fno-inline" ;; esac',
    ],
)
def test_a_wrapper_that_passes_it_on_keeps_them_apart(wrapped: Project, more: str) -> None:
    install(wrapped, more)
    wrapped.write("x.c", _C + "#ifdef A\nint a;\n#endif\n")
    assert len(second(wrapped, "gcc", "-O1", "-c", "x.c")) == 1


def test_another_flag_in_a_variable_keeps_them_apart(wrapped: Project) -> None:
    other = {**_OTHER, "NIX_CFLAGS_COMPILE": _OTHER["NIX_CFLAGS_COMPILE"] + " -DX=1"}
    assert len(second(wrapped, "gcc", "-c", "x.c", environments=(_ONE, other))) == 1


def test_a_link_is_apart_for_its_run_path(wrapped: Project) -> None:
    wrapped.write("x.c", "int main(void) { return 0; }\n")
    assert len(second(wrapped, "gcc", "-o", "x", "x.c")) >= 1
