"""`command: {document: NAME}` runs an SSM document on the instance, and holds once it succeeded.

SendCommand has no client token, so the intent is stored first, and each command carries in its Comment
which action and condition it is of. Where the answer to a send is not known, the instance's commands
are read before anything is sent again.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from usher.core import duration, iso_time
from usher.core.action import Transition
from usher.core.conditions import excerpt
from usher.core.conditions.answer import member, members, text
from usher.core.conditions.placeholders import PlaceholderProbe, filled
from usher.core.conditions.probe import Call, Found, Permission, Reply, ReplyKind, not_answered
from usher.core.field import Field, attempt
from usher.core.finding import ConditionStatus
from usher.core.frozen import frozen
from usher.core.shape import AnyKeys, Duration, Either, Keys, ListOf, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from usher.core.action import Action
    from usher.core.finding import Memory

SENT_AGAIN_AFTER: Final = timedelta(seconds=30)  # until then a sent command may not be listed yet
MOST_CHARACTERS: Final = 8000  # of all parameters: they stand in the record of each action
COMMAND_ID: Final = "command_id"  # where the memory has it

_DOCUMENT: Final = Text(
    r"[a-zA-Z0-9_.:/-]{3,128}",
    "must be the name or ARN of an SSM document: 3 to 128 of A-Z a-z 0-9 _ . : / -",
)
_VERSION: Final = Text(
    r"\$LATEST|\$DEFAULT|[1-9][0-9]{0,8}", 'must be $LATEST, $DEFAULT or a number such as "3"'
)
_PARAMETER: Final = Text(r"[^\x00-\x1f]{1,128}", "must be the name of a parameter, of 1 to 128 characters")
_VALUE: Final = Text(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]*", "must be text")  # a script has line breaks and tabs
_VALUES: Final = ListOf(_VALUE)
_PARAMETERS: Final = AnyKeys(_PARAMETER, Either(_VALUE, _VALUES))
_LEAST_TIMEOUT: Final = timedelta(seconds=30)  # SSM delivers no faster
_TIMEOUT: Final = Duration(least=_LEAST_TIMEOUT, most=timedelta(hours=48))
_USUAL_TIMEOUT: Final = timedelta(minutes=10)

_EVERY: Final = timedelta(seconds=10)
_UNMANAGED_EVERY: Final = timedelta(seconds=20)
_AGENT_RESTARTS: Final = timedelta(minutes=2)
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
_SECOND: Final = timedelta(seconds=1)

STATUSES: Final[Mapping[str, ConditionStatus]] = {  # CommandInvocationStatus
    "Pending": ConditionStatus.PENDING,
    "InProgress": ConditionStatus.PENDING,
    "Delayed": ConditionStatus.PENDING,
    "Cancelling": ConditionStatus.PENDING,
    "Success": ConditionStatus.HOLDS,
    "Cancelled": ConditionStatus.FAILED,
    "TimedOut": ConditionStatus.FAILED,
    "Failed": ConditionStatus.FAILED,
}
_PLUGIN_FAILED: Final = ("Failed", "TimedOut", "Cancelled")
_NOT_MANAGED: Final = "InvalidInstanceId"
_REFUSED_FOR_GOOD: Final = ("InvalidParameters", "UnsupportedPlatformType", "MaxDocumentSizeExceeded")


@frozen
class Command(PlaceholderProbe):
    """Sends `document` to the instance, and follows it for at most `timeout` from the first intent.

    Where that intent was never carried out, and nobody tried again in all that time, it begins anew.
    Its memory: `since` (the first intent), `intended_at` (the last one, while its answer is not known),
    `command_id`; `failed` and `plugin` while the output of what failed is fetched.
    """

    document: str
    parameters: tuple[tuple[str, tuple[str, ...]], ...] = ()  # sorted by name
    timeout: timedelta = _USUAL_TIMEOUT
    version: str | None = None

    shape = Keys(
        {"document": _DOCUMENT, "parameters": _PARAMETERS, "timeout": _TIMEOUT, "version": _VERSION},
        required=("document",),
    )

    @classmethod
    def parse(cls, field: Field) -> Command:
        """From `{document: NAME, parameters: {NAME: TEXT or [TEXT, …]}, timeout: 10m, version: "3"}`."""
        parts = cls.shape.members(field)
        document = attempt(_DOCUMENT.read, parts.get("document"), "")
        parameters = attempt(_parameters, parts.get("parameters"), ())
        timeout = attempt(_TIMEOUT.read, parts.get("timeout"), _USUAL_TIMEOUT)
        version = attempt(_VERSION.read, parts.get("version"), None)
        return cls(document=document, parameters=parameters, timeout=timeout, version=version)

    @property
    def name(self) -> str:
        """See Probe. The digest stands for the parameters, which are long, and may be nobody's business."""
        return f"command {self.document} #{self._digest}"

    @cached_property
    def _digest(self) -> str:
        parts = [self.document, self.version, self.parameters, self.timeout // _SECOND]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]

    @property
    def in_words(self) -> str:
        """See Condition."""
        return f"command {self.document} to succeed within {duration.written(self.timeout)}"

    @property
    def starts(self) -> bool:
        """See Plain."""
        return True

    def doubts(self, transition: Transition, patience: timedelta) -> tuple[str, ...]:
        """See Probe."""
        command, timeout = f"command {self.document}", duration.written(self.timeout)
        waits = f"which is waited for until its timeout of {timeout} is over"
        agent = f"{command} runs only once the SSM agent of the new instance is registered, {waits}"
        slow = f"{command} may take {timeout}, and it gives up after {duration.written(patience)}"
        on_launch = transition is Transition.LAUNCHING
        return (*([slow] if self.timeout > patience else ()), *([agent] if on_launch else ()))

    @property
    def permissions(self) -> tuple[Permission, ...]:
        """See Probe. Reading commands cannot be confined."""
        instances = "arn:{partition}:ec2:{region}:{account}:instance/*"
        reads = ("ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:GetCommandInvocation")
        return (
            Permission(actions=("ssm:SendCommand",), resources=(self._document_arn, instances)),
            Permission(actions=reads),
        )

    @property
    def _document_arn(self) -> str:
        if self.document.startswith("arn:"):
            return self.document
        amazons = self.document.lower().startswith(("aws", "amazon", "amzn"))  # nobody else's may
        return f"arn:{{partition}}:ssm:{{region}}:{'' if amazons else '{account}'}:document/{self.document}"

    @property
    def takes_two_answers(self) -> bool:
        """See Probe. The status of an invocation that ended is its last."""
        return False

    @property
    def texts(self) -> tuple[str, ...]:
        """See PlaceholderProbe."""
        return tuple(text for _, texts in self.parameters for text in texts)

    def ask(self, action: Action, memory: Memory, now: datetime) -> Call:
        """Send; or find what was sent; or follow it; or fetch the output of what failed."""
        if "failed" in memory:
            return _output_of(action, memory)
        if COMMAND_ID in memory:
            return _invocation_of(action, memory)
        if "intended_at" in memory:
            return _commands_of(action, memory)
        return self._send(action, memory, now)

    def hear(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        """See Probe."""
        match call.operation:
            case "SendCommand":
                return self._sent(action, memory, reply, now)
            case "ListCommands":
                return self._listed(action, memory, call, reply, now)
            case "ListCommandInvocations":
                return self._followed(action, memory, reply, now)
            case _:
                return _failed_with_output(memory, reply)

    def _send(self, action: Action, memory: Memory, now: datetime) -> Call:
        intent = {"since": memory.get("since", now.isoformat()), "intended_at": now.isoformat()}
        left = _moment(intent, "since") + self.timeout - now
        parameters: dict[str, Any] = {
            "InstanceIds": [action.instance_id],
            "DocumentName": self.document,
            "Parameters": {name: [filled(text, action) for text in texts] for name, texts in self.parameters},
            "TimeoutSeconds": max(left, _LEAST_TIMEOUT) // _SECOND,
            "Comment": self._comment(action),
        }
        if self.version is not None:
            parameters["DocumentVersion"] = self.version
        return Call(service="ssm", operation="SendCommand", parameters=parameters, intent=intent)

    def _comment(self, action: Action) -> str:
        """A policy may send one document twice, with other parameters: the action alone names neither."""
        return f"usher {action.id} {self._digest}"[:100]

    def _sent(self, action: Action, memory: Memory, reply: Reply, now: datetime) -> Found:
        if reply.kind is ReplyKind.REFUSED and reply.code == _NOT_MANAGED:
            return self._not_managed(action, memory, reply, now)
        if reply.kind is ReplyKind.REFUSED and reply.code in _REFUSED_FOR_GOOD:
            return Found.failed(f"SSM refuses document {self.document}: {excerpt.beginning(reply.text)}")
        if reply.kind is not ReplyKind.ANSWERED:
            document = f"document {self.document}"
            version = f"version {self.version} of {document}"
            missing = {"InvalidDocument": document, "InvalidDocumentVersion": version}
            return not_answered(reply, memory, missing)
        command_id = text(reply.data, "Command", "CommandId")
        if not command_id:
            return Found.unknown("the answer to SendCommand has no id", memory)
        return Found.pending(f"sent as {command_id}", _EVERY, {**memory, COMMAND_ID: command_id})

    def _not_managed(self, action: Action, memory: Memory, reply: Reply, now: datetime) -> Found:
        """Nothing was sent. A new instance registers soon; the agent of an old one may be restarting."""
        launching = action.hook.transition is Transition.LAUNCHING
        patience = self.timeout if launching else min(self.timeout, _AGENT_RESTARTS)
        what = "SSM does not manage the instance" + (" yet" if launching else "")
        detail = f"{what}: its agent is not registered, not running, or not permitted ({reply.code})"
        if now >= _moment(memory, "since") + patience:
            return Found.failed(f"{detail}, for {duration.written(patience)}")
        return Found.pending(detail, _UNMANAGED_EVERY, {"since": memory["since"]})

    def _listed(self, action: Action, memory: Memory, call: Call, reply: Reply, now: datetime) -> Found:
        """Whether the command was sent, although no answer said so."""
        if reply.kind is not ReplyKind.ANSWERED:
            return not_answered(reply, memory, {})
        ours = (c for c in members(reply.data, "Commands") if text(c, "Comment") == self._comment(action))
        command_id = next(filter(None, (text(command, "CommandId") for command in ours)), None)
        if command_id is not None:
            return Found.next_call({"since": memory["since"], COMMAND_ID: command_id})
        if not isinstance(member(reply.data, "Commands"), list) or "NextToken" in reply.data:
            return Found.unknown("the answer to ListCommands is not the whole list", memory)
        return self._not_listed(memory, now - call.longest, now)

    def _not_listed(self, memory: Memory, read_at: datetime, now: datetime) -> Found:
        wait = _moment(memory, "intended_at") + SENT_AGAIN_AFTER - read_at
        if wait > timedelta():
            detail = "sending it was not answered, and it is not listed so far"
            return Found.unknown(detail, memory, max(wait, _SECOND))
        if not self._is_over(memory, now):
            return Found.next_call({"since": memory["since"]})
        if memory["intended_at"] == memory["since"]:  # a function was cut off before its only attempt
            return Found.next_call({})
        timeout = duration.written(self.timeout)
        return Found.failed(f"was not sent in {timeout}: no attempt was answered, none is listed")

    def _followed(self, action: Action, memory: Memory, reply: Reply, now: datetime) -> Found:
        if reply.kind is not ReplyKind.ANSWERED:
            return not_answered(reply, memory, {})
        invocation = _own_invocation(action, memory, reply.data)
        plugins = members(invocation, "CommandPlugins")
        match STATUSES.get(text(invocation, "Status")):
            case ConditionStatus.HOLDS:
                return Found.holds(_output(invocation, plugins[-1:]))
            case ConditionStatus.FAILED:
                broken = [plugin for plugin in plugins if text(plugin, "Status") in _PLUGIN_FAILED]
                return _failed(memory, _output(invocation, broken[:1]), broken)
            case ConditionStatus.PENDING:
                found = Found.pending(_output(invocation, []), _EVERY, memory)
                return self._unless_it_is_over(found, now)
        if invocation is None and isinstance(member(reply.data, "CommandInvocations"), list):
            found = Found.unknown(f"{memory[COMMAND_ID]} is not to be seen yet", memory, _EVERY)
            return self._unless_it_is_over(found, now)
        return Found.unknown(f"its status is not understood: {_output(invocation, []) or 'none'}", memory)

    def _unless_it_is_over(self, found: Found, now: datetime) -> Found:
        if not self._is_over(found.memory, now):
            return found
        return Found.failed(f"did not finish in {duration.written(self.timeout)}: {found.detail}")

    def _is_over(self, memory: Memory, now: datetime) -> bool:
        return now >= _moment(memory, "since") + self.timeout


def _parameters(field: Field) -> tuple[tuple[str, tuple[str, ...]], ...]:
    members = _PARAMETERS.members(field)
    found = tuple((name, attempt(_values, members[name], ())) for name in sorted(members))
    if sum(len(text) for name, texts in found for text in (name, *texts)) > MOST_CHARACTERS:
        raise field.refuse(f"must have at most {MOST_CHARACTERS} characters in all")
    return found


def _values(field: Field) -> tuple[str, ...]:
    elements = [field] if isinstance(field.value, str) else _VALUES.elements(field)
    return tuple(attempt(_VALUE.read, element, "") for element in elements)


def _commands_of(action: Action, memory: Memory) -> Call:
    after = iso_time.to_seconds(_moment(memory, "since") - _CLOCKS_DIFFER)
    parameters = {
        "InstanceId": action.instance_id,
        "Filters": [{"key": "InvokedAfter", "value": after}],
    }
    return Call(service="ssm", operation="ListCommands", parameters=parameters, all_pages=True)


def _invocation_of(action: Action, memory: Memory) -> Call:
    """GetCommandInvocation tells of one plugin; this tells of the whole document."""
    parameters = {"CommandId": memory[COMMAND_ID], "InstanceId": action.instance_id, "Details": True}
    return Call(service="ssm", operation="ListCommandInvocations", parameters=parameters, all_pages=True)


def _output_of(action: Action, memory: Memory) -> Call:
    parameters = {
        "CommandId": memory[COMMAND_ID],
        "InstanceId": action.instance_id,
        "PluginName": memory["plugin"],
    }
    return Call(service="ssm", operation="GetCommandInvocation", parameters=parameters)


def _own_invocation(action: Action, memory: Memory, data: object) -> object:
    wanted = (memory[COMMAND_ID], action.instance_id)
    found = members(data, "CommandInvocations")
    return next((one for one in found if (text(one, "CommandId"), text(one, "InstanceId")) == wanted), None)


def _failed(memory: Memory, reason: str, broken: list[object]) -> Found:
    """It failed for good. The plugin that broke it, if one did, may have said why."""
    plugin = text(broken[0], "Name") if broken else ""
    return Found.next_call({**memory, "failed": reason, "plugin": plugin}) if plugin else Found.failed(reason)


def _failed_with_output(memory: Memory, reply: Reply) -> Found:
    """That it failed is known already, whatever this answer is."""
    output = text(reply.data, "StandardErrorContent") if reply.kind is ReplyKind.ANSWERED else ""
    last = excerpt.end(output)
    return Found.failed(f"{memory['failed']}: {last}" if last else memory["failed"])


def _output(invocation: object, plugins: list[object]) -> str:
    """The status, its details where they say more, and the exit code of the plugin that counts."""
    status, details = text(invocation, "Status"), text(invocation, "StatusDetails")
    code = member(plugins[0], "ResponseCode") if plugins else None
    more = f" ({details})" if details not in ("", status) else ""
    ended = isinstance(code, int) and code >= 0  # -1: it did not run
    return excerpt.beginning(f"{status}{more}{f', exit code {code}' if ended else ''}")


def _moment(memory: Memory, key: str) -> datetime:
    return iso_time.parse(memory[key])
