"""The commands. From their first import on, cycles are looked for seldom: we make many objects that live to the end, and
hardly a cycle. While modules are loaded it would be 70 times, 3 ms of 40.
"""

import gc

gc.set_threshold(200_000)  # objects
