"""The role that workers run under, with exactly the rights that it should have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from gg.core.jsontext import json_from
from gg.deploy import permissions as policy
from gg.deploy.aws_calls import AwsService, ResourceAction
from gg.deploy.permissions import Document
from gg.deploy.wanted import Wanted

_POLICY = "gg-worker"


class RolePlan(NamedTuple):
    """A role that gg makes. `deployment`: the one it belongs to. `detail`: its rights, for people."""

    name: str
    deployment: str
    trust: Document
    rights: Document
    description: str
    detail: str


def deploy(iam: AwsService, wanted: Wanted) -> Iterator[ResourceAction]:
    """Make the functions' role with its rights. A role that the user gave is taken as it is."""
    if wanted.role:
        yield ResourceAction("keep", f"role {wanted.role}", "as given; it needs the rights that --dry-run prints")
        return
    detail = f"get packs and blobs, put blobs below {wanted.bucket}/{wanted.prefix}; write its own log"
    yield from have(
        iam,
        RolePlan(
            wanted.role_name,
            wanted.name,
            policy.trust(wanted),
            policy.worker(wanted),
            "What gg's worker functions may do",
            detail,
        ),
    )


def remove(iam: AwsService, wanted: Wanted) -> Iterator[ResourceAction]:
    """Remove the role that gg has made for functions."""
    if not wanted.role:
        yield from remove_named(iam, wanted.role_name)


def have(iam: AwsService, plan: RolePlan) -> Iterator[ResourceAction]:
    """Make a role with its rights."""
    name, trust = plan.name, json.dumps(plan.trust)
    found = iam.find("get_role", RoleName=name)
    if found is None:
        iam.change(
            "create_role",
            RoleName=name,
            AssumeRolePolicyDocument=trust,
            Description=plan.description,
            Tags=[{"Key": "gg:deployment", "Value": plan.deployment}],
        )
        yield ResourceAction("make", f"role {name}")
    elif _document(found["Role"]["AssumeRolePolicyDocument"]) != plan.trust:
        iam.change("update_assume_role_policy", RoleName=name, PolicyDocument=trust)
        yield ResourceAction("change", f"role {name}", "who may take it")
    else:
        yield ResourceAction("keep", f"role {name}")
    yield _rights(iam, plan)


def remove_named(iam: AwsService, name: str) -> Iterator[ResourceAction]:
    if iam.find("get_role", RoleName=name) is None:
        return
    for attached in iam.pages("list_role_policies", "PolicyNames", RoleName=name):
        iam.change("delete_role_policy", RoleName=name, PolicyName=attached)
    iam.change("delete_role", RoleName=name)
    yield ResourceAction("remove", f"role {name}")


def _rights(iam: AwsService, plan: RolePlan) -> ResourceAction:
    what = "  its rights"
    found = iam.find("get_role_policy", RoleName=plan.name, PolicyName=_POLICY)
    if found is not None and _document(found["PolicyDocument"]) == plan.rights:
        return ResourceAction("keep", what, plan.detail)
    iam.change("put_role_policy", RoleName=plan.name, PolicyName=_POLICY, PolicyDocument=json.dumps(plan.rights))
    return ResourceAction("make" if found is None else "change", what, plan.detail)


def _document(given: object) -> Document:
    """A policy in an answer of IAM's: boto has decoded it, or not, depending on the server."""
    if isinstance(given, str):
        parsed: Document = json_from(unquote(given).encode(), "policy of a role")
        return parsed
    assert isinstance(given, dict)
    return given
