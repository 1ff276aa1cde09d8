"""What links read and write, on machines that are only imagined: search order, scripts, placeholders, sysroots."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gg.core.thunk import Work
from gg.models.binutils.ldscript import Script, read_script
from gg.models.binutils.needed import soname_in
from gg.models.drafts import Depfile, Draft, RunReal, Writes
from gg.models.linking.entry import Linked, Recorded, default_search_dirs, default_sysroot, flavour_of, resolve
from tests.models.binutils_probe import FakeProbe, answer, words
from tests.models.elf_files import I386, build_elf

LIBC_SCRIPT = b"""/* GNU ld script
   Use the shared library, but some functions are only in the static library. INPUT(not-this) */
OUTPUT_FORMAT(elf64-x86-64)
GROUP ( /lib/libc.so.6 /usr/lib/libc_nonshared.a  AS_NEEDED ( /lib64/ld-linux-x86-64.so.2 ) )
"""
BASE: dict[bytes, bytes] = {
    b"/usr/lib/libc.so": LIBC_SCRIPT,
    b"/usr/lib/libc.a": b"!<arch>\n",
    b"/lib/libc.so.6": build_elf(soname=b"libc.so.6", needed=(b"ld-linux-x86-64.so.2",)),
    b"/usr/lib/libc_nonshared.a": b"!<arch>\n",
    b"/lib64/ld-linux-x86-64.so.2": build_elf(soname=b"ld-linux-x86-64.so.2"),
    b"/usr/lib/libm.so": build_elf(soname=b"libm.so.6", needed=(b"libc.so.6",)),
    b"/usr/lib/libm.a": b"!<arch>\n",
    b"/usr/lib/crt1.o": b"\x7fELF",
}
DIRS = (b"=/usr/local/lib", b"=/lib", b"=/usr/lib")
LIBC = "/usr/lib/libc.so /lib/libc.so.6 /usr/lib/libc_nonshared.a /lib64/ld-linux-x86-64.so.2"


def link(
    line: str,
    files: Mapping[bytes, bytes] | None = None,
    *,
    placeholders: tuple[bytes, ...] = (),
    recorded: Mapping[bytes, Recorded] | None = None,
    flavour: str = "bfd",
    sysroot: bytes = b"",
    env: Mapping[bytes, bytes] | None = None,
    globbed: bytes = b"",
) -> Linked:
    class Probe(FakeProbe):
        def run(self, argv, env, cwd=b"/"):  # type: ignore[no-untyped-def]
            self.answers[tuple(argv[1:])] = globbed
            return super().run(argv, env, cwd)

    probe = Probe({**BASE, **(files or {})}, placeholders=placeholders, recorded=recorded)
    return resolve(
        words(line), cwd=b"/w", search_dirs=DIRS, sysroot=sysroot, probe=probe, flavour=flavour, env=env or {}
    )


LINKS = [
    ("x.o", "x.o"),
    ("-o prog /usr/lib/crt1.o x.o -lc", f"/usr/lib/crt1.o x.o {LIBC}"),
    ("-o prog x.o -lm -lc -lm", f"x.o /usr/lib/libm.so {LIBC}"),
    ("-static x.o -lm -lc", "x.o /usr/lib/libm.a /usr/lib/libc.a"),
    ("x.o -Bstatic -lm -Bdynamic -lc", f"x.o /usr/lib/libm.a {LIBC}"),
    ("x.o --push-state -Bstatic -lm --pop-state -lm", "x.o /usr/lib/libm.a /usr/lib/libm.so /lib/libc.so.6"),
    ("x.o -l:libm.a", "x.o /usr/lib/libm.a"),
    ("x.o -l m --library=m --library m", "x.o /usr/lib/libm.so /lib/libc.so.6"),
    ("-r -o all.o x.o y.o -lm", "x.o y.o /usr/lib/libm.a"),
    ("x.o -lfoo -L lib", "x.o lib/libfoo.a"),
    ("x.o -lfoo -Llib2 -Llib", "x.o lib2/libfoo.so"),
    ("x.o --library-path=lib -lfoo", "x.o lib/libfoo.a"),
    ("--start-group x.o lib/libfoo.a --end-group --whole-archive y.a --no-whole-archive", "x.o lib/libfoo.a y.a"),
    ("-( x.o -) -z now -z relro -e start -u sym -y sym -O2 -G 8 -s", "x.o 8"),
    ("-T link.ld x.o", "link.ld x.o"),
    ("--script=link.ld x.o", "link.ld x.o"),
    ("-Tlink.ld -Ttext 0x1000 -Tdata=0x2000 x.o", "link.ld x.o"),
    ("-T sub.ld -Llib x.o", "lib/sub.ld lib/inner.ld x.o"),
    ("x.o --version-script=v.map --dynamic-list d.list --retain-symbols-file=r", "x.o v.map d.list r"),
    ("x.o -Llib --version-script=v2.map", "x.o lib/v2.map"),
    ("-R symbols.elf x.o", "symbols.elf x.o"),
    ("-R lib x.o", "x.o"),
    ("--just-symbols=symbols.elf x.o", "symbols.elf x.o"),
    ("-plugin /p/lto.so -plugin-opt=/p/lto-wrapper -plugin-opt=-fresolution=/tmp/ccAbCdEf.res x.o", "/p/lto.so x.o"),
    ("-b binary data.txt -b elf64-x86-64 x.o", "data.txt x.o"),
    ("-r -b binary -o data.o link.ld", "link.ld"),
    ("lib/group.a", "lib/group.a x.o lib/y.o lib/libfoo.a"),
    ("--build-id --eh-frame-hdr -m elf_x86_64 --hash-style=gnu -dynamic-linker /lib64/ld.so -pie x.o", "x.o"),
    ("--defsym=a=1 --wrap malloc --gc-sections --sort-common --unresolved-symbols=ignore-all x.o", "x.o"),
]

LOCAL = {
    b"/w/lib/libfoo.a": b"!<arch>\n",
    b"/w/lib2/libfoo.so": build_elf(soname=b"libfoo.so"),
    b"/w/link.ld": b"SECTIONS { .text : { *(.text) *libfoo.a:(.text*) } }",
    b"/w/lib/sub.ld": b'INCLUDE "inner.ld" SECTIONS { }',
    b"/w/lib/inner.ld": b"ENTRY(start)",
    b"/w/lib/v2.map": b"{ global: *; };",
    b"/w/lib/group.a": b"INPUT(x.o, y.o -lfoo) SEARCH_DIR(lib)",
    b"/w/lib/y.o": b"\x7fELF",
    b"/w/x.o": b"\x7fELF",
}


@pytest.mark.parametrize(("line", "inputs"), LINKS)
def test_what_links_read(line: str, inputs: str) -> None:
    linked = link(line, LOCAL)
    assert linked.run_real == ""
    assert linked.inputs == words(inputs)


@pytest.mark.parametrize(
    ("line", "outputs"),
    [
        ("x.o", (Writes(b"a.out", executable=True),)),
        ("-o prog x.o", (Writes(b"prog", executable=True),)),
        ("-oprog x.o", (Writes(b"prog", executable=True),)),
        ("--output=prog x.o", (Writes(b"prog", executable=True),)),
        ("-shared -o libx.so x.o", (Writes(b"libx.so", executable=True),)),
        ("-r -o all.o x.o", (Writes(b"all.o"),)),
        ("-o prog -Map=prog.map x.o", (Writes(b"prog", executable=True), Writes(b"prog.map"))),
        ("-o prog -Map lib x.o", (Writes(b"prog", executable=True), Writes(b"lib/prog.map"))),
        ("-o prog -M -Map=prog.map x.o", (Writes(b"prog", executable=True), Writes(b"prog.map"))),
        ("-o x.dll --out-implib libx.a x.o", (Writes(b"x.dll", executable=True), Writes(b"libx.a"))),
        ("-plugin-opt=-fresolution=x.res x.o", (Writes(b"a.out", executable=True), Writes(b"x.res", optional=True))),
        ("-plugin-opt=-fresolution= x.o", (Writes(b"a.out", executable=True),)),
        ("-T out.ld x.o", (Writes(b"image", executable=True),)),
    ],
)
def test_what_links_write(line: str, outputs: tuple[Writes, ...]) -> None:
    assert link(line, {**LOCAL, b"/w/out.ld": b"OUTPUT(image)"}).outputs == outputs


def test_a_rule_of_all_that_was_read() -> None:
    linked = link("-o prog --dependency-file=prog.d x.o")
    assert linked.outputs == (Writes(b"prog", executable=True), Writes(b"prog.d", soft=True))
    assert linked.depfile == Depfile(b"prog.d", (b"prog",), phony=True)


@pytest.mark.parametrize(
    ("line", "why", "probe"),
    [
        ("--version", "asks the linker a question", True),
        ("-v", "links nothing", True),
        ("", "links nothing", True),
        ("-M x.o", "prints a link map", False),
        ("-Map=- x.o", "prints a link map", False),
        ("-o /dev/null x.o", "links to a device", True),
        ("-c script.mri", "the linker's -c is not modelled", False),
        ("--build-id=uuid x.o", "a random build id", False),
        ("x.o -lnowhere", "-lnowhere is not found", False),
        ("--unheard-of x.o", "unknown option --unheard-of", False),
        ("-sx x.o", "unknown option -sx", False),
        ("-gc-sec x.o", "abbreviated option -gc-sec", False),
    ],
)
def test_links_that_run_for_real(line: str, why: str, probe: bool) -> None:
    assert link(line) == Linked(run_real=why, probe=probe)


def test_placeholders_are_inputs_and_are_not_read() -> None:
    made = (b"/w/x.o", b"/w/libx.a", b"/w/libs/liby.so")
    linked = link("-o prog x.o libx.a -Llibs -ly", placeholders=made)
    assert linked.inputs == (b"x.o", b"libx.a", b"libs/liby.so")
    assert linked.directories == (b"libs",)


def test_a_script_that_is_a_placeholder_is_made_first() -> None:
    assert link("-T made.ld x.o", placeholders=(b"/w/made.ld",)).run_real == "a linker script is not made yet"


def test_thin_archives_bring_their_members() -> None:
    recorded = {b"/w/libx.a": Recorded((b"ar", b"csrDT", b"libx.a", b"a.o"), b"/w", (b"/w/a.o", b"/w/b.o"))}
    assert link("main.o libx.a", recorded=recorded).inputs == (b"main.o", b"libx.a", b"/w/a.o", b"/w/b.o")


def test_a_shared_library_that_is_not_made_yet_needs_what_it_will_be_linked_with() -> None:
    recorded = {
        b"/w/lib/libx.so": Recorded(
            (b"gcc", b"-shared", b"-o", b"lib/libx.so", b"x.o", b"lib/liby.so", b"-lm"),
            b"/w",
            (b"/w/x.o", b"/w/lib/liby.so", b"/usr/lib/libm.so", b"/lib/libc.so.6"),
        ),
        b"/w/lib/liby.so": Recorded(
            (b"gcc", b"-shared", b"-Wl,-soname,liby.so.1", b"-o", b"lib/liby.so"), b"/w", (b"/w/y.o",)
        ),
    }
    files = {b"/usr/lib/libm.so.6": build_elf(soname=b"libm.so.6")}
    linked = link("main.o lib/libx.so -rpath-link=lib", files, placeholders=(b"/w/lib/liby.so.1",), recorded=recorded)
    assert linked.inputs[:2] == (b"main.o", b"lib/libx.so")
    assert set(linked.inputs[2:]) == {b"lib/liby.so.1", b"/usr/lib/libm.so.6", b"/lib/libc.so.6"}


NEEDS = {
    b"/w/libx.so": build_elf(soname=b"libx.so", needed=(b"liby.so.1",)),
    b"/w/l1/liby.so.1": build_elf(soname=b"liby.so.1"),
    b"/w/l2/liby.so.1": build_elf(soname=b"liby.so.1", needed=(b"libz.so.1",)),
    b"/w/l2/libz.so.1": build_elf(soname=b"libz.so.1"),
    b"/w/l3/liby.so.1": build_elf(soname=b"liby.so.1", machine=I386, bits=32),
    b"/usr/lib/liby.so.1": build_elf(soname=b"liby.so.1"),
    b"/opt/lib/liby.so.1": build_elf(soname=b"liby.so.1"),
}


@pytest.mark.parametrize(
    ("options", "env", "found"),
    [
        ("", {}, "/usr/lib/liby.so.1"),
        ("-rpath-link l1:l2", {}, "l1/liby.so.1"),
        ("-rpath-link=l2", {}, "l2/liby.so.1 l2/libz.so.1"),
        ("-rpath-link l3 -rpath-link l1", {}, "l1/liby.so.1"),
        ("-rpath l1", {}, "l1/liby.so.1"),
        ("-rpath l1 -rpath-link l2", {}, "l2/liby.so.1 l2/libz.so.1"),
        ("-R l1", {}, "l1/liby.so.1"),
        ("", {b"LD_RUN_PATH": b"l1"}, "l1/liby.so.1"),
        ("-rpath /none", {b"LD_RUN_PATH": b"l1"}, "/usr/lib/liby.so.1"),
        ("", {b"LD_LIBRARY_PATH": b"l1:l2"}, "l1/liby.so.1"),
        ("-L l1", {}, "/usr/lib/liby.so.1"),
        ("-shared", {}, ""),
        ("-shared --no-allow-shlib-undefined", {}, "/usr/lib/liby.so.1"),
        ("l1/liby.so.1", {}, ""),
    ],
)
def test_where_needed_libraries_are_looked_for(options: str, env: dict[bytes, bytes], found: str) -> None:
    linked = link(f"main.o libx.so {options}", NEEDS, env=env)
    named = words("main.o libx.so") + ((b"l1/liby.so.1",) if options == "l1/liby.so.1" else ())
    assert linked.inputs == named + words(found.replace("  ", " "))


def test_needed_libraries_by_the_path_in_the_library_and_by_the_systems_configuration() -> None:
    beside = {b"/w/lib/libx.so": build_elf(needed=(b"liby.so.1",), runpath=b"$ORIGIN/../l1")}
    assert link("main.o lib/libx.so", {**NEEDS, **beside}).inputs[2:] == (b"/w/lib/../l1/liby.so.1",)
    configured = {
        b"/etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n# comment\n",
        b"/etc/ld.so.conf.d/opt.conf": b"/opt/lib\n",
    }
    linked = link("main.o libx.so", {**NEEDS, **configured}, globbed=b"/etc/ld.so.conf.d/opt.conf\0")
    assert linked.inputs[2:] == (b"/opt/lib/liby.so.1", b"/etc/ld.so.conf", b"/etc/ld.so.conf.d/opt.conf")


@pytest.mark.parametrize("flavour", ["gold", "lld", "mold"])
def test_the_other_linkers_read_no_library_that_is_not_named(flavour: str) -> None:
    assert link("main.o libx.so", NEEDS, flavour=flavour).inputs == (b"main.o", b"libx.so")


def test_the_sysroot_is_put_before_default_directories_and_paths_that_ask_for_it() -> None:
    files = {
        b"/sys/usr/lib/libc.so": b"GROUP ( /lib/libc.so.6 =/usr/lib/extra.a )",
        b"/sys/lib/libc.so.6": build_elf(soname=b"libc.so.6"),
        b"/sys/opt/libq.a": b"!<arch>\n",
        b"/sys/opt2/libr.a": b"!<arch>\n",
    }
    linked = link("x.o --sysroot=/sys -lc -L=/opt -lq -L$SYSROOT/opt2 -lr", files)
    found = "/sys/usr/lib/libc.so /sys/lib/libc.so.6 /sys/usr/lib/extra.a /sys/opt/libq.a /sys/opt2/libr.a"
    assert linked.inputs == words("x.o " + found)
    assert link("x.o -lc", files, sysroot=b"/sys").inputs == words(" ".join(["x.o", *found.split()[:3]]))


def test_a_library_for_another_machine_is_passed_over() -> None:
    files = {b"/w/l32/libm.so": build_elf(machine=I386, bits=32)}
    linked = link("-m elf_x86_64 x.o -Ll32 -lm -lc", files)
    assert linked.inputs == words(f"x.o l32/libm.so /usr/lib/libm.so {LIBC}")
    assert link("-m elf_i386 x.o -Ll32 -lm", files).inputs == words("x.o l32/libm.so")


def test_response_files_are_inputs() -> None:
    linked = link("@args", {b"/w/args": b"-o prog\n'a b.o' @more", b"/w/more": b"c.o"})
    assert linked.inputs == (b"args", b"more", b"a b.o", b"c.o")
    assert linked.outputs == (Writes(b"prog", executable=True),)


@pytest.mark.parametrize(
    ("flavour", "line"),
    [
        ("gold", "--icf=all --threads --thread-count 4 --gdb-index --section-ordering-file order x.o"),
        ("lld", "--threads=4 --icf=all --symbol-ordering-file=order --color-diagnostics -z nognustack x.o"),
        ("mold", "--threads --no-fork --icf=safe --version-script order x.o"),
    ],
)
def test_options_of_the_other_linkers(flavour: str, line: str) -> None:
    linked = link(line, flavour=flavour)
    assert linked.run_real == ""
    assert set(linked.inputs) == {b"order", b"x.o"}


def test_scripts() -> None:
    text = (
        b'/* c */ SEARCH_DIR("=/a b") STARTUP(crt0.o) INPUT(a.o,"b c.o" AS_NEEDED(-ld e.so)) OUTPUT(out)\n'
        b"SECTIONS { INCLUDE more.ld .x : { *(.x) } } GROUP(-lc)"
    )
    assert read_script(text) == Script(
        (b"crt0.o", b"a.o", b"b c.o", b"-ld", b"e.so", b"-lc"), (b"=/a b",), (b"more.ld",), b"out"
    )
    assert read_script(b"INPUT(") == Script()
    assert read_script(b"SEARCH_DIR(") == Script()


@pytest.mark.parametrize(
    ("line", "soname"),
    [
        ("gcc -shared -Wl,-soname,libx.so.1 -o x", "libx.so.1"),
        ("gcc -shared -Wl,-soname -Wl,libx.so.1", "libx.so.1"),
        ("gcc -Xlinker -soname -Xlinker libx.so.1", "libx.so.1"),
        ("ld -shared -h libx.so.1", "libx.so.1"),
        ("ld --soname=libx.so.1", "libx.so.1"),
        ("ld -shared", ""),
    ],
)
def test_sonames_in_command_lines(line: str, soname: str) -> None:
    assert soname_in(words(line)) == soname.encode()


def test_what_is_built_into_linkers() -> None:
    text = b'SEARCH_DIR("=/usr/lib/x"); SEARCH_DIR("/lib");\nSECTIONS\n'
    probe = FakeProbe(
        answers={(b"--verbose",): text, (b"-m", b"elf_i386", b"--verbose"): b"", (b"--print-sysroot",): b"/sys/\n"}
    )
    assert default_search_dirs(probe, b"/usr/bin/ld") == (b"=/usr/lib/x", b"/lib")
    assert default_search_dirs(probe, b"/usr/bin/ld", {}, b"elf_i386") == ()
    assert default_search_dirs(probe, b"/usr/bin/ld.gold") == (b"=/lib", b"=/usr/lib")
    assert default_search_dirs(probe, b"/usr/bin/mold") == ()
    assert default_sysroot(probe, b"/usr/bin/ld") == b"/sys"
    assert default_sysroot(probe, b"/usr/bin/ld.lld") == b""
    assert [flavour_of(n) for n in words("ld x-ld.bfd /usr/bin/ld.gold ld64.lld mold")] == [
        *("bfd", "bfd", "gold", "lld", "mold")
    ]


LD_ANSWERS = {
    (b"--verbose",): b'SEARCH_DIR("=/usr/lib");',
    (b"-m", b"elf_x86_64", b"--verbose"): b'SEARCH_DIR("=/usr/lib");',
    (b"--print-sysroot",): b"\n",
}


def test_the_model_of_ld() -> None:
    probe = FakeProbe(BASE, answers=LD_ANSWERS)
    got = answer("ld -m elf_x86_64 -o prog x.o -lc", probe, {b"LD_RUN_PATH": b"/r", b"DISPLAY": b":0"})
    assert got == Draft(
        model="ld/1",
        work=Work.LINK,
        argv=words("ld -m elf_x86_64 -o prog x.o -lc"),
        program=b"/usr/bin/ld",
        env={b"LANG": b"de_DE.UTF-8", b"LD_RUN_PATH": b"/r", b"PATH": b"/usr/bin", b"PWD": b"/w"},
        inputs=words("x.o " + LIBC),
        outputs=(Writes(b"prog", executable=True),),
        tools=(),
    )


def test_ld_may_be_a_link_to_another_linker() -> None:
    probe = FakeProbe(links={b"/usr/bin/ld": b"/usr/bin/x86_64-linux-gnu-ld.gold"})
    got = answer("ld --icf=all -o prog x.o", probe)
    assert isinstance(got, Draft)


def test_a_trial_link_is_answered_at_once() -> None:
    got = answer("ld -o conftest conftest.o", FakeProbe(answers=LD_ANSWERS))
    assert got == RunReal("a configure script's trial", reads=(b"conftest.o",), reads_all=False, probe=True)
