"""What a linker reads and writes, told from its command line as the linker itself finds it.

Two passes: all the options first (every -L counts for every -l, whatever the order), then the files in order, for what
-l means depends on the -Bstatic before it. A file whose bytes are known and are text is a linker script, and names
further files. Objects and archives may be placeholders: they are inputs, their bytes are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gg.light.regex import regex
from gg.light.slotted import field, slotted
from gg.models.binutils.common import absolute, expand
from gg.models.binutils.ldtable import linker_table
from gg.models.binutils.linked_file import LinkedFile, Target, look
from gg.models.binutils.needed import NeededLibraries, is_shared
from gg.models.binutils.options import OPERAND, Arg, Unmodelled, parse
from gg.models.binutils.thin import thin_members
from gg.models.drafts import Depfile, PathKind, Probe, Writes

_NO_ENV: Mapping[bytes, bytes] = {}
_TEMPORARY = regex(rb"(?:^|/)cc[A-Za-z0-9]{6}\.\w+$")  # the names that the compiler driver makes up
_RESOLUTION = b"-fresolution="

# -m emulation to ELF e_machine and word size, as far as wrong libraries can lie on a search path.
_TARGETS = {
    b"elf_x86_64": (62, 64), b"elf_i386": (3, 32), b"elf32_x86_64": (62, 32), b"aarch64linux": (183, 64),
    b"armelf_linux_eabi": (40, 32), b"elf64lriscv": (243, 64), b"elf64lppc": (21, 64), b"elf64_s390": (22, 64),
}  # fmt: skip


@slotted()
class Linked:
    """What one link reads and writes. Paths are as the linker opens them: absolute or relative to its cwd.

    `run_real` says why the link cannot be modelled (empty: it can); `probe`: it only asks a question. `depfile` is the
    rule that --dependency-file writes, whose path is among `outputs` too (soft). `scripts` and libraries are `inputs`.
    """

    inputs: tuple[bytes, ...] = ()
    optional_inputs: tuple[bytes, ...] = ()
    outputs: tuple[Writes, ...] = ()
    directories: tuple[bytes, ...] = ()
    run_real: str = ""
    probe: bool = False
    depfile: Depfile | None = None


def resolve(
    args: Sequence[bytes],
    *,
    cwd: bytes,
    search_dirs: Sequence[bytes],
    sysroot: bytes,
    probe: Probe,
    flavour: str,
    env: Mapping[bytes, bytes] = _NO_ENV,
    windows: bool = False,
) -> Linked:
    """What the linker of family `flavour` reads and writes with `args` (without argv[0]; `@file` not expanded).

    `search_dirs` and `sysroot` are the linker's own (`default_search_dirs`, `default_sysroot`); --sysroot comes before.
    Raises nothing: what is not understood is told in `run_real`.
    """
    try:
        words, response_files = expand(args, cwd, probe)
        parsed = list(parse(linker_table(flavour), words))
        if windows:
            _check_windows(parsed, flavour, env)
        link = _Link(cwd=cwd, probe=probe, flavour=flavour, env=env, sysroot=sysroot, windows=windows)
        return link.run(parsed, response_files, search_dirs)
    except Unmodelled as error:
        return Linked(run_real=str(error))


@slotted(frozen=False, kw_only=True)
class _Link:
    """One link while it is being resolved."""

    cwd: bytes
    probe: Probe
    flavour: str
    env: Mapping[bytes, bytes]
    sysroot: bytes
    windows: bool = False
    inputs: list[bytes] = field(default_factory=list)
    named_dirs: list[bytes] = field(default_factory=list)  # -L
    own_dirs: list[bytes] = field(default_factory=list)  # of the linker, and SEARCH_DIR
    shared_libraries: list[bytes] = field(default_factory=list)
    static: bool = False
    relocatable: bool = False
    target: Target | None = None
    output: bytes = b"a.out"
    scripts: set[bytes] = field(default_factory=set)
    libraries: set[tuple[bytes, bool]] = field(default_factory=set)

    def run(self, parsed: Sequence[Arg], response_files: Sequence[bytes], search_dirs: Sequence[bytes]) -> Linked:
        effects = {"shared" if arg.effect == "gpsize" and not arg.value else arg.effect for arg in parsed}
        refusal = _refusal(effects, parsed)
        if refusal is not None:
            return refusal
        self._read_settings(parsed, effects, search_dirs)
        self.inputs.extend(response_files)
        self._read_files(parsed)
        checked = "shared" not in effects or "strict" in effects
        if self.flavour == "bfd" and checked and not self.relocatable and self.shared_libraries:
            self._add_needed(parsed)
        return self._linked(parsed)

    def _read_settings(self, parsed: Sequence[Arg], effects: set[str], search_dirs: Sequence[bytes]) -> None:
        """What counts for the whole command, wherever it stands."""
        self.relocatable = "relocatable" in effects
        for arg in parsed:
            if arg.effect == "sysroot":
                self.sysroot = arg.value.rstrip(b"/")
            elif arg.effect == "output":
                self.output = arg.value
            elif arg.effect == "emulation":
                self.target = _TARGETS.get(arg.value)
        self.named_dirs += [self._in_sysroot(arg.value) for arg in parsed if arg.effect == "libdir"]
        if "nostdlib" not in effects:
            self.own_dirs += [self._in_sysroot(directory) for directory in search_dirs]

    def _in_sysroot(self, path: bytes) -> bytes:
        if path.startswith(b"="):
            return self.sysroot + path[1:]
        if path.startswith(b"$SYSROOT"):
            return self.sysroot + path[8:]
        return path

    def _read_files(self, parsed: Sequence[Arg]) -> None:
        binary = False
        saved: list[bool] = []
        for effect, value, _ in parsed:
            match effect:
                case "operand":
                    self._add_file(value, raw=binary)
                case "library":
                    self._add_library(value)
                case "static" | "dynamic":
                    self.static = effect == "static"
                case "push":
                    saved.append(self.static)
                case "pop" if saved:
                    self.static = saved.pop()
                case "format":
                    binary = value not in (b"default", b"elf") and not value.startswith(b"elf")
                case "script":
                    self._add_script(self._command_file(value))
                case "command":
                    self.inputs.append(self._command_file(value))
                case "input" | "plugin":
                    self.inputs.append(value)
                case "just" if not self._is(value, PathKind.DIRECTORY):
                    self.inputs.append(value)
                case _:
                    pass

    def _is(self, path: bytes, kind: PathKind) -> bool:
        return self.probe.kind(absolute(path, self.cwd)) is kind

    def _look(self, path: bytes) -> LinkedFile | None:
        """What the file at `path` is; None for a placeholder or a missing file."""
        whole = absolute(path, self.cwd)
        if self.probe.kind(whole) is not PathKind.FILE or self.probe.is_placeholder(whole):
            return None
        return look(self.probe, whole)

    def _add_file(self, path: bytes, raw: bool = False) -> None:
        """An object, archive, shared library or script, as it stands."""
        if raw or path.endswith((b".o", b".lo", b".obj")):
            self.inputs.append(path)
            return
        seen = self._look(path)
        if seen is not None and seen.script is not None:
            self._add_script(path)
            return
        self.inputs.append(path)
        if is_shared(path) or (seen is not None and seen.elf):
            self.shared_libraries.append(path)
        elif seen is None or seen.thin:
            self.inputs.extend(thin_members(self.probe, absolute(path, self.cwd)))

    def _add_library(self, name: bytes) -> None:
        """What -l finds; Unmodelled when that is nothing, for then the link fails now."""
        if (name, self.static) in self.libraries:
            return
        self.libraries.add((name, self.static))
        for directory in (*self.named_dirs, *self.own_dirs):
            for base in self._library_names(name):
                path = directory + b"/" + base
                if not self._is(path, PathKind.FILE):
                    continue
                if self._fits(path):
                    self._add_file(path)
                    return
                self.inputs.append(path)  # opened, and skipped as incompatible
        raise Unmodelled(f"-l{name.decode('utf-8', 'backslashreplace')} is not found")

    def _library_names(self, name: bytes) -> tuple[bytes, ...]:
        if name.startswith(b":"):
            return (name[1:],)
        archive = b"lib" + name + b".a"
        if self.windows:
            return _windows_names(name, archive, static=self.static or self.relocatable)
        if self.static or self.relocatable:
            return (archive,)
        return (b"lib" + name + b".so", archive)

    def _fits(self, path: bytes) -> bool:
        """Whether a library is for this link's target, as far as that is known."""
        if self.target is None:
            return True
        seen = self._look(path)
        return seen is None or seen.target is None or seen.target == self.target

    def _command_file(self, name: bytes) -> bytes:
        """The path of a script as the linker finds it: by the name as written, else in the -L directories."""
        if not self._is(name, PathKind.FILE):
            for directory in self.named_dirs:
                if self._is(directory + b"/" + name, PathKind.FILE):
                    return directory + b"/" + name
        return name

    def _add_script(self, path: bytes) -> None:
        """A linker script and all that it names."""
        self.inputs.append(path)
        seen = self._look(path)
        if seen is None and self.probe.is_placeholder(absolute(path, self.cwd)):
            raise Unmodelled("a linker script is not made yet")
        if seen is None or seen.script is None or path in self.scripts:
            return
        self.scripts.add(path)
        script = seen.script
        self.own_dirs += [self._in_sysroot(directory) for directory in script.search_dirs]
        if script.output and self.output == b"a.out":
            self.output = script.output
        for name in script.includes:
            self._add_script(self._command_file(name))
        for name in script.inputs:
            if name.startswith(b"-l"):
                self._add_library(name[2:])
            else:
                self._add_file(self._named_in_script(name, path))

    def _named_in_script(self, name: bytes, script: bytes) -> bytes:
        """The path of a file named in a script: under the sysroot if the script is there, beside the script, here, or as for -l."""
        rooted = self._in_sysroot(name)
        if rooted.startswith(b"/"):
            under = self.sysroot + rooted
            inside = self.sysroot and rooted is name and absolute(script, self.cwd).startswith(self.sysroot + b"/")
            return under if inside and self._is(under, PathKind.FILE) else rooted
        beside = script.rpartition(b"/")[0] + b"/" if b"/" in script else b""
        candidates = [beside + rooted, rooted, *(d + b"/" + rooted for d in (*self.named_dirs, *self.own_dirs))]
        return next((path for path in candidates if self._is(path, PathKind.FILE)), rooted)

    def _add_needed(self, parsed: Sequence[Arg]) -> None:
        closure = NeededLibraries(
            cwd=self.cwd,
            probe=self.probe,
            env=self.env,
            sysroot=self.sysroot,
            first_dirs=self._paths(parsed, "rpath_link"),
            rpath=[*self._paths(parsed, "rpath"), *self._just_directories(parsed)],
            last_dirs=self.own_dirs,
            target=self.target,
        )
        closure.add_all(dict.fromkeys(self.shared_libraries))
        self.inputs.extend(closure.found)
        self.inputs.extend(closure.files)

    def _paths(self, parsed: Sequence[Arg], effect: str) -> list[bytes]:
        """The directories of a colon-separated option, all its uses joined."""
        return [self._in_sysroot(d) for arg in parsed if arg.effect == effect for d in arg.value.split(b":") if d]

    def _just_directories(self, parsed: Sequence[Arg]) -> list[bytes]:
        return [a.value for a in parsed if a.effect == "just" and self._is(a.value, PathKind.DIRECTORY)]

    def _linked(self, parsed: Sequence[Arg]) -> Linked:
        if self.output.startswith(b"/dev/"):
            return Linked(run_real="links to a device", probe=True)
        outputs = [Writes(self.output, executable=not self.relocatable)]
        depfile = None
        for effect, value, _ in parsed:
            if effect == "map":
                outputs.append(Writes(self._map_path(value)))
            elif effect == "writes":
                outputs.append(Writes(value))
            elif effect == "depfile":
                outputs.append(Writes(value, soft=True))
                depfile = Depfile(value, (self.output,), phony=True)
            elif value.startswith(_RESOLUTION) and value != _RESOLUTION and not _TEMPORARY.search(value):
                outputs.append(Writes(value[len(_RESOLUTION) :], optional=True))
        if len({output.path for output in outputs}) < len(outputs):
            raise Unmodelled("two outputs in one file")
        return Linked(
            inputs=tuple(dict.fromkeys(self.inputs)),
            outputs=tuple(outputs),
            directories=tuple(d for d in dict.fromkeys(self.named_dirs) if self._is(d, PathKind.DIRECTORY)),
            depfile=depfile,
        )

    def _map_path(self, path: bytes) -> bytes:
        """The map's path. GNU ld names the map after the output if it is given a directory or a name with `%`."""
        if path in (b"-", b"") or path.startswith(b"/dev/"):
            raise Unmodelled("prints a link map")
        base = self.output.rpartition(b"/")[2]
        if self.flavour == "bfd" and b"%" in path:
            raise Unmodelled("a map named by a pattern")
        if self.flavour == "bfd" and self._is(path, PathKind.DIRECTORY):
            return path.rstrip(b"/") + b"/" + base + b".map"
        return path


def _windows_names(name: bytes, archive: bytes, *, static: bool) -> tuple[bytes, ...]:
    """What -l means for a Windows target, in the order that `ld --verbose` tells (binutils 2.40)."""
    if static:
        return (archive, name + b".lib", name + b".a")
    imports = (b"lib" + name + b".dll.a", name + b".dll.a", archive)
    return (*imports, name + b".lib", b"lib" + name + b".lib", b"lib" + name + b".dll", name + b".dll")


def _check_windows(parsed: Sequence[Arg], flavour: str, env: Mapping[bytes, bytes]) -> None:
    """A program for Windows holds the time at which it was linked, unless an option or the environment says otherwise."""
    if flavour != "bfd":
        raise Unmodelled("a program for Windows by another linker than GNU ld")
    dated = not any(arg.name == b"no-insert-timestamp" for arg in parsed)
    if dated and b"SOURCE_DATE_EPOCH" not in env and not any(arg.effect == "relocatable" for arg in parsed):
        raise Unmodelled("writes the time into a program for Windows")


def _refusal(effects: set[str], parsed: Sequence[Arg]) -> Linked | None:
    """Why the link is not modelled, from its options alone; None when it may be."""
    if "probe" in effects:
        return Linked(run_real="asks the linker a question", probe=True)
    if "real" in effects:
        name = next(arg.name for arg in parsed if arg.effect == "real").decode(errors="backslashreplace")
        return Linked(run_real=f"the linker's {name} is not modelled")
    if "printed" in effects and "map" not in effects:
        return Linked(run_real="prints a link map")
    if not effects & {OPERAND, "library", "script", "format"}:
        return Linked(run_real="links nothing", probe=True)
    if any(arg.name == b"build-id" and arg.value == b"uuid" for arg in parsed):
        return Linked(run_real="a random build id")
    return None
