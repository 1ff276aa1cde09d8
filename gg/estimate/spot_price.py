"""What spot machines would cost, for an estimate."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from gg.cost.prices import ProcessorHour, asked_hour, spot_hour
from gg.errors import GGError

if TYPE_CHECKING:
    from gg.workspace.settings import Settings


def processor_hour(settings: Settings, region: str, architecture: str) -> ProcessorHour:
    """AWS is asked, if the user has a queue for them; else, or if it does not tell, by the table."""
    from gg.deploy.spot.fleet_plan import cpus_of, default_types

    types = default_types(architecture)
    found = None
    if settings.queue:
        from gg.aws.setup import AwsSession
        from gg.deploy.aws_calls import AwsService
        from gg.deploy.spot.instances import asked_prices

        with suppress(GGError):
            asked = asked_prices(AwsService(AwsSession(region), "ec2", dry=True), types)
            found = asked_hour({kind: price for (kind, _), price in asked.items()}, cpus_of)
    return found or spot_hour(region, {kind.partition(".")[0] for kind in types})
