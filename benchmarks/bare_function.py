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
import urllib.request

from botocore.client import BaseClient
from botocore.session import Session

sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
steps = []
make_client, make_call = Session.create_client, BaseClient._make_api_call
open_url = urllib.request.urlopen


def create_client(self, service_name, *args, **options):
    steps.append((service_name, None, None))
    return make_client(self, service_name, *args, **options)


def call(self, operation, parameters):
    steps.append((self.meta.service_model.service_name, operation, parameters))
    return make_call(self, operation, parameters)


def urlopen(request, **options):
    asked = {"url": request.full_url, "data": request.data, "method": request.method}
    steps.append(("urllib", "urlopen", asked))
    return open_url(request, **options)


Session.create_client, BaseClient._make_api_call = create_client, call
urllib.request.urlopen = urlopen
function = importlib.import_module(os.environ["AWS_LAMBDA_FUNCTION_NAME"]).handler
at_init = list(steps)
invocations = []


def handler(event, context):
    steps.clear()
    try:
        return function(event, context)
    finally:
        invocations.append(list(steps))
        with open(os.environ["RECORDING"], "w") as file:
            file.write(f"import datetime\\nINIT = {at_init!r}\\nINVOCATIONS = {invocations!r}\\n")
"""
_BARE: Final = """\
import urllib.request

import boto3
from botocore.exceptions import ClientError
from calls import INIT, INVOCATIONS

clients = {}
invocations = iter(INVOCATIONS)


def do(steps):
    for service, operation, parameters in steps:
        if operation is None:
            clients[service] = boto3.client(service)
            continue
        if service == "urllib":  # the answer to CloudFormation
            urllib.request.urlopen(urllib.request.Request(**parameters)).close()
            continue
        try:
            clients[service]._make_api_call(operation, parameters)
        except ClientError:
            pass


do(INIT)


def handler(event, context):
    do(next(invocations))
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
