"""The bucket: encrypted, closed to the public, reached over TLS alone, and emptied of what is old.

A bucket that gg has made carries a tag, and gg controls its settings. A bucket that was there before keeps its settings; gg adds
one rule of expiry, limited to gg's prefix.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gg.core.jsontext import json_from
from gg.deploy import permissions as policy
from gg.deploy.aws_calls import ABSENT, NOT_OFFERED, AwsService, Refusal, ResourceAction, settle
from gg.deploy.wanted import Wanted
from gg.errors import SetupError

_TAG = "gg:deployment"
_BLOCK = {
    "BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True
}  # fmt: skip
_ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def deploy(s3: AwsService, wanted: Wanted) -> Iterator[ResourceAction]:
    """Make the bucket and its settings."""
    name = wanted.bucket
    there = _there(s3, wanted)
    ours = not there or _tags(s3, name).get(_TAG) == wanted.name
    if not there:
        if wanted.region == "us-east-1":  # in requests, this one region must not be named
            s3.change("create_bucket", Bucket=name)
        else:
            place = {"LocationConstraint": wanted.region}
            s3.change("create_bucket", Bucket=name, CreateBucketConfiguration=place)
        s3.change("put_bucket_tagging", Bucket=name, Tagging={"TagSet": [{"Key": _TAG, "Value": wanted.name}]})
    yield ResourceAction(
        "keep" if there else "make", f"bucket {name}", "" if ours else "it was there before: its settings are left"
    )
    if ours:
        yield from _settings(s3, wanted, new=not there)
    yield _expiry(s3, wanted, new=not there)


def remove(s3: AwsService, wanted: Wanted, *, contents: bool) -> Iterator[ResourceAction]:
    """Remove gg's objects, and the bucket if gg made it; but nothing unless `contents`."""
    name = wanted.bucket
    if not _there(s3, wanted):
        return
    if not contents:
        yield ResourceAction("keep", f"bucket {name}", "with all results; --with-bucket removes it")
        return
    ours = _tags(s3, name).get(_TAG) == wanted.name
    keys = [item["Key"] for item in s3.pages("list_objects_v2", "Contents", Bucket=name, Prefix=f"{wanted.prefix}/")]
    for start in range(0, len(keys), 1000):
        part = [{"Key": key} for key in keys[start : start + 1000]]
        s3.change("delete_objects", Bucket=name, Delete={"Objects": part, "Quiet": True})
    yield ResourceAction("remove", f"{len(keys)} objects below s3://{name}/{wanted.prefix}/")
    left = [] if s3.dry else s3.ask("list_objects_v2", Bucket=name, MaxKeys=1).get("Contents", [])
    if ours and not left:
        s3.change("delete_bucket", Bucket=name)
        yield ResourceAction("remove", f"bucket {name}")
    else:
        yield ResourceAction(
            "keep", f"bucket {name}", "there are other objects in it" if ours else "gg did not make it"
        )


def _there(s3: AwsService, wanted: Wanted) -> bool:
    """Whether there is such a bucket. SetupError for one in another region: the functions would pay for every byte."""
    found = s3.find("get_bucket_location", Bucket=wanted.bucket)
    place = (found or {}).get("LocationConstraint") or wanted.region
    if place != wanted.region:
        raise SetupError(
            f"bucket {wanted.bucket} is in {place}, not in {wanted.region}", hint=f"deploy with --region {place}"
        )
    return found is not None


def _tags(s3: AwsService, name: str) -> dict[str, str]:
    found = s3.find("get_bucket_tagging", Bucket=name) or {}
    return {tag["Key"]: tag["Value"] for tag in found.get("TagSet", ())}


def _settings(s3: AwsService, wanted: Wanted, *, new: bool) -> Iterator[ResourceAction]:
    name = wanted.bucket

    def encryption() -> object:
        found = None if new else s3.find("get_bucket_encryption", Bucket=name)
        rules = (found or {}).get("ServerSideEncryptionConfiguration", {}).get("Rules", [{}])
        return rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")

    def block() -> object:
        try:
            found = {} if new else s3.ask("get_public_access_block", seen=ABSENT | NOT_OFFERED, Bucket=name)
        except Refusal as refusal:
            if refusal.code in NOT_OFFERED:
                raise
            return None
        return found.get("PublicAccessBlockConfiguration")

    def own_policy() -> object:
        found = None if new else s3.find("get_bucket_policy", Bucket=name)
        return _plain(json_from(str(found["Policy"]).encode(), "policy of a bucket")) if found else None

    def put(operation: str, **arguments: Any) -> object:
        return s3.change(operation, seen=NOT_OFFERED, Bucket=name, **arguments)

    yield settle(
        s3, "  encryption", encryption, "AES256",
        lambda: put("put_bucket_encryption", ServerSideEncryptionConfiguration=_ENCRYPTION), "AES-256, keys of S3",
    )  # fmt: skip
    yield settle(
        s3, "  public access", block, _BLOCK,
        lambda: put("put_public_access_block", PublicAccessBlockConfiguration=_BLOCK), "blocked in all four ways",
    )  # fmt: skip
    if s3.secure:
        document = policy.transport(wanted)
        yield settle(
            s3, "  policy", own_policy, _plain(document),
            lambda: put("put_bucket_policy", Policy=json.dumps(document)), "over TLS alone",
        )  # fmt: skip
    else:
        yield ResourceAction("lack", "  policy", "over TLS alone: the endpoint in use is plain http")


def _expiry(s3: AwsService, wanted: Wanted, *, new: bool) -> ResourceAction:
    """Add gg's rule to the rules that are there."""
    found = None if new else s3.find("get_bucket_lifecycle_configuration", Bucket=wanted.bucket)
    rule = policy.lifecycle(wanted)
    rules = (found or {}).get("Rules", [])
    others = [each for each in rules if each.get("ID") != rule["ID"]]
    return settle(
        s3, "  expiry", lambda: [each for each in rules if each.get("ID") == rule["ID"]], [rule],
        lambda: s3.change(
            "put_bucket_lifecycle_configuration", seen=NOT_OFFERED, Bucket=wanted.bucket,
            LifecycleConfiguration={"Rules": [*others, rule]},
        ),
        f"{wanted.prefix}/ after {wanted.expire_days} days, unfinished uploads after 1",
    )  # fmt: skip


def _plain(document: object) -> object:
    """A policy in a form that compares equal on every server: a list of one is its element, and lists are sorted."""
    if isinstance(document, dict):
        return {key: _plain(value) for key, value in document.items()}
    if isinstance(document, list):
        parts = [_plain(each) for each in document]
        return parts[0] if len(parts) == 1 else sorted(parts, key=str)
    return document
