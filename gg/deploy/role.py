"""The role that the functions run under, with the rights of `permissions.worker` and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import unquote

from gg.core.jsontext import json_from
from gg.deploy import permissions as policy
from gg.deploy.aws_calls import AwsService, ResourceAction
from gg.deploy.permissions import Document
from gg.deploy.wanted import Wanted

_POLICY = "gg-worker"


def deploy(iam: AwsService, wanted: Wanted) -> Iterator[ResourceAction]:
    """Have the role and its rights; a role that was given is taken as it is."""
    if wanted.role:
        yield ResourceAction("keep", f"role {wanted.role}", "as given; it needs the rights that --dry-run prints")
        return
    name = wanted.role_name
    found = iam.find("get_role", RoleName=name)
    if found is None:
        iam.change(
            "create_role",
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(policy.trust(wanted)),
            Description="What gg's worker functions may do",
            Tags=[{"Key": "gg:deployment", "Value": wanted.name}],
        )
        yield ResourceAction("make", f"role {name}")
    elif _document(found["Role"]["AssumeRolePolicyDocument"]) != policy.trust(wanted):
        iam.change("update_assume_role_policy", RoleName=name, PolicyDocument=json.dumps(policy.trust(wanted)))
        yield ResourceAction("change", f"role {name}", "who may take it")
    else:
        yield ResourceAction("keep", f"role {name}")
    yield _rights(iam, wanted)


def remove(iam: AwsService, wanted: Wanted) -> Iterator[ResourceAction]:
    """Remove the role that gg has made."""
    name = wanted.role_name
    if wanted.role or iam.find("get_role", RoleName=name) is None:
        return
    for attached in iam.pages("list_role_policies", "PolicyNames", RoleName=name):
        iam.change("delete_role_policy", RoleName=name, PolicyName=attached)
    iam.change("delete_role", RoleName=name)
    yield ResourceAction("remove", f"role {name}")


def _rights(iam: AwsService, wanted: Wanted) -> ResourceAction:
    what, document = "  its rights", policy.worker(wanted)
    detail = f"get packs and blobs, put blobs below {wanted.bucket}/{wanted.prefix}; write its own log"
    found = iam.find("get_role_policy", RoleName=wanted.role_name, PolicyName=_POLICY)
    if found is not None and _document(found["PolicyDocument"]) == document:
        return ResourceAction("keep", what, detail)
    iam.change("put_role_policy", RoleName=wanted.role_name, PolicyName=_POLICY, PolicyDocument=json.dumps(document))
    return ResourceAction("make" if found is None else "change", what, detail)


def _document(given: object) -> Document:
    """A policy as IAM gives it: boto decodes it, but not every server's."""
    if isinstance(given, str):
        parsed: Document = json_from(unquote(given).encode(), "policy of a role")
        return parsed
    assert isinstance(given, dict)
    return given
