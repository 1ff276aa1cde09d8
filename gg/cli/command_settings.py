"""The settings by which gg-infer and gg-force go. What asks the user is loaded only where there is something to ask."""

from __future__ import annotations

from collections.abc import Mapping

from gg.workspace import settings as config


def command_settings(root: str, flags: Mapping[str, object]) -> config.Settings:
    """The settings that count, after asking the user about the workspace's. An error if they name a store that cannot be used."""
    settings = _allowed(root, flags)
    if settings.store or settings.trusted:
        from gg.share.command_store import check

        check(settings)
    return settings


def _allowed(root: str, flags: Mapping[str, object]) -> config.Settings:
    if config.held(root):
        from gg.cli.consent import settle

        return settle(root, flags)
    return config.load(root, **flags)
