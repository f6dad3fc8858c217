"""Makes the calls of conditions with boto3, and says in the core's words what came back."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from botocore.response import StreamingBody

from usher.aws.client_config import client_config
from usher.core.conditions.probe import Reply, ReplyKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from botocore.config import Config

    from usher.core.conditions.probe import Call

_CONNECTING: Final = timedelta(seconds=2)
_SHORTEST_READING: Final = timedelta(seconds=1)
_MOST_ITEMS: Final = 5000  # of all pages: the call has only so much time, and a part is no answer

# Busy, or not permitted: neither says anything of what was asked. Most also have a status that says so.
_BUSY: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RateExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceContention",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_NOT_PERMITTED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMSAccessDeniedException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_DENIES: Final = frozenset({401, 403})  # HTTP status
_SAYS_NOTHING: Final = _DENIES | {407, 408, 429}
_SERVER_ERROR: Final = 500


class _TooManyItemsError(BotoCoreError):  # type: ignore[misc] # botocore is untyped
    fmt = "more than {most} items"


class AwsCalls:
    """Implements usher.ports.conditions.Calls.

    `client` makes a client, as `boto3.client` does. There is one for each service and length of call,
    made when it is first needed; each makes one attempt, so that no retry outlasts an evaluation.
    """

    def __init__(self, client: Callable[..., Any] = boto3.client) -> None:
        self._client = client
        self._clients: dict[tuple[str, timedelta], Any] = {}
        self._making = threading.Lock()  # evaluations run in threads, and boto3 makes no two clients at once

    def make(self, call: Call, members: Sequence[str] = ()) -> Reply:
        """See usher.ports.conditions.Calls.

        Where AWS refuses some of the `members` by name, the others are asked for without them: one
        instance that is gone must not hide the rest. With none left the answer is an empty one.
        """
        reply = self._attempt(call, members)
        left = _not_named(members, reply)
        if len(left) == len(members):
            return reply
        return self._attempt(call, left) if left else Reply(kind=ReplyKind.ANSWERED, data={})

    def _attempt(self, call: Call, members: Sequence[str]) -> Reply:
        parameters = dict(call.parameters)
        if members and call.shared is not None and call.shared.members_in is not None:
            parameters[call.shared.members_in] = list(members)
        try:
            data = _answer(self._client_for(call), call, parameters)
        except ClientError as error:
            return _error_reply(error)
        except ReadTimeoutError:
            return Reply(kind=ReplyKind.TIMED_OUT, text=f"{call.operation} was not answered in time")
        except (BotoCoreError, ResponseParserError) as error:
            text = f"{call.operation}: {type(error).__name__}: {error}"
            return Reply(kind=ReplyKind.UNKNOWN, text=text)
        return Reply(kind=ReplyKind.ANSWERED, data=data)

    def _client_for(self, call: Call) -> Any:  # noqa: ANN401 - boto3's clients have no type in common
        key = (call.service, call.longest)
        with self._making:
            if key not in self._clients:
                self._clients[key] = self._client(call.service, config=_config(call.longest))
            return self._clients[key]


def _config(longest: timedelta) -> Config:
    reading = max(longest - _CONNECTING, _SHORTEST_READING)
    connecting = _CONNECTING.total_seconds()
    return client_config(connect_s=connecting, read_s=reading.total_seconds(), attempts=1, validates=True)


def _answer(client: Any, call: Call, parameters: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    method = xform_name(call.operation)
    if not call.all_pages:
        answer = getattr(client, method)(**parameters)
        return {key: _read(value) for key, value in answer.items() if key != "ResponseMetadata"}
    pages = client.get_paginator(method).paginate(**parameters, PaginationConfig={"MaxItems": _MOST_ITEMS})
    merged: dict[str, Any] = pages.build_full_result()
    if pages.resume_token is not None:
        raise _TooManyItemsError(most=_MOST_ITEMS)
    return merged


def _read(value: Any) -> Any:  # noqa: ANN401 - whatever stands in an answer
    """A stream, such as the payload of a function, is read to its end, as text."""
    return value.read().decode("utf-8", errors="replace") if isinstance(value, StreamingBody) else value


def _error_reply(error: ClientError) -> Reply:
    refusal = error.response.get("Error", {})
    code, message = refusal.get("Code", ""), refusal.get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", _SERVER_ERROR)
    text = f"{code}: {message}" if message else code
    if code in _BUSY | _NOT_PERMITTED or status in _SAYS_NOTHING or status >= _SERVER_ERROR:
        denied = code in _NOT_PERMITTED or (status in _DENIES and code not in _BUSY)
        return Reply(kind=ReplyKind.UNKNOWN, code=code, text=text, not_permitted=denied)
    return Reply(kind=ReplyKind.REFUSED, code=code, text=text)


def _not_named(members: Sequence[str], reply: Reply) -> list[str]:
    """The members that a refusal does not name; all of them where it is none."""
    if reply.kind is not ReplyKind.REFUSED:
        return list(members)
    return [
        member for member in members if not re.search(rf"(?<![\w-]){re.escape(member)}(?![\w-])", reply.text)
    ]
