"""Runs the command lines of many cases, as a build would: `python3 -S driver.py JOBS RESULTS WORKERS`.

JOBS is a JSON list of {"cwd": directory, "run": list of command lines}, strings in latin-1 (any byte can be one).
Each case's command lines run in order until one fails; cases run side by side. RESULTS gets, for each case in order,
the list of [status, standard output, standard error] of those that ran. It imports little: gg-infer starts it.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

Outcome = tuple[int, str, str]
SECONDS = 60  # all of them end in two


def run(job: dict[str, object]) -> list[Outcome]:
    """The outcomes of one case."""
    cwd, lines, outcomes = str(job["cwd"]).encode("latin-1"), job["run"], []
    assert isinstance(lines, list)
    for line in lines:
        argv = [str(arg).encode("latin-1") for arg in line]
        outcomes.append(_outcome(argv, cwd))
        if outcomes[-1][0]:
            break
    return outcomes


def _outcome(argv: list[bytes], cwd: bytes) -> Outcome:
    """One command line's; 127 when it cannot be started, 124 when it does not end, as a shell and timeout(1) say."""
    try:
        done = subprocess.run(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"did not end in {SECONDS} s"
    except OSError as error:
        return 127, "", str(error)
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


def main(jobs: str, results: str, workers: str) -> None:
    os.environ.pop("PYTHONHOME", None)  # it was for this process alone
    with open(jobs, encoding="utf-8") as file:
        work = json.load(file)
    with ThreadPoolExecutor(int(workers)) as pool:
        outcomes = list(pool.map(run, work))
    with open(results, "w", encoding="utf-8") as file:
        json.dump(outcomes, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
