"""From the native program that a user has called (toolchain-wrappers/start/) to the command's function."""

import os
import sys


def start() -> None:
    """Run the command that `sys.argv` names, with arguments as if Python had been started as that command."""
    script, name, signals, *words = sys.argv
    sys.argv = [os.path.join(os.path.dirname(script), name), *words]
    try:  # the process's name in ps and killall
        with open("/proc/self/comm", "wb", buffering=0) as file:
            file.write(os.fsencode(name))
    except OSError:
        pass
    if any("remote=" in word and "/" in word for word in words):  # a worker's key, perhaps
        from gg.host.own_words import hide_keys

        hide_keys()
    from gg.cli import interrupts
    from gg.cli.main import COMMANDS

    interrupts.held(signals == "hold")
    COMMANDS[name]()
