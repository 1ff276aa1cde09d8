"""The decoders of other people's formats: files of the build and of the system, and what servers answer."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from types import SimpleNamespace
from typing import cast

from gg.aws import dates
from gg.aws import failures as errors
from gg.aws.connection import Connection, Response
from gg.aws.trouble import NoAnswer
from gg.engines.awslambda import deployed_functions as functions
from gg.engines.awslambda import lambda_outcome as outcome
from gg.engines.awslambda import plugins
from gg.errors import GGError
from gg.formats import archive, elf, sections
from gg.formats import make_rule as rule
from gg.formats.ninja_log import Log
from gg.models.binutils import common, ldscript, nasm, thin
from gg.models.includes import lex, lexasm, macros
from gg.models.linking import loader
from gg.models.toolchain import transcript
from gg.record import compdb, editable
from gg.record.hearers import makefile, shelltext
from gg.record.launching import launch
from gg.share.s3 import bucket
from tests.fuzz.decoders.target import Target, as_file
from tests.models.elf_files import build_elf

ELF = build_elf(interpreter=b"/lib64/ld.so", needed=(b"libc.so.6", b"libm.so.6"), rpath=b"$ORIGIN/x:/y", soname=b"me")
ELF_32 = build_elf(bits=32, little=False, runpath=b"/a", needed=(b"libc.so.6",))


def _member(name: bytes, data: bytes) -> bytes:
    return (
        b"%-16s%-12s%-6s%-6s%-8s%-10d`\n" % (name, b"0", b"0", b"0", b"644", len(data)) + data + b"\n" * (len(data) & 1)
    )


ARCHIVE = (
    b"!<arch>\n" + _member(b"//", b"a_rather_long_name.o/\n") + _member(b"/0", ELF) + _member(b"short.o/", b"text")
)
THIN = (
    b"!<thin>\n"
    + _member(b"//", b"a_rather_long_name.o/\nb.o/\n")
    + b"%-16s%-12s%-6s%-6s%-8s%-10d`\n" % (b"/22", b"0", b"0", b"0", b"644", 5)
)


def _object() -> bytes:
    """As an assembler makes it: a table of symbols and its names."""
    names = b"\0.symtab\0.strtab\0"
    symbol = struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 0, 4)
    rows = [(0,) * 10, (1, 2, 0, 0, 64, 24, 2, 0, 8, 24), (9, 3, 0, 0, 88, len(names), 0, 0, 1, 0)]
    table = b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
    head = b"\x7fELF\2\1\1" + bytes(9)
    start = 88 + len(names)
    return head + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, start, 0, 64, 0, 0, 64, 3, 2) + symbol + names + table


OBJECT = _object()


def _read_part(path: bytes, offset: int, size: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(size)


def _archive(data: bytes) -> None:
    thin.member_names(data)
    thin.is_dateless(data)


def _sections(data: bytes) -> None:
    found = sections.read(data)
    if found is not None:
        found.symbols()
        found.symbols(dynamic=True)
    archive.members(data)


def _editable(data: bytes) -> None:
    path = os.fsencode(as_file(data))
    editable.is_object(path, _read_part, {b"elf64-x86-64"})
    editable.is_archive(path, _read_part)
    launch._is_unreached(os.fsdecode(path))


def _ninja_log(data: bytes) -> None:
    log = Log(data)
    for name in list(log._ids):
        log.inputs(name)
        log.replace(name, (b"a", b"b"))


NINJA = b"# ninjadeps\n" + bytes.fromhex(
    "040000000c000000612e6f0000000000ffffffff0c000000612e680000000000feffffff1000008000000000010000000000000001000000"
)
LD_CACHE = (
    loader._HEAD.pack(loader._MAGIC, 1, 40, 0, 0, 0, 0, 0)
    + loader._ENTRY.pack(1, 72, 80, 0, 0)
    + b"libc.so\0/lib/libc.so\0"
)
TRANSCRIPT = (
    b"Using built-in specs.\nReading specs from /x\nCOLLECT_GCC=gcc\nTarget: x86_64-linux-gnu\n"
    b"Configured with: ../src/configure --with-ld=/usr/bin/ld --host=a --target=b\ngcc version 12.2.0 (Debian)\n"
    b' /usr/lib/cc1 "a b" -E x.c\nCOMPILER_PATH=/a:/b/\n#include <...> search starts here:\n /usr/include\nEnd of search list.\n'
)


def _transcript(data: bytes) -> None:
    transcript.parse(data)
    transcript.include_dirs(data)


def _lex(data: bytes) -> None:
    lex.lex_c(data)
    lex.without_comments(lex.spliced(data))


def _macros(data: bytes) -> None:
    text = macros.definitions(data)
    macros.expand(b"A", lambda name: macros.lookup(text, name))
    macros.of_command_line(data.split(b"\n"))


def _makefile(data: bytes) -> None:
    as_file(data, "Makefile")
    directory = os.fsencode(os.path.dirname(as_file(data, "Makefile")))
    makefile.Makefiles().of((b"make",), directory)


SOURCE = (
    b'#include <stdio.h>\n#include "a.h"\n# include MACRO\n#if __has_include(<x.h>)\n#embed "data" limit(5)\n'
    b'#pragma GCC dependency "y.h"\n/* #include "no.h" */ asm(".incbin \\"f\\""); char *s = R"x(__DATE__)x"; __TIME__\n'
    b"%:include_next <z.h>\n#include F(x)\n#define MACRO <m.h>\n#define F(x) x\n"
)
SHELL = (
    b"if gcc -c a.c; then echo yes; else echo no; exit 1; fi\ngcc -c b.c || { rm b.o; gcc -c c.c; }\n! cc x\n"
    b'case $x in a) cc y || z;; esac\ncat <<EOF\ntext\nEOF\nf() { cc `q` $(ls "a b") ${x:-y}; }\nwhile cc z; do :; done\n'
)
MAKE = (
    b"CC = gcc\nX := $(CC) -c\n.IGNORE:\nall: a.o\n\t-$(X) a.c\n\t@-rm -f $(foreach x,$(y),$(z))\nb: ; -cc \\\n b.c\n"
)
RULE = b"a.o b.o: a.c \\\n /usr/include/x\\ y.h $$z\\#.h\n\nx.h:\n"


# What servers answer

_LOOP = asyncio.new_event_loop()


class _Transport:
    """As much of a transport as a connection asks of one."""

    def write(self, data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        pass


class _NoTime:
    """A loop that never calls anything."""

    create_future = staticmethod(_LOOP.create_future)

    def time(self) -> float:
        return 0.0

    def call_at(self, when: float, *_: object) -> object:
        return SimpleNamespace(when=lambda: when, cancel=lambda: None)


def _answer(data: bytes) -> None:
    """The first bytes say in what pieces the others come."""
    for piece in (data[0] + 1 if data else 1, 1 << 20):
        connection = Connection("host", cast("asyncio.AbstractEventLoop", _NoTime()))
        connection.connection_made(cast("asyncio.Transport", _Transport()))
        waiter = connection.exchange(b"GET", [], "GET", 1.0, 1 << 20)
        text = memoryview(data)[1:]
        while text and not connection.closed and not waiter.done():
            connection.data_received(bytes(text[:piece]))
            text = text[piece:]
        connection.connection_lost(None)
        try:
            reply = waiter.result()
        except NoAnswer:
            continue
        _meant(reply)


ASKED = errors.RequestContext("read x", "s3:GetObject", "host", "region", "key")


def _meant(reply: Response) -> None:
    error = errors.from_reply(reply, ASKED)
    assert len(str(error)) < 4096
    outcome.from_answer(reply, ASKED, "function", b"request")
    dates.seconds(reply.headers.get("date", ""))
    bucket._expiry(reply.headers)


def _status(data: bytes) -> None:
    """A status and a header, then the body."""
    head, _, body = data.partition(b"\n")
    words = head.decode("latin-1").split(" ", 2)
    status = int(words[0]) if words[0].isdigit() and len(words[0]) == 3 and words[0].isascii() else 200
    name, value = (*words[1:], "", "")[:2]
    _meant(Response(status, {name.lower(): value}, body))


def _page(data: bytes) -> None:
    functions.page(data)


ANSWER = b"\x05HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: Sun, 29 Nov 2026 00:00:00 GMT\r\n\r\nhello"
CHUNKED = b"\x05HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nA: b\r\n\r\n"
LISTING = (
    b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
    b"<Contents><Key>log/a&amp;b&#x41;</Key><Size>5</Size></Contents><Contents><Key>b</Key></Contents></ListBucketResult>"
)
REFUSED = b"403 date Sun, 29 Nov 2026 00:00:00 GMT\n<Error><Code>RequestTimeTooSkewed</Code><Message>no &lt;</Message></Error>"
LAMBDA_REFUSED = b'200 x-amz-function-error Unhandled\n{"errorType": "Runtime.X", "errorMessage": "signal: killed"}'
PAGE = json.dumps(
    {
        "Functions": [{"FunctionName": "gg-1", "MemorySize": 1769, "Timeout": 60, "EphemeralStorage": {"Size": 512}}],
        "NextMarker": "m",
    }
).encode()


FOREIGN = (
    Target("elf", elf.read_dynamic, (ELF, ELF_32), ()),
    Target("archive", _archive, (ARCHIVE, THIN), (), (THIN[8:68], b"/0" + b" " * 46 + b"-60       `\n", b"a/\n")),
    Target("editable", _editable, (ELF, ELF_32, ARCHIVE, b"#!/bin/sh -e\n"), ()),
    Target("elf-sections", _sections, (OBJECT, ELF, ARCHIVE), ()),
    Target("lto-plugins", plugins.may_be_for_lto, (ELF, ELF_32, ARCHIVE, b"BC\xc0\xde"), ()),
    Target("loader-cache", loader.parse_cache, (LD_CACHE,), (), (loader._ENTRY.pack(1, 0, 0, 0, 0), b"/lib/x")),
    Target(
        "linker-script",
        ldscript.read_script,
        (b'/* c */ INPUT(a.o -lb) GROUP ( AS_NEEDED ( "c d" ) ) SEARCH_DIR(/x) INCLUDE y',),
        (),
        (b"/*", b'"', b"GROUP(", b"AS_NEEDED(", b"INCLUDE ", b"x"),
    ),
    Target(
        "transcript",
        _transcript,
        (TRANSCRIPT,),
        (),
        (
            b'"',
            b"\\",
            b" --with-ld=",
            b"Configured with: ",
            b"gcc version 1.",
            b"1.",
            b" /a\n",
            b"COMPILER_PATH=:",
            b"clang ",
        ),
    ),
    Target(
        "c-source",
        _lex,
        (SOURCE,),
        (),
        (
            b"/*",
            b"#/*",
            b"#",
            b"# ",
            b"#include/*",
            b"/**/",
            b"#/**/",
            b"# /*",
            b'"',
            b"'",
            b'R"',
            b'R"a(',
            b"\\",
            b"\\ ",
            b"__has_include",
            b"__has_include(/*",
            b"GCC/*",
            b".incbin ",
            b".incbin\\t",
            b"#include\n",
            b"#embed ",
            b"%:",
            b"GCC ",
            b"__has_include ",
            b"\n",
            b" ",
            b"1'",
            b"1.",
            b"//",
            b"\\\n",
            b"DATE__",
            b'#include "',
            b"#include <",
        ),
    ),
    Target(
        "gas-source",
        lexasm.lex_gas,
        (b'.include "a.s"\nx: .incbin "b"\n .include \\name\n',),
        (),
        (b".inc", b".include ", b"a:", b" ", b"\t", b'.incbin"', b"\n", b"a: "),
    ),
    Target(
        "nasm-source",
        lexasm.lex_nasm,
        (b"%include 'a.inc'\n%pathsearch X 'y'\ndata: incbin \"b\", 5\n%depend `z`\n",),
        (),
        (b"%", b"incbin", b" incbin", b"incbin ", b"%include ", b" ", b"'", b"\\\n", b"\n", b"x"),
    ),
    Target(
        "macros",
        _macros,
        (SOURCE,),
        (),
        (b"#define A A\n", b"#define A ", b"# ", b" ", b"/*", b"\\\n", b"#define B <", b"\n"),
    ),
    Target(
        "makefile",
        _makefile,
        (MAKE,),
        (),
        (
            b"A=$(A)$(A)\n",
            b"define A\nb\n",
            b"\t-$(",
            b"$(",
            b"$((",
            b"\t-cc $(A)\n",
            b"a:;-",
            b"\t@",
            b"\t ",
            b"a:",
            b"include ",
            b"export ",
            b" ",
            b"\\\n",
            b"A=$(A)$(A)\n\t-cc $(A)\n",
        ),
    ),
    Target(
        "shell",
        shelltext.read,
        (SHELL,),
        (),
        (
            b"if ",
            b"|| (",
            b"|| {",
            b"`",
            b"$(",
            b"$((",
            b"${",
            b'"',
            b"'",
            b"<<E\n",
            b"|| cc ",
            b"! cc\n",
            b"case x in a) ",
            b"|| cc | ",
            b"(a || b) ",
            b"{ cc || ",
            b"\\",
            b"0",
            b"cc\n",
            b"if cc; then ",
            b"|| a\n",
        ),
    ),
    Target(
        "make-rule",
        rule.prerequisites,
        (RULE,),
        (),
        (b"\\", b"\\ ", b"a:", b":", b"$", b" ", b"\\\n", b"a ", b"a: b\n"),
    ),
    Target("ninja-log", _ninja_log, (NINJA,), (ValueError,)),
    Target(
        "response-file",
        common.split_words,
        (b'-o x.o \'a b\' "c \\" d" e\\ f\n',),
        (),
        (b"\\", b'"', b"'", b"\"'", b"a ", b'\\"'),
    ),
    Target("nasm-environment", nasm.environment_args, (b"-f elf64", b"!-f!elf"), ()),
    Target(
        "compilation-database",
        lambda data: compdb.CompilationDatabase(as_file(data, "c.json"))._earlier(),
        (b'[{"directory": "/a", "file": "b.c", "output": "b.o"}]',),
        (),
        (b"[", b'{"a":'),
    ),
    Target(
        "http-answer",
        _answer,
        (ANSWER, CHUNKED),
        (),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"1\r\na\r\n", b"2\r\nab\r\n", b"a: b\r\n", b"0\r\n", b"\r\n", b"<Code>"),
    ),
    Target(
        "server-error",
        _status,
        (REFUSED, LAMBDA_REFUSED, b'200  \n"' + b"Z2c=" + b'"'),
        (),
        (b"<Code>", b"<Message>", b"[", b'{"a":', b'"message":"', b"\\", b"\x1b[31m"),
    ),
    Target(
        "worker-answer",
        lambda data: outcome.from_answer(Response(200, {}, data), ASKED, "f", b"r"),
        (b'"Z2c="',),
        (),
        (b"[", b"{"),
    ),
    Target(
        "bucket-listing",
        bucket._contents,
        (LISTING,),
        (),
        (
            b"<Contents>",
            b"</Contents>",
            b"<Contents><Size>5</Size>",
            b"<Key>",
            b"&#9",
            b"9",
            b"&amp;",
            b"<Contents><Key>",
        ),
    ),
    Target("functions-page", _page, (PAGE,), (GGError,), (b"[", b'{"a":')),
)
