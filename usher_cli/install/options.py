"""The options of `usher install` and `usher upgrade`: the parameters of the template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from usher_cdk.parameters import PARAMETERS, TAG_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LISTS_MAX: Final = 5000  # characters: all statements of a role have 10,240 (IAM's quotas)
_ARNS: Final = {
    "FunctionArns": r"arn:[a-z0-9-]+:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_*$:-]+",
    "DocumentArns": r"arn:[a-z0-9-]+:ssm:[a-z0-9-]+:(\d{12})?:document/[A-Za-z0-9_./-]+",
    "ClusterArns": r"arn:[a-z0-9-]+:ecs:[a-z0-9-]+:\d{12}:cluster/[A-Za-z0-9_*-]+",
}
RULES: Final = {  # in words: what the pattern of a parameter takes
    "TagValue": "1 to 256 letters, digits, spaces or any of _.:/=+@-",
    "AlarmEmail": "an email address",
    "ForwardTo": "the ARN of an event bus",
    "KeyArn": "the ARN of a KMS key",
    "PermissionsBoundary": "the ARN of a policy",
    "RolePath": "/ or a path such as /teams/ops/",
    "FunctionArns": "the ARN of a Lambda function",
    "DocumentArns": "the ARN of an SSM document",
    "ClusterArns": "the ARN of an ECS cluster",
}


def fits(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """A callback that holds the value, or each of several, against the parameter's pattern."""
    pattern = _ARNS.get(name) or PARAMETERS[name]["AllowedPattern"]

    def check(_context: click.Context, _option: click.Parameter, given: Any) -> Any:  # noqa: ANN401 - click's
        for value in given if isinstance(given, tuple) else (given,):
            empties = isinstance(given, tuple) and value == ""
            if value is not None and not empties and not re.fullmatch(pattern, value):
                raise click.BadParameter(f"must be {RULES[name]}, got {value!r}")
        return given

    return check


def _text(option: str, name: str, metavar: str, does: str) -> Callable[..., Any]:
    return click.option(option, name, metavar=metavar, callback=fits(name), help=does)


def _arns(option: str, name: str, does: str) -> Callable[..., Any]:
    return click.option(option, name, metavar="ARN", multiple=True, callback=fits(name), help=does)


_DAYS: Final = [str(days) for days in PARAMETERS["LogRetentionDays"]["AllowedValues"]]
_RATE: Final = click.FloatRange(
    PARAMETERS["CallsPerSecond"]["MinValue"], PARAMETERS["CallsPerSecond"]["MaxValue"]
)
ROLE_PATH: Final = _text(
    "--role-path", "RolePath", "PATH", "The path of the roles; it cannot be changed later.  [default: /]"
)
KEY_ARN: Final = _text(
    "--key-arn",
    "KeyArn",
    "ARN",
    "Your KMS key for data at rest; it cannot be changed later.  [default: keys of AWS]",
)
_ALL: Final = ". Give all of them: the list is replaced."
_OPTIONS: Final = (
    _text(
        "--tag-value",
        "TagValue",
        "TEXT",
        f"Hooks may be put on groups with the tag {TAG_KEY}=TEXT, and on no others.  [default: managed]",
    ),
    _text("--alarm-email", "AlarmEmail", "ADDRESS", "Where alarms go.  [default: nowhere]"),
    _text(
        "--forward-to",
        "ForwardTo",
        "ARN",
        "An event bus that hears of events out and alarms: docs/fleet.md.  [default: nobody]",
    ),
    click.option(
        "--log-retention-days",
        "LogRetentionDays",
        type=click.Choice(_DAYS),
        metavar="DAYS",
        help="How long logs are kept.  [default: 30]",
    ),
    click.option(
        "--dashboard/--no-dashboard",
        "Dashboard",
        default=None,
        help="Make a CloudWatch dashboard.  [default: dashboard]",
    ),
    _text("--permissions-boundary", "PermissionsBoundary", "ARN", "The boundary of all roles."),
    click.option(
        "--calls-per-second",
        "CallsPerSecond",
        type=_RATE,
        metavar="NUMBER",
        help="Auto Scaling calls that Usher may make.  [default: 10]",
    ),
    _arns("--function-arn", "FunctionArns", f"A Lambda function that conditions may invoke{_ALL}"),
    _arns("--document-arn", "DocumentArns", f"An SSM document that conditions may run{_ALL}"),
    _arns(
        "--cluster-arn",
        "ClusterArns",
        f"An ECS cluster that conditions may ask, and drain instances of{_ALL}",
    ),
)


def with_parameters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for each parameter that may change."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def values(given: Mapping[str, Any]) -> dict[str, str]:
    """The parameters that were given, as CloudFormation takes them. Raises click.BadParameter."""
    found: dict[str, str] = {}
    for name, value in given.items():
        match value:
            case None | ():
                continue
            case bool():
                found[name] = "yes" if value else "no"
            case float():
                found[name] = f"{value:g}"
            case tuple():
                found[name] = ",".join(each for each in value if each)
            case _:
                found[name] = str(value)
    length = sum(len(found.get(name, "")) for name in _ARNS)
    if length > _LISTS_MAX:
        raise click.BadParameter(
            f"The ARNs have {length:,} characters together, and a role's policy has room for {_LISTS_MAX:,}: "
            "use * in a name, or deploy with the CDK."
        )
    return found
