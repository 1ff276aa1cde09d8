"""Tables: what one file's text names."""

from __future__ import annotations

import pytest

from gg.formats.make_rule import prerequisites
from gg.models.includes.lex import lex_c
from gg.models.includes.lexasm import lex_gas, lex_nasm
from gg.models.includes.macros import definitions, expand, lookup, of_command_line

C_TABLE: list[tuple[str, bytes, bytes]] = [
    ("quoted", b'#include "a.h"\n', b"Qa.h"),
    ("bracket", b"#include <a/b.h>\n", b"Ba/b.h"),
    ("no newline at the end", b"#include <a.h>", b"Ba.h"),
    ("blanks", b' \t# \t include\t"a.h"\n', b"Qa.h"),
    ("nothing between", b"#include<a.h>\n", b"Ba.h"),
    ("rubbish after", b'#include "a.h" and more\n#include <b.h>;\n', b"Qa.h|Bb.h"),
    ("comments within", b'# /* c */ include /* d */ "a.h" /* e */\n', b"Qa.h"),
    ("a comment over lines", b'# /* c\n d */ include /*\n*/ "a.h"\n', b"Qa.h"),
    ("after a comment", b'/* x */ #include "a.h"\n', b"Qa.h"),
    ("carriage returns", b'#include "a.h"\r\n#include <b.h>\r\n', b"Qa.h|Bb.h"),
    ("byte order mark", b'\xef\xbb\xbf#include "a.h"\n', b"Qa.h"),
    ("NUL bytes", b'\0#include\0"a.h"\n\0#include <b.h>\n', b"Qa.h|Bb.h"),
    ("a NUL in the name", b'#include "a\0.h"\n', b""),
    ("continued", b'#include \\\n "a.h"\n', b"Qa.h"),
    ("continued in the word", b'#inc\\\nlude "a.\\\nh"\n', b"Qa.h"),
    ("continued, blank after", b'#include \\ \t\n"a.h"\n', b"Qa.h"),
    ("continued, CRLF", b'#include \\\r\n"a.h"\r\n', b"Qa.h"),
    ("digraph", b'%:include "a.h"\n %: include <b.h>\n', b"Qa.h|Bb.h"),
    ("trigraph is none", b'??=include "a.h"\n', b""),
    ("next", b'#include_next <a.h>\n#include_next "b.h"\n', b"Ma.h|Nb.h"),
    ("import", b'#import <a.h>\n#import "b.h"\n', b"Ba.h|Qb.h"),
    ("embed", b'#embed "a.bin" limit(4)\n#embed <b.bin>\n', b"Ea.bin|Fb.bin"),
    ("another word", b'#included "a.h"\n#include_nextish "b.h"\n', b""),
    ("a backslash in a name", b'#include "d\\x.h"\n', b"Qd\\x.h"),
    ("once each", b'#include "a.h"\n#include "a.h"\n', b"Qa.h"),
    ("all branches", b'#if 0\n#include "a.h"\n#else\n#include "b.h"\n#endif\n', b"Qa.h|Qb.h"),
    ("has include", b'#if __has_include("a.h") && __has_include( <b.h> )\n', b"Ha.h|Ib.h"),
    ("has next", b'#if __has_include_next("a.h") || __has_include_next(<b.h>)\n', b"Ja.h|Kb.h"),
    ("has embed", b"#elif __has_embed(<a.bin>)\n", b"Ia.bin"),
    ("has include of old", b'#if __has_include__("a.h")\n', b"Ha.h"),
    ("has include defined", b"#ifdef __has_include\n", b""),
    ("has include continued", b'#if defined(X) && \\\n  __has_include("a.h")\n', b"Ha.h"),
    ("has include of a macro", b"#if __has_include(HDR)\n", b"cHDR"),
    ("dependency", b'#pragma GCC dependency "parse.y" rerun\n', b"Hparse.y"),
    ("computed", b"#include HDR\n", b"CHDR"),
    ("computed, comment", b"#include /* a */ HDR // why\n", b"CHDR"),
    ("computed by a call", b"#include HDR(x)\n", b"XHDR"),
    ("computed by more", b"#include A B\n", b"UA B"),
    ("computed in a comment", b"/* #include HDR */\n// #include HDR\n/*\n#include HDR\n*/\n", b""),
    ("computed in a string", b'char s[] = "\\\n#include HDR";\n', b""),
    ("computed in a raw string", b'auto s = R"x(\n#include HDR\n)" )x";\n', b""),
    ("an include in a comment counts", b'/* #include "a.h" */\n', b"Qa.h"),
    ("prose", b"/* include the #include statement\n * # include files */\n", b""),
    ("an apostrophe in #error", b"#error don't\n#include HDR\n", b"CHDR"),
    ("digit separators", b"int i = 1'000;\n#include HDR\nint j = 1'000;\n", b"CHDR"),
    ("incbin", b'asm(".incbin \\"a.bin\\"\\n");\n', b"Aa.bin"),
    ("incbin after a tab", b'asm("\\t.incbin\\t\\"a.bin\\", 1, 2\\n");\n', b"Aa.bin"),
    ("incbin in assembly", b'  .incbin "a.bin"\n  .include "b.inc"\n', b"Aa.bin|Gb.inc"),
    ("incbin of a macro", b'asm(".incbin \\"" FILE "\\"");\n', b"O"),
    ("date", b"char *d = __DATE__;\n", b"!D"),
    ("all three", b"f(__TIME__, __TIMESTAMP__, __DATE__);\n", b"!DST"),
    ("date in a comment", b"/* __DATE__ */ // __TIME__\n", b""),
    ("date in a string", b'puts("__DATE__"); char c = \'"\'; puts("__TIME__");\n', b""),
    ("whether there is a date", b"#if defined(__DATE__) && defined __TIME__\n#elif defined ( __TIMESTAMP__ )\n", b""),
    ("the same, shortly", b"# ifdef __DATE__\n#ifndef __TIME__\n%:elifdef __TIMESTAMP__\n", b""),
    ("that and a date", b"#if defined(__DATE__)\nchar *d = __DATE__;\n#endif\n", b"!D"),
    ("a date in a condition", b"#if defined(__TIME__) || defined(X) __DATE__\n", b"!D"),
    ("a macro like it", b"#if undefined(__DATE__) || defined(__DATE__x)\n", b"!D"),
    ("the word in no condition", b"#define A defined(__DATE__)\nint defined(__TIME__);\n", b"!DT"),
    ("date in a word", b"int MY__DATE__x, __DATE__2;\n", b""),
    ("date continued", b"char *d = __DA\\\nTE__;\n", b"!D"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in C_TABLE], ids=[row[0] for row in C_TABLE])
def test_lex_c(text: bytes, expected: bytes) -> None:
    assert lex_c(text).replace(b"\n", b"|") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'.include "a.inc"\n', b"Ga.inc"),
        (b'label: .incbin "a.bin", 4, 8\n', b"Aa.bin"),
        (b'.INCBIN "a.bin"\n', b"Aa.bin"),
        (b'.macro put file\n .incbin "\\file"\n.endm\n', b"U\\file"),
        (b" .incbin name\n", b"Uname"),
        (b"# .incbin of the thing\n/* about .include */\n", b""),
        (b'#include "a.h"\n', b""),
    ],
)
def test_lex_gas(text: bytes, expected: bytes) -> None:
    assert lex_gas(text).replace(b"\n", b"|") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'%include "a.asm"\n', b"Pa.asm"),
        (b"  %INCLUDE 'a.asm' ; why\n%include `b.asm`\n", b"Pa.asm|Pb.asm"),
        (b'incbin "a.bin"\n', b"La.bin"),
        (b'data: incbin "a.bin",16,4\nmore incbin "b.bin"\n', b"La.bin|Lb.bin"),
        (b"times 2 incbin 'a.bin'\n", b"La.bin"),
        (b'%depend "a.txt"\n%pathsearch WHERE "b.bin"\n', b"La.txt|Lb.bin"),
        (b"%use smartalign\n; incbin is nice\n; %include NAME\n", b""),
        (b"%include NAME\n", b"UNAME"),
        (b"%macro put 1\n incbin %1\n%endmacro\n", b"U%1"),
        (b'%macro load 0\n %include "a.asm"\n%endmacro\n', b"Pa.asm"),
    ],
)
def test_lex_nasm(text: bytes, expected: bytes) -> None:
    assert lex_nasm(text).replace(b"\n", b"|") == expected


def test_definitions_are_told_apart() -> None:
    text = definitions(
        b'#define A "a.h"\n# define B <b.h> /* c */\n#define C B\n#define D(x) x\n#define E \\\n "e.h"\n'
        b'#define F STR(f.h)\n#define G\n#define H 3\n%:define I "i.h"\n'
    )
    found = {name: lookup(text, name) for name in (b"A", b"B", b"C", b"D", b"E", b"F", b"G", b"H", b"I")}
    assert found == {
        b"A": {b's"a.h"'}, b"B": {b"s<b.h>"}, b"C": {b"iB"}, b"D": {b"f"}, b"E": {b's"e.h"'}, b"F": {b"x"},
        b"G": frozenset(), b"H": frozenset(), b"I": {b's"i.h"'},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "call", "names", "sure"),
    [
        (b"ONE", False, (b'"a.h"',), True),
        (b"TWO", False, (b'"a.h"', b"<b.h>"), True),
        (b"ALIAS", False, (b'"a.h"',), True),
        (b"LOOP", False, (), True),
        (b"NOBODY", False, (), True),
        (b"PASTE", False, (), False),
        (b"CALL", False, (), True),
        (b"CALL", True, (), False),
        (b"NOBODY", True, (), True),
        (b"INNER", False, (b"<x/PART.h>",), False),
        (b"KERNEL", False, (b"<linux/a.h>",), False),
    ],
)
def test_expand(name: bytes, call: bool, names: tuple[bytes, ...], sure: bool) -> None:
    text = of_command_line(
        (b'ONE="a.h"', b'TWO="a.h"', b"TWO=<b.h>", b"ALIAS=ONE", b"LOOP=LOOP2", b"LOOP2=LOOP", b"PASTE=S(x)", b"FLAG",
         b"CALL(x)=<x>", b"INNER=<x/PART.h>", b"PART=y", b"KERNEL=<linux/a.h>")
    )  # fmt: skip
    answer = expand(name, lambda wanted: lookup(text, wanted), call)
    assert (tuple(sorted(answer.names)), answer.sure) == (names, sure)


def test_rule_is_read_back() -> None:
    rule = b"a.o b\\ c.o: a.c with\\ blank.h \\\n  \\#x.h do$$llar.h back\\slash.h\n\nwith\\ blank.h:\n"
    assert prerequisites(rule) == (b"a.c", b"with blank.h", b"#x.h", b"do$llar.h", b"back\\slash.h")
