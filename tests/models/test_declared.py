"""Declared tools: what a table may say, what a command line then means, and what is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence

import pytest

from gg.core.thunk import Work
from gg.models.declared.declared_tool import Declarations, matcher
from gg.models.declared.line import DeclaredLine, Word
from gg.models.declared.paths import fill, matching
from gg.models.declared.tables import BadTable, read, spelling
from gg.models.declared.tool_model import models, quoted
from gg.models.drafts import Call, Completed, Draft, ModelAnswer, PathKind, RunReal, Tool

BISON = """
[tool.bison]
names = ["bison", "yacc"]
work = "compile"
options.output = ["-o: --output="]
options.flag = ["-d", "-v"]
options.value = ["-W*", "-L: --language="]
options.optional_output = ["--defines[=]"]
options.probe = ["--version -V"]
options.real = ["-g"]
options.response = ["@*"]
options.depfile = ["--deps="]
options.input = ["--skeleton="]
options.directory = ["-I:"]
outputs = [
    { path = "{base}.tab.c", unless = "-o" },
    { path = "{base}.tab.h", when = "-d", unless = "-o" },
    { path = "{-o:base}.h", when = "-d" },
]
inputs = ["{-I}/**/*.m4"]
environment = ["BISON_*"]
"""


class Disk:
    """A probe over a dictionary of files; directories are those above them."""

    def __init__(self, files: Mapping[bytes, bytes], placeholders: Sequence[bytes] = ()) -> None:
        self.files = {b"/usr/bin/bison": b"static", **files}
        self._placeholders = placeholders

    def kind(self, path: bytes) -> PathKind:
        if path in self.files:
            return PathKind.FILE
        return (
            PathKind.DIRECTORY if any(f.startswith(path.rstrip(b"/") + b"/") for f in self.files) else PathKind.MISSING
        )

    def read(self, path: bytes) -> bytes:
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self.files[path]

    def is_placeholder(self, path: bytes) -> bool:
        return path in self._placeholders

    def realpath(self, path: bytes) -> bytes:
        return path

    def run(self, argv: Sequence[bytes], env: Mapping[bytes, bytes], cwd: bytes = b"/") -> Completed:
        raise AssertionError("nothing is asked")

    def list_directory(self, path: bytes) -> tuple[bytes, ...]:
        top = path.rstrip(b"/") + b"/"
        return tuple(sorted({f[len(top) :].split(b"/")[0] for f in self.files if f.startswith(top)}))


def ask(text: str, line: str, files: Mapping[bytes, bytes], env: Mapping[bytes, bytes] | None = None) -> ModelAnswer:
    declarations = Declarations(read(tomllib.loads(text)["tool"], "gg.toml"))
    argv = tuple(line.encode().split())
    table = declarations.find(argv[0], b"/usr/bin/" + argv[0], argv)
    assert table
    return models(declarations)[table.name](
        Call(Tool(table.name, b"/usr/bin/bison"), argv, b"/w", env or {}), Disk(files)
    )


def drafted(line: str, files: Mapping[bytes, bytes] | None = None, env: Mapping[bytes, bytes] | None = None) -> Draft:
    answer = ask(BISON, line, files or {b"/w/p.y": b"", b"/w/sub/q.y": b""}, env)
    assert isinstance(answer, Draft), answer
    return answer


def written(draft: Draft) -> list[bytes]:
    return [w.path for w in draft.outputs]


@pytest.mark.parametrize(
    ("line", "outputs"),
    [
        ("bison p.y", [b"/w/p.tab.c"]),
        ("yacc -d p.y", [b"/w/p.tab.c", b"/w/p.tab.h"]),
        ("bison -dv sub/q.y", [b"/w/sub/q.tab.c", b"/w/sub/q.tab.h"]),
        ("bison -o x.c p.y", [b"/w/x.c"]),
        ("bison -ox.c p.y", [b"/w/x.c"]),
        ("bison --output=x.c -d p.y", [b"/w/x.c", b"/w/x.h"]),
        ("bison --output x.c p.y", [b"/w/x.c"]),
        ("bison -dvo x.c p.y", [b"/w/x.c", b"/w/x.h"]),
        ("bison -Wall -L c -- p.y", [b"/w/p.tab.c"]),
        ("bison --defines p.y", [b"/w/p.tab.c"]),
        ("bison --defines=/w/d.h p.y", [b"/w/d.h", b"/w/p.tab.c"]),
    ],
)
def test_what_is_written(line: str, outputs: list[bytes]) -> None:
    draft = drafted(line)
    assert written(draft) == outputs
    assert draft.argv == tuple(line.encode().split())
    assert draft.work is Work.COMPILE


def test_what_is_read() -> None:
    files = {
        b"/w/p.y": b"",
        b"/w/lib/a.m4": b"",
        b"/w/lib/deep/b.m4": b"",
        b"/w/lib/.c.m4": b"",
        b"/w/lib/d.txt": b"",
        b"/s": b"",
    }
    draft = drafted("bison -I lib --skeleton=/s p.y", files)
    assert set(draft.inputs) == {b"/w/p.y", b"/s", b"/w/lib/a.m4", b"/w/lib/deep/b.m4"}
    assert draft.directories == (b"/w/lib",)
    assert draft.tools[0] == b"/usr/bin/bison"


def test_a_directory_among_the_inputs_means_what_is_in_it() -> None:
    files = {b"/w/src/a": b"", b"/w/src/b/c": b""}
    assert set(drafted("bison -o x src", files).inputs) == set(files)


def test_what_is_written_is_not_read() -> None:
    files = {b"/w/p.y": b"", b"/w/lib/a.m4": b""}
    assert drafted("bison -I lib -o lib/a.m4 p.y", files).inputs == (b"/w/p.y",)


def test_response_files_are_read_and_followed() -> None:
    draft = drafted("bison @args", {b"/w/p.y": b"", b"/w/args": b"-o 'x y.c' -d\np.y"})
    assert set(draft.inputs) == {b"/w/args", b"/w/p.y"}
    assert written(draft) == [b"/w/x y.c", b"/w/x y.h"]
    endless = ask(BISON, "bison @args", {b"/w/args": b"@args"})
    assert isinstance(endless, RunReal)
    assert "without end" in endless.why


def test_the_environment_is_what_counts() -> None:
    env = {b"BISON_X": b"1", b"MAKELEVEL": b"2", b"LC_ALL": b"C", b"PATH": b"/bin:/usr/bin"}
    kept = drafted("bison p.y", env=env).env
    assert kept == {b"BISON_X": b"1", b"LC_ALL": b"C", b"PATH": b"/usr/bin", b"PWD": b"/w"}


def test_a_depfile_is_a_rule_for_the_outputs() -> None:
    depfile = drafted("bison --deps=p.d -o x.c p.y").depfile
    assert depfile
    assert (depfile.path, depfile.targets) == (b"/w/p.d", (b"x.c",))
    assert quoted(b"a b$#") == b"a\\ b$$\\#"


@pytest.mark.parametrize(
    ("line", "why", "probe"),
    [
        ("bison --version", "--version is given", True),
        ("bison -g p.y", "-g is given", False),
        ("bison --nope p.y", "--nope is not declared", False),
        ("bison -dz p.y", "-dz is not declared", False),
        ("bison p.y -o", "-o lacks its argument", False),
        ("bison absent.y", "an input that is not there", False),
        ("bison -", "standard stream", True),
        ("bison -o - p.y", "no file", True),
        ("bison -o sub p.y", "no single file", False),
        ("bison conftest.y", "trial", True),
        ("bison @absent", "cannot read", False),
    ],
)
def test_what_runs_for_real(line: str, why: str, probe: bool) -> None:
    files = {b"/w/p.y": b"", b"/w/sub/q.y": b"", b"/w/conftest.y": b""}
    answer = ask(BISON, line, files)
    assert isinstance(answer, RunReal)
    assert why in answer.why
    assert answer.probe is probe
    assert answer.nested


SCANNER = """
[tool.scanner]
names = ["*/tools/scan*"]
operands = ["value", "input...", "output"]
options.chdir = ["-C:"]
"""


def test_operands_by_their_position() -> None:
    declarations = Declarations(read(tomllib.loads(SCANNER)["tool"], "gg.toml"))
    program = b"/w/tools/scanner"
    table = declarations.find(b"./tools/scanner", program, (b"./tools/scanner",))
    assert table
    disk = Disk({program: b"", b"/w/a.xml": b"", b"/w/d/b.xml": b""}, placeholders=[program])
    argv = (b"./tools/scanner", b"header", b"a.xml", b"d/b.xml", b"out.h")
    draft = models(declarations)["scanner"](Call(Tool("scanner", program), argv, b"/w", {}), disk)
    assert isinstance(draft, Draft)
    assert draft.inputs == (program, b"/w/a.xml", b"/w/d/b.xml")
    assert draft.tools == ()
    assert written(draft) == [b"/w/out.h"]
    moved = models(declarations)["scanner"](
        Call(Tool("scanner", program), (argv[0], b"-C", b"d", b"header", b"b.xml", b"o"), b"/w", {}), disk
    )
    assert isinstance(moved, Draft)
    assert moved.inputs == (program, b"/w/d/b.xml")
    assert written(moved) == [b"/w/d/o"]
    few = models(declarations)["scanner"](Call(Tool("scanner", program), (argv[0], b"header"), b"/w", {}), disk)
    assert isinstance(few, RunReal)


def test_a_script_chooses_the_table() -> None:
    text = '[tool.gen]\nnames = ["python3*"]\nscript = "*gen.py"\noperands = ["input...", "output"]\n'
    declarations = Declarations(read(tomllib.loads(text)["tool"], "gg.toml"))
    python = b"/usr/bin/python3"
    assert declarations.find(b"python3", python, (b"python3", b"-B", b"tools/gen.py", b"a", b"b"))
    assert declarations.find(b"python3", python, (b"python3", b"other.py")) is None
    assert declarations.called(b"/usr/bin/python3.11")
    disk = Disk({python: b"", b"/w/gen.py": b"", b"/w/a": b""})
    answer = models(declarations)["gen"](
        Call(Tool("gen", python), (b"python3", b"gen.py", b"a", b"b"), b"/w", {}), disk
    )
    assert isinstance(answer, Draft)
    assert set(answer.inputs) == {b"/w/gen.py", b"/w/a"}
    assert written(answer) == [b"/w/b"]


def test_words_like_of_and_protoc_s_directories() -> None:
    text = """
    [tool.protoc]
    options.directory = ["-I: --proto_path="]
    options.value = ["--cpp_out="]
    outputs = ["{--cpp_out}/{input:below(-I):base}.pb.cc", "{--cpp_out}/{input:below(-I):base}.pb.h"]
    [tool.dd]
    options.input = ["if="]
    options.output = ["of="]
    """
    files = {b"/w/src/sub/m.proto": b"", b"/w/x": b""}
    protoc = ask(text, "protoc -I src --cpp_out=gen src/sub/m.proto", files)
    assert isinstance(protoc, Draft)
    assert written(protoc) == [b"/w/gen/sub/m.pb.cc", b"/w/gen/sub/m.pb.h"]
    dd = ask(text, "dd if=x of=y", files)
    assert isinstance(dd, Draft)
    assert (dd.inputs, written(dd)) == ((b"/w/x",), [b"/w/y"])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[tool.x]\nname = ["x"]', "[tool.x]: unknown key 'name'"),
        ("[tool]\nx = 1", "[tool.x]: is not a table"),
        ('[tool.x]\nnames = ["a:b"]', "names: 'a:b'"),
        ('[tool.x]\nnames = ["*"]', "names: '*'"),
        ("[tool.x]\nnames = [1]", "names must be a list of strings"),
        ('[tool.x]\noptions.outputs = ["-o:"]', "unknown role 'outputs'"),
        ('[tool.x]\noptions.output = ["-o"]', "options.output: '-o' names no option with an argument"),
        ('[tool.x]\noptions.flag = ["-d"]\noptions.output = ["-d:"]', "'-d' is there twice"),
        ('[tool.x]\noperands = ["file"]', "operands: unknown role 'file'"),
        ('[tool.x]\noperands = ["input...", "output..."]', "only one of them can repeat"),
        ('[tool.x]\noutputs = ["{-o}.c"]', "outputs: '{-o}.c': {-o} stands for nothing"),
        ('[tool.x]\noutputs = ["{input:stam}"]', "'stam' is no part of a name"),
        ('[tool.x]\noutputs = ["{stem"]', "brace"),
        ('[tool.x]\noutputs = [{ path = "a", when = "-d" }]', "'-d' is no option of the table"),
        ('[tool.x]\noutputs = [{ paths = "a" }]', "outputs: must be"),
        ("[tool.x]\noutputs = 3", "outputs: must be"),
        ('[tool.x]\nwork = "play"', "work cannot be 'play'"),
        ('[tool.x]\nscript = ["a"]', "script must be a string"),
        ('[tool."x y"]\nwork = "link"', "'x y' is no name for a tool"),
    ],
)
def test_a_bad_table_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(BadTable) as caught:
        read(tomllib.loads(text)["tool"], "gg.toml")
    assert str(caught.value).startswith("gg.toml: [tool.")
    assert place in str(caught.value)


def test_patterns() -> None:
    assert matcher("protoc-gen-*")[1].fullmatch(b"protoc-gen-grpc")
    assert not matcher("protoc")[1].fullmatch(b"protoc3")
    assert spelling("--x[=]") == ("--x", True, True, False)
    assert spelling("of=") == ("of=", True, False, True)
    assert spelling("-c:v:") == ("-c:v", True, False, False)


def test_templates_fill_in_each_value() -> None:
    words = (Word("input", b"a/x.y"), Word("input", b"z.y"), Word("value", b"o", "-d"), Word("value", b"p", "-d"))
    line = DeclaredLine(words, frozenset({"-d"}), b"")
    assert fill("{stem}.c", line) == [b"x.c", b"z.c"]
    assert fill("{-d}/{name}", line) == [b"o/x.y", b"o/z.y", b"p/x.y", b"p/z.y"]
    assert fill("{2:dir}{2:ext}", line) == [b"..y"]
    assert fill("{-o}", line) == []
    assert fill("fixed", line) == [b"fixed"]


def test_a_pattern_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk({b"/d/%d" % i: b"" for i in range(9)})
    is_directory = lambda path: disk.kind(path) is PathKind.DIRECTORY  # noqa: E731
    assert len(matching(b"/d/*", disk.list_directory, is_directory)) == 9
    assert matching(b"/d/?", disk.list_directory, is_directory) == matching(b"/d/**", disk.list_directory, is_directory)
    monkeypatch.setattr("gg.models.declared.paths._MOST_FILES", 5)
    with pytest.raises(OSError, match="more than 5"):
        matching(b"/d/*", disk.list_directory, is_directory)
