"""The commands. From their first import on the garbage collector looks for cycles seldom: gg makes many objects that live to the
end, and hardly a cycle. While modules are loaded it would look 70 times, which takes 3 ms of 40.
"""

import gc

gc.set_threshold(200_000)  # objects
