"""Accounts and Regions on one loopback port: moto's server, which counts calls, and can be down or deny."""

from __future__ import annotations

import json
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from socket import SHUT_RDWR
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, TypeVar

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from usher.aws import table
from usher.aws.items import state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from usher.core.action import Action

Made = TypeVar("Made", bound="Emulator")
ROLE: Final = "UsherOperator"
KEYS: Final = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
_SIGNED: Final = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
_BATCH: Final = 25  # items of a BatchWriteItem
_DENIED: Final = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>"
    b"<Message>ann may not</Message></Error></ErrorResponse>"
)
_ONE_TRY: Final = Config(retries={"total_max_attempts": 1})


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *_: Any) -> None:
        pass


@dataclass
class Emulator:
    """`calls` counts requests by account, Region and service.

    A site that is `down` ends each connection; one that is `denied` refuses each call. STS refuses the roles
    of accounts that are `not_trusting`.
    """

    url: str = ""
    calls: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    down: set[tuple[str, str]] = field(default_factory=set)
    denied: set[tuple[str, str]] = field(default_factory=set)
    not_trusting: set[str] = field(default_factory=set)
    _accounts: dict[str, str] = field(default_factory=dict)  # by access key
    _app: Any = field(default_factory=lambda: DomainDispatcherApplication(create_backend_app))

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        """A WSGI application around moto's."""
        signed = _SIGNED.search(environ.get("HTTP_AUTHORIZATION", ""))
        key, region, service = signed.groups() if signed else ("", "", "")
        account = self._accounts.get(key, "")
        self.calls[account, region, service] += 1
        if (account, region) in self.down:
            environ["werkzeug.socket"].shutdown(SHUT_RDWR)
            start("503 Service Unavailable", [])  # which nobody reads any more
            return []
        if (account, region) in self.denied:
            return _refused(start)
        return self.answer(service, environ, start)

    def answer(self, service: str, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        """What is answered to a call that is neither lost nor denied."""
        return self._sts(environ, start) if service == "sts" else self._app(environ, start)

    def body(self, environ: dict[str, Any]) -> bytes:
        """Of a request; it can be read again."""
        body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        return body

    def _sts(self, environ: dict[str, Any], start: Callable[..., Any]) -> Any:
        """It notes which access key is of which account."""
        asked = re.search(rb"RoleArn=arn%3Aaws%3Aiam%3A%3A(\d{12})", self.body(environ))
        account = asked.group(1).decode() if asked else ""
        if account in self.not_trusting:
            return _refused(start)
        answer = b"".join(self._app(environ, start))
        made = re.search(rb"<AccessKeyId>([^<]+)", answer)
        if account and made:
            self._accounts[made.group(1).decode()] = account
        return [answer]

    def keys(self, account: str, region: str) -> dict[str, str]:
        """Credentials of an account, by their names in boto3 and in a profile."""
        sts = boto3.client("sts", region_name=region, endpoint_url=self.url, **KEYS)
        arn = f"arn:aws:iam::{account}:role/{ROLE}"
        told = sts.assume_role(RoleArn=arn, RoleSessionName="setup")["Credentials"]
        return {
            "aws_access_key_id": told["AccessKeyId"],
            "aws_secret_access_key": told["SecretAccessKey"],
            "aws_session_token": told["SessionToken"],
        }

    def session(self, account: str, region: str) -> Callable[[str], Any]:
        """Opens clients in an account and Region."""
        keys: dict[str, Any] = {**self.keys(account, region)}
        return lambda service: boto3.client(
            service, region_name=region, endpoint_url=self.url, config=_ONE_TRY, **keys
        )

    def deploy(self, account: str, region: str, actions: Sequence[Action] = ()) -> None:
        """A stack of Usher's with its table, and open actions."""
        opens = self.session(account, region)
        opens("cloudformation").create_stack(StackName="Usher", TemplateBody=_template())
        dynamodb = opens("dynamodb")
        items = [{**state.key(action.id), **state.to_item(action)} for action in actions]
        for start in range(0, len(items), _BATCH):
            puts = [{"PutRequest": {"Item": item}} for item in items[start : start + _BATCH]]
            dynamodb.batch_write_item(RequestItems={"records": puts})


def _refused(start: Callable[..., Any]) -> list[bytes]:
    start("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", str(len(_DENIED)))])
    return [_DENIED]


def _template() -> str:
    definition = table.definition("records")
    return json.dumps(
        {
            "Resources": {"Records": {"Type": "AWS::DynamoDB::Table", "Properties": definition}},
            "Outputs": {"TableName": {"Value": {"Ref": "Records"}}},
        }
    )


@contextmanager
def emulator(app: Made) -> Iterator[Made]:
    """Serves it on a free loopback port, until the block ends."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    app.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield app
    finally:
        server.shutdown()
        server.server_close()
