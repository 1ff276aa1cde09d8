"""Who may do what, as IAM's documents. Pure; a golden test holds that no action and no resource is a mere wildcard.

The worker reads packs and blobs, adds blobs, and writes its own log. It can neither read nor write the results of thunks, which
only the coordinator signs: a worker that was taken over cannot lie about other thunks.

Without the right to list a bucket S3 answers 403, not 404, for an object that is not there; the worker treats both alike.
"""

from __future__ import annotations

from typing import Any

from gg.deploy.wanted import Wanted, log_group

Document = dict[str, Any]
_VERSION = "2012-10-17"


def trust(wanted: Wanted) -> Document:
    """Who may take the role: Lambda, for functions of this account."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"aws:SourceAccount": wanted.account.number}},
        }
    )


def worker(wanted: Wanted) -> Document:
    """What the functions may do."""
    partition, region, account = wanted.account.partition, wanted.region, wanted.account.number
    objects = f"arn:{partition}:s3:::{wanted.bucket}/{wanted.prefix}"
    groups = [f"arn:{partition}:logs:{region}:{account}:log-group:{log_group(name)}:*" for name in wanted.functions]
    return document(
        allow("ReadInputs", ["s3:GetObject"], [f"{objects}/packs/*", f"{objects}/blobs/*"]),
        allow("AddOutputs", ["s3:PutObject"], [f"{objects}/blobs/*"]),
        allow("WriteOwnLog", ["logs:CreateLogStream", "logs:PutLogEvents"], groups),
    )


def transport(wanted: Wanted) -> Document:
    """The bucket's own policy: objects are read and written only over TLS."""
    bucket = f"arn:{wanted.account.partition}:s3:::{wanted.bucket}"
    return document(
        {
            "Sid": "OnlyOverTLS",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"],
            "Resource": [bucket, f"{bucket}/{wanted.prefix}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def lifecycle(wanted: Wanted) -> Document:
    """The bucket's rule for gg's prefix: old objects and unfinished uploads are removed."""
    return {
        "ID": f"gg-{wanted.prefix}",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{wanted.prefix}/"},
        "Expiration": {"Days": wanted.expire_days},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def document(*statements: Document) -> Document:
    return {"Version": _VERSION, "Statement": list(statements)}


def allow(name: str, actions: list[str], resources: list[str]) -> Document:
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resources}
