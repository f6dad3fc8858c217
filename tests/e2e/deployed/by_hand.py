"""Usher's stack as CloudFormation is told to make or change it, without the CDK's command line.

Each `cdk deploy` costs eight seconds of a processor; test_update.py and those before it have the real one.
"""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final
from zipfile import ZipFile

from tests.e2e.polling import until
from tests.infra.stacks import all_templates, deployment, resources
from usher.core.compiled import compiled
from usher.wiring.machine import new_id
from usher_cdk.bundle import build
from usher_cdk.release import zip_folder

if TYPE_CHECKING:
    from usher.core.compiled import Compiled
    from usher_local.account import Account

_NAME: Final = "Usher"
_BUCKET: Final = "code"
_FEW: Final = {"MaximumConcurrency": 4}  # invocations by a queue: each of a burst starts an environment else
_STANDS: Final = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
_A_DEPLOY_S: Final = 300


class RolledBack(Exception):  # noqa: N818 - it reads as what happened
    """The stack; the text has the reasons that its events give."""


def deploy(account: Account, data: dict[str, Any], **settings: Any) -> dict[str, str]:
    """Make the stack of a hooks file, or update it; its outputs. Raises RolledBack."""
    of = deployment(data, **settings)
    template = deepcopy(all_templates(of)[_NAME])
    del template["Parameters"], template["Rules"]  # of the CDK's bootstrap
    s3 = account.client("s3")
    s3.create_bucket(Bucket=_BUCKET)
    code = {"S3Bucket": _BUCKET, "S3Key": _published(s3, of.file)}
    for function in resources(template, "AWS::Lambda::Function").values():
        function["Code"] = code
    for mapping in resources(template, "AWS::Lambda::EventSourceMapping").values():
        mapping["ScalingConfig"] = _FEW
    cloudformation = account.client("cloudformation")
    stacks = cloudformation.describe_stacks()["Stacks"]
    change = cloudformation.update_stack if stacks else cloudformation.create_stack
    token = new_id()
    s3.put_object(Bucket=_BUCKET, Key=_NAME, Body=json.dumps(template))
    url = f"{account.url}/{_BUCKET}/{_NAME}"
    change(StackName=_NAME, TemplateURL=url, ClientRequestToken=token, Capabilities=["CAPABILITY_IAM"])
    stack = until(lambda: _at_rest(cloudformation), within_s=_A_DEPLOY_S)
    if stack["StackStatus"] not in _STANDS:
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=_NAME)
        events = [each for page in pages for each in page["StackEvents"]]
        ours = [each for each in events if each.get("ClientRequestToken") == token]
        raise RolledBack("\n".join(each.get("ResourceStatusReason", "") for each in ours))
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def delete(account: Account) -> None:
    """The stack, and wait until it has gone."""
    cloudformation = account.client("cloudformation")
    cloudformation.delete_stack(StackName=_NAME)
    until(lambda: not cloudformation.describe_stacks()["Stacks"], within_s=_A_DEPLOY_S)


def _at_rest(cloudformation: Any) -> dict[str, Any]:
    """The stack, unless it is being changed."""
    (stack,) = cloudformation.describe_stacks(StackName=_NAME)["Stacks"]
    return {} if stack["StackStatus"].endswith("_IN_PROGRESS") else dict(stack)


def _published(s3: Any, file: Compiled) -> str:
    """The key of the code with this file in it."""
    made = BytesIO(_code_without_file())
    with ZipFile(made, "a") as code:
        code.writestr("hooks.json", file.text)
    s3.put_object(Bucket=_BUCKET, Key=file.digest, Body=made.getvalue())
    return file.digest


@cache
def _code_without_file() -> bytes:
    with TemporaryDirectory() as folder:
        asset, packed = Path(folder, "asset"), Path(folder, "code.zip")
        build(asset, compiled({"version": 1, "policies": {}, "hooks": []}))
        (asset / "hooks.json").unlink()
        zip_folder(asset, packed)
        return packed.read_bytes()
