"""The root directory of the sandbox: what Lambda's Python image has, and nothing else of this host.

    /var/lang      Python: the interpreter, its library without tests and installed packages
    /var/runtime   awslambdaric and what it imports
    /usr/bin       bash and a few small programs; no compiler, no linker, no headers
    /usr/lib64     the C library and loader, the closure of all of the above
    /etc, /dev     the few files that programs look for

It is made from this host's Python, by `ldd`, once, and kept in the user's cache directory under a name that stands for all
that went into it. Libraries are not where this host has them: a program that relies on that fails here, as it would there.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

_FORMAT = 1
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_DIRECTORIES = (
    "usr/bin",
    "usr/sbin",
    "usr/lib",
    "usr/lib64",
    "var/lang/bin",
    "var/lang/lib",
    "var/runtime",
    "var/task",
)
_MOUNTS = ("opt", "proc", "tmp", "dev", "etc")
DEVICES = ("full", "null", "random", "urandom", "zero")
_PROGRAMS = ("bash", "cat", "cp", "env", "ls", "mkdir", "mv", "rm", "sleep")
_C_LIBRARY: tuple[str, ...] = (
    "libanl.so.1",
    "libdl.so.2",
    "libm.so.6",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libpthread.so.0",
)
_C_LIBRARY += ("libresolv.so.2", "librt.so.1", "libutil.so.1")
_RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_LEFT_OUT = (
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "turtledemo",
    "lib2to3",
    "ensurepip",
    "site-packages",
    "config-*",
    "_tkinter*",
    "_test*",
)
_CONFIGURATION = {
    "passwd": "root:x:0:0:root:/root:/bin/bash\nsbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin\n",
    "group": "root:x:0:\nsbx_group:x:990:\n",
    "hosts": "127.0.0.1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "",
    "ld.so.conf": "/lib64\n/usr/lib64\n/var/lang/lib\n",
    "os-release": 'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nVERSION_ID="2023"\n',
}

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"


_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")  # of this user, not of a test


def image() -> Path:
    """The directory, made if it is not there. RuntimeError says what this host lacks."""
    cache = _CACHE / "gg-tests"
    final = cache / f"lambda-image-{_name()}"
    if final.exists():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=cache))
    try:
        _make(making)
        making.chmod(0o755)
        try:
            making.rename(final)
        except OSError:
            if not final.exists():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return final


def _name() -> str:
    """What stands for the image's contents: this module, this Python, the runtime's packages, the C library."""
    parts = [str(_FORMAT), sys.version, Path(__file__).read_text(), *platform.libc_ver()]
    for path in (Path(sys.executable).resolve(), *_packages()):
        stat = path.stat()
        parts.append(f"{path}:{stat.st_mtime_ns}:{stat.st_size}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _packages() -> list[Path]:
    """Where the runtime's packages are: a directory, or a file."""
    found = []
    for name in _RUNTIME:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise RuntimeError(f"the Lambda service needs the Python package {name}: pip install awslambdaric")
        origin = Path(spec.origin)
        found.append(origin.parent if spec.submodule_search_locations else origin)
    return found


def _make(root: Path) -> None:
    for directory in (*_DIRECTORIES, *_MOUNTS):
        (root / directory).mkdir(parents=True)
    for name, target in _LINKS.items():
        (root / name).symlink_to(target)
    for device in DEVICES:
        (root / "dev" / device).touch()
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        (root / "dev" / name).symlink_to(f"/proc/self/fd{target}")
    for name, text in _CONFIGURATION.items():
        (root / "etc" / name).write_text(text)
    objects = [*_python(root), *_runtime(root), *_programs(root)]
    _libraries(root, objects)
    _certificates(root)
    subprocess.run([_host_program("ldconfig"), "-r", str(root)], check=True, capture_output=True)


def _python(root: Path) -> list[Path]:
    """Copy the interpreter and its library; the ELF files among them."""
    lang = root / "var/lang"
    interpreter = lang / "bin" / PYTHON
    shutil.copy2(Path(sys.executable).resolve(), interpreter)
    for name in ("python3", "python"):
        (lang / "bin" / name).symlink_to(PYTHON)
    library = lang / "lib" / PYTHON
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True)
    extensions = list((library / "lib-dynload").glob("*.so"))
    return [interpreter, *extensions]


def _runtime(root: Path) -> list[Path]:
    runtime = root / "var/runtime"
    for path in _packages():
        if path.is_dir():
            shutil.copytree(path, runtime / path.name)
        else:
            shutil.copy2(path, runtime / path.name)
    return list(runtime.rglob("*.so"))


def _programs(root: Path) -> list[Path]:
    copied = [Path(shutil.copy2(_host_program(name), root / "usr/bin" / name)) for name in _PROGRAMS]
    (root / "usr/bin/sh").symlink_to("bash")
    return copied


def _host_program(name: str) -> str:
    found = shutil.which(name, path=f"{os.defpath}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(f"the Lambda service needs the program {name} of this host")
    return os.path.realpath(found)


def _libraries(root: Path, objects: Iterable[Path]) -> None:
    """Copy the shared libraries and the loader that these files need."""
    own = _own_libraries()
    for path in sorted({library for each in objects for library in _needed(each, own)}):
        beside_python = own and path.startswith(own + "/")
        shutil.copy2(path, root / ("var/lang/lib" if beside_python else "usr/lib64") / Path(path).name)
        if Path(path).name == "libc.so.6":
            _c_library(root, Path(path).parent)
    _loader(root)


def _own_libraries() -> str:
    """Where Python has libraries of its own; "" when it is the distribution's, whose libraries are everybody's."""
    directory = sysconfig.get_config_var("LIBDIR") or ""
    return "" if directory.startswith(("/usr/lib", "/lib")) else directory


def _c_library(root: Path, beside: Path) -> None:
    """All of the C library, whether something here needs it or not: wheels for older ones name its parts."""
    for name in _C_LIBRARY:
        if (beside / name).exists():
            shutil.copy2(beside / name, root / "usr/lib64" / name)


def _needed(elf: Path, own: str) -> list[str]:
    """The libraries of one file, as this host's loader finds them; none for an extension whose libraries are not here."""
    environment = {"PATH": os.defpath, "LC_ALL": "C", **({"LD_LIBRARY_PATH": own} if own else {})}
    found = subprocess.run(["ldd", str(elf)], capture_output=True, text=True, env=environment, check=False)
    if "not found" in found.stdout:
        elf.unlink()  # as if Python had been built without it
        return []
    return re.findall(r"^\s.*?(/\S+) \(0x", found.stdout, re.MULTILINE)


def _loader(root: Path) -> None:
    """The loader, at the path that programs name: on x86-64 it is in lib64, where it already is; on aarch64 in lib."""
    if platform.machine() == "aarch64":
        name = "ld-linux-aarch64.so.1"
        (root / "usr/lib" / name).symlink_to(f"../lib64/{name}")


def _certificates(root: Path) -> None:
    """The host's certificate authorities, where Amazon Linux has them."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        target = root / "etc/pki/tls/certs"
        target.mkdir(parents=True)
        shutil.copyfile(bundle, target / "ca-bundle.crt")
