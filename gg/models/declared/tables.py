"""Tools that the user declares in `gg.toml`: what a `[tool.NAME]` table says, and which calls it is about.

    [tool.flex]
    options.output = ["-o: --outfile="]          # spellings by role; those of one string mean the same option
    options.real = ["-t --stdout"]
    options.value = ["-P: --prefix="]
    outputs = [{ path = "lex.yy.c", unless = "-o" }]

An option is spelled with its arity, as getopt writes it: `-d` none, `-o:` an argument, joined or the next word,
`-g::` and `--color[=]` one that may be left out and is joined, `--output=` one behind `=` or the next word, `-W*` every
word that starts so, `of=` (no dash) a word of that form. The roles are those of `ROLES`.

Nothing is guessed: a call with an option that the table does not have runs for real.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from gg.core.thunk import Work
from gg.light.nearest import known_names
from gg.models.declared.declared_tool import Declared, Spelled, WrittenBesides
from gg.models.declared.paths import check

ROLES = {
    "flag": "takes no file",
    "value": "its argument is no file",
    "input": "a file that is read",
    "optional_input": "a file that is read if it is there",
    "output": "a file that is written",
    "optional_output": "a file that may be written",
    "directory": "a directory to search in",
    "depfile": "a make rule that is written",
    "response": "a file with more arguments",
    "chdir": "the directory from which the others are seen",
    "program": "a program that is started",
    "probe": "the call asks a question",
    "real": "the call runs for real",
}
_KEYS = ("names", "script", "options", "operands", "inputs", "outputs", "programs", "environment", "work")
_OUTPUT_KEYS = ("path", "when", "unless", "optional", "executable")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


class BadTable(ValueError):
    """A table that makes no sense; the text begins with the place in it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


# Reading the tables


def read(tables: Mapping[str, object], place: str) -> tuple[Declared, ...]:
    """The tables under `tool` of the file `place`; BadTable for what is wrong in them."""
    return tuple(_read(name, table, f"{place}: [tool.{name}]") for name, table in tables.items())


def _read(name: str, table: object, place: str) -> Declared:
    if not _NAME.fullmatch(name):
        raise BadTable(f"{place}: {name!r} is no name for a tool")
    if not isinstance(table, Mapping):
        raise BadTable(f"{place}: is not a table")
    _only(table, _KEYS, place)
    names = _strings(table, "names", place) or (name,)
    for pattern in names:
        if ":" in pattern or not pattern.strip("*?/"):
            raise BadTable(f"{place}: names: {pattern!r} is no pattern of a program's name")
    words, prefixes = _options(table.get("options", {}), place)
    known = {option.name for option in (*words.values(), *(o for _, o in prefixes))}
    return Declared(
        name=name,
        names=names,
        script=_text(table, "script", place),
        words=words,
        prefixes=prefixes,
        operands=_operands(_strings(table, "operands", place, ("input...",)), place),
        inputs=tuple(_checked(t, known, f"{place}: inputs") for t in _strings(table, "inputs", place)),
        outputs=_outputs(table.get("outputs", ()), known, place),
        programs=_strings(table, "programs", place),
        environment=_strings(table, "environment", place),
        work=_work(_text(table, "work", place), place),
    )


def _only(table: Mapping[str, object], keys: Sequence[str], place: str) -> None:
    for key in table:
        if key not in keys:
            raise BadTable(f"{place}: unknown key {key!r}", known_names(key, keys))


def _strings(table: Mapping[str, object], key: str, place: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    value = table.get(key, default)
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) and part for part in value):
        raise BadTable(f"{place}: {key} must be a list of strings")
    return tuple(value)


def _text(table: Mapping[str, object], key: str, place: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise BadTable(f"{place}: {key} must be a string")
    return value


def _work(text: str, place: str) -> Work:
    try:
        return Work(text) if text else Work.OTHER
    except ValueError:
        known = ", ".join(work.value for work in Work)
        raise BadTable(f"{place}: work cannot be {text!r}", f"one of {known}") from None


def _options(table: object, place: str) -> tuple[dict[bytes, Spelled], tuple[tuple[bytes, Spelled], ...]]:
    place += " options"
    if not isinstance(table, Mapping):
        raise BadTable(f"{place}: is not a table", 'options.output = ["-o: --output="]')
    words: dict[bytes, Spelled] = {}
    prefixes: dict[bytes, Spelled] = {}
    for role in table:
        if role not in ROLES:
            raise BadTable(f"{place}: unknown role {role!r}", known_names(role, ROLES))
        for synonyms in _strings(table, role, place):
            spelled = [spelling(word) for word in synonyms.split()]
            for bare, takes, optional, prefix in spelled:
                if not bare or bare in ("-", "--") or (role in _NAMING and not takes):
                    raise BadTable(f"{place}.{role}: {synonyms!r} names no option with an argument", _ARITY)
                option = Spelled(role, spelled[0][0], takes, optional)
                into = prefixes if prefix else words
                if bare.encode() in into:
                    raise BadTable(f"{place}.{role}: {bare!r} is there twice")
                into[bare.encode()] = option
    return words, tuple(sorted(prefixes.items(), key=lambda item: -len(item[0])))


_NAMING = frozenset(ROLES) - {"flag", "probe", "real", "value", "optional_output"}
_ARITY = "-o: takes an argument, --output= behind an equals sign, -d none"


def spelling(word: str) -> tuple[str, bool, bool, bool]:
    """The bare name; whether it takes an argument; whether that may be missing; whether it is only how words begin."""
    if word.endswith("[=]"):
        return word[:-3], True, True, False
    if word.endswith("*"):
        return word[:-1], True, False, True
    if word.endswith("=") and not word.startswith("-"):
        return word, True, False, True
    if word.endswith("::"):
        return word[:-2], True, True, False
    if word.endswith((":", "=")):
        return word[:-1], True, False, False
    return word, False, False, False


def _operands(roles: tuple[str, ...], place: str) -> tuple[str, ...]:
    if sum(role.endswith("...") for role in roles) > 1:
        raise BadTable(f"{place}: operands: only one of them can repeat")
    for role in roles:
        if role.removesuffix("...") not in ROLES:
            raise BadTable(
                f"{place}: operands: unknown role {role!r}", f"known: {', '.join(ROLES)}, with ... to repeat"
            )
    return roles


def _outputs(value: object, known: set[str], place: str) -> tuple[WrittenBesides, ...]:
    place += " outputs"
    if isinstance(value, (str, Mapping)):
        value = (value,)
    if not isinstance(value, (list, tuple)):
        raise BadTable(f"{place}: must be a list of templates or of tables")
    return tuple(_output(item, known, place) for item in value)


def _output(item: object, known: set[str], place: str) -> WrittenBesides:
    if isinstance(item, str):
        return WrittenBesides(_checked(item, known, place))
    if not isinstance(item, Mapping) or "path" not in item:
        raise BadTable(f"{place}: must be a list of templates or of tables", '{ path = "{stem}.h", when = "-d" }')
    _only(item, _OUTPUT_KEYS, place)
    conditions = [_strings(item, key, place) for key in ("when", "unless")]
    for name in (*conditions[0], *conditions[1]):
        if name not in known:
            raise BadTable(f"{place}: {name!r} is no option of the table", f"known: {', '.join(sorted(known))}")
    path = _checked(_text(item, "path", place), known, place)
    return WrittenBesides(path, conditions[0], conditions[1], bool(item.get("optional")), bool(item.get("executable")))


def _checked(template: str, known: set[str], place: str) -> str:
    trouble = check(template, known)
    if trouble:
        raise BadTable(f"{place}: {template!r}: {trouble}")
    return template
