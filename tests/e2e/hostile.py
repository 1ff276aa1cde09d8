"""A tree as somebody would make it who wants gg to read, write or believe what is not his: links out of the tree, settings, keys,
state and placeholders of his own, in it and above it, and files that are named like gg's.

Its makefile is harmless: what a hostile makefile does with the user's rights is make's doing, not gg's.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from gg.core.placeholder import PlaceholderWriter

KEY = "mallory:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
STRANGER = 1234
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# gg's state can be had again (https://bford.info/cachedir/)\n"

SETTINGS = f"""\
store = "s3://mallory/x?region=us-east-1&endpoint=http%3A%2F%2F127.0.0.1%3A9"
trusted = ["{KEY}"]
engine = "lambda"
functions = "mallory"
regions = ["us-east-1"]
store_size = 0

[tool.steal]
names = ["*/steal", "cat"]
inputs = ["../home/.ssh/**", "/etc/shadow"]
operands = ["output"]

[tool.speak]
names = ["\\u001b]0;mallory\\u0007"]
"""
MAKEFILE = """\
prog: main.o util.o
	$(CC) -o $@ main.o util.o
main.o util.o: util.h
out.txt: steal
	./steal out.txt
all: prog out.txt
"""


def home(place: Path) -> Path:
    """A home with what is worth having; gg has nothing to look for in it."""
    for name, text in {
        ".bashrc": "alias ll='ls -l'\n",
        ".ssh/id_ed25519": "PRIVATE\n",
        ".aws/credentials": "[default]\naws_access_key_id = A\naws_secret_access_key = B\n",
        ".config/other/settings": "x\n",
        "work/report.txt": "a report\n",
        "work/a1": "looks like what a killed gg leaves\n",
        "work/.gg-o1-0": "this too\n",
    }.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (place / ".ssh/id_ed25519").chmod(0o600)
    return place


def tree(root: Path, victim: Path) -> None:
    """Fill the empty directory `root`. `victim`: the home of who will build it."""
    root.mkdir(exist_ok=True)
    for name, text in {
        "Makefile": MAKEFILE,
        "main.c": '#include "util.h"\nint main(void) { return util(); }\n',
        "util.c": '#include "util.h"\nint util(void) { return 0; }\n',
        "util.h": "int util(void);\n",
        "gg.toml": SETTINGS,
    }.items():
        (root / name).write_text(text)
    (root / "steal").write_text("#!/bin/sh\necho nothing > $1\n")
    (root / "steal").chmod(0o755)
    _state(root / ".gg", victim)
    _state(root / ".gg" / "state-0123456789abcdef", victim)
    _state(root / "sub" / ".gg", victim)
    _links(root, victim)
    _placeholders(root, victim)
    _named_like_ours(root, victim)


def above(directory: Path, victim: Path) -> None:
    """What a stranger has above the tree: state and settings."""
    _state(directory / ".gg", victim)
    (directory / "gg.toml").write_text('store = "s3://mallory/above"\nreal = ["gcc"]\n')
    if os.geteuid() == 0:
        for path in (directory / "gg.toml", directory / ".gg"):
            os.chown(path, STRANGER, STRANGER)


def _state(dot: Path, victim: Path) -> None:
    """State that would have files of the user's removed, or written over, by who believed it."""
    dot.mkdir(parents=True, exist_ok=True)
    (dot / "CACHEDIR.TAG").write_text(TAG)
    (dot / "version").write_text("1\n")
    (dot / "root").write_bytes(b"%d %d %d\n%s" % (1, 2, 3, os.fsencode(victim)))
    for name, target in {
        "tmp": victim / "work",
        "blobs": victim / "work",
        "shims": victim / "work",
        "recorded": victim / ".ssh",
        "history.jsonl": victim / ".bashrc",
        "answers": victim / ".bashrc",
        "grown": victim / ".bashrc",
        "lock": victim / "work" / "report.txt",
        "files.db": victim / "work" / "files.db",
    }.items():
        (dot / name).symlink_to(target)
    (dot / "known-as").write_text("/src/mallory\n")
    (dot / "outside").write_bytes(os.fsencode(victim / "work" / "report.txt") + b"\0")
    (dot / "deployment.json").write_text('[{"store": "s3://mallory/x", "region": "us-east-1"}]')
    with closing(sqlite3.connect(dot / "store.db")) as database, database:
        database.execute("CREATE TABLE objects (kind INTEGER, name BLOB, data BLOB)")
        database.execute("INSERT INTO objects VALUES (1, x'00', x'00')")


def _links(root: Path, victim: Path) -> None:
    for name, target in {
        "out": victim,
        "rc.c": victim / ".bashrc",
        "key.o": victim / ".ssh" / "id_ed25519",
        "around/around": root / "around",
        "nowhere.o": Path("/nonexistent/x"),
        "endless.o": Path("/dev/zero"),
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


def _placeholders(root: Path, victim: Path) -> None:
    """Some that are well formed and name thunks that nobody knows, and many that are odd."""
    evil = PlaceholderWriter(b"/bin/false").encode
    odd = root / "odd"
    odd.mkdir()
    whole = evil(bytes(range(32)), 0)
    for name, data in {
        "planted.o": whole,
        "last.o": evil(b"\xff" * 32, 99999),
        "\x1b]0;mallory\x07.o": whole,
        "capital.o": whole.replace(b"0a0b0c", b"0A0B0C"),
        "short.o": whole[:-1],
        "long.o": whole + b"\n",
        "version.o": whole.replace(b"gg-placeholder 1", b"gg-placeholder 9"),
        "negative.o": whole.replace(b" 00000\n", b" -0001\n"),
        "word.o": whole.replace(b" 00000\n", b" ab\xff\x00c\n"),
        "script.o": whole.replace(b"#!/bin/false --gg-placeholder", b"#!/bin/rm -rf ../home        "),
        "headless.o": b"\0" * 160 + whole[160:],
    }.items():
        (odd / name).write_bytes(data)
    (odd / "link.o").symlink_to(victim / "work" / "report.txt")
    os.mkfifo(odd / "fifo.o")
    with open(odd / "huge.o", "wb") as file:
        file.write(whole)
        file.truncate(1 << 40)


def _named_like_ours(root: Path, victim: Path) -> None:
    """Programs, libraries, modules and scratch files with gg's own names; who runs or loads one leaves a trace in the home."""
    trap = f"#!/bin/sh\ntouch {victim}/trapped\n"
    for name in (
        "gcc",
        "gg-infer",
        "gg-force",
        "gg-shim",
        "gg-find",
        "gg-place",
        "git",
        "libgg-record.so",
        "python3",
    ):
        (root / name).write_text(trap)
        (root / name).chmod(0o755)
    python = f"open({str(victim / 'trapped')!r}, 'w')\n"
    for name in ("json.py", "blake3.py", "sitecustomize.py", "tomllib.py", "gg/__init__.py", "msgpack/__init__.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(python)
    for name in ("tmp/a1", "shims/gcc", "store.db", "version", ".gg-o1-0", "blobs/00", "sub/a1"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("mine\n")
    (root / "compile_commands.json").symlink_to(victim / ".bashrc")
