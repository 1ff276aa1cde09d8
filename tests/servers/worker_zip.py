"""The worker's zip as `gg deploy lambda` makes it, for tests that create functions themselves."""

from __future__ import annotations

import platform
from functools import cache

from gg.deploy import package
from gg.deploy.runtimes import choose, choose_architecture
from gg.workspace.homes import cache_home
from tests.servers.lambda_service.image import PYTHON

_WHEELS = cache_home() + "/wheels"  # of this user, not of a test: to download them takes a while


@cache
def worker_zip() -> bytes:
    """The zip; made once a process."""
    architecture = choose_architecture("", platform.machine())
    return package.build(choose(PYTHON, (0, 0)), architecture, _WHEELS).data
