"""A team's store from the command line: forced once, found by others, and nobody else's results believed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from gg.share.keys import SecretKey
from tests.commands.batch import programs
from tests.servers.s3 import secret_key
from tests.servers.seaweed import REGION, Seaweed

MAKEFILE = "prog: main.o util.o\n\tgcc -o $@ $^\n%.o: %.c util.h\n\tgcc -g -O2 -c -o $@ $<\n"


class Checkout:
    """One person's machine: a home, a source tree always at the same path, and a store of its own."""

    def __init__(
        self, top: Path, name: str, environment: Mapping[str, str], key: SecretKey | None, *trusted: SecretKey
    ) -> None:
        self.tree = top / "tree"
        self.home = top / f"home-{name}"
        self.home.mkdir()
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GG_", "AWS_", "XDG_"))}
        self.environment = {**clean, **environment, "HOME": str(self.home)}
        if key is not None:
            self.environment["GG_KEY"] = key.text
        if trusted:
            self.environment["GG_TRUSTED"] = ",".join(str(one.public) for one in trusted)

    def fresh(self) -> None:
        shutil.rmtree(self.tree, ignore_errors=True)
        self.tree.mkdir()
        (self.tree / "Makefile").write_text(MAKEFILE)
        (self.tree / "util.h").write_text("int util(void);\n")
        (self.tree / "util.c").write_text('#include "util.h"\nint util(void) { return 42; }\n')
        (self.tree / "main.c").write_text(
            '#include <stdio.h>\n#include "util.h"\nint main(void) { printf("%d", util()); }\n'
        )

    def call(self, *argv: str) -> subprocess.CompletedProcess[str]:
        command = [str(programs() / argv[0]), *argv[1:]]
        where = self.tree if self.tree.is_dir() else self.home
        return subprocess.run(
            command, cwd=where, env=self.environment, capture_output=True, text=True, check=False, timeout=120
        )

    def build(self, *options: str) -> subprocess.CompletedProcess[str]:
        self.fresh()
        assert self.call("gg-infer", "make").returncode == 0
        return self.call("gg-force", *options)


@pytest.fixture
def environment(seaweed_server: Seaweed) -> dict[str, str]:
    bucket = seaweed_server.make_bucket()
    return {**seaweed_server.environment(), "GG_STORAGE_URI": f"s3://{bucket}/team?region={REGION}"}


def ran(done: subprocess.CompletedProcess[str]) -> int:
    """How many commands ran, by the last line of what was said."""
    found = re.search(r"(\d+) ran", done.stdout + done.stderr)
    assert found, done.stdout + done.stderr
    return int(found[1])


def test_what_one_has_forced_another_need_not(environment: dict[str, str], tmp_path: Path) -> None:
    ann, bob = secret_key("ann"), secret_key("bob")
    first = Checkout(tmp_path, "ann", environment, ann)
    done = first.build()
    assert (done.returncode, ran(done)) == (0, 3), done.stderr
    made = (first.tree / "prog").read_bytes()

    second = Checkout(tmp_path, "bob", environment, bob, ann)
    done = second.build()
    assert (done.returncode, ran(done)) == (0, 0), done.stderr
    assert (second.tree / "prog").read_bytes() == made
    assert subprocess.run([second.tree / "prog"], capture_output=True, check=True).stdout == b"42"


def test_checkouts_in_other_directories_share(environment: dict[str, str], tmp_path: Path) -> None:
    ann, bob = secret_key("ann"), secret_key("bob")
    known = {**environment, "GG_KNOWN_AS": str(tmp_path / "known" / "as")}
    first = Checkout(tmp_path, "ann", known, ann)
    assert ran(first.build()) == 3
    second = Checkout(tmp_path, "bob", known, bob, ann)
    second.tree = tmp_path / "home-bob" / "sources"
    done = second.build()
    assert (done.returncode, ran(done)) == (0, 0), done.stderr
    assert (second.tree / "prog").read_bytes() == (first.tree / "prog").read_bytes()


def test_results_of_strangers_are_left_alone(environment: dict[str, str], tmp_path: Path) -> None:
    ann = secret_key("ann")
    assert ran(Checkout(tmp_path, "ann", environment, ann).build()) == 3
    stranger = Checkout(tmp_path, "eve", environment, None)
    done = stranger.build()
    assert (done.returncode, ran(done)) == (0, 3)
    assert done.stderr.count("not trusted") == 1
    assert done.stderr.count("there is no key to sign them with") == 1
    assert f"gg key trust them:{str(ann.public).partition(':')[2]}" in done.stderr


@pytest.mark.parametrize("damage", ["gone", pytest.param("other", marks=pytest.mark.slow)])
def test_damaged_packs_are_as_if_nobody_had_forced(
    damage: str, seaweed_server: Seaweed, environment: dict[str, str], tmp_path: Path
) -> None:
    """The first force of a fresh checkout runs what it cannot have, with or without a key; who has one heals it for others."""
    ann, bob = secret_key("ann"), secret_key("bob")
    first = Checkout(tmp_path, "ann", environment, ann)
    assert ran(first.build()) == 3
    made = (first.tree / "prog").read_bytes()
    client, bucket = seaweed_server.client(), environment["GG_STORAGE_URI"].split("/")[2]
    for each in client.list_objects_v2(Bucket=bucket, Prefix="team/packs/")["Contents"]:
        data = client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read()
        client.delete_object(Bucket=bucket, Key=each["Key"])
        if damage != "gone":
            client.put_object(Bucket=bucket, Key=each["Key"], Body=os.urandom(len(data)))
    for name, key, runs in (("reader", None, 3), ("bob", bob, 3), ("cay", None, 0)):
        fresh = Checkout(tmp_path, name, environment, key, ann, bob)
        done = fresh.build()
        assert (done.returncode, ran(done)) == (0, runs), done.stderr
        assert (fresh.tree / "prog").read_bytes() == made


def test_what_a_killed_run_has_forced_is_offered_by_the_next(environment: dict[str, str], tmp_path: Path) -> None:
    """It is killed before anything is shared. The next run has nothing to force, and shares all the same."""
    ann, bob = secret_key("ann"), secret_key("bob")
    first = Checkout(tmp_path, "ann", environment, ann)
    first.fresh()
    assert first.call("gg-infer", "make").returncode == 0
    killer = tmp_path / "killer"
    killer.mkdir()
    (killer / "sitecustomize.py").write_text(KILLED_WHEN_SHARING)
    first.environment["PYTHONPATH"] = str(killer)
    assert first.call("gg-force").returncode == -9
    assert (first.tree / "prog").read_bytes()[:4] == b"\x7fELF"
    del first.environment["PYTHONPATH"]
    done = first.call("gg-force")
    assert (done.returncode, done.stderr) == (0, "gg: 0 thunks: 0 ran, 0 cached, 0 failed in 0.0 s\n") or not ran(done)
    second = Checkout(tmp_path, "bob", environment, bob, ann)
    done = second.build()
    assert (done.returncode, ran(done)) == (0, 0), done.stderr
    assert not list(first.home.glob(".cache/gg/**/unshared-*/*"))


KILLED_WHEN_SHARING = """
import sys, os, signal
if "gg-force" in sys.argv[:2]:
    import gg.share.tiered
    gg.share.tiered.Tiered.flush = lambda self: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_bucket_that_is_not_there_is_an_error(environment: dict[str, str], tmp_path: Path) -> None:
    wrong = {**environment, "GG_STORAGE_URI": "s3://no-such-bucket/x?region=us-east-1"}
    done = Checkout(tmp_path, "ann", wrong, secret_key("ann")).build()
    assert done.returncode == 78
    assert done.stderr.count("\n") == 2, done.stderr
    assert "there is no such bucket" in done.stderr


def test_read_only(environment: dict[str, str], tmp_path: Path) -> None:
    ann, bob = secret_key("ann"), secret_key("bob")
    reading = {**environment, "GG_STORAGE_URI": environment["GG_STORAGE_URI"] + "&mode=read"}
    assert ran(Checkout(tmp_path, "ann", reading, ann, bob).build()) == 3
    assert ran(Checkout(tmp_path, "bob", environment, bob, ann).build()) == 3
    assert ran(Checkout(tmp_path, "cat", reading, None, bob).build()) == 0


def test_the_doctor_looks_at_it(environment: dict[str, str], tmp_path: Path) -> None:
    ann = Checkout(tmp_path, "ann", environment, secret_key("ann"))
    ann.fresh()
    assert ann.call("gg-init").returncode == 0
    said = ann.call("gg", "doctor").stdout
    assert "ok    team's store s3://" in said
    assert "signed by ann" in said
    ann.environment["GG_STORAGE_URI"] = "s3://no-such-bucket/x?region=us-east-1"
    done = ann.call("gg", "doctor")
    assert done.returncode == 1
    assert "there is no such bucket" in done.stdout


def two_and_a_secret(environment: dict[str, str], tmp_path: Path) -> tuple[Checkout, Checkout, Path]:
    """Ann's checkout; Bob's, who trusts her; and a file of Ann's home."""
    ann, bob = secret_key("ann"), secret_key("bob")
    first, second = (
        Checkout(tmp_path, "ann", environment, ann),
        Checkout(tmp_path, "bob", environment, bob, ann),
    )
    secret = tmp_path / "home-ann" / ".config" / "token"
    secret.parent.mkdir()
    secret.write_text("#define TOKEN 4711\n")
    return first, second, secret


NAMED = {
    "incbin": '__asm__(".incbin \\"%s\\"");\nint util(void) { return 42; }\n',
    "include": '#include "%s"\nint util(void) { return 42; }\n',
    "linked": '#include "leads-out"\nint util(void) { return 42; }\n',
}


@pytest.mark.parametrize("way", NAMED)
def test_what_a_source_takes_out_of_a_home_stays_here(way: str, environment: dict[str, str], tmp_path: Path) -> None:
    """Neither what reads it is shared, nor what is made of that; the rest is. It holds in later runs too."""
    first, second, secret = two_and_a_secret(environment, tmp_path)

    def edited(checkout: Checkout) -> None:
        checkout.fresh()
        (checkout.tree / "util.c").write_text(NAMED[way].replace("%s", str(secret)))
        (checkout.tree / "leads-out").symlink_to(secret)
        assert checkout.call("gg-infer", "make").returncode == 0

    edited(first)
    done = first.call("gg-force", "util.o")
    assert (done.returncode, ran(done)) == (0, 1), done.stderr
    assert f"what is made of {secret} is not shared" in done.stderr
    done = first.call("gg-force")
    assert (done.returncode, ran(done)) == (0, 2), done.stderr
    edited(second)
    done = second.call("gg-force")
    assert (done.returncode, ran(done)) == (0, 2), "main.o was shared, and nothing else"
    edited(first)
    assert ran(first.call("gg-force")) == 0, "all of it is known here"
    first.environment["GG_READABLE"] = "~/.config/token"
    (first.tree / "Makefile").write_text(MAKEFILE.replace("-O2", "-O1"))
    (first.tree / "util.o").unlink()
    first.call("gg-infer", "make", "util.o")
    assert "is not shared" not in first.call("gg-force").stderr


UNREAD = '#include "%s"\n#ifdef NEVER\n#include "unread.h"\n#endif\nint util(void) { return 42; }\n'


def test_nor_does_a_result_that_is_found_by_what_it_read(environment: dict[str, str], tmp_path: Path) -> None:
    """After an edit that the command does not read, its result stands under another name: that stays here as well."""
    first, second, secret = two_and_a_secret(environment, tmp_path)

    def edited(checkout: Checkout, unread: str) -> None:
        checkout.fresh()
        (checkout.tree / "util.c").write_text(UNREAD.replace("%s", str(secret)))
        (checkout.tree / "unread.h").write_text(unread)
        assert checkout.call("gg-infer", "make").returncode == 0

    edited(first, "int one;\n")
    assert ran(first.call("gg-force")) == 3
    edited(first, "int two;\n")
    assert ran(first.call("gg-force")) == 0
    edited(second, "int two;\n")
    assert ran(second.call("gg-force")) == 2, "main.o was shared, and nothing else"


def test_only_what_has_run_is_signed(environment: dict[str, str], tmp_path: Path) -> None:
    """Who trusts Bob trusts nobody whom Bob trusts: what Bob finds of Ann's under another name he does not sign."""
    ann, bob, cat = secret_key("ann"), secret_key("bob"), secret_key("cat")
    first = Checkout(tmp_path, "ann", environment, ann)
    second = Checkout(tmp_path, "bob", environment, bob, ann)
    third = Checkout(tmp_path, "cat", environment, cat, bob)

    def edited(checkout: Checkout, unread: str) -> subprocess.CompletedProcess[str]:
        checkout.fresh()
        (checkout.tree / "util.c").write_text(UNREAD.replace("%s", "util.h"))
        (checkout.tree / "unread.h").write_text(unread)
        assert checkout.call("gg-infer", "make").returncode == 0
        return checkout.call("gg-force")

    assert ran(edited(first, "int one;\n")) == 3
    assert ran(edited(second, "int two;\n")) == 0
    assert ran(edited(third, "int two;\n")) == 3


@pytest.mark.parametrize("by", ["name", "key of gg.toml"])
def test_what_a_key_had_signed_goes_with_the_trust_in_it(by: str, environment: dict[str, str], tmp_path: Path) -> None:
    """From the store of this machine too, where results stand without a signature; what ran here stays."""
    ann, bob = secret_key("ann"), secret_key("bob")
    first = Checkout(tmp_path, "ann", environment, ann)
    second = Checkout(tmp_path, "bob", environment, bob, *([ann] if by != "name" else []))
    if by == "name":
        assert second.call("gg", "key", "trust", str(ann.public)).returncode == 0

    def edited(checkout: Checkout, unread: str) -> int:
        checkout.fresh()
        (checkout.tree / "util.c").write_text(UNREAD.replace("%s", "util.h"))
        (checkout.tree / "unread.h").write_text(unread)
        assert checkout.call("gg-infer", "make", "util.o").returncode == 0
        return ran(checkout.call("gg-force"))

    assert edited(first, "int one;\n") == 1
    assert edited(second, "int one;\n") == 0
    assert edited(second, "int two;\n") == 0
    second.call("gg-infer", "make")
    assert ran(second.call("gg-force")) == 2
    shutil.rmtree(second.tree)
    done = second.call("gg", "key", "distrust", "ann" if by == "name" else str(ann.public))
    assert "removed: 2 results" in done.stdout
    second.environment.pop("GG_TRUSTED", None)
    assert edited(second, "int two;\n") == 1
    second.call("gg-infer", "make")
    assert ran(second.call("gg-force")) == 0
