"""Runs inside the emulator's own Python: MiniStack, which hands Auto Scaling and Lambda over to the account.

It is told what it needs in the first line of its standard input, and ends when that input ends, so that
no emulator outlives the process that opened the account. It imports the standard library and MiniStack.
"""

from __future__ import annotations

import asyncio
import functools
import http.client
import importlib
import json
import os
import secrets
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence

    Answer = tuple[int, dict[str, str], bytes]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Mapping[str, Any]]]
    Send = Callable[[Mapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

VERSION: Final = "1.5.33"
# What adds to a queue's messages, or puts another list of them in place of the one that is there.
_WRITES_MESSAGES: Final = (
    ("ministack.services.eventbridge", "_dispatch_to_sqs"),
    ("ministack.services.lambda_svc", "_route_async_failure"),
    ("ministack.services.lambda_svc", "_send_ddb_stream_failure_record"),
    ("ministack.services.s3", "_deliver_event_to_sqs"),
    ("ministack.services.sns", "_deliver_to_sqs"),
    ("ministack.services.sqs", "_act_send_message"),  # of a batch, too
    ("ministack.services.sqs", "_dlq_sweep"),
    ("ministack.services.sqs", "_expire_retained"),
)
# Every name of MiniStack that is used here. All but the first are internals, so they are looked up before
# anything starts, and the version is pinned.
SEAMS: Final = (
    ("ministack.app", "app"),  # the ASGI application
    ("ministack.core.concurrency", "run_reentrant"),
    ("ministack.core.iam_evaluator", "EvalContext"),
    ("ministack.core.iam_evaluator", "enforce"),
    ("ministack.core.iam_evaluator", "evaluate_trust_policy"),
    ("ministack.core.iam_evaluator", "resolve_caller_identity"),
    ("ministack.core.lambda_runtime", "execution_credentials"),
    ("ministack.core.responses", "get_account_id"),
    ("ministack.core.responses", "get_region"),
    ("ministack.services.autoscaling", "handle_request"),
    ("ministack.services.cloudformation.provisioners", "_RESOURCE_HANDLERS"),
    ("ministack.services.cloudformation.stacks", "_runs_on_worker_thread"),
    ("ministack.services.eventbridge", "_put_events"),
    ("ministack.services.iam", "_roles"),
    ("ministack.services.lambda_svc", "_execute_function_warm"),
    ("ministack.services.sqs", "_HANDLERS"),
    ("ministack.services.sqs", "_queues_lock"),
    ("ministack.services.ssm", "_PUBLIC_AMI_PARAMETERS"),
    ("ministack.services.sts", "register_session"),
    ("ministack.services.tagging", "resource_tags"),
    *_WRITES_MESSAGES,
)
_WRITES_MESSAGES_BY_NAME: Final = ("SendMessage", "DeleteMessage", "DeleteMessageBatch")
RESOURCE_TYPES: Final = ("AWS::AutoScaling::AutoScalingGroup", "AWS::AutoScaling::LifecycleHook")
# The parameter of AWS's own that names the demo's machine image, which MiniStack lacks.
_IMAGE: Final = {"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-6.1-arm64": "ami-00000000000000001"}
# Batches have no action of their own in IAM, as MiniStack takes them to have (aws-facts 5).
_ACTIONS: Final = {"sqs:SendMessageBatch": "sqs:SendMessage"}
_SERVICE: Final = "autoscaling.amazonaws.com"
_GROUP: Final = ":autoScalingGroupName/"
_XMLNS: Final = "{http://autoscaling.amazonaws.com/doc/2011-01-01/}"
_KEPT_ALIVE_S: Final = 3600  # a client that makes one attempt must not meet the end of an idle connection
UNFIT: Final = 3  # the exit status where the version or a name does not fit


def main() -> None:
    """Serve until standard input ends."""
    told = json.loads(sys.stdin.readline())
    sys.path.insert(0, told["packages"])
    unfit = misfit(version("ministack"), lambda module, name: hasattr(_module(module), name))
    if unfit:
        sys.stderr.write(f"{unfit}\n")
        sys.exit(UNFIT)
    threading.Thread(target=_end_with_input, daemon=True).start()
    _hand_over_auto_scaling(told["auto_scaling"], told["callbacks"])
    _hand_over_functions(told["callbacks"], Path(told["code"]))
    _correct_and_tell(Path(told["trail"]))
    keep_every_message()
    _module("ministack.services.ssm")._PUBLIC_AMI_PARAMETERS.update(_IMAGE)  # noqa: SLF001
    _serve(told["socket"], told["back_door"])


def misfit(found: str, has: Callable[[str, str], bool]) -> str | None:
    """What of MiniStack is not as this module needs it; None where all is."""
    if found != VERSION:
        return f"MiniStack {VERSION} is needed, {found} is installed; requirements/account.txt names it."
    missing = [f"{module}.{name}" for module, name in SEAMS if not has(module, name)]
    if missing:
        return (
            f"This MiniStack {VERSION} has no {', '.join(missing)}: was it changed? Delete build/account-*."
        )
    return None


def _module(name: str) -> Any:  # noqa: ANN401 - a module of MiniStack, which has no types
    return importlib.import_module(name)


def _end_with_input() -> None:
    """Nothing here is worth saving, and threads in the middle of something must not hold the end up."""
    sys.stdin.read()
    os._exit(0)


# -- Auto Scaling: calls, and what CloudFormation makes -------------------------------------------------


def _hand_over_auto_scaling(url: str, callbacks: str) -> None:
    async def handle_request(
        method: str,  # noqa: ARG001 - as MiniStack calls it
        path: str,  # noqa: ARG001
        headers: Mapping[str, str],  # noqa: ARG001
        body: bytes,
        query_params: Mapping[str, Sequence[str]],  # noqa: ARG001
    ) -> Answer:
        answer: Answer = await apart(_post, url, body, "application/x-www-form-urlencoded")
        return answer

    apart = _module("ministack.core.concurrency").run_reentrant  # a put sends a message before it is answered
    _module("ministack.services.autoscaling").handle_request = handle_request
    handlers = _module("ministack.services.cloudformation.provisioners")._RESOURCE_HANDLERS  # noqa: SLF001
    for kind in RESOURCE_TYPES:
        handlers[kind] = _resource_handler(kind, callbacks)
    tagging = _module("ministack.services.tagging")
    of_others = tagging.resource_tags
    tagging.resource_tags = lambda arn: tags_of_group(url, arn) if _GROUP in arn else of_others(arn)
    stacks = _module("ministack.services.cloudformation.stacks")
    is_apart = stacks._runs_on_worker_thread  # noqa: SLF001
    stacks._runs_on_worker_thread = lambda kind: kind in RESOURCE_TYPES or is_apart(kind)  # noqa: SLF001


def tags_of_group(url: str, arn: str) -> dict[str, str]:
    """The tags that a condition on `aws:ResourceTag` is about: simulated Auto Scaling has them."""
    asked = {"Action": "DescribeTags", "Filters.member.1.Name": "auto-scaling-group"}
    asked["Filters.member.1.Values.member.1"] = arn.rpartition(_GROUP)[2]
    _, _, body = _post(url, urlencode(asked).encode(), "application/x-www-form-urlencoded")
    found = ET.fromstring(body).iter(f"{_XMLNS}member")  # noqa: S314 - of the account's own simulator
    tags = ((tag.findtext(f"{_XMLNS}Key"), tag.findtext(f"{_XMLNS}Value")) for tag in found)
    return {key: value or "" for key, value in tags if key}


def _resource_handler(kind: str, callbacks: str) -> dict[str, Any]:
    """What MiniStack's CloudFormation calls for a resource of this type."""

    def change(request: str, **asked: object) -> tuple[str, dict[str, Any]]:
        answer = _ask(callbacks, "resources", {"request": request, "type": kind, **asked})
        if "error" in answer:
            raise ValueError(answer["error"])  # it stands as the reason in the stack's events
        return answer["id"], answer["attributes"]

    def create(logical_id: str, props: object, stack_name: str) -> tuple[str, dict[str, Any]]:
        return change("create", id=f"{stack_name}-{logical_id}", properties=props)

    def update(physical_id: str, old: object, props: object, _: str) -> tuple[str, dict[str, Any]]:
        return change("update", id=physical_id, old=old, properties=props)

    def delete(physical_id: str, props: object) -> None:
        change("delete", id=physical_id, properties=props)

    return {"create": create, "update": update, "delete": delete}


# -- Lambda: the deployed code runs outside, as Lambda runs it --------------------------------------------


def _hand_over_functions(callbacks: str, folder: Path) -> None:
    credentials = _module("ministack.core.lambda_runtime").execution_credentials

    def execute(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = function.get("config") or function
        asked = {
            "config": config,
            "event": event,
            "request_id": request_id,
            "credentials": credentials(config),
            "code": _kept(function["code_zip"], folder, config["CodeSha256"]),
        }
        return _ask(callbacks, "functions", asked)

    _module("ministack.services.lambda_svc")._execute_function_warm = execute  # noqa: SLF001


def _kept(code: bytes, folder: Path, sha256: str) -> str:
    """The path of the code as a file, written once."""
    path = folder / f"{sha256.replace('/', '_')}.zip"
    if not path.exists():
        half = folder / secrets.token_hex(8)
        half.write_bytes(code)
        half.rename(path)
    return str(path)


# -- SQS: threads must not lose each other's messages -----------------------------------------------------


def keep_every_message() -> None:
    """Have one thread at a time write a queue's messages.

    An event source mapping polls in a thread of its own. It reads the list of messages and puts another in
    its place, and what a request appended in between was lost without a word.
    """
    sqs = _module("ministack.services.sqs")
    lock = threading.RLock()  # it is taken again by what the mappings call with the lock
    sqs._queues_lock = lock  # noqa: SLF001

    def alone(write: Callable[..., object]) -> Callable[..., object]:
        @functools.wraps(write)
        def written(*args: object, **named: object) -> object:
            with lock:
                return write(*args, **named)

        return written

    for name, function in _WRITES_MESSAGES:
        setattr(_module(name), function, alone(getattr(_module(name), function)))
    handlers = sqs._HANDLERS  # noqa: SLF001
    handlers |= {action: alone(handlers[action]) for action in _WRITES_MESSAGES_BY_NAME}


# -- IAM: what it is asked, and what it decided, as a trail -------------------------------------------------


def _correct_and_tell(path: Path) -> None:
    """Ask IAM for the right action, and append a line of JSON for each call of a role."""
    evaluator = _module("ministack.core.iam_evaluator")
    enforce = evaluator.enforce
    lock = threading.Lock()

    def enforce_and_tell(key: str, action: str, *rest: str, resource_arn: str = "*", **more: Any) -> Any:  # noqa: ANN401 - as MiniStack has it
        action = _ACTIONS.get(action, action)
        refusal = enforce(key, action, *rest, resource_arn=resource_arn, **more)
        caller = evaluator.resolve_caller_identity(key) or {}
        principal = caller.get("userArn", "")
        if not principal.endswith(":root"):
            decision = "Deny" if refusal else "Allow"
            told = {"principal": principal, "action": action, "resource": resource_arn, "decision": decision}
            with lock, path.open("a", encoding="utf-8") as trail:
                trail.write(json.dumps(told) + "\n")
        return refusal

    evaluator.enforce = enforce_and_tell


# -- The back door: what Auto Scaling does in an account that nobody else may ------------------------------


def _serve(listening: int, back_door: str) -> None:
    from hypercorn.asyncio import serve  # noqa: PLC0415 - after the path is set
    from hypercorn.config import Config  # noqa: PLC0415

    config = Config()
    config.bind = [f"fd://{listening}"]
    config.accesslog = None
    config.keep_alive_timeout = _KEPT_ALIVE_S
    asyncio.run(serve(_with_back_door(_module("ministack.app").app, back_door), config))


def _with_back_door(app: App, back_door: str) -> App:
    """`app`, with two more paths, whose beginning is a secret."""
    services = {f"/{back_door}/events": _put_events, f"/{back_door}/sts": _assume_role}

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        answer = services.get(scope["path"].rstrip("/")) if scope["type"] == "http" else None
        if answer is None:
            # Policies deny what does not come over TLS; on the loopback interface nothing needs to.
            await app({**scope, "scheme": "https"} if scope["type"] == "http" else scope, receive, send)
            return
        status, headers, body = answer(await _body(receive))
        headers = {**headers, "Content-Length": str(len(body))}
        lines = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": body})

    return either


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        part = await receive()
        body += bytes(part.get("body", b""))
        if not part.get("more_body"):
            return body


def _put_events(body: bytes) -> Answer:
    """PutEvents, for a source of AWS's own, which PutEvents refuses to everybody else."""
    put = _module("ministack.services.eventbridge")._put_events  # noqa: SLF001
    answer: Answer = put(json.loads(body), allow_aws_source=True)
    return answer


def _assume_role(body: bytes) -> Answer:
    """AssumeRole, as the service Auto Scaling: the role's trust policy decides."""
    role_arn = parse_qs(body.decode())["RoleArn"][0]
    role = _module("ministack.services.iam")._roles.get(role_arn.rpartition("/")[2])  # noqa: SLF001
    if role is None or not _is_trusted(role_arn, role):
        message = f"{_SERVICE} is not authorized to perform: sts:AssumeRole on {role_arn}"
        return 403, _XML, _ASSUME_REFUSED.format(message=message).encode()
    key, secret, token = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_hex(32)
    account = _module("ministack.core.responses").get_account_id()
    arn = f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/AutoScaling"
    session = {"Arn": arn, "UserId": f"{role['RoleId']}:AutoScaling", "AccountId": account}
    session |= {"SecretAccessKey": secret, "SessionToken": token, "PrincipalType": "AssumedRole"}
    _module("ministack.services.sts").register_session(key, session)
    return 200, _XML, _ASSUMED.format(key=key, secret=secret, token=token).encode()


def _is_trusted(role_arn: str, role: Mapping[str, Any]) -> bool:
    """Whether Auto Scaling may assume it: MiniStack checks conditions, but not which service it is."""
    responses, evaluator = _module("ministack.core.responses"), _module("ministack.core.iam_evaluator")
    account, region = responses.get_account_id(), responses.get_region()
    # Which group it is does not reach this place; that it is one of this account and Region does.
    source = f"arn:aws:autoscaling:{region}:{account}:autoScalingGroup:0:autoScalingGroupName/local"
    context = evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{account}:root",  # so it calls what a service does
        principal_type="Root",
        principal_account=account,
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=region,
        service_context={"aws:sourceaccount": account, "aws:sourcearn": source},
    )
    document = role["AssumeRolePolicyDocument"]
    parsed = json.loads(document) if isinstance(document, str) else document
    ours = [statement for statement in parsed["Statement"] if _names_auto_scaling(statement)]
    return bool(evaluator.evaluate_trust_policy({"Statement": ours}, context.principal_arn, context))


def _names_auto_scaling(statement: Mapping[str, Any]) -> bool:
    services = statement.get("Principal", {}).get("Service", [])
    return _SERVICE in ([services] if isinstance(services, str) else services)


_XML: Final = {"Content-Type": "text/xml"}
_ASSUMED: Final = (
    '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
    "<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
    "<SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
_ASSUME_REFUSED: Final = (
    '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
    "<Code>AccessDenied</Code><Message>{message}</Message></Error></ErrorResponse>"
)


# -- HTTP ---------------------------------------------------------------------------------------------------


def _ask(callbacks: str, what: str, question: object) -> dict[str, Any]:
    _, _, body = _post(f"{callbacks}/{what}", json.dumps(question, default=str).encode(), "application/json")
    answer: dict[str, Any] = json.loads(body)
    return answer


def _post(url: str, body: bytes, content_type: str) -> Answer:
    """Without a limit on the time: a function has its own, and a stack may wait for a group to empty."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    try:
        connection.request("POST", parts.path or "/", body, {"Content-Type": content_type})
        answer = connection.getresponse()
        headers = {"Content-Type": answer.getheader("Content-Type") or "text/xml"}
        return answer.status, headers, answer.read()
    finally:
        connection.close()


if __name__ == "__main__":
    main()
