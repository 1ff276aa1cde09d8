"""AddressSanitizer sees what it is there for, below a preloaded library too, and the library has no say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.native import sanitized
from tests.native.compiled import cc

PROGRAM = """#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
    volatile char *all = malloc(argc);
    printf("%d %s\\n", access(argv[0], R_OK), getenv("SET"));
    fflush(stdout);
    all[argc - 1 + (getenv("BEYOND") != NULL)] = 1;
    return 0;
}
"""
LIBRARY = """#include <stdlib.h>
int access(const char *path, int mode) { (void)path; (void)mode; return 7; }
__attribute__((constructor)) static void begin(void) { getenv("SET")[0] = 'x'; setenv("SET", "other", 1); }
"""


@pytest.mark.parametrize("beyond", [False, True])
def test_what_it_sees(tmp_path: Path, beyond: bool) -> None:
    (tmp_path / "program.c").write_text(PROGRAM)
    (tmp_path / "library.c").write_text(LIBRARY)
    cc("-shared", "-fPIC", "-o", tmp_path / "library.so", tmp_path / "library.c")
    sanitized.program(tmp_path / "program", [tmp_path / "program.c"], (), [tmp_path / "library.so"])
    env = os.environ | {"LD_PRELOAD": str(tmp_path / "library.so"), "SET": "own"} | ({"BEYOND": "1"} if beyond else {})
    done = subprocess.run([tmp_path / "program"], env=env, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (86 if beyond else 0, b"0 own\n")
    assert (b"heap-buffer-overflow" in done.stderr) == beyond
