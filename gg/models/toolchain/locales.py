"""The files by which the C library speaks the user's language, and converts between character sets.

A program opens them from inside libc: locales below /usr/lib/locale when it calls `setlocale(LC_ALL, "")`, catalogs of
messages (gettext), and converters (gconv) that -finput-charset and a locale's own character set name. No preloaded
library sees these opens, so a run cannot report the files, and they are declared beforehand. The C locale needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gg.models.drafts import PathKind, Probe
from gg.models.toolchain.remembered import machine
from gg.models.toolchain.view import View

_LOCALES = b"/usr/lib/locale"
_CATALOGS = b"/usr/share/locale"
_ALIASES = _CATALOGS + b"/locale.alias"
_MESSAGES = b"/LC_MESSAGES/"
# The text domains of the tools that are modelled, and of what they load.
_DOMAINS = (b"gcc", b"cpplib", b"libc", b"libstdc++", b"bfd", b"binutils", b"gas", b"ld", b"gold", b"opcodes", b"make")
_VARIABLES = (b"LC_ALL", b"LANG", b"LC_CTYPE", b"LC_MESSAGES", b"LC_COLLATE", b"LC_NUMERIC", b"LC_TIME")
_C = frozenset((b"", b"C", b"POSIX"))
_UTF8 = frozenset((b"utf8", b"UTF-8", b"utf-8", b"UTF8"))


def locale_files(probe: Probe, env: Mapping[bytes, bytes], program: bytes) -> tuple[bytes, ...]:
    """What `program` (absolute) may open for the locale that `env` asks for; nothing for C."""
    named = tuple(dict.fromkeys(env[name] for name in _VARIABLES if env.get(name, b"") not in _C))
    if not named:
        return ()
    known = machine(probe)
    languages = env.get(b"LANGUAGE", b"")
    key = (named, languages, program)
    found = known.locales.get(key)
    if found is None:
        found = known.locales[key] = tuple(dict.fromkeys(_files(known.view, named, languages, program)))
    return found


def converters(probe: Probe, program: bytes) -> tuple[bytes, ...]:
    """The files that iconv may load in `program`: everything in the directory gconv beside its C library."""
    return tuple(_converters(machine(probe).view, program))


def _files(view: View, named: tuple[bytes, ...], languages: bytes, program: bytes) -> Iterator[bytes]:
    for name in named:
        yield from _locale(view, name)
        if _charset(name) not in _UTF8:
            yield from _converters(view, program)
    if view.is_file(_ALIASES):
        yield _ALIASES
    for language in (*languages.split(b":"), *named):
        for variant in _variants(language):
            for domain in view.plugins(_CATALOGS + b"/" + variant + _MESSAGES.rstrip(b"/")):
                if domain.rpartition(b"/")[2].startswith(_DOMAINS):
                    yield domain


def _locale(view: View, name: bytes) -> Iterator[bytes]:
    """The locale's own directory under any of its names, else the archive of all of them."""
    found = False
    for variant in _variants(name):
        directory = _LOCALES + b"/" + variant
        files = (*view.plugins(directory), *view.plugins(directory + _MESSAGES.rstrip(b"/")))
        found = found or bool(files)
        yield from files
    archive = _LOCALES + b"/locale-archive"
    if not found and view.is_file(archive):
        yield archive


def _variants(name: bytes) -> tuple[bytes, ...]:
    """The names under which a locale may be found: de_DE.UTF-8@euro itself, its character set spelt otherwise, parts left out."""
    if not name or b"/" in name:
        return ()
    plain, _, modifier = name.partition(b"@")
    territory, dot, charset = plain.partition(b".")
    spelt = (charset, charset.lower().replace(b"-", b"")) if dot else ()
    language = territory.partition(b"_")[0]
    heads = [territory + b"." + c for c in spelt] + [territory] + [language + b"." + c for c in spelt] + [language]
    tails = (b"@" + modifier, b"") if modifier else (b"",)
    return tuple(dict.fromkeys(head + tail for tail in tails for head in heads))


def _charset(name: bytes) -> bytes:
    return name.partition(b"@")[0].partition(b".")[2]


def _converters(view: View, program: bytes) -> Iterator[bytes]:
    interpreter = view.interpreter(program)
    if not interpreter:
        return
    top = view.realpath(interpreter).rpartition(b"/")[0] + b"/gconv"
    if view.kind(top) is PathKind.DIRECTORY:
        yield from view.plugins(top)
        yield from view.plugins(top + b"/gconv-modules.d")
