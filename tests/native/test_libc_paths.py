"""Every function of the C library that takes a path is one of the path map's, or it is said here why it need not be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.native.compiled import Native, cc
from tests.native.maps import OBSERVE, Map, declared

HEADERS = (Path("/usr/include"), Path("/usr/include/x86_64-linux-gnu/sys"), Path("/usr/include/x86_64-linux-gnu/bits"))
PARAMETER = re.compile(
    r"\b([a-z_0-9]+) *\([^;{}()]*(?:__path|__file|__filename|__name|__pathname|pathname|__dir|__from|__old|__new|__target"
    r"|__pattern|__special_file|__template|path_argv|\*path)\b[^;{}()]*"
)
REASONS = {
    "the name of something that is no file": "_{1,2}assert.* __sysconf (__)?confstr(_chk)? sysconf fnmatch memfd_create getenv "
    "secure_getenv setenv unsetenv get.*nam(_r)? get(host|net|proto|serv|alias|sg|sp).*by.* getaliasbyname.* getaddrinfo "
    "gethostname getdomainname set(domain|host)name setlogin getlogin_r "
    "uname fpathconf pthread_setname_np glob_pattern_p re_compile_pattern "
    "getfs.* openpty forkpty argp_.* dlv?sym envz_.* regcomp setitimer posix_spawn_file_actions_addclosefrom_np rexec(_af)?",
    "only the text of a name": "(__xpg_)?basename dirname swab str.* mem.*",
    "a descriptor": "f(get|set|remove|list)xattr",
    "a name that nobody has yet; the file is made by another call": "mktemp tempnam",
    "not on a disk: below /dev, which is passed through, or the kernel's own": "(__)?(mq|sem|shm)_(open|unlink).*",
    "of administrators, who run no build by it": "acct fspick mount mount_setattr move_mount open_tree u?mount2? swapo(n|ff) "
    "revoke fanotify_mark ioperm utmpx?name",
    "a table of mounts, which tells nothing of the build": "setmntent",
}


def _names() -> set[str]:
    """Of the prototypes in the C library's headers those that have a path among their parameters."""
    found: set[str] = set()
    for directory in HEADERS:
        for header in directory.glob("*.h"):
            found.update(PARAMETER.findall(header.read_text(errors="replace")))
    return found


def _exported(library: str | Path) -> set[str]:
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].partition("@")[0] for line in out.splitlines()}


def test_every_function_is_accounted_for(native: Native) -> None:
    libc = subprocess.run(
        [sys.executable, "-c", "print(next(l.split()[-1] for l in open('/proc/self/maps') if '/libc.so' in l))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    names = _names() & _exported(libc)
    assert {"open", "stat", "glob", "nftw", "statvfs"} <= names
    known = re.compile("|".join(f"(?:{each})" for words in REASONS.values() for each in words.split()))
    assert sorted(n for n in names - _exported(native.pathmap) if not known.fullmatch(n)) == []
    assert {"fts_open", "fts64_open", "dlmopen", "chroot", "inotify_add_watch"} <= _exported(native.pathmap)


ASKS = r"""
#define _GNU_SOURCE
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
static int see(const char *p, const struct stat *s, int f, struct FTW *w) { (void)p; (void)s; (void)f; (void)w; return 0; }
int main(int n, char **v) {
    glob_t g = {0};
    struct statvfs s;
    if (n > 1)
        return nftw("sub", see, 4, 0) == 0 ? 0 : 9;
    glob("sub/*.txt", 0, NULL, &g);
    for (size_t i = 0; i < g.gl_pathc; i++)
        puts(g.gl_pathv[i]);
    printf("%d %d %d\n", statvfs("sub/a.txt", &s), statvfs("sub/hidden.txt", &s), (int)getxattr("sub/hidden.txt", "user.x", v, 8));
    return 0;
}
"""


def test_patterns_and_file_systems(native: Native, tmp_path: Path) -> None:
    """What is declared elsewhere is there, what is hidden is not; a walk that cannot be kept to the map is reported."""
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "asks.c").write_text(ASKS)
    (top / "sub" / "hidden.txt").write_text("")
    (tmp_path / "blob").write_text("a")
    program = tmp_path / "asks"
    cc("-o", program, top / "asks.c")
    records = [
        ("F", bytes(top / "sub" / "a.txt"), bytes(tmp_path / "blob")),
        ("N", bytes(top / "sub" / "hidden.txt"), b""),
        *declared([str(program)]),
    ]
    run = Map(tmp_path / "m", native.pathmap, records, OBSERVE)
    done = run.run(program, cwd=top)
    assert done.stdout == b"sub/a.txt\n0 -1 -1\n", done.stderr
    assert not run.report("S")
    walked = run.run(program, "walk", cwd=top)
    assert walked.returncode == 9
    assert run.report("S")
