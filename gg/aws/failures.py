"""One table from what AWS, its client library and the network say, to what gg tells a person.

Every row gives one clear line and what to do about it. Set-up that is wrong is an error at once; what may pass by itself
is a `Passing`, which the caller retries, and counts as throttling if `throttled`.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from gg.aws import dates
from gg.aws.connection import Response
from gg.aws.trouble import Cause, NoAnswer
from gg.errors import AccessError, GGError, SetupError, StoreError, Unreachable


class Passing(GGError):
    """Trouble that may pass by itself. `throttled`: the other side has asked for fewer requests. Exit status 75."""

    exit_code = 75

    def __init__(self, what: str, *, hint: str = "", throttled: bool = False) -> None:
        super().__init__(what, hint=hint)
        self.throttled = throttled


class RequestContext(NamedTuple):
    """What a request was for: `what` for people ("write s3://bucket/prefix"), `right` is the permission that it needs."""

    what: str
    right: str
    host: str
    region: str
    access_key: str = ""


_EXTRA = ("botocore", "cryptography", "zstandard")
_RENEW = "log in again (aws sso login), or renew AWS_SESSION_TOKEN and the keys beside it"
_THROTTLES = frozenset(
    {
        "SlowDown", "Throttling", "ThrottlingException", "ThrottledException", "RequestLimitExceeded", "TooManyRequests",
        "TooManyRequestsException", "BandwidthLimitExceeded", "RequestThrottled", "EC2ThrottledException",
    }
)  # fmt: skip
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"})
_UNKNOWN_KEY = frozenset(
    {"InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken", "InvalidSecurity"}
)
_WRONG_SECRET = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "Redirect"}
)
_NOBODY = frozenset({"EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem", "Forbidden"})
_PASSING = frozenset(
    {"InternalError", "ServiceUnavailable", "RequestTimeout", "ServiceException", "OperationAborted", "TemporaryRedirect",
     "ConditionalRequestConflict", "BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody"}
)  # fmt: skip


def need_extra(what: str, *names: str, extra: str = "aws") -> None:
    """SetupError when the packages `names` (none: all of `aws`) of gg's extra `extra`, which `what` needs, are not installed."""
    from importlib.util import find_spec

    absent = [name for name in names or _EXTRA if find_spec(name) is None]
    if absent:
        raise SetupError(
            f"{what} needs what gg's extra `{extra}` installs: there is no {' and no '.join(absent)}",
            hint=f"install it with: pip install 'ggbuild[{extra}]'",
        )


def code_of(reply: Response) -> str:
    """The error's name in an answer, in XML, JSON or a header; empty when there is none."""
    named = reply.headers.get("x-amzn-errortype", "")
    found = re.search(rb"<Code>([^<]*)</Code>", reply.body[:_MOST_LOOKED]) or re.search(
        rb'"(?:__type|code|Code)"\s*:\s*"([^"]*)"', reply.body[:4096]
    )
    name = named or (found[1].decode("utf-8", "replace") if found else "")
    return _readable(name.rpartition("#")[2].partition(":")[0])


def message_of(reply: Response) -> str:
    """What an answer says for people, on one line."""
    found = re.search(rb"<Message>([^<]*)</Message>", reply.body[:_MOST_LOOKED]) or re.search(
        rb'"[mM]essage"\s*:\s*"((?:[^"\\]|\\.)*)"', reply.body[:4096]
    )
    return _readable(found[1].decode("utf-8", "replace") if found else reply.body[:120].decode("latin-1"))


def _readable(text: str) -> str:
    """As much as a person reads, on one line, and nothing that a terminal would obey."""
    line = " ".join(text[:_MOST_SAID].split())
    return "".join([c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line])


def from_reply(reply: Response, asked: RequestContext) -> GGError:
    """What an answer that is no success means."""
    code, said = code_of(reply), message_of(reply)
    if code in _THROTTLES or reply.status in (429, 503):
        return Passing(f"{asked.host} asks for fewer requests ({code or reply.status})", throttled=True)
    if code == "RequestTimeTooSkewed" or _is_skew(code, said):
        return _skewed(reply, asked)
    if code in _EXPIRED:
        return AccessError("the AWS session has expired", hint=_RENEW)
    if code in _UNKNOWN_KEY:
        return AccessError(f"AWS does not know the access key {asked.access_key}", hint=_KEYS)
    if code in _WRONG_SECRET and (region := _REGION_WANTED.search(said)):
        return SetupError(
            f"{asked.host} is in {region[1]}, not in {asked.region}",
            hint="set AWS_DEFAULT_REGION, or region= in the store's URI, or mend AWS_ENDPOINT_URL",
        )
    if code in _WRONG_SECRET:
        return AccessError(f"the secret does not belong to the access key {asked.access_key}", hint=_KEYS)
    if code in _REGION or reply.status == 301:
        return _elsewhere(reply, asked)
    if code == "NoSuchBucket":
        return SetupError(
            f"cannot {asked.what}: there is no such bucket", hint="create it with: gg deploy lambda (or aws s3 mb)"
        )
    if code in _PASSING or reply.status >= 500 or reply.status in (307, 408):
        return Passing(f"{asked.host} answers {code or reply.status}: {said}")
    if code in _DENIED or reply.status in (401, 403):
        return AccessError(
            f"no right to {asked.what}",
            hint=f"the role or user of {asked.access_key or 'these credentials'} needs {asked.right}",
        )
    return StoreError(f"cannot {asked.what}: {asked.host} answers {reply.status} {code}: {said}")


_MOST_LOOKED = 64 << 10  # bytes of an answer in which the error's name is looked for
_MOST_SAID = 500  # characters
_REGION_WANTED = re.compile(r"scoped to a valid region: '([\w-]+)'")
_KEYS = "check AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def _is_skew(code: str, said: str) -> bool:
    return code in _WRONG_SECRET and ("Signature expired" in said or "not yet current" in said)


def _skewed(reply: Response, asked: RequestContext) -> SetupError:
    there = dates.seconds(reply.headers.get("date", ""))
    off = "" if there is None else f" by {_span(abs(time.time() - there))}"
    return SetupError(
        f"this machine's clock differs from that of {asked.host}{off}", hint="set it: timedatectl set-ntp true"
    )


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _elsewhere(reply: Response, asked: RequestContext) -> SetupError:
    body = reply.body[:_MOST_LOOKED]
    found = re.search(rb"<Region>([a-z0-9-]{1,64})</Region>", body) or re.search(
        rb"expecting '([a-z0-9-]{1,64})'", body
    )
    region = _readable(reply.headers.get("x-amz-bucket-region", "")) or (found[1].decode() if found else "")
    there = f"in {region}" if region else "in another region"
    hint = f"write ?region={region} in the store's URI" if region else "write its region in the store's URI: ?region=R"
    return SetupError(f"cannot {asked.what}: the bucket is {there}, not in {asked.region}", hint=hint)


def from_no_answer(error: NoAnswer) -> GGError:
    """What a request without an answer means. What may pass by itself is `Passing`."""
    host, detail = error.host, error.detail
    match error.cause:
        case Cause.CERTIFICATE:
            return SetupError(
                f"the certificate of {host} is not trusted: {detail}",
                hint="name the CA's file in AWS_CA_BUNDLE, or in ca_bundle in ~/.aws/config",
            )
        case Cause.TLS:
            return SetupError(
                f"no TLS with {host}: {detail}", hint="is that endpoint plain http? look at AWS_ENDPOINT_URL"
            )
        case Cause.PROXY:
            return SetupError(
                f"no connection through the proxy {host}: {detail}", hint="look at HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
            )
        case Cause.NAME:
            return Passing(
                f"cannot find the address of {host}: {detail}", hint="is there a network? is the region's name right?"
            )
        case Cause.CONNECT:
            return Passing(f"cannot connect to {host}: {detail}", hint="look at AWS_ENDPOINT_URL and the network")
        case Cause.GARBLED:
            return Passing(f"{host} does not speak HTTP: {detail}", hint="look at AWS_ENDPOINT_URL")
        case _:
            return Passing(f"{host}: {error.cause.value}: {detail}", hint="try again")


def from_botocore(error: Exception) -> GGError:
    """What an exception of botocore means; the set-up's own files and providers are its business."""
    name, text = type(error).__name__, " ".join(str(error).split())
    if "SSO" in name or "TokenRetrieval" in name or "Login" in name:
        return AccessError("the AWS session has expired", hint=_RENEW)
    if name == "ProfileNotFound":
        return SetupError(text[:1].lower() + text[1:], hint="look at AWS_PROFILE and ~/.aws/config")
    if name == "NoRegionError":
        return no_region()
    if name in _NOBODY:
        return Unreachable(text[:1].lower() + text[1:], hint="look at AWS_ENDPOINT_URL and the network")
    if "Credential" in name or name in ("InvalidConfigError", "MissingDependencyException"):
        return AccessError(f"cannot get AWS credentials: {text}", hint=_KEYS)
    return SetupError(f"AWS's configuration does not work: {text}", hint="look at AWS_PROFILE and ~/.aws/config")


def not_s3(asked: RequestContext) -> Passing:
    """A success without what it has to hold: cut short on its way, or from another kind of server."""
    return Passing(f"{asked.host} does not answer as S3 does", hint="look at AWS_ENDPOINT_URL and at proxies between")


def no_credentials() -> AccessError:
    return AccessError(
        "there are no AWS credentials",
        hint="run: aws configure; or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )


def no_region() -> SetupError:
    return SetupError("no AWS region is set", hint="write ?region=R in the store's URI, or set AWS_REGION")
