"""AWS as the user's machine is set up for it: credentials, region, endpoints, proxies and CA bundle by botocore's own rules.

botocore is imported when it is first needed (a third of a second) and asked once a service; requests go by `gg.aws.http`.
It is not needed where the keys are in the environment, and what else it would say is remembered.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gg.aws import environment
from gg.aws import failures as errors
from gg.aws.endpoints import remembered
from gg.aws.http import Endpoint
from gg.aws.sign import Credentials
from gg.errors import SetupError
from gg.workspace import settings as config

if TYPE_CHECKING:
    from botocore.session import Session as BotoSession

_BELIEVED_S = 30.0


class AwsSession:
    """One user's set-up. `region` empty: as configured. Thread-safe; a `KeySource` for clients."""

    def __init__(self, region: str = "", *, clock: Callable[[], float] = time.monotonic) -> None:
        self._region = region
        self._clock = clock
        self._lock = threading.RLock()
        self._boto: BotoSession | None = None
        self._source: Any = None
        self._credentials: Credentials | None = None
        self._until = 0.0
        self._endpoints: dict[str, Endpoint] = {}

    def elsewhere(self, region: str) -> AwsSession:
        """The same user's, in another region: nothing is read or logged in to a second time."""
        other = AwsSession(region, clock=self._clock)
        with self._lock:
            other._boto, other._source = self._boto, self._source
        return other

    # KeySource

    def current(self) -> Credentials | None:
        """The credentials, if they were looked at within half a minute."""
        return self._credentials if self._clock() < self._until else None

    def renew(self) -> Credentials:
        """The credentials, renewed when they are about to expire: botocore does so 10 to 15 minutes before."""
        with self._lock:
            self._credentials = environment.credentials() or self._ask_for_credentials()
            self._until = self._clock() + _BELIEVED_S
            return self._credentials

    def _ask_for_credentials(self) -> Credentials:
        from botocore.exceptions import BotoCoreError

        try:
            if self._source is None:
                self._source = self._session().get_credentials()
            if self._source is None:
                raise errors.no_credentials()
            frozen = self._source.get_frozen_credentials()
        except BotoCoreError as error:
            raise errors.from_botocore(error) from error
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or "")

    # Where

    def region(self) -> str:
        """SetupError when there is none."""
        if not self._region:
            with self._lock:
                self._region = self._session().get_config_variable("region") or ""
        if not self._region:
            raise errors.no_region()
        return self._region

    def endpoint(self, service: str) -> Endpoint:
        """Where a service is, `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3` and profiles heeded."""
        with self._lock:
            known = self._endpoints.get(service)
            if known is None:
                known = self._endpoints[service] = self._endpoint(service)
            return known

    def s3_url(self) -> str:
        """Where S3 is if the user has said so; empty for AWS's own."""
        variables = config.aws_variables()
        return variables.get("AWS_ENDPOINT_URL_S3") or variables.get("AWS_ENDPOINT_URL") or ""

    def _endpoint(self, service: str) -> Endpoint:
        environment.need_whole_paths()
        with self._lock:
            url = remembered(service, self.region(), lambda: self._ask_for_url(service))
            return self.endpoint_of(url, environment.proxy(url, urlsplit(url).scheme))

    def _ask_for_url(self, service: str) -> str:
        from botocore.exceptions import BotoCoreError

        try:
            return str(self._session().create_client(service, region_name=self.region()).meta.endpoint_url)
        except (BotoCoreError, ValueError) as error:
            raise errors.from_botocore(error) from error

    def endpoint_of(self, url: str, proxy: str = "") -> Endpoint:
        """The endpoint that a URL names. SetupError when its CA bundle cannot be read, and for a proxy of another kind.

        A proxy of `https://` is spoken to by TLS: what it is told has the user's password in it.
        """
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        proxy = proxy if "//" in proxy or not proxy else f"http://{proxy}"
        kind = urlsplit(proxy).scheme
        if kind not in ("", "http", "https"):
            raise SetupError(f"{kind}: is no kind of proxy that gg can use", hint="look at HTTPS_PROXY and HTTP_PROXY")
        return Endpoint(
            host=parts.hostname or "",
            port=parts.port or (443 if secure else 80),
            tls=self._tls() if secure else None,
            proxy=proxy,
            prefix=parts.path.rstrip("/"),
            proxy_tls=self._tls() if kind == "https" else None,
        )

    def s3_addressing(self) -> str:
        """ "path", "virtual" or "auto", as the profile says."""
        with self._lock:
            return remembered("s3 addressing", "", self._ask_for_addressing)

    def _ask_for_addressing(self) -> str:
        options = self._session().get_scoped_config().get("s3")
        return str(options.get("addressing_style", "auto")) if isinstance(options, dict) else "auto"

    def client(self, service: str) -> Any:
        """boto3's own client, for what is done seldom and has no need of speed."""
        from botocore.exceptions import BotoCoreError

        with self._lock:
            try:
                return self._session().create_client(service, region_name=self.region())
            except (BotoCoreError, ValueError) as error:
                raise errors.from_botocore(error) from error

    def _tls(self) -> ssl.SSLContext:
        environment.need_whole_paths()
        bundle = remembered("CA bundle", "", self._ask_for_bundle)
        if not os.path.exists(bundle):  # it was another installation's
            bundle = self._ask_for_bundle()
        try:
            return ssl.create_default_context(cafile=bundle)
        except (OSError, ssl.SSLError) as error:
            raise SetupError(
                f"cannot read the CA bundle {bundle}: {error.strerror or error}", hint="look at AWS_CA_BUNDLE"
            ) from error

    def _ask_for_bundle(self) -> str:
        from botocore.httpsession import get_cert_path

        return str(self._session().get_config_variable("ca_bundle") or get_cert_path(True))

    def _session(self) -> BotoSession:
        if self._boto is None:
            environment.need_whole_paths()
            from botocore.exceptions import BotoCoreError
            from botocore.session import get_session

            try:
                self._boto = get_session()
                self._boto.get_scoped_config()
            except BotoCoreError as error:
                self._boto = None
                raise errors.from_botocore(error) from error
        return self._boto
