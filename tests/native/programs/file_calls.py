"""A long row of file operations, each with what it gave: plainly and under the path map, the rows must be equal."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

TOP = os.getcwd()
Act = Callable[..., object]
T = TypeVar("T")

unlink: Act = os.unlink
mkdir: Act = os.mkdir
rename: Act = os.rename
rmdir: Act = os.rmdir
link: Act = os.link
symlink: Act = os.symlink
chmod: Act = os.chmod
utime: Act = os.utime
truncate: Act = os.truncate
mkfifo: Act = os.mkfifo
makedirs: Act = os.makedirs
close: Act = os.close
chdir: Act = os.chdir
setxattr: Act = os.setxattr
removexattr: Act = os.removexattr
rmtree: Act = shutil.rmtree


def show(name: str, operation: Callable[[], object]) -> None:
    try:
        result = operation()
    except OSError as error:
        result = errno.errorcode[error.errno or 0]
    print(f"{name}: {str(result).replace(TOP, 'TOP')}")


def read(path: str) -> str:
    with open(path) as file:
        return file.read()


def write(path: str, text: str, mode: str = "w") -> object:
    with open(path, mode) as file:
        file.write(text)
    return None


def mode_of(path: str) -> str:
    return oct(stat.S_IMODE(os.stat(path).st_mode) | 0o200)


def raw(path: str, flags: int) -> int:
    fd = os.open(path, flags, 0o640)
    close(fd)
    return 0


def same(a: str, b: str) -> bool:
    return os.path.samestat(os.stat(a), os.stat(b))


def opened_is(path: str, other: str) -> bool:
    with open(path) as file:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(other))


def at(directory: str, operation: Callable[[int], T]) -> T:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return operation(fd)
    finally:
        close(fd)


def in_directory(path: str, operation: Callable[[], object]) -> object:
    chdir(path)
    try:
        return operation()
    finally:
        chdir(TOP)


def temporary(directory: str) -> object:
    fd, path = tempfile.mkstemp(dir=directory, suffix=".s")
    os.write(fd, b"temporary")
    close(fd)
    text = read(path)
    unlink(path)
    return text, os.path.exists(path)


show("read", lambda: read("a.txt"))
show("read by two ways", lambda: read("sub/../sub/./deep/../b.txt"))
show("read through a link", lambda: read("link.txt"))
show("read through a linked directory", lambda: read("linked/b.txt"))
show("leave a linked directory", lambda: read("linked/../e.txt"))
show("leave a directory that is not", lambda: read("nothing/../a.txt"))
show("leave a file", lambda: read("a.txt/../a.txt"))
show("a file as a directory", lambda: read("a.txt/x"))
show("a file with a slash", lambda: os.stat("a.txt/").st_size)
show("a directory with a slash", lambda: os.path.isdir("sub//"))
show("open a directory", lambda: raw("sub", os.O_RDONLY))
show("write a directory", lambda: raw("sub", os.O_WRONLY))
show("a loop", lambda: read("loop"))
show("a dangling link", lambda: read("dangling"))
show("not there", lambda: read("nothing"))
show("not there below", lambda: read("nothing/below"))
show("sizes", lambda: [os.stat(p).st_size for p in ("a.txt", "link.txt", "sub/b.txt", "empty")])
show("the link itself", lambda: (stat.S_ISLNK(os.lstat("link.txt").st_mode), os.lstat("link.txt").st_size))
show("readlink", lambda: [os.readlink(p) for p in ("link.txt", "linked", "absolute")][:2])
show("readlink of a file", lambda: os.readlink("a.txt"))
show("realpath", lambda: [os.path.realpath(p) for p in ("link.txt", "linked/../e.txt", "sub/deep/..", "absolute")])
show("access", lambda: [os.access(p, os.R_OK) for p in ("a.txt", "sub", "nothing", "dangling", "a.txt/")])
show("execute", lambda: [os.access(p, os.X_OK) for p in ("run.sh", "sub")])
show("nofollow", lambda: raw("link.txt", os.O_RDONLY | os.O_NOFOLLOW))
show("files of equal content are two", lambda: (same("a.txt", "twin.txt"), opened_is("a.txt", "twin.txt")))
show("a file is itself", lambda: (same("a.txt", "link.txt"), opened_is("a.txt", "link.txt")))
show("a directory is itself", lambda: (same("sub", "linked"), same("sub", "."), same("sub/deep/..", "sub")))

show("create", lambda: write("new.txt", "new\n"))
show("and read", lambda: (read("new.txt"), read("sub/../new.txt"), mode_of("new.txt")))
show("create exclusively", lambda: raw("new.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
show("an input exclusively", lambda: raw("a.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
show("a link exclusively", lambda: raw("dangling", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
show("write what is not there", lambda: raw("nothing", os.O_WRONLY))
show("create in nothing", lambda: write("nothing/x", "x"))
show("create below a file", lambda: write("a.txt/x", "x"))
show("create in a linked directory", lambda: write("linked/made", "made"))
show("seen by its other name", lambda: read("sub/made"))
show("overwrite an input", lambda: write("sub/b.txt", "over\n"))
show("and read again", lambda: (read("sub/b.txt"), read("linked/b.txt"), os.stat("sub/b.txt").st_size))
show("append to an input", lambda: write("e.txt", "more\n", "a"))
show("and read it", lambda: read("e.txt"))
show("change an input", lambda: write("deep.txt", "XY", "r+"))
show("and see", lambda: read("deep.txt"))
show("mode of an overwritten file", lambda: (write("run.sh", "#!/bin/sh\n"), mode_of("run.sh")))
show("truncate", lambda: (truncate("long.txt", 3), read("long.txt")))
show("chmod", lambda: (chmod("c.txt", 0o751), mode_of("c.txt"), read("c.txt")))
show("utime", lambda: (utime("c.txt", (1, 2)), os.stat("c.txt").st_mtime))
show("utime of an input", lambda: (utime("empty", ns=(1, 7)), os.stat("empty").st_mtime_ns))
show("chmod of a directory", lambda: chmod("sub", 0o755))

show("make a directory", lambda: mkdir("dir", 0o750))
show("again", lambda: mkdir("dir"))
show("over an input", lambda: mkdir("a.txt"))
show("over an input directory", lambda: mkdir("sub"))
show("below nothing", lambda: mkdir("nothing/dir"))
show("files in it", lambda: (write("dir/x", "x"), write("dir/y", "y"), sorted(os.listdir("dir"))))
show("remove it too early", lambda: rmdir("dir"))
show("leave it by ..", lambda: read("dir/../a.txt"))
show("rename in it", lambda: (rename("dir/x", "dir/z"), sorted(os.listdir("dir")), read("dir/z")))
show("rename it", lambda: (rename("dir", "moved"), sorted(os.listdir("moved")), os.path.exists("dir")))
show("move out of it", lambda: (rename("moved/z", "z"), read("z"), os.listdir("moved")))
show("empty it", lambda: (unlink("moved/y"), rmdir("moved"), os.path.isdir("moved")))
show("rmtree", lambda: (makedirs("t/u/v"), write("t/u/w", "w"), rmtree("t"), os.path.exists("t")))
show("copytree", lambda: (shutil.copytree("sub", "copied", symlinks=True), sorted(os.listdir("copied"))))

show("remove an input", lambda: unlink("gone.txt"))
show("and it is gone", lambda: (os.path.exists("gone.txt"), os.access("gone.txt", os.F_OK)))
show("remove it again", lambda: unlink("gone.txt"))
show("make it anew", lambda: (write("gone.txt", "anew"), read("gone.txt")))
show("and remove that", lambda: (unlink("gone.txt"), os.path.exists("gone.txt")))
show("remove a link", lambda: (unlink("dangling"), os.path.lexists("dangling")))
show("remove a directory as a file", lambda: unlink("sub"))
show("rename an input", lambda: (rename("r.txt", "renamed.txt"), read("renamed.txt"), os.path.exists("r.txt")))
show("rename over an input", lambda: (rename("new.txt", "a.txt"), read("a.txt"), os.path.exists("new.txt")))
show("rename nothing", lambda: rename("nothing", "something"))
show("rename into nothing", lambda: rename("a.txt", "nothing/a.txt"))
show("link", lambda: (link("c.txt", "hard"), read("hard"), same("c.txt", "hard")))
show("link over", lambda: link("c.txt", "a.txt"))
show("symlink", lambda: (symlink("a.txt", "soft"), read("soft"), os.readlink("soft")))
show("symlink over", lambda: symlink("a.txt", "sub"))
show("symlinked directory", lambda: (symlink("sub/deep", "d"), read("d/../b.txt"), os.listdir("d")))
show("write through a symlink", lambda: (write("soft", "through"), read("a.txt"), os.path.islink("soft")))
show("absolute symlink", lambda: (symlink(TOP + "/sub", "full"), read("full/b.txt"), os.path.realpath("full/b.txt")))
show("fifo", lambda: (mkfifo("pipe"), stat.S_ISFIFO(os.stat("pipe").st_mode), unlink("pipe")))

show("listing", lambda: sorted(os.listdir(".")))
show("scandir", lambda: sorted((e.name, e.is_dir(), e.is_symlink()) for e in os.scandir("sub")))
show("walk", lambda: sorted((os.path.relpath(d), sorted(n), sorted(f)) for d, n, f in os.walk(".")))
show("glob", lambda: sorted(str(p) for p in Path(".").rglob("*.txt")))
show("listing by descriptor", lambda: sorted(at("sub", os.listdir)))
show(
    "chdir",
    lambda: in_directory("sub", lambda: (os.getcwd(), read("b.txt"), read("../a.txt"), sorted(os.listdir(".")))),
)
show("chdir to a new one", lambda: (mkdir("n"), in_directory("n", lambda: (write("f", "f"), os.getcwd(), read("f")))))
show("chdir through a link", lambda: in_directory("linked", os.getcwd))
show("chdir to a file", lambda: chdir("a.txt"))
show("chdir to nothing", lambda: chdir("nothing"))
show("read at", lambda: at("sub", lambda fd: os.stat("b.txt", dir_fd=fd).st_size))
show("open at", lambda: at("sub", lambda fd: close(os.open("deep/../b.txt", os.O_RDONLY, dir_fd=fd))))
show(
    "make at",
    lambda: at("sub", lambda fd: (mkdir("q", dir_fd=fd), rename("b.txt", "q/b", src_dir_fd=fd, dst_dir_fd=fd))),
)
show("seen by name", lambda: (read("sub/q/b"), os.path.exists("sub/b.txt")))
show("remove at", lambda: at("sub/q", lambda fd: unlink("b", dir_fd=fd)))
show("readlink at", lambda: at(".", lambda fd: os.readlink("link.txt", dir_fd=fd)))
show("access at", lambda: at("sub", lambda fd: os.access("made", os.R_OK, dir_fd=fd)))
show("mkstemp", lambda: temporary("."))
show("mkdtemp", lambda: os.listdir(tempfile.mkdtemp(dir="sub")))
show("long names", lambda: read("n" * 300))
show("long paths", lambda: read("sub/../" * 700 + "a.txt"))
show("empty", lambda: read(""))
show("copy", lambda: (shutil.copy2("c.txt", "c2.txt"), read("c2.txt"), mode_of("c2.txt")))
show("set attribute", lambda: (setxattr("c2.txt", "user.x", b"1"), os.getxattr("c2.txt", "user.x")))
show("of the link itself", lambda: setxattr("c2.txt", "user.y", b"2", follow_symlinks=False))
show("remove attribute", lambda: (removexattr("c2.txt", "user.x"), sorted(os.listxattr("c2.txt"))))
show("remove without links", lambda: removexattr("c2.txt", "user.y", follow_symlinks=False))
show("remove none", lambda: removexattr("c2.txt", "user.z"))
show("remove of nothing", lambda: removexattr("nothing", "user.z"))
show("shell", lambda: os.system("cat a.txt sub/made c.txt > all && cat all >&2"))
show("all", lambda: read("all"))
sys.stdout.flush()
