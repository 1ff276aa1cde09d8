"""Makes many calls of a tool, one after the other: `python3 -I -S calls.py COUNT WORD...`, `{n}` being the number.

It stands in for make where only the calls are to be measured. Exit status 1 at the first call that fails.
"""

import os
import sys


def main(count: int, words: list[str]) -> int:
    for number in range(count):
        argv = [word.replace("{n}", str(number)) for word in words]
        child = os.posix_spawnp(argv[0], argv, os.environ)
        if os.waitpid(child, 0)[1]:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
