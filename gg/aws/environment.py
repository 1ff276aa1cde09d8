"""Reads the user's set-up from the environment alone, with botocore's answers: loading botocore takes a third of a second."""

from __future__ import annotations

from gg.aws.sign import Credentials
from gg.workspace import settings as config

_NOT_ALONE = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CREDENTIAL_EXPIRATION")
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


def proxy(url: str, scheme: str) -> str:
    """The proxy for a URL, by botocore's rule; empty for none."""
    if not config.has_proxies():
        return ""
    from botocore.utils import get_environ_proxies

    return str(get_environ_proxies(url).get(scheme, ""))
