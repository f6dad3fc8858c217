"""Each error of AWS as one line that says what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore import exceptions as aws

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher_cli.account import Place

_SIGN_IN: Final = "sign in again (for instance `aws sso login`), or use another --profile"
_PERMISSIONS: Final = 'docs/operations.md, "Permissions of the commands", lists what they need'


def is_denied(error: BaseException | None) -> bool:
    """Whether a right is missing: `error` is, or comes of, such an answer of AWS."""
    while error is not None:
        if isinstance(error, aws.ClientError) and error.response["Error"].get("Code") in _DENIALS:
            return True
        error = error.__cause__
    return False


def text_of(error: BaseException | None, place: Place) -> str:
    """The line. `place` is where the command works."""
    if isinstance(error, aws.ClientError):
        return _text_of_answer(error, place)
    for kinds, text in _TEXTS_BY_KIND:
        if isinstance(error, kinds):
            return text.format(error=str(error).rstrip("."), stack=place.stack)
    return f"{error}"


_TEXTS_BY_KIND: Final = (
    (
        (aws.NoCredentialsError, aws.PartialCredentialsError),
        "No AWS credentials were found: set them up (`aws configure`), or use --profile.",
    ),
    (
        (aws.ProfileNotFound,),
        "{error}: `aws configure list-profiles` lists the profiles; check --profile and AWS_PROFILE.",
    ),
    ((aws.NoRegionError,), "No Region is set: give --region, or set AWS_REGION."),
    ((aws.InvalidRegionError,), "{error}: give --region a name such as eu-west-1."),
    (
        (
            aws.UnauthorizedSSOTokenError,
            aws.SSOTokenLoadError,
            aws.TokenRetrievalError,
            aws.CredentialRetrievalError,
        ),
        f"{{error}}: {_SIGN_IN}.",
    ),
    (
        (aws.HTTPClientError, aws.ConnectionError),
        "{error}: check --region, --endpoint-url and the network.",
    ),
)


def _text_of_answer(error: aws.ClientError, place: Place) -> str:
    code = error.response["Error"].get("Code", "")
    answer = f"{error.operation_name}: {error.response['Error'].get('Message') or code}".rstrip(".")
    if _NO_INDEX in answer:
        return _NO_INDEX_HERE.format(answer=answer, stack=place.stack, region=place.region)
    for codes, text in _TEXTS_BY_CODE.items():
        if code in codes:
            return text.format(answer=answer, stack=place.stack, region=place.region)
    return f"{answer} ({code})."


_NO_INDEX: Final = "does not have the specified index"  # DynamoDB has no code of its own for it
_NO_INDEX_HERE: Final = (
    "Stack {stack} in {region} is of an older release than this command ({answer}): "
    "deploy it again with this release, by what made it (by `usher upgrade` after `usher install`)."
)
_DENIALS: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_TEXTS_BY_CODE: Final[Mapping[tuple[str, ...], str]] = {
    ("ExpiredToken", "ExpiredTokenException", "RequestExpired"): (
        f"The AWS session has expired ({{answer}}): {_SIGN_IN}."
    ),
    (
        "AuthFailure",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    ): f"AWS rejected these credentials ({{answer}}): {_SIGN_IN}.",
    _DENIALS: (f"Not permitted ({{answer}}): {_PERMISSIONS}."),
    (
        "ResourceNotFoundException",
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
    ): (
        "A resource of stack {stack} in {region} does not exist ({answer}): "
        "is the stack being deployed or deleted?"
    ),
    ("Throttling", "ThrottlingException", "RequestLimitExceeded"): "AWS is busy ({answer}): try again.",
}
