"""All decoders that read bytes from elsewhere, by name."""

from __future__ import annotations

from tests.fuzz.decoders.fleet import FLEET
from tests.fuzz.decoders.foreign import FOREIGN
from tests.fuzz.decoders.ours import OURS

TARGETS = {target.name: target for target in (*OURS, *FLEET, *FOREIGN)}
