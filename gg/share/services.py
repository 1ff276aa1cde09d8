"""Which service keeps a store's objects: one for each scheme of `gg.share.s3.uri`."""

from __future__ import annotations

from gg.share.bucket_service import BucketService
from gg.share.s3.uri import StoreUri


def open_service(where: StoreUri) -> BucketService:
    """The service that `where` names, as this user reaches it. Takes its time: the service's library is loaded."""
    if where.scheme == "s3":
        from gg.aws.setup import AwsSession
        from gg.share.s3.bucket import S3Bucket

        return S3Bucket.open(where, AwsSession(where.region))
    from gg.share.obstore_bucket import ObstoreBucket

    return ObstoreBucket.open(where)
