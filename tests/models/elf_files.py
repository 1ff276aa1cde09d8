"""Small ELF files made by hand, for the tests of what reads them."""

from __future__ import annotations

import struct

EXECUTABLE, SHARED, OBJECT = 2, 3, 1
X86_64, I386, PPC64, MIPS = 62, 3, 21, 8

_LOAD_AT = 0x400000


def build_elf(
    *,
    kind: int = SHARED,
    bits: int = 64,
    little: bool = True,
    machine: int = X86_64,
    interpreter: bytes = b"",
    needed: tuple[bytes, ...] = (),
    rpath: bytes = b"",
    runpath: bytes = b"",
    soname: bytes = b"",
    flags_1: int = 0,
    dynamic: bool = True,
) -> bytes:
    """An ELF file of one loaded segment, mapped at an address that is not its offset, as real ones are."""
    order, wide = "<" if little else ">", bits == 64
    header = 64 if wide else 52
    step = 56 if wide else 32
    strings = b"\0"
    entries: list[tuple[int, int]] = []
    for tag, texts in ((1, needed), (15, (rpath,)), (29, (runpath,)), (14, (soname,))):
        for text in texts:
            if text:
                entries.append((tag, len(strings)))
                strings += text + b"\0"
    if flags_1:
        entries.append((0x6FFFFFFB, flags_1))
    count = 1 + bool(interpreter) + dynamic
    at_interpreter = header + step * count
    at_strings = at_interpreter + (len(interpreter) + 1 if interpreter else 0)
    at_dynamic = at_strings + len(strings)
    entries += [(5, _LOAD_AT + at_strings), (10, len(strings)), (0, 0)]
    table = b"".join(struct.pack(order + ("qQ" if wide else "iI"), tag, value) for tag, value in entries)
    total = at_dynamic + (len(table) if dynamic else 0)

    def segment(what: int, offset: int, size: int) -> bytes:
        if wide:
            return struct.pack(order + "IIQQQQQQ", what, 4, offset, _LOAD_AT + offset, 0, size, size, 1)
        return struct.pack(order + "8I", what, offset, _LOAD_AT + offset, 0, size, size, 4, 1)

    segments = segment(1, 0, total)
    if interpreter:
        segments += segment(3, at_interpreter, len(interpreter) + 1)
    if dynamic:
        segments += segment(2, at_dynamic, len(table))
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if little else 2, 1)) + bytes(9)
    words = (kind, machine, 1, _LOAD_AT, header, 0, 0, header, step, count, 0, 0, 0)
    head = ident + struct.pack(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), *words)
    body = (interpreter + b"\0" if interpreter else b"") + strings + (table if dynamic else b"")
    return head + segments + body
