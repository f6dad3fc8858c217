"""The bucket that CloudFormation and Lambda read a release from: Usher's own, or the user's."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import click
from botocore.exceptions import ClientError

from usher_cli.account import Trouble

if TYPE_CHECKING:
    from usher_cli.install.release import Release
    from usher_cli.install.site import Site

_OWNER_TAG: Final = "usher:bucket-of-stack"  # on a bucket that `usher install` made; the value is the stack
_AT_ONCE: Final = 1000  # objects that one DeleteObjects takes
_GIVE_OWN: Final = "name a bucket of yours in this Region by --bucket"


def default_name(site: Site) -> str:
    """The same each time, so that what was cut off is found again; no two stacks share one."""
    return f"usher-{site.account}-{site.region}-{sha256(site.stack.encode()).hexdigest()[:8]}"


def find_or_make(site: Site, given: str | None) -> str:
    """The name of the given bucket, or of Usher's own: private, encrypted, versioned. Raises Trouble."""
    name = given or default_name(site)
    is_there = _is_there(site, name)
    if given is not None:
        if not is_there:
            raise Trouble(f"There is no bucket {name}: make it in {site.region}, or leave --bucket out.")
        return name
    if not is_there:
        _create(site, name)
    elif not is_of_stack(site, name) and _has_objects(site, name):
        raise Trouble(f"Bucket {name} is there, and Usher did not make it: {_GIVE_OWN}.")
    _protect(site, name)
    return name


def find_again(site: Site, name: str) -> str:
    """The name of the bucket that the stack has; Usher's own is made again if it is gone. Raises Trouble."""
    if _is_there(site, name):
        return name
    if name != default_name(site):
        raise Trouble(
            f"There is no bucket {name}, from which {site} has its code: make it again, or {_GIVE_OWN}."
        )
    _create(site, name)
    _protect(site, name)
    click.echo(
        f"Made bucket {name} again, which was gone. It lacks the code of the release before: if the upgrade "
        "fails, CloudFormation cannot bring that back.",
        err=True,
    )
    return name


def _of_ours(site: Site, name: str) -> dict[str, str]:
    """With these S3 refuses what is asked of a bucket of another account (AmazonS3, bucket-owner-condition).

    Whoever knows an account can foresee the name, and make a bucket of it once Usher's own is gone.
    """
    return {"Bucket": name, "ExpectedBucketOwner": site.account}


def _is_there(site: Site, name: str) -> bool:
    s3 = site.client("s3")
    try:
        answer = s3.head_bucket(**_of_ours(site, name))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "404":
            return False
        if code == "403":
            raise Trouble(
                f"Bucket {name} is of another account, or you may not use it (s3:ListBucket): {_GIVE_OWN}."
            ) from error
        raise
    region = answer.get("BucketRegion", site.region)
    if region != site.region:
        raise Trouble(f"Bucket {name} is in {region}, and Usher is to be in {site.region}: {_GIVE_OWN}.")
    return True


def _create(site: Site, name: str) -> None:
    """Its ACLs are off and its owner is this account, as S3 makes every bucket since 2023."""
    where: dict[str, Any] = {"CreateBucketConfiguration": {"LocationConstraint": site.region}}
    site.client("s3").create_bucket(Bucket=name, **({} if site.region == "us-east-1" else where))


def _protect(site: Site, name: str) -> None:
    """Again each time: an earlier installation may have been cut off in the middle."""
    s3, ours = site.client("s3"), _of_ours(site, name)
    s3.put_bucket_tagging(**ours, Tagging={"TagSet": [{"Key": _OWNER_TAG, "Value": site.stack}]})
    blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    s3.put_public_access_block(**ours, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True))
    encrypted = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(**ours, ServerSideEncryptionConfiguration={"Rules": [encrypted]})
    s3.put_bucket_versioning(**ours, VersioningConfiguration={"Status": "Enabled"})
    partition = s3.meta.partition
    arns = [f"arn:{partition}:s3:::{name}", f"arn:{partition}:s3:::{name}/*"]
    only_tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": arns,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    s3.put_bucket_policy(**ours, Policy=json.dumps({"Version": "2012-10-17", "Statement": [only_tls]}))


def is_of_stack(site: Site, name: str) -> bool:
    """Whether `usher install` made the bucket for this stack."""
    try:
        tags = site.client("s3").get_bucket_tagging(**_of_ours(site, name))["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchTagSet", "NoSuchBucket"):
            return False
        raise
    return {"Key": _OWNER_TAG, "Value": site.stack} in tags


def _has_objects(site: Site, name: str) -> bool:
    return bool(site.client("s3").list_objects_v2(**_of_ours(site, name), MaxKeys=1).get("KeyCount"))


def upload(site: Site, bucket: str, release: Release) -> str:
    """Put into the bucket what it lacks of the release; the URL of the template."""
    s3 = site.client("s3")
    for key, body in ((release.functions_key, release.functions), (release.template_key, release.template)):
        if not _has(site, bucket, key):
            s3.put_object(**_of_ours(site, bucket), Key=key, Body=body, ChecksumAlgorithm="SHA256")
    # Of the Region's own endpoint: the global one may not know a new bucket for hours.
    return f"{s3.meta.endpoint_url}/{bucket}/{release.template_key}"


def _has(site: Site, bucket: str, key: str) -> bool:
    try:
        site.client("s3").head_object(**_of_ours(site, bucket), Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] == "404":
            return False
        raise
    return True


def remove(site: Site, name: str) -> bool:
    """Remove a bucket that Usher made for this stack, with all versions in it; whether that was one."""
    if not is_of_stack(site, name):
        return False
    s3, ours = site.client("s3"), _of_ours(site, name)
    for page in s3.get_paginator("list_object_versions").paginate(**ours):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        for first in range(0, len(objects), _AT_ONCE):
            some = objects[first : first + _AT_ONCE]
            s3.delete_objects(**ours, Delete={"Objects": some, "Quiet": True})
    s3.delete_bucket(**ours)
    return True
