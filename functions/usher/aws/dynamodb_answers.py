"""What DynamoDB's answers mean.

What does not answer or stays busy becomes Unavailable, and Denied what says no whatever is asked:
a right, a key or credentials that are missing, or the table itself. What is wrong with one request
is nobody's to handle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

from botocore import exceptions as botocore_exceptions
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from usher.ports.errors import Denied, NoAnswer, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TRIES: Final = 5  # at once: whoever is turned away after them comes back by a wake-up or redelivery
REFUSED: Final = "ConditionalCheckFailed"
_UNREACHABLE: Final = (
    botocore_exceptions.ConnectionError,
    botocore_exceptions.HTTPClientError,
    ResponseParserError,  # what stands between sent a page of its own
)
_NO_CREDENTIALS: Final = (
    botocore_exceptions.NoCredentialsError,
    botocore_exceptions.PartialCredentialsError,
    botocore_exceptions.CredentialRetrievalError,
)
_SERVER_ERROR: Final = 500
_OF_THE_REQUEST: Final = frozenset(  # and of no other, while the table does its work
    {
        "ConditionalCheckFailedException",
        "IdempotentParameterMismatchException",
        "ItemCollectionSizeLimitExceededException",
        "SerializationException",
        "TransactionCanceledException",
        "ValidationException",
    }
)
_BUSY: Final = frozenset(
    {
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ThrottlingException",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "InternalServerError",
        "ServiceUnavailable",
    }
)


def answered(call: Callable[[], T]) -> T:
    """What DynamoDB answers. Where it is busy it is asked again at once, a few times."""
    answer = ""
    for tried in range(TRIES):
        try:
            return call()
        except _UNREACHABLE as error:
            if isinstance(error, botocore_exceptions.ConnectionClosedError) and tried == 0:
                continue  # one that had been idle for long
            raise NoAnswer(f"DynamoDB did not answer: {error}") from error
        except _NO_CREDENTIALS as error:
            raise Denied(f"DynamoDB could not be asked: {error}") from error
        except ClientError as error:
            if not _is_busy(error):
                _raise(error)
            answer = str(error)
    raise Unavailable(f"DynamoDB was busy {TRIES} times: {answer}")


def _raise(error: ClientError) -> NoReturn:
    """What AWS itself has broken says nothing, whatever it calls it; what is wrong with a request is raised.

    AWS adds codes: one that nobody knows is taken for a denial, so that what waits is held.
    """
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_ERROR:
        raise NoAnswer(f"DynamoDB failed: {error}") from error
    if error.response["Error"]["Code"] not in _OF_THE_REQUEST:
        raise Denied(f"DynamoDB refuses: {error}") from error
    raise error


def taken(write: Callable[[], object]) -> bool:
    """Whether DynamoDB takes a write, or its condition refuses."""
    return refusal(write) is None


def refusal(write: Callable[[], object]) -> Any | None:  # noqa: ANN401 - as boto3 has it
    """What DynamoDB answers where a write's condition refuses; None: it was written."""
    try:
        answered(write)
    except ClientError as error:
        if error.response["Error"]["Code"] != f"{REFUSED}Exception":
            raise
        return error.response
    return None


def _is_busy(error: ClientError) -> bool:
    """Whether the same may succeed at once. A refused condition stays refused, whatever else is busy."""
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
    return REFUSED not in reasons and not _BUSY.isdisjoint({error.response["Error"]["Code"], *reasons})
