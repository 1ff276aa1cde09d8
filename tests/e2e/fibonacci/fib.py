#!/usr/bin/env python3
"""fib N: writes the Nth Fibonacci number to `out`, or makes the thunks that will."""

import os
import sys

number = int(sys.argv[1])
if number < 2:
    with open("out", "w") as file:
        file.write(str(number))
else:
    from gg.sdk.custom import Maker

    fib, add = os.environ["FIB_FUNCTION_HASH"], os.environ["ADD_FUNCTION_HASH"]
    environment = [f"FIB_FUNCTION_HASH={fib}", f"ADD_FUNCTION_HASH={add}"]
    with Maker() as maker:
        left, right = (
            maker.thunk(
                fib,
                ["fib", str(n)],
                executables=[fib, add],
                outputs=["out", "left", "right"],
                environment=environment,
                placeholder=output,
            )
            for n, output in ((number - 1, "left"), (number - 2, "right"))
        )
        arguments = ["add", f"@{{GGHASH:{left}}}", f"@{{GGHASH:{right}}}"]
        maker.thunk(add, arguments, executables=[add], thunks=[left, right], outputs=["out"], placeholder="out")
