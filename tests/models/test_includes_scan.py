# ruff: noqa: E501  (tables: one row a line)
"""Where names lead, and what a change does, on a disk in memory."""

from __future__ import annotations

import pytest

from gg.models.drafts import Lexer
from gg.models.includes import Closure, Cluster, Scanner
from tests.models.includes_disk import MemoryDisk, paths, request, scan


def all_clusters(closure: Closure) -> list[Cluster]:
    found: dict[Cluster, None] = {}
    stack = list(closure.clusters)
    while stack:
        top = stack.pop()
        if top not in found:
            found[top] = None
            stack += top.children
    return list(found)


def valid(closure: Closure) -> Closure:
    """Check what holds for every closure: the graph has no cycle, and masks and files say the same."""
    order: dict[Cluster, int] = {}

    def visit(cluster: Cluster) -> int:
        if cluster not in order:
            order[cluster] = -1
            order[cluster] = 1 + max((visit(child) for child in cluster.children), default=0)
        assert order[cluster] > 0, "a cycle of clusters"
        return order[cluster]

    for cluster in closure.clusters:
        visit(cluster)
    below = {header.path for cluster in all_clusters(closure) for header in cluster.files}
    assert below | {source.path for source in closure.sources} == {header.path for header in closure.files()}
    for cluster in all_clusters(closure):
        assert cluster.mask.bit_count() >= len({header.path for header in cluster.order()})
    displays = [header.display for header in closure.files()]
    assert len(displays) == len(set(displays))
    return closure


# Finding


def test_the_includers_directory_comes_first() -> None:
    files = {
        "a.c": '#include "s/x.h"',
        "s/x.h": '#include "y.h"\n#include <z.h>',
        "s/y.h": "",
        "y.h": "",
        "s/z.h": "",
        "z.h": "",
    }
    assert scan(files, include=["."]) == ["a.c", "s/x.h", "s/y.h", "z.h"]


def test_quote_directories_serve_the_quoted_form_only() -> None:
    files = {"a.c": '#include "x.h"\n#include <y.h>', "q/x.h": "", "q/y.h": "", "i/y.h": ""}
    assert scan(files, quote=["q"], include=["i"]) == ["a.c", "i/y.h", "q/x.h"]


def test_the_order_of_directories_counts() -> None:
    files = {"a.c": "#include <x.h>", "i/x.h": "", "j/x.h": ""}
    assert scan(files, include=["i", "j"]) == ["a.c", "i/x.h"]
    assert scan(files, include=["j", "i"]) == ["a.c", "j/x.h"]
    assert scan(files, include=["missing", "j", "i"]) == ["a.c", "j/x.h"]


def test_next_goes_on_where_the_file_was_found() -> None:
    files = {
        "a.c": "#include <x.h>",
        "i/x.h": "#include_next <x.h>",
        "j/x.h": "#include_next <x.h>",
        "k/x.h": "",
        "l/x.h": "",
    }
    assert scan(files, include=["i", "j", "k", "l"]) == ["a.c", "i/x.h", "j/x.h", "k/x.h"]
    # Found beside its includer: the search path follows from its start, where the same file is found once more.
    files["i/a.c"] = '#include "x.h"'
    assert scan(files, "i/a.c", include=["j", "k"]) == ["i/a.c", "i/x.h", "j/x.h", "k/x.h"]


def test_a_directory_named_twice_is_searched_once() -> None:
    files = {"a.c": "#include <x.h>", "i/x.h": "#include_next <x.h>", "j/x.h": ""}
    assert scan(files, include=["i", "i/", "./i", "j"]) == ["a.c", "i/x.h", "j/x.h"]


def test_a_users_directory_that_is_a_system_one_is_searched_as_such() -> None:
    files = {"a.c": "#include <x.h>", "i/x.h": "", "s/x.h": ""}
    disk = MemoryDisk({"/w/" + name: text for name, text in files.items()})
    closure = Scanner(disk).scan(request("a.c", include=["s", "i"], system=["/w/s"]), b"/w")
    assert [(h.display, h.system) for h in closure.files()] == [(b"a.c", False), (b"i/x.h", False)]


@pytest.mark.parametrize(
    ("files", "options", "expected"),
    [
        ({"a.c": '#include "/abs/x.h"', "/abs/x.h": '#include "y.h"', "/abs/y.h": ""}, {}, ["/abs/x.h", "/abs/y.h", "a.c"]),
        ({"a.c": '#include "d/../x.h"', "d/y.h": "", "x.h": ""}, {}, ["a.c", "x.h"]),
        ({"a.c": '#include "d/../x.h"', "x.h": ""}, {}, ["a.c"]),
        ({"a.c": "#include <s//./x.h>", "i/s/x.h": ""}, {"include": ["i"]}, ["a.c", "i/s/x.h"]),
        ({"a.c": "#include <x.h>", "i/x.h/y": "", "j/x.h": ""}, {"include": ["i", "j"]}, ["a.c", "j/x.h"]),
        ({"a.c": "#include <x.h>", "i/x.h": None, "j/x.h": ""}, {"include": ["i", "j"]}, ["a.c", "j/x.h"]),
        ({"a.c": "#include <s/x.h>", "i/s": "", "j/s/x.h": ""}, {"include": ["i", "j"]}, ["a.c", "j/s/x.h"]),
        ({"a.c": '#include "b.h"', "b.h": '#include "c.h"', "c.h": '#include "b.h"\n#include "a.c"'}, {}, ["a.c", "b.h", "c.h"]),
        ({"a.c": "#if __has_include(<x.h>)\n#endif", "i/x.h": '#include "y.h"', "i/y.h": ""}, {"include": ["i"]}, ["a.c", "i/x.h"]),
        ({"a.c": '#embed "x.bin"', "x.bin": '#include "y.h"', "y.h": ""}, {}, ["a.c", "x.bin"]),
        ({"a.c": 'asm(".incbin \\"d/x.bin\\"");', "d/x.bin": ""}, {}, ["a.c", "d/x.bin"]),
        ({"a.c": 'asm(".incbin \\"x.bin\\"");', "i/x.bin": ""}, {"include": ["i"]}, ["a.c", "i/x.bin"]),
        ({"a.c": "", "i/f.h": '#include "g.h"', "i/g.h": ""}, {"include": ["i"], "forced": ["f.h"]}, ["a.c", "i/f.h", "i/g.h"]),
        ({"s/a.c": "", "f.h": "", "s/f.h": ""}, {"sources": ["s/a.c"], "forced": ["f.h"]}, ["f.h", "s/a.c"]),
        ({"a.c": "", "i/stdc-predef.h": ""}, {"system": ["i"]}, ["a.c", "i/stdc-predef.h"]),
        ({"a.c": '#include "x.h"', "x.h": '#include "y.h"', "y.h": "", "x.h.gch": "", "y.h.gch": ""}, {}, ["a.c", "x.h", "x.h.gch", "y.h"]),
        ({"a.c": "", "x.h": "", "x.h.gch/c++": "", "x.h.gch/c": ""}, {"forced": ["x.h"]}, ["a.c", "x.h", "x.h.gch/c", "x.h.gch/c++"]),
        ({"a.c": "", "p/s/x.h.gch/1": "", "i/s/x.h": ""}, {"include": ["p", "i"], "forced": ["s/x.h"]}, ["a.c", "i/s/x.h", "p/s/x.h.gch/1"]),
    ],
)  # fmt: skip
def test_what_is_found(files: dict[str, str], options: dict[str, list[str]], expected: list[str]) -> None:
    options = dict(options)
    assert scan(files, *options.pop("sources", []), **options) == expected


def test_dotdot_goes_through_links() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "l/../x.h"', "/w/x.h": "", "/e/f/y.h": "", "/e/x.h": ""})
    disk.link("/w/l", "/e/f")
    closure = valid(Scanner(disk).scan(request("a.c"), b"/w"))
    assert paths(closure) == ["/e/x.h", "a.c"]
    assert closure.files()[1].display == b"l/../x.h"
    assert b"/w/l" in closure.directories


def test_names_round_and_round_end() -> None:
    files = {"a/a.h": '#include "../b/b.h"', "b/b.h": '#include "../a/a.h"', "a.c": '#include "a/a.h"'}
    assert scan(files) == ["a.c", "a/a.h", "b/b.h"]


def test_displays() -> None:
    disk = MemoryDisk(
        {
            "/w/a.c": '#include "s/x.h"\n#include <y.h>\n#include <z.h>\n#include "/w/abs.h"',
            "/w/s/x.h": '#include "../s/u.h"',
            "/w/s/u.h": "", "/w/i/y.h": '#include "v.h"', "/w/i/v.h": "", "/usr/include/z.h": "", "/w/abs.h": "",
        }
    )  # fmt: skip
    closure = valid(Scanner(disk).scan(request("./a.c", include=[".//i/"], system=["/usr/include"]), b"/w"))
    assert [(h.display, h.system) for h in closure.files()] == [
        (b"a.c", False), (b"s/x.h", False), (b"s/../s/u.h", False), (b"i/y.h", False), (b"i/v.h", False),
        (b"/usr/include/z.h", True), (b"/w/abs.h", False),
    ]  # fmt: skip


def test_a_file_by_two_names_is_listed_under_both() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "s/x.h"\n#include "s/../s/x.h"', "/w/s/x.h": ""})
    closure = valid(Scanner(disk).scan(request("a.c"), b"/w"))
    assert [h.display for h in closure.files()] == [b"a.c", b"s/x.h", b"s/../s/x.h"]


def test_what_was_only_asked_for_is_not_listed() -> None:
    text = '#include "y.h"\n#if __has_include("x.h") && __has_include("y.h")\n#endif\n'
    disk = MemoryDisk({"/w/a.c": text, "/w/x.h": "", "/w/y.h": '#include "z.h"', "/w/z.h": ""})
    closure = Scanner(disk).scan(request("a.c"), b"/w")
    assert {h.display: h.listed for h in closure.files()} == {b"a.c": True, b"x.h": False, b"y.h": True, b"z.h": True}


def test_a_missing_source_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        Scanner(MemoryDisk({"/w/b.c": ""})).scan(request("a.c"), b"/w")


def test_gas_and_nasm_look_in_the_working_directory() -> None:
    files = {"s/a.s": '.include "x.inc"\n.incbin "d.bin"', "x.inc": '.include "y.inc"', "i/y.inc": "", "d.bin": ""}
    assert scan(files, "s/a.s", include=["i"], lexer=Lexer.GAS) == ["d.bin", "i/y.inc", "s/a.s", "x.inc"]
    files = {"s/a.asm": '%include "x.asm"\nincbin "d.bin"', "i/x.asm": '%include "y.asm"', "y.asm": "", "d.bin": ""}
    assert scan(files, "s/a.asm", include=["i/"], lexer=Lexer.NASM) == ["d.bin", "i/x.asm", "s/a.asm", "y.asm"]


# Macros


@pytest.mark.parametrize(
    ("files", "defines", "expected", "unresolved"),
    [
        ({"a.c": "#include HDR", "x.h": ""}, ['HDR="x.h"'], ["a.c", "x.h"], []),
        ({"a.c": '#define HDR "x.h"\n#include HDR', "x.h": ""}, [], ["a.c", "x.h"], []),
        ({"a.c": '#include "d.h"\n#include HDR', "d.h": "#define HDR <x.h>\n", "i/x.h": ""}, [], ["a.c", "d.h", "i/x.h"], []),
        (
            {"a.c": '#define HDR "x.h"\n#include "t.c"', "t.c": "#include HDR", "x.h": "#define HDR2 <y.h>\n#include HDR2", "i/y.h": ""},
            [], ["a.c", "i/y.h", "t.c", "x.h"], [],
        ),
        ({"a.c": "#include HDR"}, [], ["a.c"], []),
        ({"a.c": "#include HDR"}, ["HDR=S(x)"], ["a.c"], ["HDR"]),
        ({"a.c": "#define F(x) <x>\n#include F(y.h)"}, [], ["a.c"], ["F"]),
        ({"a.c": "#include F(y.h)"}, [], ["a.c"], []),
        ({"a.c": "#include A B"}, [], ["a.c"], ["A B"]),
        ({"a.c": "#if __has_include(HDR)\n#endif", "x.h": ""}, ['HDR="x.h"'], ["a.c", "x.h"], []),
        ({"a.c": "#include __FILE__"}, [], ["a.c"], []),
    ],
)  # fmt: skip
def test_computed_includes(
    files: dict[str, str], defines: list[str], expected: list[str], unresolved: list[str]
) -> None:
    disk = MemoryDisk({"/w/" + name: text for name, text in files.items()})
    scanner = Scanner(disk)
    for _ in range(2):
        closure = valid(scanner.scan(request("a.c", include=["i"], defines=defines), b"/w"))
        assert paths(closure) == expected
        assert [u.operand.decode() for u in closure.unresolved] == unresolved


def test_the_includers_macro_is_not_the_others() -> None:
    disk = MemoryDisk({"/w/t.c": "#include HDR", "/w/x.h": "", "/w/y.h": ""})
    disk.write("/w/a.c", '#define HDR "x.h"\n#include "t.c"')
    disk.write("/w/b.c", '#define HDR "y.h"\n#include "t.c"')
    scanner = Scanner(disk)
    assert paths(scanner.scan(request("a.c"), b"/w")) == ["a.c", "t.c", "x.h"]
    assert paths(scanner.scan(request("b.c"), b"/w")) == ["b.c", "t.c", "y.h"]


def test_the_compilers_rule_completes_a_closure() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "x.h"\n#include A B', "/w/x.h": "", "/w/s/y.h": ""})
    scanner = Scanner(disk)
    closure = scanner.scan(request("a.c"), b"/w")
    assert closure.unresolved
    whole = scanner.with_rule(closure, b"a.o: a.c x.h s/y.h missing.h\n", b"/w")
    assert paths(whole) == ["a.c", "s/y.h", "x.h"]
    assert not whole.unresolved


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        (r'asm(".incbin \"" F "\"");', r'asm(".incbin \"" "s/" "d" "\"");'),
        (r'asm(".incbin " STRING(F));', r'asm(".incbin " "\"s/d\"");'),
        (r'#define WORD ".incbin"', r'asm("x: " ".incbin" " \"" "s/d" "\"\n.text");'),
        (".incbin NAME, 2", '.incbin "s/d", 2'),
    ],
)
def test_what_macros_make_of_an_incbin_is_in_the_preprocessed_text(source: str, printed: str) -> None:
    disk = MemoryDisk({"/w/a.c": source, "/w/s/d": ""})
    scanner = Scanner(disk)
    closure = scanner.scan(request("a.c"), b"/w")
    assert not closure.unresolved
    assert [o.path for o in closure.opaque] == [b"/w/a.c"]
    whole = scanner.with_assembled(request("a.c"), printed.encode(), b"/w")
    assert paths(whole) == ["a.c", "s/d"]
    assert not whole.opaque


@pytest.mark.parametrize("source", [r'asm(".incbin \"s/d\"");', 'asm(R"(\n.incbin "s/d"\n)");', '.incbin "s/d", 2'])
def test_a_name_that_is_a_literal_needs_no_compiler(source: str) -> None:
    disk = MemoryDisk({"/w/a.c": source, "/w/s/d": ""})
    closure = Scanner(disk).scan(request("a.c"), b"/w")
    assert (paths(closure), closure.opaque) == (["a.c", "s/d"], ())


def test_what_only_the_assembler_knows_is_told() -> None:
    disk = MemoryDisk({"/w/a.c": '.incbin "\\\\f"'})
    scanner = Scanner(disk)
    closure = scanner.with_assembled(request("a.c"), b'.incbin "\\\\f"', b"/w")
    assert [o.path for o in closure.opaque] == [b"/w/a.c"]


def test_hazards() -> None:
    disk = MemoryDisk(
        {"/w/a.c": '#include "x.h"\n#include <s.h>', "/w/x.h": "__DATE__", "/usr/include/s.h": "__TIME__"}
    )
    scanner = Scanner(disk)
    closure = scanner.scan(request("a.c", system=["/usr/include"]), b"/w")
    assert closure.hazards == {"__DATE__", "__TIME__"}
    assert closure.user_hazards == {"__DATE__"}
    closure = scanner.scan(request("a.c", defines=["NOW=__TIMESTAMP__"], system=["/usr/include"]), b"/w")
    assert closure.user_hazards == {"__DATE__", "__TIMESTAMP__"}


# Changes


def test_a_header_that_appears_earlier_is_found() -> None:
    disk = MemoryDisk({"/w/a.c": "#include <s/x.h>", "/w/i/other.h": "", "/w/j/s/x.h": ""})
    scanner = Scanner(disk)
    wanted = request("a.c", include=["i", "j"])
    assert paths(scanner.scan(wanted, b"/w")) == ["a.c", "j/s/x.h"]
    disk.write("/w/i/s/x.h", '#include "y.h"')
    assert paths(scanner.scan(wanted, b"/w")) == ["a.c", "i/s/x.h"]
    disk.write("/w/i/s/y.h", "")
    assert paths(scanner.scan(wanted, b"/w")) == ["a.c", "i/s/x.h", "i/s/y.h"]
    disk.remove("/w/i/s/x.h")
    assert paths(scanner.scan(wanted, b"/w")) == ["a.c", "j/s/x.h"]


def test_a_search_directory_that_appears_is_searched() -> None:
    disk = MemoryDisk({"/w/a.c": "#include <x.h>", "/w/j/x.h": ""})
    scanner = Scanner(disk)
    wanted = request("a.c", include=["gen", "j"])
    assert paths(scanner.scan(wanted, b"/w")) == ["a.c", "j/x.h"]
    disk.write("/w/gen/x.h", "")
    assert paths(scanner.scan(wanted, b"/w")) == ["a.c", "gen/x.h"]


def test_a_link_to_nothing_that_comes_true_is_found() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "x.h"', "/w/d/keep": ""})
    disk.link("/w/x.h", "d/x.h")
    scanner = Scanner(disk)
    assert paths(scanner.scan(request("a.c"), b"/w")) == ["a.c"]
    disk.write("/w/d/x.h", "")
    assert paths(scanner.scan(request("a.c"), b"/w")) == ["a.c", "x.h"]


def test_a_precompiled_header_that_appears_is_found() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "s/x.h"', "/w/s/x.h": ""})
    scanner = Scanner(disk)
    assert paths(scanner.scan(request("a.c"), b"/w")) == ["a.c", "s/x.h"]
    disk.write("/w/s/x.h.gch", "")
    assert paths(scanner.scan(request("a.c"), b"/w")) == ["a.c", "s/x.h", "s/x.h.gch"]


def test_an_edit_makes_new_clusters_above_it_only() -> None:
    disk = MemoryDisk(
        {"/w/a.c": '#include "x.h"\n#include "z.h"', "/w/x.h": '#include "y.h"', "/w/y.h": "", "/w/z.h": ""}
    )
    scanner = Scanner(disk)
    before = {c.files[0].display: c for c in all_clusters(scanner.scan(request("a.c"), b"/w"))}
    again = {c.files[0].display: c for c in all_clusters(scanner.scan(request("a.c"), b"/w"))}
    assert before == again
    disk.write("/w/y.h", '#include "new.h"')
    disk.write("/w/new.h", "")
    closure = valid(scanner.scan(request("a.c"), b"/w"))
    after = {c.files[0].display: c for c in all_clusters(closure)}
    assert sorted(after) == [b"new.h", b"x.h", b"y.h", b"z.h"]
    assert after[b"z.h"] is before[b"z.h"]
    assert after[b"x.h"] is not before[b"x.h"]
    assert after[b"y.h"] is not before[b"y.h"]


def test_an_edit_is_seen_in_every_context() -> None:
    disk = MemoryDisk({"/w/a.c": "#include <x.h>", "/w/i/x.h": ""})
    scanner = Scanner(disk)
    first, second = request("a.c", include=["i"]), request("a.c", include=["i", "j"])
    closures = [scanner.scan(first, b"/w"), scanner.scan(second, b"/w")]
    disk.write("/w/i/x.h", "// other bytes")
    for wanted, closure in zip((first, second), closures, strict=True):
        assert scanner.scan(wanted, b"/w").clusters[0] is not closure.clusters[0]


def test_a_file_that_has_just_changed_is_read_again() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "x.h"'})
    disk.tick = 1000
    disk.write("/w/x.h", "")
    scanner = Scanner(disk)
    first = scanner.scan(request("a.c"), b"/w")
    assert not any(path == b"/w/x.h" for path, _ in disk.kept)
    assert scanner.scan(request("a.c"), b"/w").clusters[0] is not first.clusters[0]
    disk.tick = 1_000_000_007
    settled = scanner.scan(request("a.c"), b"/w")
    assert scanner.scan(request("a.c"), b"/w").clusters[0] is settled.clusters[0]


def test_clusters_of_a_cycle() -> None:
    disk = MemoryDisk(
        {
            "/w/a.c": '#include "x.h"',
            "/w/x.h": '#include "y.h"',
            "/w/y.h": '#include "x.h"\n#include "z.h"',
            "/w/z.h": "",
        }
    )
    closure = valid(Scanner(disk).scan(request("a.c"), b"/w"))
    assert [[h.display for h in c.files] for c in closure.clusters] == [[b"x.h", b"y.h"]]
    assert [h.display for h in closure.clusters[0].children[0].files] == [b"z.h"]


# Cost, in counts


def test_a_second_session_reads_no_file() -> None:
    disk = MemoryDisk({"/w/a.c": '#include "x.h"\n#include HDR', "/w/x.h": '#define HDR "y.h"', "/w/y.h": ""})
    assert paths(Scanner(disk).scan(request("a.c"), b"/w")) == ["a.c", "x.h", "y.h"]
    disk.read_paths.clear()
    assert paths(Scanner(disk).scan(request("a.c"), b"/w")) == ["a.c", "x.h", "y.h"]
    assert disk.read_paths == []


def test_a_warm_scan_looks_once_at_each_file_and_directory() -> None:
    headers = {f"/w/d{i % 5}/h{i}.h": f'#include "../d{(i + 1) % 5}/h{i + 1}.h"\n#include <stdio.h>' for i in range(50)}
    disk = MemoryDisk({"/w/a.c": '#include "d0/h0.h"', "/usr/include/stdio.h": "", **headers})
    scanner = Scanner(disk)
    wanted = request("a.c", include=["."], system=["/usr/include"])
    assert len(scanner.scan(wanted, b"/w").files()) == 52
    disk.asked = 0
    scanner.scan(wanted, b"/w")
    assert disk.asked == 1 + 50 + 7  # the source, the headers, ., d0 to d4, ..; nothing in /usr
    disk.asked = 0
    disk.write("/w/d0/object.o", "")
    scanner.scan(wanted, b"/w")
    assert disk.asked < 1 + 50 + 7 + 10
    assert len(disk.read_paths) == 52
