"""Variables of the environment that say who the user is to a cloud and to a team: gg needs them, a build and its thunks do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gg.errors import WORKER_KEY
from gg.light.regex import regex

_SECRETS = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AZURE_CLIENT_SECRET",
        "AZURE_FEDERATED_TOKEN_FILE",
        "AZURE_STORAGE_ACCESS_KEY",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_CLIENT_SECRET",
        "AZURE_STORAGE_MASTER_KEY",
        "AZURE_STORAGE_SAS_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
        "AZURE_STORAGE_TOKEN",
        "GG_KEY",
        "GG_REAPI_HEADERS",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "GOOGLE_SERVICE_ACCOUNT_KEY",
    }
)


_HOSTS = ("GG_ENGINE", "GG_WORKERS")
"""Variables that may have workers' keys in them: HOST/KEY."""
PASSED = "GG_SECRETS"
"""Names those secrets that a recorded build was given, as GG_PASS says: no thunk has them."""
_WORKER_KEY = regex(WORKER_KEY)


def secrets_in(env: Mapping[str, str], headers: Iterable[str] = ()) -> set[str]:
    """The names of those in `env`, and of those that a header for a cluster names (`authorization: Bearer $TOKEN`).

    `headers`: those of the settings; the ones of `GG_REAPI_HEADERS` are looked at anyway.
    """
    words = " ".join([env.get("GG_REAPI_HEADERS", ""), *headers]).replace(",", " ").split()
    named = {word[1:].strip("{}") for word in words if word.startswith("$")}
    named.update(env.get(PASSED, "").split())
    keys = {name for name in _HOSTS if _WORKER_KEY.search(env.get(name, ""))}
    return {name for name in env if name in _SECRETS or name in named or name in keys}
