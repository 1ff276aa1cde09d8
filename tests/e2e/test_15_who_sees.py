"""Who may see a placeholder: those alone who care for names and times. Everyone else is told of the real file."""

from __future__ import annotations

import os
import sys

import pytest

from tests.e2e.project import SCRIPTS, Project, by_make, is_placeholder

SOURCE = "int main(void) { return 7; }\n"


@pytest.fixture
def small(project: Project) -> Project:
    project.write("a.c", SOURCE)
    return project


def recipe(project: Project, *lines: str) -> tuple[str, ...]:
    """Lines in one shell of a make: its compiles are deferred, which those of a script with lasting effects are not."""
    return by_make(project, "; ".join(lines))


SIZES = {
    "git": "git init -q . && git add a.o && git cat-file -s :a.o > out && rm -rf .git",
    "diff": "mkdir x y; cp a.o x; cat a.o > y/a.o; diff -rq x y > out",
    "patchelf": "gcc a.c -o p; patchelf --set-rpath /x p",
    "python": f'{sys.executable} -c \'import os; print(os.path.getsize("a.o"), os.stat("a.o").st_blocks > 0)\' > out',
    "python-scandir": f"{sys.executable} -c 'import os; print(max(e.stat().st_size for e in os.scandir()))' > out",
    "perl": "perl -e 'print -s \"a.o\"' > out",
    "ruby": "ruby -e 'print File.size(\"a.o\")' > out",
    "node": "node -e 'console.log(fs.statSync(\"a.o\").size)' > out",
    "cmake": "cat a.o > b.o; cmake -E compare_files a.o b.o",
    "cmake-size": "printf 'file(SIZE a.o n)\\nfile(WRITE out ${n})' > s.cmake; cmake -P s.cmake",
    "ctest-script": "printf 'set(CTEST_RUN_CURRENT_SCRIPT 0)\\nfile(SIZE $ENV{PWD}/a.o n)\\nfile(WRITE $ENV{PWD}/out ${n})'"
    " > s.cmake; ctest -S s.cmake",
    "install-C": "install -C a.o b.o; gcc -O2 -c a.c; install -C -m 644 a.o b.o",
    "rsync-v": "rsync -av a.o b.o | sed -n 's/.*total size is \\([0-9]*\\).*/\\1/p' > out",
    "dir-l": "dir -l a.o | wc -w > out",
}


@pytest.mark.parametrize("how", SIZES)
def test_who_takes_a_size_takes_the_real_one(how: str, small: Project) -> None:
    small.same_as_plain(*recipe(small, "gcc -g -c a.c", SIZES[how]), make=False)


CARRIED = {
    "copy": ("cmake -E copy a.o d/b.o", "d/b.o"),
    "copy_directory": ("mkdir e; mv a.o e; cmake -E copy_directory e d", "d/a.o"),
    "rename": ("cmake -E rename a.o d/b.o", "d/b.o"),
    "ctest": ("ctest -N > /dev/null; ctest --test-dir . -j2 --build-config Debug > /dev/null", "a.o"),
}


@pytest.mark.parametrize("how", CARRIED)
def test_cmake_that_only_carries_or_looks_waits_for_nothing(how: str, small: Project) -> None:
    command, carried = CARRIED[how]
    small.write("CTestTestfile.cmake", "add_test(t true)\n")
    build = by_make(small, "mkdir d", "gcc -g -c a.c", command, "rm -rf Testing")
    expected, _ = small.plain(*build)
    small.infer(*build)
    assert is_placeholder(small.path(carried))
    small.forced()
    small.assert_tree(expected)


TREES = """
#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include <fts.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
static int see(const char *name, const struct stat *st, int kind, struct FTW *at)
{
    if (kind == FTW_F && strstr(name, "a.o"))
        printf("nftw %s %d %lld\\n", name, at->level, (long long)st->st_size);
    return 0;
}
static int old(const char *name, const struct stat *st, int kind)
{
    return see(name, st, kind, &(struct FTW){0, 0});
}
int main(void)
{
    char *roots[] = {(char *)".", NULL};
    ftw(".", old, 8);
    nftw(".", see, 8, FTW_PHYS);
    FTS *tree = fts_open(roots, FTS_PHYSICAL, NULL);
    for (FTSENT *e; (e = fts_read(tree)) != NULL;)
        if (e->fts_info == FTS_F && strstr(e->fts_path, "a.o"))
            printf("fts %s %lld\\n", e->fts_path, (long long)e->fts_statp->st_size);
    return 0;
}
"""


def test_trees_are_walked_with_real_sizes(small: Project) -> None:
    """The C library walks a tree with calls of its own."""
    small.write("walk.c", TREES)
    small.same_as_plain(
        *recipe(small, "gcc walk.c -o walk", "mkdir d", "gcc -c a.c -o d/a.o", "./walk > out"), make=False
    )


CHANGES = {
    "python": f"{sys.executable} -c 'import os; os.truncate(\"p\", 65536)'",
    "perl": "perl -e 'truncate \"p\", 65536'",
    "ruby": "ruby -e 'File.truncate(\"p\", 65536)'",
    "ftruncate": f"{sys.executable} -c 'import os; os.ftruncate(os.open(\"p\", os.O_WRONLY), 65536)'",
    "shorter": f"{sys.executable} -c 'import os; os.truncate(\"p\", 100)'; gcc a.c -o q",
    "emptied": "perl -e 'truncate \"p\", 0'",
}


@pytest.mark.parametrize("how", CHANGES)
def test_what_is_cut_or_padded_by_name_is_the_real_file(how: str, small: Project) -> None:
    small.same_as_plain(*recipe(small, "gcc a.c -o p", CHANGES[how]), make=False)


SPAWN = """
import os
mode = os.environ["MODE"]
name = {"relative": "a.o", "absolute": os.path.abspath("a.o"), "append": "a.o"}[mode]
flags = os.O_WRONLY | os.O_APPEND if mode == "append" else os.O_RDONLY
act = [(os.POSIX_SPAWN_OPEN, 5, name, flags, 0), (os.POSIX_SPAWN_DUP2, 5, 1 if mode == "append" else 0)]
os.waitpid(os.posix_spawnp("wc", ["wc", "-c"], os.environ, file_actions=act), 0)
"""


@pytest.mark.parametrize("mode", ["relative", "absolute", "append"])
def test_what_posix_spawn_opens_is_the_real_file(mode: str, small: Project) -> None:
    small.write("run.py", SPAWN)
    run = f"MODE={mode} {sys.executable} run.py {'< a.c' if mode == 'append' else '> out'}"
    small.same_as_plain(*recipe(small, "gcc -c a.c", run), make=False)


CHDIR = """
#define _GNU_SOURCE
#include <spawn.h>
#include <sys/wait.h>
#include <fcntl.h>
extern char **environ;
int main(int n, char **v)
{
    posix_spawn_file_actions_t does;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&does);
    if (n > 2)
        posix_spawn_file_actions_addfchdir_np(&does, open("d", O_PATH));
    else
        posix_spawn_file_actions_addchdir_np(&does, "d");
    posix_spawn_file_actions_addopen(&does, 0, "a.o", O_RDONLY, 0);
    if (posix_spawn(&pid, v[1], &does, 0, (char *[]){v[1], "-c", 0}, environ) != 0)
        return 1;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}
"""


def test_posix_spawn_changes_the_directory_first(small: Project) -> None:
    small.write("run.c", CHDIR)
    lines = ("gcc run.c -o run", "mkdir d", "gcc -c a.c -o d/a.o", "./run /usr/bin/wc > out1", "gcc -O2 -c a.c -o d/a.o",
             "./run /usr/bin/wc fd > out2", "gcc a.c -o d/p", "./run ./p || echo $? > out3")  # fmt: skip
    small.same_as_plain(*recipe(small, *lines), make=False)


HIDDEN = {
    "install": "install -m 111 p q; ./q || echo $? > out",
    "chmod": "cp p q; chmod 111 q; ./q || echo $? > out",
    "object": "gcc -c a.c; chmod 000 a.o; chmod 644 a.o; gcc a.o -o q",
    "fchmod": f"{sys.executable} -c 'import os; os.fchmod(os.open(\"p\", os.O_RDONLY), 0o111)'; ./p || echo $? > out",
    "umask": "umask 0444; gcc -pipe -c a.c",
    "busybox": "busybox cp p q; busybox chmod 111 q; ./q || echo $? > out",
}


@pytest.mark.parametrize("how", HIDDEN)
def test_what_its_owner_may_not_read_is_real(how: str, small: Project) -> None:
    """Root could read it all the same, so rights are dropped."""
    build = recipe(small, "gcc a.c -o p", HIDDEN[how])
    dropped = () if os.geteuid() else ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
    expected, _ = small.plain(*dropped, *build)
    small.run(*dropped, SCRIPTS / "gg-infer", *build)
    assert small.deferred == (3 if how == "object" else 1)
    small.forced()
    small.assert_tree(expected)


OWN_CALLS = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return n;
}
#else
static long call(long n, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
#endif
int main(int n, char **v)
{
    struct stat st;
    char bytes[9999];
    call(SYS_newfstatat, AT_FDCWD, (long)v[1], (long)&st, 0);
    long fd = call(SYS_openat, AT_FDCWD, (long)v[1], O_RDONLY, 0);
    printf("%ld %ld\n", (long)st.st_size, call(SYS_read, fd, (long)bytes, sizeof bytes, 0));
    return n != 2;
}
"""


@pytest.mark.parametrize("options", ["-O0", "-O2", "-O2 -static", "-O2 -no-pie"])
def test_a_program_with_system_calls_of_its_own_reads_real_files(options: str, small: Project) -> None:
    small.write("own.c", OWN_CALLS)
    small.same_as_plain(*recipe(small, f"gcc {options} own.c -o own", "gcc -c a.c", "./own a.o > out"), make=False)


UNDER = {
    "valgrind": "valgrind -q --trace-children=yes make -s -f Makefile",
    "strace": "strace -f -o log make -s -f Makefile; rm log",
    "gdb": "gdb -q -batch -iex 'set startup-with-shell on' -ex run --args make -s -f Makefile",
    "setarch": "setarch -R make -s -f Makefile",
    "env -i": "env -i PATH=/usr/bin:/bin /usr/bin/make -s -f Makefile",
}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", UNDER)
def test_a_make_below_another_program(how: str, small: Project) -> None:
    small.seconds = 400.0  # valgrind is slow, on a busy machine all the more
    small.write("Makefile", "p: a.o\n\tgcc -o p a.o\na.o: a.c\n\tgcc -c a.c\n")
    small.same_as_plain(*recipe(small, UNDER[how], "./p || echo $? > out"), make=False, deferred=2)
