"""A declared tool's command line, taken apart by its table: which options were given, and what its words name."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from gg.light.named import NamedTuple
from gg.models.declared.declared_tool import Declared, Spelled

_MOST_RESPONSE_FILES = 200


class Unclear(Exception):
    """The call runs for real; the text says why."""

    def __init__(self, why: str, *, probe: bool = False) -> None:
        super().__init__(why)
        self.probe = probe


class Word(NamedTuple):
    """A word of the command line that means something: its role, and the option it belongs to (empty: an operand)."""

    role: str
    value: bytes
    option: str = ""


class DeclaredLine(NamedTuple):
    """What was said: the words in their order, and by which options (with those that take no argument)."""

    words: tuple[Word, ...]
    given: frozenset[str]
    chdir: bytes

    def of(self, *roles: str) -> list[bytes]:
        return [word.value for word in self.words if word.role in roles]

    def operands(self) -> list[bytes]:
        return [word.value for word in self.words if not word.option]

    def values(self, option: str) -> list[bytes]:
        return [word.value for word in self.words if word.option == option]


def parse(table: Declared, args: Sequence[bytes], read: Callable[[bytes], Sequence[bytes]]) -> DeclaredLine:
    """Take `args` (without argv[0]) apart. `read` gives the words of a response file. Unclear for what is not declared."""
    reader = _LineReader(table, args, read)
    reader.run()
    roles = _roles(table.operands, len(reader.operands))
    if table.script and reader.operands:
        roles = ["input", *_roles(table.operands, len(reader.operands) - 1)]
    if len(roles) != len(reader.operands):
        raise Unclear(f"{len(reader.operands)} operands, which the table does not expect")
    for at, role in zip(reader.operands, roles, strict=True):
        if reader.words[at].value == b"-":
            raise Unclear("reads or writes a standard stream", probe=True)
        reader.words[at] = Word(role, reader.words[at].value)
    for word in reader.words:
        if word.role in ("probe", "real"):
            raise Unclear(f"{word.option or word.value.decode(errors='replace')} is given", probe=word.role == "probe")
    chdir = [word.value for word in reader.words if word.role == "chdir"]
    return DeclaredLine(tuple(reader.words), frozenset(reader.given), chdir[-1] if chdir else b"")


def _roles(roles: Sequence[str], count: int) -> list[str]:
    """The role of each of `count` operands; fewer when there are too many or too few of them."""
    at = next((i for i, role in enumerate(roles) if role.endswith("...")), -1)
    if at < 0:
        return list(roles) if len(roles) == count else []
    before, after = roles[:at], roles[at + 1 :]
    repeated = count - len(before) - len(after)
    return [*before, *[roles[at][:-3]] * repeated, *after] if repeated >= 0 else []


class _LineReader:
    def __init__(self, table: Declared, args: Iterable[bytes], read: Callable[[bytes], Sequence[bytes]]) -> None:
        self._table = table
        self._left = deque(args)
        self._read = read
        self._files = 0
        self.words: list[Word] = []
        self.operands: list[int] = []
        self.given: set[str] = set()

    def run(self) -> None:
        while self._left:
            word = self._left.popleft()
            if word == b"--":
                while self._left:
                    self._operand(self._left.popleft())
            elif not (self._whole(word) or self._joined(word) or self._prefixed(word) or self._cluster(word)):
                if word.startswith(b"-") and word != b"-":
                    raise Unclear(f"the option {_text(word)} is not declared")
                self._operand(word)

    def _operand(self, word: bytes) -> None:
        self.operands.append(len(self.words))
        self.words.append(Word("", word))

    def _whole(self, word: bytes) -> bool:
        """The word is an option's name; its argument, if it must have one, is the next word."""
        option = self._table.words.get(word)
        if option is None:
            return False
        value = b""
        if option.takes and not option.optional:
            if not self._left:
                raise Unclear(f"{_text(word)} lacks its argument")
            value = self._left.popleft()
        self._take(option, value, there=option.takes and not option.optional)
        return True

    def _joined(self, word: bytes) -> bool:
        """`--name=value`, or `-ovalue` of an option with one letter."""
        name, equals, value = word.partition(b"=")
        option = self._table.words.get(name)
        if equals and option is not None and option.takes and len(name) > 2:
            self._take(option, value)
            return True
        option = self._table.words.get(word[:2])
        if word[:1] == b"-" and word[:2] != b"--" and option is not None and option.takes:
            self._take(option, word[2:])
            return True
        return False

    def _prefixed(self, word: bytes) -> bool:
        for prefix, option in self._table.prefixes:
            if word.startswith(prefix):
                self._take(option, word[len(prefix) :])
                return True
        return False

    def _cluster(self, word: bytes) -> bool:
        """`-dv` is `-d -v`, if all are options without argument; the last may have one."""
        if word[:1] != b"-" or word[:2] == b"--" or len(word) < 3:
            return False
        found: list[tuple[Spelled, bytes]] = []
        for at in range(1, len(word)):
            option = self._table.words.get(b"-" + word[at : at + 1])
            if option is None:
                return False
            if option.takes:
                found.append((option, word[at + 1 :]))
                break
            found.append((option, b""))
        for option, value in found[:-1]:
            self._take(option, value, there=False)
        last, value = found[-1]
        if last.takes and not last.optional and not value:
            if not self._left:
                raise Unclear(f"{_text(word)} lacks its argument")
            value = self._left.popleft()
        self._take(last, value, there=last.takes)
        return True

    def _take(self, option: Spelled, value: bytes, *, there: bool = True) -> None:
        self.given.add(option.name)
        if option.role == "response" and there:
            self._respond(value)
            return
        role = option.role if there or option.role in ("probe", "real") else "flag"
        self.words.append(Word(role, value, option.name))

    def _respond(self, path: bytes) -> None:
        self._files += 1
        if self._files > _MOST_RESPONSE_FILES:
            raise Unclear("response files without end")
        self.words.append(Word("input", path, "response"))
        self._left.extendleft(reversed(self._read(path)))


def _text(word: bytes) -> str:
    return word.decode("utf-8", "backslashreplace")
