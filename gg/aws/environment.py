"""Reads the user's set-up from the environment alone, with botocore's answers: loading botocore takes a third of a second."""

from __future__ import annotations

import os

from gg.aws.sign import Credentials
from gg.errors import SetupError
from gg.workspace import settings as config

_NOT_ALONE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")
_PATHS = (
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE",
    "AWS_DATA_PATH",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
_TOKENS = ("AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN")  # in the order in which botocore looks


def credentials() -> Credentials | None:
    """The keys that are in the environment, which come before all others. None where botocore has to look."""
    variables = config.aws_variables()
    if any(name in variables for name in _NOT_ALONE):
        return None
    access, secret = variables.get("AWS_ACCESS_KEY_ID", ""), variables.get("AWS_SECRET_ACCESS_KEY", "")
    if not access or not secret:
        return None
    return Credentials(access, secret, next((variables[name] for name in _TOKENS if variables.get(name)), ""))


def need_whole_paths() -> None:
    """SetupError for a relative path: what it leads to depends on where the user is. A stranger's tree would say who is asked,
    whose certificates count, and which command tells the keys.
    """
    variables = config.aws_variables()
    for name in _PATHS:
        for path in variables.get(name, "").split(os.pathsep if name == "AWS_DATA_PATH" else "\0"):
            if path and not path.startswith(("/", "~")):
                raise SetupError(
                    f"{name} is {path}, which is another file in each directory", hint="write its whole path"
                )


def proxy(url: str, scheme: str) -> str:
    """The proxy for a URL, by botocore's rule; empty for none."""
    if not config.has_proxies():
        return ""
    from botocore.utils import get_environ_proxies

    return str(get_environ_proxies(url).get(scheme, ""))
