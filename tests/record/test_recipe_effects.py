"""What the lines of recipes change by hand besides the target."""

from __future__ import annotations

import pytest

from gg.record.hearers import recipe_effects, recipes


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("echo built > log", "log"),
        ("echo x >> a.log 2>&1", "a.log"),
        ("./test > out.txt 2>errors", "out.txt errors"),
        ("grep -c x y >/dev/null 2>/dev/null", ""),
        ("cat < in > out", "out"),
        ("touch a b", "a b"),
        ("cp -p x.c dist/", "dist/x.c"),
        ("mv a b", "a b b/a"),
        ("ln -sf lib.so.1 lib.so", "lib.so lib.so/lib.so.1"),
        ("rm -f old.txt", "old.txt"),
        ("mkdir -p d/e", "d/e d"),
        ("install -d inst/lib", "inst/lib"),
        ("sed -i s/a/b/ conf.h", "conf.h"),
        ("sed s/a/b/ conf.h", ""),
        ("gcc -c x.c -o x.o", ""),
        ("nm x.o > list", "list"),
        ("if cp a b", "b b/a"),
        ("echo 'a -> b'", ""),
        ("", ""),
    ],
)
def test_what_a_command_changes(command: str, files: str) -> None:
    assert [name.decode() for name in recipe_effects.changed(command.encode())] == files.split()


def effects(makefile: str) -> recipe_effects.RecipeEffects:
    (recipe,) = recipes.read(makefile.encode())
    return recipe_effects.effects(recipe)


def test_what_comes_behind_a_call() -> None:
    found = effects("p: p.c\n\techo first > list\n\t$(CC) p.c -o p\n\tcd sub && echo $@ >> log\n\t@strip p\n")
    assert found.behind == [(b"$(CC) p.c -o p", b"sub/log"), (b"$(CC) p.c -o p", b"p")]
    assert found.every == [(b"p", b"list"), (b"p", b"sub/log")]
    assert not found.shared


@pytest.mark.parametrize(
    "recipe",
    [
        "x.o: x.c\n\tgcc -MD -MF .deps/x.Tpo -c x.c\n\tmv -f .deps/x.Tpo .deps/x.Po\n",  # a further step with what it makes
        "x.o: x.c\n\tmkdir -p d\n\tgcc -c x.c\n",
        "x.o: x.c\n\tgcc -c x.c\n\t@echo made $@\n",
        "%.o: %.c\n\tgcc -c $<\n\tcp $*.d $*.P\n",  # of each target its own
    ],
)
def test_what_is_as_it_was(recipe: str) -> None:
    assert not effects(recipe).behind
    assert not effects(recipe).shared


@pytest.mark.parametrize("targets", ["%.o: %.c", "a.o b.o:", ".c.o:"])
def test_what_many_recipes_write(targets: str) -> None:
    assert effects(f"{targets}\n\tgcc -c $<\n\techo $@ >> log\n").shared == [b"gcc -c $<"]
