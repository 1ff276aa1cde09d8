"""The rights of spot workers, as IAM's documents. Pure; a test holds that no action and no resource is a mere wildcard.

A worker hears of builds in its fleet's queue, takes jobs from a build's queue, answers into another one, reads packs, blobs and its
own program, and adds blobs. Like a function, a worker can neither read nor write the results of thunks. A thunk that runs there
has no network, so it gets no credentials either.
"""

from __future__ import annotations

from gg.deploy.permissions import Document, allow, document
from gg.deploy.spot.fleet_plan import FleetPlan


def trust(plan: FleetPlan) -> Document:
    """The policy of who may take the role: machines of this account."""
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def worker(plan: FleetPlan) -> Document:
    common = plan.common
    partition, region, account = common.account.partition, common.region, common.account.number
    objects = f"arn:{partition}:s3:::{common.bucket}/{common.prefix}"
    builds, replies = (f"arn:{partition}:sqs:{region}:{account}:{plan.queue}-{each}-*" for each in ("build", "replies"))
    hearing = ["GetQueueUrl", "ReceiveMessage", "DeleteMessage"]
    taking = ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"]
    return document(
        allow("HearOfBuilds", [f"sqs:{action}" for action in hearing], [plan.queue_arn]),
        allow("TakeJobs", [f"sqs:{action}" for action in taking], [builds]),
        allow("Answer", ["sqs:SendMessage"], [replies]),
        allow("ReadInputs", ["s3:GetObject"], [f"{objects}/{part}/*" for part in ("packs", "blobs", "worker")]),
        allow("AddOutputs", ["s3:PutObject"], [f"{objects}/blobs/*"]),
    )
