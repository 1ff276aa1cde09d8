"""Archives as `ar` writes them: their members, with names and headers. Thin ones, too, whose members are elsewhere."""

from __future__ import annotations

from gg.light.slotted import slotted

_MAGIC, _THIN = b"!<arch>\n", b"!<thin>\n"
_HEAD = 60
_SPECIAL = (b"/", b"//", b"/SYM64/", b"__.SYMDEF")


@slotted()
class Member:
    """`header`: what it says of time, owner and mode. The table of symbols is a member called "/"."""

    name: bytes
    header: bytes
    data: bytes


def members(data: bytes) -> list[Member] | None:
    """The members in order; None for what is no whole archive."""
    if not data.startswith((_MAGIC, _THIN)):
        return None
    found: list[Member] = []
    names = b""
    at = len(_MAGIC)
    while at < len(data):
        head = data[at : at + _HEAD]
        size_text = head[48:58].strip()
        if len(head) < _HEAD or head[58:60] != b"`\n" or not size_text.isdigit():
            return None
        name, size = head[:16].rstrip(), int(size_text)
        at += _HEAD
        here = name in _SPECIAL or not data.startswith(_THIN)
        body = data[at : at + size] if here else b""
        if here and len(body) < size:
            return None
        if name == b"//":
            names = body
        found.append(Member(_name(name, names), head[16:48].rstrip(), body))
        at += (size + (size & 1)) if here else 0
    return found


def _name(name: bytes, names: bytes) -> bytes:
    if name[:1] == b"/" and name[1:].isdigit():
        return names[int(name[1:]) :].partition(b"\n")[0].rstrip(b"/")
    return name if name in _SPECIAL else name.rstrip(b"/")
