"""A compiler driver's command line, taken apart. `parse` fills a `DriverCommand`; the other modules read it."""

from __future__ import annotations

from enum import Enum

from gg.light.slotted import field, slotted
from gg.models.driver.languages import Language


class Stage(Enum):
    """How far the driver goes. The value is how gg names it."""

    PREPROCESS = "preprocess"
    ASSEMBLY = "compile to assembly"
    OBJECT = "compile"
    LINK = "link"


@slotted()
class SourceFile:
    """One source, as it was written."""

    path: bytes
    language: Language


@slotted(frozen=False)
class Dependencies:
    """What was said about the dependency file. `asked` and `system`: -MD or -MMD (not for cc1 alone).

    `quoted` and `raw` are the operands of -MQ and -MT, `targets` both in order. `direct` is the file of
    `-Wp,-MD,FILE`, which goes to GCC's cc1 past the driver's own rules; None without one.
    """

    asked: bool = False
    system: bool = True
    file: bytes | None = None
    targets: list[tuple[bytes, bool]] = field(default_factory=list)
    phony: bool = False
    direct: bytes | None = None


@slotted(frozen=False)
class Beside:
    """The files that are written beside the main output."""

    notes: bool = False
    notes_name: bytes = b""
    temps: bytes | None = None  # the directory rule of -save-temps: "", "obj", "cwd"
    split_dwarf: bool = False
    stack_usage: bool = False
    time_trace: bool = False
    callgraph: bool = False
    aux_info: bytes = b""

    def any(self) -> bool:
        named = self.notes or self.split_dwarf or self.stack_usage or self.time_trace or self.callgraph
        return named or self.temps is not None or bool(self.aux_info)


@slotted(frozen=False)
class DriverCommand:
    """A command line. `question` and `real` hold the first reason for a real run, as a probe or not.

    `objects` are operands for the linker; `link_words` are its whole part of the line, objects included, in order.
    The toolchain's own answers depend on `header_flags`, `link_flags` and `tool_flags`. `kept` is the line without
    the options that say where results go: with -M added, it asks the compiler for a source's dependencies.
    """

    flavour: str
    cplusplus: bool = False
    cpp: bool = False
    question: str = ""
    real: str = ""
    verbose: bool = False
    compile: bool = False
    assembly: bool = False
    preprocess: bool = False
    emit_llvm: bool = False
    emit_pch: bool = False
    relocatable: bool = False
    windows: bool = False
    converts: bool = False
    integrated_as: bool = True
    lto: bool = False
    output: bytes = b""
    language: Language | None = None
    sources: list[SourceFile] = field(default_factory=list)
    objects: list[bytes] = field(default_factory=list)
    stdin: bool = False
    link_words: list[bytes] = field(default_factory=list)
    library_dirs: list[bytes] = field(default_factory=list)
    header_flags: list[bytes] = field(default_factory=list)
    link_flags: list[bytes] = field(default_factory=list)
    tool_flags: list[bytes] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    options: list[bytes] = field(default_factory=list)
    link_options: list[bytes] = field(default_factory=list)
    file_options: list[bytes] = field(default_factory=list)
    link_operands: list[bytes] = field(default_factory=list)
    quote: list[bytes] = field(default_factory=list)
    include: list[bytes] = field(default_factory=list)
    system: list[bytes] = field(default_factory=list)
    after: list[bytes] = field(default_factory=list)
    prefix: bytes = b""
    sysroot: bytes = b""
    forced: list[bytes] = field(default_factory=list)
    precompiled: list[bytes] = field(default_factory=list)
    defines: list[bytes] = field(default_factory=list)
    dependencies: Dependencies = field(default_factory=Dependencies)
    preprocessor_words: list[bytes] = field(default_factory=list)
    assembler_words: list[bytes] = field(default_factory=list)
    cc1_words: list[bytes] = field(default_factory=list)
    beside: Beside = field(default_factory=Beside)
    inputs: list[bytes] = field(default_factory=list)
    plugins: list[bytes] = field(default_factory=list)
    specs: list[bytes] = field(default_factory=list)
    profile_use: bytes | None = None
    profile_dir: bytes = b""
    profile_make: bytes | None = None
    native: list[bytes] = field(default_factory=list)
    tool_dirs: list[bytes] = field(default_factory=list)

    def refuse(self, why: str) -> None:
        """This command line runs for real. The first reason counts."""
        self.real = self.real or why

    @property
    def stage(self) -> Stage:
        """How far the driver goes: -E wins over -S, and -S over -c, in any order."""
        if self.preprocess:
            return Stage.PREPROCESS
        if self.assembly:
            return Stage.ASSEMBLY
        return Stage.OBJECT if self.compile else Stage.LINK


def text(word: bytes) -> str:
    """An argument, for a message."""
    return word.decode("utf-8", "backslashreplace")
