"""`gg deploy spot` and `gg spot`: moto's EC2, SQS and IAM, and a small cloud that boots what moto says is running."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gg.deploy.spot import instance_rights, instances
from gg.deploy.spot.boot_script import EXCHANGE_PORT, MOST_BYTES, user_data
from gg.deploy.spot.fleet_plan import DEFAULT_NAME, FleetPlan, Launch, cpus_of, default_types, specifications, within
from gg.deploy.spot.instance_package import runtime
from gg.deploy.wanted import Account, Wanted
from gg.errors import UsageError
from gg.force import fleet_on_demand
from gg.light.slotted import replace
from gg.observe.build_events import BuildEvent, Note, Progress
from gg.workspace.settings import Settings
from tests.e2e.project import Project
from tests.e2e.test_22_workers import once_it_works, units
from tests.servers.deployed import share_wheels
from tests.servers.moto import Moto, moto
from tests.servers.seaweed import REGION, Seaweed, seaweed
from tests.servers.small_ec2 import Machines, machines

PLAN = FleetPlan(
    Wanted(Account("123456789012"), "eu-west-1", "team", "builds", "x86_64", runtime((3, 11)), name=DEFAULT_NAME)
)
_TYPE = "c7a.large"


class Cloud(NamedTuple):
    """A workspace in front of an empty account, and boto's clients for it."""

    project: Project
    rest: Moto
    bucket: Seaweed
    clients: dict[str, Any]

    @contextmanager
    def cloud(self, tmp: Path, faster: float = 1.0) -> Iterator[Machines]:
        template = f"gg-spot-{_architecture()}"
        with machines(self.clients["ec2"], template, self.environment(), tmp / "machines", faster) as running:
            yield running

    def environment(self) -> dict[str, str]:
        return {**self.bucket.environment(), **self.rest.environment("IAM", "STS", "EC2", "SQS")}


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Cloud]:
    import boto3

    root, home = tmp_path.resolve() / "tree", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    with seaweed() as bucket, moto() as rest:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y", "region_name": REGION}
        clients: dict[str, Any] = {
            name: boto3.session.Session().client(name, endpoint_url=rest.endpoint, **keys)
            for name in ("ec2", "sqs", "iam")
        }
        project = Project(root, {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C"})
        made = Cloud(project, rest, bucket, clients)
        project.env |= made.environment()
        share_wheels(home)
        yield made


def _architecture() -> str:
    return {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def _verbs(output: str) -> dict[str, str]:
    found = re.findall(r"^  ([+~=!-])\s+(.+?)(?:: .*)?$", output, re.MULTILINE)
    return {what: sign for sign, what in found}


def _left(clients: dict[str, Any]) -> list[object]:
    """What is in the account, machines that have ended aside."""
    ec2, sqs, iam = clients["ec2"], clients["sqs"], clients["iam"]
    machines = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    return [
        [each["InstanceId"] for each in machines if each["State"]["Name"] != "terminated"],
        ec2.describe_launch_templates()["LaunchTemplates"],
        [each for each in ec2.describe_security_groups()["SecurityGroups"] if each["GroupName"] != "default"],
        sqs.list_queues().get("QueueUrls", []),
        iam.list_roles()["Roles"],
        iam.list_instance_profiles()["InstanceProfiles"],
    ]


def test_what_machines_need_is_made_once_and_removed(account: Cloud) -> None:
    project = account.project
    dry = project.gg("deploy", "spot", "--dry-run").text
    assert "dnf -q -y install" in dry
    assert _left(account.clients) == [[]] * 6
    first = _verbs(project.gg("deploy", "spot").text)
    assert set(first.values()) == {"+", "~", "!"}
    assert set(_verbs(project.gg("deploy", "spot").text).values()) == {"=", "!"}
    (template,) = account.clients["ec2"].describe_launch_templates()["LaunchTemplates"]
    assert template["LatestVersionNumber"] == 1
    account.clients["iam"].put_role_policy(
        RoleName=f"gg-spot-{REGION}", PolicyName="gg-worker", PolicyDocument=json.dumps(instance_rights.worker(PLAN))
    )
    assert _verbs(project.gg("deploy", "spot").text)["its rights"] == "~"
    ec2 = account.clients["ec2"]
    (group,) = [each for each in ec2.describe_security_groups()["SecurityGroups"] if each["GroupName"] != "default"]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (EXCHANGE_PORT, EXCHANGE_PORT, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [group["GroupId"]]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    assert _verbs(project.gg("deploy", "spot").text)[f"security group {group['GroupName']}"] == "~"
    project.gg("undeploy", "spot", "--with-bucket")
    assert _left(account.clients) == [[]] * 6
    assert _verbs(project.gg("undeploy", "spot", "--with-bucket").text) == {}


def test_a_force_starts_machines_for_what_lasts_within_the_budget_of_a_day(
    account: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who has said how many and what a day may cost has machines started, once a run, and never for more than that."""
    deployed = account.project.gg("deploy", "spot").text
    (exported,) = re.findall(r"export GG_STORAGE_URI='(.*)' GG_QUEUE=(\S+)", deployed)
    for name, value in {**account.environment(), "XDG_CONFIG_HOME": str(tmp_path / "config")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(fleet_on_demand, "_PAUSE_S", 0.0)
    said = Settings(engine=("spot", "local"), store=exported[0], queue=exported[1], spot_cpus=16, spot_budget=2.0)
    assert fleet_on_demand.permitted(said)
    for less in ({"spot_cpus": 0}, {"spot_budget": 0.0}, {"engine": ("local",)}, {"queue": ""}):
        assert not fleet_on_demand.permitted(replace(said, **less))
    lasts = Progress(running=2, done=0, cached=0, failed=0, to_go=3000, work=36_000.0, path=10.0, width=2)

    def run(settings: Settings, *progress: Progress) -> list[str]:
        seen: list[BuildEvent] = []
        fleet = fleet_on_demand.FleetOnDemand(settings, seen.append)
        for each in progress:
            fleet.see(each)
        fleet.close()
        return [event.text for event in seen if isinstance(event, Note)]

    assert run(said, lasts._replace(work=100.0)) == []
    (text,) = run(said, lasts, lasts, lasts)
    assert re.fullmatch(r"\d+ spot machines? with \d+ processors boot, for at most \$[12]\.\d\d of \$2 a day: .*", text)
    assert sum(cpus_of(each["InstanceType"]) for each in _running(account)) >= 16
    assert run(said, lasts) == [], "they are there"
    more = replace(said, spot_cpus=160)
    (text,) = run(more, lasts._replace(work=360_000.0))
    assert text.startswith("no spot machines are started: of $2 a day (spot_budget) $0.")
    (text,) = run(replace(more, queue="gg-else"), lasts._replace(work=360_000.0))
    assert text == "no spot machines are started: gg-else is no queue that gg deploy spot has made"


def _running(account: Cloud) -> list[dict[str, Any]]:
    reservations = account.clients["ec2"].describe_instances()["Reservations"]
    return [
        each for one in reservations for each in one["Instances"] if each["State"]["Name"] in ("pending", "running")
    ]


def test_a_build_on_machines_that_come_and_go(account: Cloud, tmp_path: Path) -> None:
    """Launched by one command, booted from the bucket; the same bytes; objects go from machine to machine; ended by themselves when
    there is no more work.
    """
    project = account.project
    units(project, 12)
    for n in range(12):  # more than a job takes along
        with open(project.root / f"unit{n}.c", "a") as file:
            file.write(f"int much{n}[20000] = {{{n + 1}}};\n")
    expected, _ = project.plain("make")
    project.infer("make")
    deployed = project.gg("deploy", "spot").text
    (exported,) = re.findall(r"export GG_STORAGE_URI='(.*)' GG_QUEUE=(\S+)", deployed)
    project.env |= {"GG_STORAGE_URI": exported[0], "GG_QUEUE": exported[1]}
    with account.cloud(tmp_path, faster=5) as cloud:
        up = project.gg("spot", "up", "--cpus", "4", "--types", _TYPE, "--hours", "1", "--idle", "2").text
        assert "4 processors, at most $0.05 an hour each, for 60 minutes: at most $0.20" in up
        assert "started: 2 machines with 4 processors" in up
        assert "4 processors are there" in project.gg("spot", "up", "--cpus", "4").text
        cloud.wait_for(2)
        assert "2 machines, 4 processors" in project.gg("spot", "status").text
        forced = project.forced("--engine", "spot", "--fallback", "never")
        project.assert_tree(expected)
        assert {e["engine"] for e in forced.events if e["event"] == "thunk-done"} == {"spot"}
        for id in cloud.booted:
            assert (cloud.booted[id].directory / "limit").read_text() == "+60\n"
        cloud.wait_for_ends(2)
        assert any(re.search(r"other workers gave [1-9]", cloud.log(id)) for id in cloud.booted)
    assert "0 machines" in project.gg("spot", "status").text
    project.gg("undeploy", "spot", "--with-bucket")
    assert _left(account.clients) == [[]] * 6


def test_machines_are_taken_away(account: Cloud, tmp_path: Path) -> None:
    """One gets its notice, one goes without a word; more are started, and do what is left. Then all are ended by one command."""
    project = account.project
    units(project, 30)
    expected, _ = project.plain("make")
    project.infer("make")
    deployed = project.gg("deploy", "spot").text
    (exported,) = re.findall(r"export GG_STORAGE_URI='(.*)' GG_QUEUE=(\S+)", deployed)
    project.env |= {"GG_STORAGE_URI": exported[0], "GG_QUEUE": exported[1], "GG_SILENCE": "90"}
    with account.cloud(tmp_path) as cloud:
        project.gg("spot", "up", "--cpus", "4", "--types", _TYPE)
        first, second = cloud.wait_for(2)

        def take() -> None:
            cloud.booted[first].metadata.interrupt()
            cloud.kill(second)
            project.gg("spot", "up", "--cpus", "4", "--types", _TYPE)

        taken = once_it_works(project, take)
        project.forced("--engine", "spot", "--fallback", "never")
        taken.join()
        project.assert_tree(expected)
        cloud.wait_for_ends(2)
        assert "leaves: it is interrupted" in cloud.log(first)
        assert re.search(r"ended: [12] machines", project.gg("spot", "down").text)
        cloud.wait_for_ends(len(cloud.booted))
    project.gg("undeploy", "spot", "--with-bucket")
    assert _left(account.clients) == [[]] * 6


def test_a_machine_installs_nothing_else(account: Cloud, tmp_path: Path) -> None:
    """Somebody who may write to the bucket has put another program there: the machine ends, and has not run it."""
    project = account.project
    project.gg("deploy", "spot")
    s3 = account.bucket.client()
    (bucket,) = [each["Name"] for each in s3.list_buckets()["Buckets"]]
    (parcel,) = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="gg/worker/")["Contents"]]
    s3.put_object(Bucket=bucket, Key=parcel, Body=b"another program")
    with account.cloud(tmp_path) as cloud:
        project.gg("spot", "up", "--cpus", "2", "--types", _TYPE)
        cloud.wait_for_ends(1)
        (machine,) = cloud.booted
        assert "FAILED" in cloud.log(machine)
        assert cloud.working() == []


def test_without_deployment_it_is_told_what_to_do(account: Cloud) -> None:
    refused = account.project.gg("spot", "status", status=78).text
    assert "gg deploy spot" in refused
    assert "0 machines" in account.project.gg("spot", "down").text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["deploy", "spot", "--memory", "512"], "--memory is for functions of Lambda alone"),
        (["deploy", "spot", "--region", "eu-west-1,us-east-1"], "spot workers are in one region"),
        (["deploy", "spot", "--name", "no_name"], "is no name for workers"),
        (["spot", "up", "--types", "c7a.metal-48xl"], "is no instance type that gg starts"),
        (["spot", "up", "--cpus", "64", "--budget", "0.1"], "fewer --cpus"),
    ],
)
def test_wrong_options_are_told_before_anything_is_made(account: Cloud, arguments: list[str], text: str) -> None:
    assert text in account.project.gg(*arguments, status=64).text
    assert _left(account.clients) == [[]] * 6


# What needs no server


def test_no_action_and_no_resource_is_a_mere_wildcard() -> None:
    for statement in instance_rights.worker(PLAN)["Statement"]:
        assert all(re.fullmatch(r"(sqs|s3):[A-Za-z]+", action) for action in statement["Action"])
        for resource in statement["Resource"]:
            assert re.fullmatch(
                r"arn:aws:(s3:::team/builds/(packs|blobs|worker)/\*|sqs:eu-west-1:123456789012:gg-spot-\S+)", resource
            )
    resources = [r for s in instance_rights.worker(PLAN)["Statement"] for r in s["Resource"]]
    assert not [r for r in resources if "reductions" in r or r.endswith(":*")]


def test_user_data_is_small_enough_and_names_what_it_installs() -> None:
    script = user_data(PLAN, "d" * 64)
    assert len(script.encode()) < MOST_BYTES
    assert f"s3://team/builds/worker/{'d' * 64}.zip" in script
    assert "{" not in script.replace("${AWS_EC2_METADATA_SERVICE_ENDPOINT:-", "").replace("told() {", "")


def test_a_type_says_its_processors() -> None:
    known = {"c7a.large": 2, "c7a.xlarge": 4, "m6i.2xlarge": 8, "c7g.16xlarge": 64, "c7a.medium": 1}
    assert {kind: cpus_of(kind) for kind in known} == known
    for kind in ("c7a", "c7a.huge", "c7a.0xlarge", "metal", "c7a.2large", "c7a.metal-24xl"):
        with pytest.raises(UsageError):
            cpus_of(kind)


def test_a_fleet_is_given_no_more_than_it_takes() -> None:
    every = specifications(default_types("x86_64"), [f"subnet-{n}" for n in range(20)])
    assert len(every) == 300
    assert {each["WeightedCapacity"] for each in every} <= {8.0, 16.0, 32.0}


def test_a_budget_is_kept_whatever_happens() -> None:
    wanted = Launch(64, ("c7a.large",), 0.05, 240, 600)
    assert wanted.most == pytest.approx(12.8)
    assert within(100.0, wanted) == wanted
    cheaper = within(2.0, wanted)
    assert cheaper.minutes == 37
    assert cheaper.most <= 2.0
    with pytest.raises(UsageError, match="for 2 minutes"):
        within(0.15, wanted)


class _Fleet:
    """EC2 as far as a launch asks it; what it answers is given."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return {"Vpcs": [{"VpcId": "vpc-1"}]}

    def pages(self, operation: str, key: str, **arguments: Any) -> list[Any]:
        return [{"SubnetId": "subnet-1"}]

    def change(self, operation: str, **arguments: Any) -> dict[str, Any]:
        return self.answers.pop(0)


def test_why_no_more_were_started_is_told() -> None:
    """Errors as EC2 Fleet documents them."""
    lacking = {"ErrorCode": "InsufficientInstanceCapacity", "ErrorMessage": "no capacity"}
    low = {"ErrorCode": "SpotMaxPriceTooLow", "ErrorMessage": "too low"}
    some = {"InstanceIds": ["i-1", "i-2"], "InstanceType": "c7a.xlarge"}
    ec2: Any = _Fleet({"Instances": [some], "Errors": [lacking, lacking, low]})
    started = instances.launch(ec2, PLAN, Launch(64, (_TYPE,), 0.05, 240, 600))
    assert (started.machines, started.cpus) == (2, 8)
    assert started.refusals == {"InsufficientInstanceCapacity: no capacity": 2, "SpotMaxPriceTooLow: too low": 1}


def test_a_role_that_was_just_made_is_waited_for() -> None:
    unknown = {
        "ErrorCode": "InvalidParameterValue",
        "ErrorMessage": "Value (x) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name",
    }
    some = {"InstanceIds": ["i-1"], "InstanceType": "c7a.xlarge"}
    ec2: Any = _Fleet({"Instances": [], "Errors": [unknown]}, {"Instances": [some]})
    slept: list[float] = []
    started = instances.launch(ec2, PLAN, Launch(4, (_TYPE,), 0.05, 240, 600), slept.append)
    assert (started.machines, len(slept)) == (1, 1)


def test_living_machines_are_the_oldest_first() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)

    class Two(_Fleet):
        def pages(self, operation: str, key: str, **arguments: Any) -> list[Any]:
            assert arguments["Filters"][0] == {"Name": "tag:gg:fleet", "Values": ["gg-spot"]}
            instance = {"InstanceType": _TYPE, "State": {"Name": "running"}, "Placement": {"AvailabilityZone": "a"}}
            starts = {"i-new": now.replace(minute=0), "i-old": now.replace(hour=11)}
            return [{"Instances": [{**instance, "InstanceId": id, "LaunchTime": at} for id, at in starts.items()]}]

    ec2: Any = Two()
    assert [(m.id, m.age, m.cpus) for m in instances.living(ec2, PLAN, now=now)] == [
        ("i-old", 3600.0, 2),
        ("i-new", 0.0, 2),
    ]
