"""gg's state is outside of the tree: what sweeps, edits or packs a tree meets nothing of it, and a workspace is found again."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.project import SCRIPTS, Project, is_placeholder

GIT = "git -c user.name=a -c user.email=a@b"


@pytest.fixture
def small(project: Project) -> Project:
    project.write("m.c", "int main(void) { return 7; }\n")
    return project


def committed(project: Project) -> None:
    project.run("sh", "-c", f"git init -q . && git add . && {GIT} commit -qm x")


def elsewhere(project: Project, name: str, **env: str) -> Project:
    other = Project(project.root.parent / name, {**project.env, **env})
    other.root.mkdir()
    return other


@pytest.mark.parametrize(
    "sweep",
    [
        "git clean -fdxq",
        "git stash -qu",
        "rm -rf .[!.g]* .gg* *.o",
        "rsync -a --delete --exclude .git --exclude sweep.sh --exclude m.c /var/empty/ . 2>/dev/null || rm -rf .gg",
        "find . -name .git -prune -o -type f ! -name '*.c' ! -name '*.sh' -exec rm {} +",
        "find . -name .git -prune -o -type f ! -name '*.o' -print | xargs sed -i s/VVV/7/",
        "find . -name .git -prune -o -type f ! -name '*.o' -print | xargs perl -pi -e s/VVV/7/",
        "chmod -R a-w . && chmod -R u+w .",
    ],
)
def test_a_build_that_sweeps_its_tree(small: Project, sweep: str) -> None:
    small.write("sweep.sh", f"gcc -c m.c -o first.o\n{sweep}\ngcc m.c -o p\n")
    committed(small)
    small.infer("sh", "sweep.sh")
    small.force()
    small.run("./p", status=7)
    small.run("git", "status", "--porcelain")
    small.gg("status")


def test_a_version_from_git_is_clean(small: Project) -> None:
    small.write("m.c", "#include <stdio.h>\nint main(void) { puts(V); return 0; }\n")
    small.write(".gitignore", "p\n")
    small.write(
        "Makefile", 'V:=1.0$(if $(shell git status --porcelain),-dirty)\np: m.c\n\tgcc -DV=\\"$(V)\\" m.c -o p\n'
    )
    committed(small)
    small.same_as_plain("make", "-s", ignore=[".git/index"])
    assert small.run("./p").stdout == b"1.0\n"
    assert small.run("git", "status", "--porcelain").stdout == b""


@pytest.mark.parametrize(
    "pack",
    [
        "tar cf ../x.tar . && tar tf ../x.tar | sort",
        "cp -a . ../copy && find ../copy | sort && rm -r ../copy",
        "git init -q . && git add -A && git ls-files",
        "zip -qr ../x.zip . && unzip -Z1 ../x.zip | sort",
        "du -a --apparent-size . | cut -f2 | sort",
        "ls -lA | wc -l",
    ],
)
def test_what_packs_the_tree_has_what_is_in_it(small: Project, pack: str) -> None:
    build = ("sh", "-c", f"gcc -c m.c; {pack}")
    _, plain = small.plain(*build)
    assert small.infer("--quiet", *build, deferred=1).stdout == plain.stdout
    small.force()
    assert not is_placeholder(small.path("m.o"))


def test_a_tree_that_was_moved(small: Project) -> None:
    small.infer("gcc", "-c", "m.c")
    records = small.records
    moved = Project(small.root.with_name("moved"), small.env)
    small.root.rename(moved.root)
    moved.force()
    assert not is_placeholder(moved.path("m.o"))
    assert moved.records == records
    small.root.mkdir()
    small.write("m.c", "int main(void) { return 8; }\n")
    small.infer("gcc", "-c", "m.c")
    assert small.records != records, "another tree at the old path"
    assert moved.records == records


def test_a_directory_that_was_made_anew(small: Project) -> None:
    small.build("gcc", "-c", "m.c")
    records = small.records
    shutil.rmtree(small.root)
    small.root.mkdir()
    small.write("m.c", "int main(void) { return 7; }\n")
    assert small.build("gcc", "-c", "m.c").ran == []
    assert small.records == records


def test_another_directory_with_a_freed_inode_is_another_workspace(small: Project) -> None:
    """ext4 gives the number of a removed directory to the next one."""
    small.infer("gcc", "-c", "m.c")
    number = small.root.stat().st_ino
    shutil.rmtree(small.root)
    others = [elsewhere(small, f"other{n}") for n in range(8)]
    for other in others:
        assert other.gg("status", status=64).status == 64, other.root.stat().st_ino == number


def test_a_copy_is_forced_there(small: Project) -> None:
    small.infer("gcc", "-c", "m.c")
    copy = Project(small.root.with_name("copy"), small.env)
    shutil.copytree(small.root, copy.root)
    copy.force("m.o")
    assert not is_placeholder(copy.path("m.o"))
    assert copy.records != small.records
    small.force()
    assert copy.path("m.o").read_bytes() == small.path("m.o").read_bytes()


def test_a_second_mount_of_the_tree(small: Project) -> None:
    small.infer("gcc", "-c", "m.c")
    there = small.root.with_name("there")
    there.mkdir()
    script = 'mount --bind "$0" "$1" && cd "$1" && gg status && gg-force && gg-infer gcc -DX -c m.c && gg-force'
    env = {"PATH": f"{SCRIPTS}:{small.env['PATH']}"}
    mounted = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, small.root, there)
    assert small.run(*mounted, env=env).stdout.startswith(b"workspace " + os.fsencode(there) + b", ")
    assert not is_placeholder(small.path("m.o"))
    assert small.gg("status").stdout.startswith(b"workspace " + os.fsencode(small.root) + b", ")


@pytest.mark.parametrize("how", ["cache removed", "another user", "another machine"])
def test_placeholders_that_no_store_knows_are_made_again(small: Project, how: str) -> None:
    """Nobody can force them, and make would take them for made."""
    small.write("Makefile", "p: m.o sub/n.o\n\tgcc $^ -o $@\n%.o: %.c\n\tgcc -c $< -o $@\n")
    small.write("sub/n.c", "int n;\n")
    expected, _ = small.plain()
    small.infer()
    if how == "cache removed":
        small.forget()
    else:
        small.env["HOME"] = str(small.root.parent / "another")
        os.mkdir(small.env["HOME"])
    small.force(status=69)
    told = small.infer().stderr
    assert b"gg: placeholders that no store knows were removed, to be made again: " in told
    assert b" and 2 more\n" in told
    small.force()
    small.assert_tree(expected)
    assert b"removed" not in small.infer().stderr


def planted(small: Project) -> bytes:
    """A placeholder for an output that a thunk, which is known, has not."""
    return small.path("m.o").read_bytes().replace(b" 00000\n", b" 00077\n")


def test_a_placeholder_for_an_output_that_its_thunk_has_not(small: Project) -> None:
    """Whoever made it: it is told of, whatever of its thunk is known, and so is who reads it."""
    small.infer("gcc", "-c", "m.c")
    small.write("planted.o", planted(small).decode())
    for targets in (["planted.o"], []):
        said = small.force(*targets, status=65).stderr.decode()
        assert "has no output 77" in said
        assert "remove it" in said
    small.infer("ar", "rc", "lib.a", "planted.o")
    assert "has no output 77" in small.force("lib.a", status=65).stderr.decode()


def test_it_is_made_again_like_one_that_no_store_knows(small: Project, tmp_path: Path) -> None:
    small.infer("gcc", "-c", "m.c")
    (tmp_path / "other").mkdir()
    other = Project(tmp_path / "other", small.env)
    other.write("n.o", planted(small).decode())
    assert b"placeholders that no store knows were removed, to be made again: n.o" in other.infer("true").stderr


def test_placeholders_of_a_workspace_inside_stay(small: Project) -> None:
    inner = Project(small.root / "inner", small.env)
    inner.write("i.c", "int i;\n")
    inner.gg("init", "--in-tree")
    inner.infer("gcc", "-c", "i.c")
    assert b"no store knows" not in small.infer("gcc", "-c", "m.c").stderr
    assert is_placeholder(inner.path("i.o"))
    inner.force()


# Where state is


def homeless(project: Project, home: str | None) -> None:
    del project.env["HOME"]
    if home is not None:
        project.env["HOME"] = home
    temporary = project.root.with_name("tmp")
    temporary.mkdir()
    project.env["TMPDIR"] = str(temporary)


@pytest.mark.parametrize("home", ["/homeless-shelter", "/proc/nobody", "/dev/null"])
def test_without_a_home_that_can_be_written(small: Project, home: str) -> None:
    homeless(small, home)
    told = small.infer("gcc", "-c", "m.c").stderr
    spare = f"{small.env['TMPDIR']}/gg-{os.geteuid()}"
    assert told.startswith(f"gg: gg's state is in {spare}: {home}/.cache/gg cannot be written\n".encode())
    assert Path(spare).stat().st_mode & 0o777 == 0o700
    small.force()
    assert not is_placeholder(small.path("m.o"))
    assert small.infer("gcc", "-c", "-DX", "m.c").stderr == b"gg: recorded 1 thunks (1 new)\n", "told once"
    small.force()
    assert sorted(small.tree()) == ["m.c", "m.o"]
    assert not os.path.exists("/homeless-shelter")


def test_another_ones_directory_in_tmp_is_not_used(small: Project) -> None:
    homeless(small, "/homeless-shelter")
    spare = Path(small.env["TMPDIR"], f"gg-{os.geteuid()}")
    spare.mkdir(mode=0o777)
    spare.chmod(0o777)
    assert b"gg's state is in " + os.fsencode(small.root) + b"/.gg" in small.infer("gcc", "-c", "m.c").stderr
    assert list(spare.iterdir()) == []
    small.force()
    assert not is_placeholder(small.path("m.o"))
    assert small.path(".gg/.gitignore").read_text() == "*\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
@pytest.mark.parametrize("by", ["owner", "mode", "link"])
def test_records_in_tmp_that_another_user_has_planted_are_not_found(by: str, small: Project) -> None:
    """Not even by who has a home, in a tree that is new: its path can be guessed, and whose store is used says what is built."""
    small.env["TMPDIR"] = str(small.root.parent / "tmp")
    spare = Path(small.env["TMPDIR"], f"gg-{os.geteuid()}")
    spare.parent.mkdir()
    spare.parent.chmod(0o1777)
    small.build("gcc", "-c", "m.c")
    os.rename(small.cache, spare)
    spare.chmod(0o777 if by == "mode" else 0o700)
    if by == "owner":
        os.chown(spare, 1234, 1234)
    elif by == "link":
        os.rename(spare, spare.with_name("elsewhere"))
        spare.symlink_to("elsewhere")
    before = {path: path.lstat().st_mtime_ns for path in spare.parent.rglob("*")}
    small.gg("status", status=64)
    small.gg("builds", "--all")
    small.build("gcc", "-c", "m.c")
    assert small.records.is_relative_to(small.cache)
    assert {path: path.lstat().st_mtime_ns for path in spare.parent.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
@pytest.mark.parametrize("variable", ["GG_DIR", "XDG_CACHE_HOME"])
def test_a_place_in_tmp_that_another_user_has_taken_before(variable: str, small: Project) -> None:
    place = small.root.parent / "tmp" / "gg"
    place.mkdir(parents=True)
    place.parent.chmod(0o1777)
    small.env[variable] = str(place if variable == "GG_DIR" else place.parent)
    small.infer("gcc", "-c", "m.c")
    small.path("m.o").unlink()
    for path in (place, *place.rglob("*")):
        os.chown(path, 1234, 1234, follow_symlinks=False)
    before = {path: path.lstat().st_mtime_ns for path in place.rglob("*")}
    status = 64 if variable == "GG_DIR" else 0
    small.env["TMPDIR"] = str(small.root.parent)
    assert "another user may have put there" in small.infer("gcc", "-c", "m.c", status=status).text or not status
    small.force(status=None)
    assert {path: path.lstat().st_mtime_ns for path in place.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")
@pytest.mark.parametrize("by", ["owner", "mode", "gg's owner"])
def test_what_another_user_has_put_into_a_home_where_all_may_write_is_not_believed(by: str, small: Project) -> None:
    """HOME=/tmp, as for users whom a machine does not know: neither settings, nor keys, nor state."""
    home = small.root.parent / "tmp"
    config = home / ".config" / "gg"
    config.mkdir(parents=True)
    home.chmod(0o1777)
    small.env |= {"HOME": str(home), "TMPDIR": str(small.root.parent / "temporary")}
    os.mkdir(small.env["TMPDIR"])
    key = f"eve:{base64.b64encode(bytes(32)).decode()}"
    (config / "trusted").write_text(f"{key}\n")
    (config / "gg.toml").write_text('engine = "lambda"\n')
    (config / "keys").mkdir()
    (config / "keys" / "default.secret").write_text(f"{key}\n")
    small.env["GG_ENGINE"] = "local"
    small.build("gcc", "-c", "m.c")
    assert f"trusted  {key}" in small.gg("key", "list").text, "as long as all of it is the user's own"
    shutil.rmtree(small.root)
    small.write("m.c", "int main(void) { return 7; }\n")
    for path in home.glob(".*"):
        for each in (path / "gg",) if by == "gg's owner" else (path, *path.rglob("*")):
            if by == "mode":
                each.chmod(0o777)
            else:
                os.chown(each, 1234, 1234)
    del small.env["GG_ENGINE"]
    before = {path: path.lstat().st_mtime_ns for path in home.rglob("*")}
    assert "eve" not in small.gg("key", "list").text
    assert small.build("gcc", "-c", "m.c").ran == ["m.o"]
    assert {path: path.lstat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("name", ["trusted", "gg.toml", "keys/default.secret", "workers", ""])
def test_what_everybody_may_write_decides_nothing(name: str, small: Project) -> None:
    """It is told of, for the user wants it to count. Nor does gg make such a file, whatever the umask."""
    config = Path(small.env["HOME"]) / ".config" / "gg"
    own = small.run("sh", "-c", f"umask 0; {SCRIPTS}/gg key new").stdout.decode().strip()
    small.run("sh", "-c", f"umask 0; {SCRIPTS}/gg key trust eve{own.removeprefix('default')}")
    (config / "workers").write_text("")
    (config / "gg.toml").write_text("jobs = 1\n")
    assert not [path for path in (config, *config.rglob("*")) if path.stat().st_mode & 0o022]
    (config / name).chmod(0o777 if (config / name).is_dir() else 0o666)
    command = ["gg-force", "--engine", "remote=host"] if name == "workers" else ["gg", "key", "list"]
    if name == "workers":
        small.infer("gcc", "-c", "m.c")
    done = small.run(SCRIPTS / command[0], *command[1:], status=None)
    assert done.status == 77, done.text
    assert f"everybody may write {config / name}".rstrip("/") in done.text


def test_recorded_without_a_home_and_forced_with_one(small: Project) -> None:
    small.build("gcc", "-c", "m.c")
    home = small.env["HOME"]
    homeless(small, "/homeless-shelter")
    small.infer("gcc", "-c", "-DX", "m.c")
    small.env["HOME"] = home
    small.force()
    assert not is_placeholder(small.path("m.o"))


@pytest.mark.parametrize("where", ["beside", "in the tree/.gg", "out/state", "tree.gg"])
def test_gg_dir_is_that_directory(small: Project, where: str) -> None:
    place = small.root.parent / where if where in ("beside", "tree.gg") else small.root / where
    small.env["GG_DIR"] = str(place)
    below = small.path("below")
    below.mkdir()
    small.infer("gcc", "-c", "m.c")
    assert (place / "store.db").exists()
    assert not small.cache.joinpath("store").exists()
    small.run(SCRIPTS / "gg-infer", "gcc", "-c", "../m.c", "-o", "n.o", cwd=below)
    small.run(SCRIPTS / "gg-force", cwd=below)
    assert small.placeholders() == []
    assert small.gg("status").stdout.startswith(b"workspace " + os.fsencode(small.root) + b", ")
    small.gg("clean")
    assert not place.exists()


def test_a_relative_gg_dir_is_the_same_in_all_directories(small: Project) -> None:
    small.write("sub/n.c", "int n;\n")
    small.write("Makefile", f"all:\n\tgcc -c m.c\n\tcd sub && {SCRIPTS}/gg status && gcc -c n.c\n")
    small.env["GG_DIR"] = "state"
    assert f"workspace {small.root}, ".encode() in small.infer().stdout
    small.force()
    assert small.placeholders() == []
    assert not small.path("sub/state").exists()


def test_a_cache_in_the_tree_is_not_seen_by_git(small: Project) -> None:
    committed(small)
    small.env["XDG_CACHE_HOME"] = str(small.path(".cache"))
    assert small.infer("sh", "-c", "git status --porcelain; gcc -c m.c").stdout == b""


def test_gg_dir_with_other_things_in_it_is_refused(small: Project) -> None:
    small.env["GG_DIR"] = str(small.root)
    assert b"other things" in small.infer("gcc", "-c", "m.c", status=64).stderr
    small.gg("clean", status=64)
    assert sorted(small.tree()) == ["m.c"]


def test_state_in_the_tree_on_request(small: Project) -> None:
    committed(small)
    small.gg("init", "--in-tree")
    assert small.run("git", "status", "--porcelain").stdout == b""
    small.infer("gcc", "-c", "m.c", "-o", "m.o")
    small.force()
    assert sorted(os.listdir(small.path(".gg")))[:2] == [".gitignore", "CACHEDIR.TAG"]
    assert not small.cache.joinpath("store").exists()
    packed = small.run("sh", "-c", "tar c --exclude-caches-all . | tar t").stdout
    assert b".gg" not in packed
    small.gg("clean")
    assert not small.path(".gg").exists()


def test_a_directory_of_another_one_called_gg(small: Project) -> None:
    """What is called .gg and is none of ours is left alone."""
    small.write(".gg/notes", "mine\n")
    small.build("gcc", "-c", "m.c")
    assert sorted(os.listdir(small.path(".gg"))) == ["notes"]
    small.gg("clean")
    assert small.path(".gg/notes").read_text() == "mine\n"


def test_what_is_above_all_is_no_workspace_for_it(small: Project) -> None:
    home = Project(Path(small.env["HOME"]), small.env)
    for above in (home, Project(small.root.parent, small.env)):
        above.write("m.c", "int main(void) { return 7; }\n")
        above.build("gcc", "-c", "m.c")
    small.root.parent.chmod(0o1777)
    for inside in (small, Project(home.root / "inside", small.env)):
        inside.root.mkdir(exist_ok=True)
        inside.write("m.c", "int main(void) { return 7; }\n")
        inside.infer("gcc", "-c", "m.c")
        assert inside.gg("status").stdout.startswith(b"workspace " + os.fsencode(inside.root) + b", ")
    assert home.gg("status").stdout.startswith(b"workspace " + os.fsencode(home.root) + b", ")


def test_a_path_that_no_database_has(small: Project) -> None:
    deep = Project(small.root.joinpath(*["a" * 200] * 3), small.env)
    deep.write("m.c", "int main(void) { return 7; }\n")
    deep.same_as_plain("gcc", "m.c", "-o", "p", make=False)
    deep.env["GG_DIR"] = str(deep.root / "state")
    assert b"too long" in deep.infer("gcc", "m.c", "-o", "p", status=64).stderr
    del deep.env["GG_DIR"]
    deep.env["XDG_CACHE_HOME"] = str(deep.root)
    deep.env["TMPDIR"] = str(small.root)
    small.path("m.c").unlink()
    assert b"gg's state is in" in deep.infer("gcc", "-DX", "m.c", "-o", "p").stderr
    deep.force()
    deep.run("./p", status=7)


def test_results_outlive_the_records(small: Project) -> None:
    small.build("gcc", "-c", "m.c")
    small.gg("clean")
    small.path("m.o").unlink()
    assert small.build("gcc", "-c", "m.c").ran == []


# The store


def age(project: Project, seconds: int = 90 * 86400) -> None:
    """Let everything in the store have been used some months ago."""
    with closing(sqlite3.connect(project.store / "store.db")) as database, database:
        database.execute("UPDATE object SET used = used - ?", (seconds,))
    for path in (project.store / "blobs").rglob("*"):
        old = path.stat()
        os.utime(path, (old.st_atime - seconds, old.st_mtime))


def counts(project: Project) -> dict[str, int]:
    told = json.loads(project.gg("status", "--json").stdout)["store"]
    return {kind: each["count"] for kind, each in told.items() if each["count"]}


def test_a_collection_keeps_what_any_workspace_needs(small: Project) -> None:
    other = elsewhere(small, "other")
    other.write("o.c", "int o(void) { return 1; }\n")
    other.infer("gcc", "-c", "o.c")
    other.path("o.c").unlink()
    small.build("gcc", "-c", "m.c")
    age(small)
    small.gg("gc", "--max-size", "1")
    assert counts(small).items() >= {"blob": 1, "thunk": 1}.items()
    assert "reduction" not in counts(small)
    other.force()
    assert not is_placeholder(other.path("o.o"))


def test_a_collection_keeps_what_was_recorded_and_is_not_told_yet(small: Project) -> None:
    """A call whose output nobody kept is evaluated all the same, for what it says."""
    small.write("w.c", "#warning seen\n")
    small.infer("sh", "-c", "gcc -c w.c && rm w.o")
    small.path("w.c").unlink()
    age(small)
    small.gg("gc", "--max-size", "1")
    assert b"seen" in small.force().stderr


def test_a_collection_forgets_directories_that_are_gone(small: Project) -> None:
    gone = elsewhere(small, "gone")
    gone.infer("true")
    records = gone.records
    shutil.rmtree(gone.root)
    small.infer("true")
    assert b"would forget" in small.gg("gc", "--dry-run").stdout
    assert records.exists()
    assert f"forgot {gone.root}, which is gone".encode() in small.gg("gc").stdout
    assert not records.exists()
    assert b"forgot" not in small.gg("gc").stdout
    assert small.records.exists()


def test_what_is_used_meanwhile_is_not_dropped(small: Project) -> None:
    """A recorder that lives finds an old thunk in the store; it is there when it is forced, whoever collects."""
    small.build("gcc", "-c", "m.c")
    age(small)
    small.path("m.o").unlink()
    script = f"gcc -c m.c; mv m.o ../hidden; {SCRIPTS}/gg gc --max-size 1; mv ../hidden m.o; gcc -c m.c -o n.o"
    small.infer("sh", "-c", script)
    assert "n.o" in small.forced().ran
    assert small.path("m.o").read_bytes()[:4] == b"\x7fELF"


def test_builds_and_collections_at_once(small: Project) -> None:
    """Builds that find all in an old store, and a loop of collections that want all of it gone: the same bytes, no error."""
    trees = [elsewhere(small, f"t{n}") for n in range(3)]
    for n, tree in enumerate(trees):
        for unit in range(4):
            tree.write(f"u{unit}.c", f'#include "h.h"\nint f{n}_{unit}(void) {{ return H; }}\n')
        tree.write("h.h", f"#define H {n}\n")
        tree.write("Makefile", "l.a: u0.o u1.o u2.o u3.o\n\tar rcsD $@ $^\n%.o: %.c\n\tgcc -g -MMD -c $< -o $@\n")
        tree.build()
    expected = [tree.path("l.a").read_bytes() for tree in trees]
    script = "for i in 1 2 3; do rm -f *.o *.d l.a; gg-infer --quiet make -s && gg-force --quiet || exit; done"
    env = {"PATH": f"{SCRIPTS}:{small.env['PATH']}"}
    for turn in range(2):
        age(small)
        running = [tree.start("sh", "-c", script, env=env) for tree in trees]
        while any(each.poll() is None for each in running):
            small.run(SCRIPTS / "gg", "gc", "--max-size", "1", cwd=trees[turn].root)
        assert [(each.wait(), *each.communicate()) for each in running] == [(0, b"", b"")] * 3
        assert [tree.path("l.a").read_bytes() for tree in trees] == expected


def test_a_store_that_has_grown_too_large_is_collected(small: Project) -> None:
    small.write("big.c", "char big[3 << 20] = { 1 };\n")
    small.build("gcc", "-c", "big.c")
    small.path("big.o").unlink()
    age(small)
    small.env["GG_STORE_SIZE"] = "1M"
    small.build("gcc", "-c", "m.c")
    for _ in range(200):
        if counts(small).get("reduction") == 1:
            break
        time.sleep(0.1)
    assert counts(small)["reduction"] == 1
    assert int((small.store / "grown").read_text().split()[0]) < 1 << 20
    assert b"is no size" in small.run(SCRIPTS / "gg-force", env={"GG_STORE_SIZE": "much"}, status=64).stderr


def test_a_tree_that_is_made_again_is_told_nothing_of_the_old_one(project: Project) -> None:
    """The calls of the old tree were never forced; the new tree is at the same path, and often has the same inode."""
    project.write("old.c", '#warning "of the old tree"\nint old(void) { return nowhere; }\n')
    project.infer("gcc", "-c", "old.c")
    shutil.rmtree(project.root)
    project.root.mkdir()
    project.write("new.c", "int new(void) { return 0; }\n")
    told = project.infer("gcc", "-c", "new.c").text + project.force().text
    assert "old" not in told
    assert project.placeholders() == []
