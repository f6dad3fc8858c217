"""Fuzzes the doors: hostile inputs into every way into Usher, and what must hold whatever they say.

Each seed is a run of 250 inputs: an account with real actions in it, and then messages in every
envelope, wake-ups, sweeps, releases, hooks files and captured traffic. A seed decides everything.
Prints a tally, and for what breaks a rule the command that does it again.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import traceback
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from benchmarks.fuzz_stage import NO_HOOKS, Stage, is_ours, is_well_said, must, settings
from usher.core.action import Phase
from usher.core.compiled import compiled
from usher_cli import traffic
from usher_cli.html_report import page
from usher_cli.report import report
from usher_cli.story import print_story
from usher_hooksfile.load import HooksFileRefused, load
from usher_simulator.fakes.sqs_record import sqs_record
from usher_simulator.replay.cloudtrail import Call
from usher_simulator.replay.replay import Entry, replay
from usher_simulator.trials.hostile_inputs import Hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from usher.core.action import Action
    from usher.invocation import Event
    from usher_cli.traffic import Found

INPUTS_OF_A_SEED: Final = 250
_PROGRESS_EVERY: Final = 40  # seeds
_ROOT: Final = Path(__file__).parents[1]
_REAL: Final = ("events/messages", "usher_cli/sample", "../shared/captures")  # the last may be absent
_KINDS: Final = {"lifecycle", "duplicate", "test", "outcome", "signal", "ignored", "rejected"}
_MUST_SAY_WHY: Final = {"duplicate", "ignored", "rejected"}
# What a terminal, a log or a page would obey: controls, ends of lines, turns of direction, half characters.
_DAMAGED: Final = 0.05  # share of the wake-ups whose envelope is
_CHANNELS: Final = ("sqs", "batch", "sns in sqs", "sns", "eventbridge", "direct", "after failure", "damaged")
_LEAST_TOLD: Final = {"batch": 3, "direct": 0, "damaged": 0}  # of a batch of nothing there is nothing to tell
_DOORS: Final = {"message": 900, "wake": 40, "sweep": 20, "release": 20, "hooks": 16, "traffic": 4}


# -- the doors -------------------------------------------------------------------------------------


def sqs(*bodies: str) -> Event:
    """The event of an SQS batch."""
    return {"Records": [sqs_record(f"message-{number}", body) for number, body in enumerate(bodies)]}


def in_envelope(channel: str, body: str, hostile: Hostile) -> Any:  # noqa: ANN401 - any event
    """The event that brings `body` to intake by a channel: by SQS where Lambda would not parse it."""
    sns = {"Type": "Notification", "TopicArn": "arn:aws:sns:us-east-1:111122223333:t", "Message": body}
    kinds = ("EC2 Instance-launch Lifecycle Action", "EC2 Instance Launch Successful")
    event = {"source": "aws.autoscaling", "time": "2026-10-05T12:00:07Z", "detail": _parsed(body)}
    ways: dict[str, Callable[[], Any]] = {
        "sqs": lambda: sqs(body),
        "batch": lambda: sqs(body, hostile.message(), body),
        "sns in sqs": lambda: sqs(json.dumps(sns)),
        "sns": lambda: {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "Sns": sns}]},
        "eventbridge": lambda: event | {"detail-type": hostile.random.choice(kinds)},
        "direct": lambda: event["detail"],
        "after failure": lambda: sqs(_after_failure(body)),
        "damaged": lambda: hostile.damaged(sqs(json.dumps(sns), body[:10_000])),
    }
    unparsed = event["detail"] is None and channel in ("eventbridge", "direct")
    return ways["sqs" if unparsed else channel]()


def _after_failure(body: str) -> str:
    """What Lambda sends to the inbox of an invocation that failed."""
    return f'{{"requestContext":{{"condition":"RetriesExhausted"}},"requestPayload":{body}}}'


def _parsed(body: str) -> Any:  # noqa: ANN401 - any JSON
    """What Lambda's runtime would hand to the function; None where it would not get so far."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def texts_in(value: object) -> set[str]:
    """Every text in JSON data, also in JSON that stands in a text."""
    found: set[str] = set()
    rest: list[Any] = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            found.add(one)
            rest.append(_parsed(one) if one.strip()[:1] in ("{", "[", '"') and len(one) > 1 else None)
        elif isinstance(one, dict | list):
            rest += one.values() if isinstance(one, dict) else one
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Fuzz:
    """One seed: a stage with real actions on it, and hostile inputs."""

    stage: Stage
    hostile: Hostile
    folder: Path
    tally: Counter[str]

    def one_input(self) -> None:
        """Draw a door and an input; raises Broken, or whatever Usher raised."""
        (door,) = self.hostile.random.choices(list(_DOORS), list(_DOORS.values()))
        self.tally[f"door: {door}"] += 1
        getattr(self, f"_{door}")()

    def _message(self) -> None:
        channel = self.hostile.random.choice(_CHANNELS)
        self.tally[f"envelope: {channel}"] += 1
        event = in_envelope(channel, self.hostile.message(), self.hostile)
        self.deliver(event, _LEAST_TOLD.get(channel, 1))

    def deliver(self, event: Any, least: int) -> None:  # noqa: ANN401 - any event
        """Bring an event to intake; at least so many messages of it are told of."""
        stage = self.stage
        told, letters = len(stage.recorder.taken), len(stage.dead_letters.sent)
        before = {action.id: action for action in stage.store.actions()}
        failed = stage.intake(event, None).get("batchItemFailures", [])
        must(hold=not failed, or_else=f"delivered again for ever: {self._trouble()}")
        taken = stage.recorder.taken[told:]
        must(hold=len(taken) >= least, or_else=f"{least} messages, {len(taken)} told of")
        for kind, reason in taken:
            self.tally[kind] += 1
            must(hold=kind in _KINDS, or_else=f"an unknown kind {kind}")
            said = is_well_said(reason) if kind in _MUST_SAY_WHY else True
            must(hold=said, or_else=f"{kind} with the reason {reason[:300]!a}")
        rejected = [kind for kind, _ in taken].count("rejected")
        new_letters = stage.dead_letters.sent[letters:]
        must(
            hold=len(new_letters) == rejected, or_else=f"{rejected} rejected, {len(new_letters)} dead letters"
        )
        must(
            hold=all(is_well_said(one["Reason"]) for one in new_letters),
            or_else="a dead letter without reason",
        )
        self._check_changes(before, texts_in(event))

    def _check_changes(self, before: dict[str, Action], named: set[str]) -> None:
        """Only actions that the input names have changed, and new ones are of configured groups."""
        for action in self.stage.store.actions():
            if before.get(action.id) is action:
                continue
            is_named = not named.isdisjoint({action.id, action.token, action.instance_id})
            must(hold=is_named, or_else=f"action {action.id} changed, which the input does not name")
            must(hold=is_ours(action), or_else=f"an action of {action.hook.group}")
            must(hold=action.started_at <= self.stage.now, or_else=f"an action of {action.started_at}")
            self._check_told(action)

    def _check_told(self, action: Action) -> None:
        lines = [entry.detail for entry in self.stage.store.timeline(action.id)]
        must(hold=all(map(is_well_said, lines)), or_else=f"a timeline with {_unsaid(lines)}")
        must(
            hold=not action.reason or is_well_said(action.reason),
            or_else=f"the reason {action.reason!a}",
        )

    def _wake(self) -> None:
        actions = self.stage.store.actions()
        action = self.hostile.random.choice(actions)
        body = self.hostile.wake_up(action.id, self.hostile.random.choice((action.version, action.stamp)))
        letters, before = len(self.stage.dead_letters.sent), {one.id: one for one in actions}
        event = sqs(body)
        if self.hostile.random.random() < _DAMAGED:
            event = {"Records": [event["Records"][0] | {"body": self.hostile.damaged([body])}]}
        failed = self.stage.wake(event, None)["batchItemFailures"]
        must(hold=not failed, or_else=f"woken again for ever: {self._trouble()}")
        new_letters = self.stage.dead_letters.sent[letters:]
        must(
            hold=all(is_well_said(one["Reason"]) for one in new_letters),
            or_else="a dead letter without reason",
        )
        self.tally["wake: rejected" if new_letters else "wake: taken"] += 1
        self._check_changes(before, texts_in(body))

    def _sweep(self) -> None:
        """Some time later, with an event that says anything: what was recorded can be looked at."""
        stage = self.stage
        stage.now += timedelta(seconds=self.hostile.random.choice((1, 60, 90, 300, 4000)))
        stage.sweep(_parsed(self.hostile.message()), None)
        must(hold=not stage.recorder.troubles, or_else=self._trouble())
        for action in stage.store.actions():
            self._check_told(action)

    def _release(self, request: str | None = None) -> None:
        """CloudFormation's request, damaged: what cannot be answered is refused before anything is done."""
        asked = {
            "RequestType": request or self.hostile.random.choice(("Create", "Update")),
            "ResponseURL": "https://answers.example/",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "Hooks",
            "ResourceProperties": {"File": compiled(NO_HOOKS).text},
        }
        event, answers = self.hostile.damaged(asked), len(self.stage.answers)
        before = self.stage.store.actions()
        try:
            self.stage.provision.handle(event)
        except (KeyError, TypeError):
            self.tally["release: refused"] += 1
            must(hold=self.stage.store.actions() == before, or_else="a release that nobody is told of")
            return
        self.tally["release: answered"] += 1
        must(hold=len(self.stage.answers) == answers + 1, or_else="CloudFormation waits for an hour")

    def last_input(self) -> None:
        """The stack is deleted, and with it whatever the inputs before left."""
        self._release("Delete")

    def _hooks(self) -> None:
        text = (self.hostile.random.choice(_hooks_files())).encode()
        for _ in range(self.hostile.random.randint(1, 3)):
            text = self.hostile.text_damage(text.decode(errors="replace")).encode(errors="surrogatepass")
        file = self.folder / "hooks.yaml"
        file.write_bytes(text)
        try:
            load(file)
        except HooksFileRefused as refused:
            self.tally["hooks: refused"] += 1
            lines = text.count(b"\n") + 2
            for said in refused.complaints:
                _, _, place = said.partition(str(file))
                number = place[1:].partition(":")[0]
                has_line = number.isdigit() and 1 <= int(number) <= lines
                must(hold=has_line or "it must have version" in said, or_else=f"no line: {said!a}")
                must(hold=is_well_said(said), or_else=f"the complaint {said[:300]!a}")
        else:
            self.tally["hooks: sound"] += 1

    def _traffic(self) -> None:
        file = self.folder / self.hostile.random.choice(("a.json", "a.jsonl", "a.txt"))
        file.write_bytes(self.hostile.lines().encode(errors="surrogatepass"))
        found: Sequence[Found] = list(traffic.read((str(file),)))
        entries = [one for one in found if isinstance(one, Entry)]
        calls = [one for one in found if isinstance(one, Call)]
        replayed = replay(entries, settings(), calls=calls)
        told = report(replayed, [one for one in found if isinstance(one, traffic.Unreadable)])
        must(
            hold=told["summary"]["received"] == len(found), or_else=f"{len(found)} entries, {told['summary']}"
        )
        reasons = [place["reason"] for place in (*told["ignored"], *told["rejected"])]
        must(hold=all(map(is_well_said, reasons)), or_else=f"a report with {_unsaid(reasons)}")
        json.dumps(told).encode()
        page(told, replayed).encode()
        print_story(told, Console(file=io.StringIO(), width=1000))
        self.tally["traffic: replayed"] += 1

    def _trouble(self) -> str:
        if not self.stage.recorder.troubles:
            return "and no word of trouble"
        what, error = self.stage.recorder.troubles[-1]
        where = "".join(traceback.format_exception(error)[-2:])
        return f"{what[:200]}: {type(error).__name__}: {str(error)[:300]!a}\n{where[:1500]}"


def _unsaid(texts: Iterable[str]) -> str:
    return ascii(next((text for text in texts if not is_well_said(text)), "")[:300])


def _hooks_files() -> list[str]:
    return [(_ROOT / name).read_text(encoding="utf-8") for name in ("hooks.yaml", "events/hooks.yaml")]


def real_messages() -> list[str]:
    """The bodies of the project's own messages, and of the recorded AWS traffic where it is there."""
    folders = tuple(str(_ROOT / folder) for folder in _REAL if (_ROOT / folder).is_dir())
    found = [one.body for one in traffic.read(folders) if isinstance(one, Entry)]
    return [body for body in found if isinstance(_parsed(body), dict)]


def run_seed(seed: int, folder: Path, inputs: int = INPUTS_OF_A_SEED) -> Counter[str]:
    """Run one seed; raises Broken, or whatever Usher raised."""
    random = Random(seed)  # noqa: S311 - to fuzz, not to keep secrets
    messages = real_messages()
    stage = Stage(random)
    tally: Counter[str] = Counter()
    fuzz = Fuzz(stage=stage, hostile=Hostile(random, messages), folder=folder, tally=tally)
    for message in messages:
        fuzz.deliver(sqs(message), 1)
    open_ones = [action for action in stage.store.actions() if action.phase is not Phase.CLOSED]
    must(hold=bool(open_ones), or_else="no action to disturb")
    tally.clear()
    for _ in range(inputs):
        fuzz.one_input()
    fuzz.last_input()
    return tally


def main() -> int:
    """Run as many seeds as it takes; 1 where anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    seeds = -(-arguments.inputs // INPUTS_OF_A_SEED)
    tally: Counter[str] = Counter()
    broken, began = 0, perf_counter()
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(range(arguments.seed, arguments.seed + seeds), start=1):
            try:
                tally += run_seed(seed, Path(folder))
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                broken += 1
                traceback.print_exc(limit=-4)
                print(f"again: make fuzz INPUTS={INPUTS_OF_A_SEED} SEED={seed}", file=sys.stderr)
            if number % _PROGRESS_EVERY == 0:
                print(f"{number * INPUTS_OF_A_SEED} inputs, {broken} seeds broken", file=sys.stderr)
    seconds = perf_counter() - began
    for name, number in sorted(tally.items()):
        print(f"{name:<24} {number:>8}")
    inputs = seeds * INPUTS_OF_A_SEED
    print(f"{inputs / seconds:.0f} inputs a second")
    verdict = f"{broken} seeds broken" if broken else "no unhandled error"
    print(f"{inputs} inputs from seed {arguments.seed}: {verdict}")
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
