"""Makes and removes the lasting things that spot workers need in an account: bucket, parcel, queue, role, group, launch template.

gg looks at each thing first, and leaves it alone if it is as it should be. While no machine runs, only stored bytes cost money.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from gg import __version__
from gg.deploy import make_bucket, role
from gg.deploy.aws_calls import ABSENT, AwsService, Refusal, ResourceAction
from gg.deploy.package import Package
from gg.deploy.role import RolePlan
from gg.deploy.spot import instance_rights
from gg.deploy.spot.boot_script import EXCHANGE_PORT, IMAGE, parcel, user_data
from gg.deploy.spot.fleet_plan import FleetPlan
from gg.errors import SetupError

if TYPE_CHECKING:
    from gg.aws.setup import AwsSession

TAG = "gg:deployment"
_DISK_GB = 40
_JOBS = {"VisibilityTimeout": "60", "MessageRetentionPeriod": "86400", "SqsManagedSseEnabled": "true"}
_NO_QUEUE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
_ALLOWED = frozenset({"InvalidPermission.Duplicate"})
_NO_TEMPLATE = frozenset({"InvalidLaunchTemplateName.NotFoundException"})


class FleetServices:
    """The services of one region that spot workers need."""

    def __init__(self, session: AwsSession, plan: FleetPlan, *, dry: bool) -> None:
        self.ec2 = AwsService(session, "ec2", dry=dry)
        self.iam = AwsService(session, "iam", dry=dry)
        self.sqs = AwsService(session, "sqs", dry=dry)
        self.s3 = AwsService(session, "s3", dry=dry, owner=plan.common.bucket_owner)


def deploy(services: FleetServices, plan: FleetPlan, package: Package) -> Iterator[ResourceAction]:
    """Make everything, each thing after those that it needs."""
    yield from make_bucket.deploy(services.s3, plan.common)
    yield _have_parcel(services.s3, plan, package)
    yield _have_queue(services.sqs, plan)
    yield from role.have(services.iam, _role(plan))
    yield _have_profile(services.iam, plan)
    group = yield from _have_group(services.ec2, plan)
    yield _have_template(services.ec2, plan, group, user_data(plan, package.digest))


def remove(services: FleetServices, plan: FleetPlan, *, contents: bool) -> Iterator[ResourceAction]:
    """Remove everything that is there. No machine may run any more."""
    ec2, iam, sqs, s3 = services.ec2, services.iam, services.sqs, services.s3
    if _template(ec2, plan) is not None:
        ec2.change("delete_launch_template", LaunchTemplateName=plan.template)
        yield ResourceAction("remove", f"launch template {plan.template}")
    for group in _groups(ec2, plan):
        ec2.change("delete_security_group", GroupId=group["GroupId"])
        yield ResourceAction("remove", f"security group {plan.name}")
    if _profile(iam, plan) is not None:
        iam.change(
            "remove_role_from_instance_profile",
            seen=ABSENT,
            InstanceProfileName=plan.role_name,
            RoleName=plan.role_name,
        )
        iam.change("delete_instance_profile", InstanceProfileName=plan.role_name)
        yield ResourceAction("remove", f"instance profile {plan.role_name}")
    yield from role.remove_named(iam, plan.role_name)
    url = queue_url(sqs, plan)
    for each in [*([url] if url else []), *run_queues(sqs, plan)]:
        sqs.change("delete_queue", QueueUrl=each)
        yield ResourceAction("remove", f"queue {each.rpartition('/')[2]}")
    for key in [
        item["Key"] for item in s3.pages("list_objects_v2", "Contents", Bucket=plan.common.bucket, Prefix=plan.parcels)
    ]:
        s3.change("delete_object", Bucket=plan.common.bucket, Key=key)
        yield ResourceAction("remove", f"parcel s3://{plan.common.bucket}/{key}")
    yield from make_bucket.remove(s3, plan.common, contents=contents)


def queue_url(sqs: AwsService, plan: FleetPlan) -> str:
    """The queue's URL; empty if there is no such queue."""
    try:
        return str(sqs.ask("get_queue_url", seen=_NO_QUEUE, QueueName=plan.queue)["QueueUrl"])
    except Refusal:
        return ""


def run_queues(sqs: AwsService, plan: FleetPlan, kind: str = "") -> list[str]:
    """URLs of the queues of runs, also of killed runs. `kind`: build or replies."""
    return [str(url) for url in sqs.pages("list_queues", "QueueUrls", QueueNamePrefix=f"{plan.queue}-{kind}")]


def _have_parcel(s3: AwsService, plan: FleetPlan, package: Package) -> ResourceAction:
    key = parcel(plan, package.digest)
    what, detail = (
        f"parcel {package.digest[:12]}",
        f"gg {__version__} for {plan.common.runtime.name}, {len(package.data) / 1e6:.1f} MB",
    )
    if s3.find("head_object", Bucket=plan.common.bucket, Key=key) is not None:
        return ResourceAction("keep", what, detail)
    s3.change("put_object", Bucket=plan.common.bucket, Key=key, Body=package.data)
    return ResourceAction("make", what, detail)


def _have_queue(sqs: AwsService, plan: FleetPlan) -> ResourceAction:
    what, detail = f"queue {plan.queue}", "encrypted; what nobody hears is dropped after a day"
    url = queue_url(sqs, plan)
    if not url:
        sqs.change("create_queue", QueueName=plan.queue, Attributes=_JOBS, tags={TAG: plan.name})
        return ResourceAction("make", what, detail)
    found = sqs.ask("get_queue_attributes", QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
    if all(found.get(name) == value for name, value in _JOBS.items()):
        return ResourceAction("keep", what, detail)
    sqs.change("set_queue_attributes", QueueUrl=url, Attributes=_JOBS)
    return ResourceAction("change", what, detail)


def _role(plan: FleetPlan) -> RolePlan:
    return RolePlan(
        plan.role_name,
        plan.name,
        instance_rights.trust(plan),
        instance_rights.worker(plan),
        "What gg's spot workers may do",
        f"take jobs, answer them; get packs and blobs, put blobs below {plan.common.bucket}/{plan.common.prefix}",
    )


def _profile(iam: AwsService, plan: FleetPlan) -> dict[str, Any] | None:
    found = iam.find("get_instance_profile", InstanceProfileName=plan.role_name)
    return None if found is None else found["InstanceProfile"]


def _have_profile(iam: AwsService, plan: FleetPlan) -> ResourceAction:
    name, what = plan.role_name, f"instance profile {plan.role_name}"
    found = _profile(iam, plan)
    if found is not None and [each["RoleName"] for each in found["Roles"]] == [name]:
        return ResourceAction("keep", what)
    if found is None:
        tags = [{"Key": TAG, "Value": plan.name}]
        iam.change("create_instance_profile", InstanceProfileName=name, Tags=tags)
    iam.change("add_role_to_instance_profile", InstanceProfileName=name, RoleName=name)
    return ResourceAction("make" if found is None else "change", what)


def _groups(ec2: AwsService, plan: FleetPlan) -> list[dict[str, Any]]:
    filters = [{"Name": "group-name", "Values": [plan.name]}, {"Name": f"tag:{TAG}", "Values": [plan.name]}]
    return list(ec2.pages("describe_security_groups", "SecurityGroups", Filters=filters))


def _have_group(ec2: AwsService, plan: FleetPlan) -> Generator[ResourceAction, None, str]:
    """Make the security group. A new group lets everything out and nothing in; then machines of the group may ask each other's
    workers for what these keep.
    """
    what = f"security group {plan.name}"
    detail = f"lets nobody in but the fleet's own machines, at port {EXCHANGE_PORT}"
    found = _groups(ec2, plan)
    if found and _lets_its_own_in(found[0]):
        yield ResourceAction("keep", what, detail)
        return str(found[0]["GroupId"])
    made = found[0] if found else _make_group(ec2, plan)
    group = str(made.get("GroupId", "sg-"))
    pair = {"GroupId": group, "Description": "workers give each other what they keep"}
    port = {"IpProtocol": "tcp", "FromPort": EXCHANGE_PORT, "ToPort": EXCHANGE_PORT, "UserIdGroupPairs": [pair]}
    ec2.change("authorize_security_group_ingress", seen=_ALLOWED, GroupId=group, IpPermissions=[port])
    yield ResourceAction("change" if found else "make", what, detail)
    return group


def _make_group(ec2: AwsService, plan: FleetPlan) -> dict[str, Any]:
    return ec2.change(
        "create_security_group",
        GroupName=plan.name,
        Description="Spot workers of gg: only they connect to each other",
        VpcId=default_network(ec2),
        TagSpecifications=[{"ResourceType": "security-group", "Tags": [{"Key": TAG, "Value": plan.name}]}],
    )


def _lets_its_own_in(group: dict[str, Any]) -> bool:
    return any(
        each.get("FromPort") == each.get("ToPort") == EXCHANGE_PORT
        and group["GroupId"] in [pair.get("GroupId") for pair in each.get("UserIdGroupPairs", ())]
        for each in group.get("IpPermissions", ())
    )


def default_network(ec2: AwsService) -> str:
    """The region's default VPC. SetupError when there is none."""
    found = ec2.ask("describe_vpcs", Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not found:
        raise SetupError("this region has no default VPC", hint="make it once: aws ec2 create-default-vpc")
    return str(found[0]["VpcId"])


def _template(ec2: AwsService, plan: FleetPlan) -> dict[str, Any] | None:
    """The data of the newest version."""
    try:
        found = ec2.ask(
            "describe_launch_template_versions",
            seen=_NO_TEMPLATE,
            LaunchTemplateName=plan.template,
            Versions=["$Latest"],
        )["LaunchTemplateVersions"]
    except Refusal:
        return None
    return found[0]["LaunchTemplateData"] if found else None


def _have_template(ec2: AwsService, plan: FleetPlan, group: str, script: str) -> ResourceAction:
    what, wanted = f"launch template {plan.template}", template_data(plan, group, script)
    there = _template(ec2, plan)
    if there is not None and all(there.get(name) == value for name, value in wanted.items()):
        return ResourceAction("keep", what)
    if there is None:
        tags = [{"ResourceType": "launch-template", "Tags": [{"Key": TAG, "Value": plan.name}]}]
        ec2.change(
            "create_launch_template",
            LaunchTemplateName=plan.template,
            LaunchTemplateData=wanted,
            TagSpecifications=tags,
        )
        return ResourceAction("make", what)
    ec2.change("create_launch_template_version", LaunchTemplateName=plan.template, LaunchTemplateData=wanted)
    return ResourceAction("change", what)


def template_data(plan: FleetPlan, group: str, script: str) -> dict[str, Any]:
    """The settings of every machine: only version 2 of the metadata service, within one hop; a shutdown ends the machine."""
    return {
        "ImageId": f"resolve:ssm:{IMAGE.format(plan.common.architecture)}",
        "IamInstanceProfile": {"Name": plan.role_name},
        "SecurityGroupIds": [group],
        "UserData": base64.b64encode(script.encode()).decode(),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {"VolumeSize": _DISK_GB, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
            }
        ],
    }
