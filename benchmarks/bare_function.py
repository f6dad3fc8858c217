"""A handler of nothing but boto3, with the clients and the calls of one of Usher's functions.

The function is run once by `recorder.py`, which writes both down; `bare.py` then makes the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from usher_cdk.python import Python

_RECORDER: Final = """\
import importlib
import os
import sys

from botocore.client import BaseClient
from botocore.session import Session

sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
steps = []
make_client, make_call = Session.create_client, BaseClient._make_api_call


def create_client(self, service_name, *args, **options):
    steps.append((service_name, None, None))
    return make_client(self, service_name, *args, **options)


def call(self, operation, parameters):
    steps.append((self.meta.service_model.service_name, operation, parameters))
    return make_call(self, operation, parameters)


Session.create_client, BaseClient._make_api_call = create_client, call
function = importlib.import_module(os.environ["AWS_LAMBDA_FUNCTION_NAME"]).handler
at_init = len(steps)


def handler(event, context):
    try:
        return function(event, context)
    finally:
        with open(os.environ["RECORDING"], "w") as file:
            file.write(f"import datetime\\nINIT = {steps[:at_init]!r}\\nFIRST = {steps[at_init:]!r}\\n")
"""
_BARE: Final = """\
import boto3
from botocore.exceptions import ClientError
from calls import FIRST, INIT

clients = {}


def do(steps):
    for service, operation, parameters in steps:
        if operation is None:
            clients[service] = boto3.client(service)
            continue
        try:
            clients[service]._make_api_call(operation, parameters)
        except ClientError:
            pass


do(INIT)


def handler(event, context):
    do(FIRST)
"""


def recorder(folder: Path) -> Path:
    """A folder with `recorder.handler`: LAMBDA_TASK_ROOT is the asset, RECORDING the file to write."""
    folder.mkdir()
    (folder / "recorder.py").write_text(_RECORDER)
    return folder


def bare(folder: Path, recording: str, names: Mapping[str, str], python: Python) -> Path:
    """A folder with `bare.handler`, compiled. `names`: what the recording calls what is now called so."""
    folder.mkdir()
    for before, now in names.items():
        recording = recording.replace(before, now)
    (folder / "calls.py").write_text(recording)
    (folder / "bare.py").write_text(_BARE)
    python.compile(folder)
    return folder
