"""What the store in DynamoDB promises besides: its items, lost answers, refusals, sizes."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import botocore.exceptions
import botocore.parsers
import pytest

from tests.contract.dynamodb import NO_ANSWER, lose_answers, refuse
from tests.contract.stores import (
    INSTANCE,
    LATER,
    TOKEN,
    a_raw,
    a_test,
    after,
    closed,
    due_ids,
    heard_ids,
    items,
    loaded,
    opened,
    state_item,
    told,
)
from tests.factories import a_signal, an_action, an_activity_end, at
from usher.aws import table as dynamodb
from usher.aws.dynamodb_answers import TRIES
from usher.core.action import MOST_RECENT, Status
from usher.ports.errors import Denied, Moved, NoAnswer, Unavailable, is_denied
from usher.ports.records import Raw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from usher.aws.records import RecordTable
    from usher.ports.records import Store


def test_one_signal_a_minute_is_put_aside_for_an_export(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    for second in range(0, 180, 5):
        progress = a_signal(event_id=f"event-{second:03}", at=at(second), status=Status.PROGRESS)
        records.keep_signal(progress)

    said = [item["sk"]["S"] for item in items(client, table) if item["pk"]["S"].startswith("SAID#")]
    assert [name.rpartition("#")[2] for name in sorted(said)] == ["event-055", "event-115"]


def client_error(code: str, reasons: Sequence[str] = ()) -> botocore.exceptions.ClientError:
    response: dict[str, Any] = {"Error": {"Code": code, "Message": "as DynamoDB says it"}}
    if reasons:
        response["CancellationReasons"] = [{"Code": reason} for reason in reasons]
    return botocore.exceptions.ClientError(response, "AnyOperation")


def cancelled(*reasons: str) -> botocore.exceptions.ClientError:
    return client_error("TransactionCanceledException", reasons)


BUSY: Final = [
    pytest.param(cancelled("None", "TransactionConflict"), id="conflict"),
    pytest.param(cancelled("ThrottlingError", "None"), id="throttled write"),
    pytest.param(cancelled("ProvisionedThroughputExceeded"), id="write over capacity"),
    pytest.param(client_error("ProvisionedThroughputExceededException"), id="over capacity"),
    pytest.param(client_error("ThrottlingException"), id="throttled"),
    pytest.param(client_error("RequestLimitExceeded"), id="over the account's limit"),
    pytest.param(client_error("TransactionInProgressException"), id="in progress"),
    pytest.param(client_error("InternalServerError"), id="server error"),
]
UNREACHABLE: Final = [
    pytest.param(botocore.exceptions.ConnectTimeoutError(endpoint_url="https://d"), id="connect timeout"),
    pytest.param(botocore.exceptions.ReadTimeoutError(endpoint_url="https://d"), id="read timeout"),
    pytest.param(botocore.exceptions.ConnectionClosedError(endpoint_url="https://d"), id="closed"),
    pytest.param(
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://d", error="no route"), id="no route"
    ),
    pytest.param(botocore.parsers.ResponseParserError("<html>"), id="a page of its own"),
]


def test_every_item_has_a_time_to_live_from_its_first_write(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    action = records.open(an_action().noted(at(0), "notified", "by sqs"), a_raw())
    records.keep_signal(a_signal(at=at(0)))
    records.keep_signal(a_signal(at=at(0), instance_id=None, token=TOKEN))
    records.keep_move_end(an_activity_end())
    records.keep_test(a_test("request-1", at(0)))
    records.keep_instance_end(INSTANCE, at(0))
    records.keep_heard("workers-1", at(0))
    records.resume("*")
    for number in range(MOST_RECENT):
        action = action.noted(at(number), "wait", f"{number}")
    records.save(closed(after(action)), raw=a_raw("copy"))

    kinds = Counter(item["sk"]["S"].split("#")[0] for item in items(client, table))
    assert kinds == {
        "STATE": 1,
        "LINE": 1,
        "RAW": 2,
        "ACTION": 2,
        "HEARD": 3,
        "SIGNAL": 2,
        "TEST": 1,
        "HOOK": 1,
    }
    expiries = [int(item[dynamodb.TTL_ATTRIBUTE]["N"]) for item in items(client, table)]
    assert min(expiries) > at(3600).timestamp()


def test_a_pause_never_lapses_by_itself(client: DynamoDBClient, table: str, records: RecordTable) -> None:
    records.pause("usher-drain", "me")

    (item,) = items(client, table)
    assert dynamodb.TTL_ATTRIBUTE not in item


def test_that_a_group_was_heard_of_is_written_once_a_day_and_kept_for_400(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    written = []
    for second in (0, 3600, 86_399, 86_400, 90_000):
        records.keep_heard("workers-1", at(second))
        (item,) = items(client, table)
        written.append(int(item[dynamodb.TTL_ATTRIBUTE]["N"]) - int(at(0).timestamp()))
    days = 400 * 86_400
    assert written == [days, days, days, days + 86_400, days + 86_400]


def test_the_evidence_of_an_action_takes_one_read_a_partition(
    client: DynamoDBClient, records: RecordTable
) -> None:
    records.keep_instance_end(INSTANCE, at(0))
    records.pause("usher-drain", "me")
    reads = [refuse(client, operation, []) for operation in ("Query", "GetItem", "BatchGetItem")]

    records.evidence(an_action())
    records.evidence(an_action(token=None))

    assert [read.total() for read in reads] == [3 + 2, 0, 0]


@pytest.mark.parametrize(
    ("first_seen_at", "kept_until"),
    [
        pytest.param(at(0), at(48 * 3600) + timedelta(days=30), id="from the latest end"),
        pytest.param(at(72 * 3600), at(72 * 3600) + timedelta(days=30), id="from the first sight, if later"),
    ],
)
def test_an_action_is_kept_for_the_retention_after_it_can_end(
    client: DynamoDBClient, table: str, records: RecordTable, first_seen_at: datetime, kept_until: datetime
) -> None:
    opened(records, first_seen_at=first_seen_at)

    assert state_item(client, table)["keep_until"] == {"N": str(int(kept_until.timestamp()))}


def test_a_lost_answer_to_an_open_is_no_second_action(client: DynamoDBClient, records: RecordTable) -> None:
    lose_answers(client, "TransactWriteItems", [True])
    with pytest.raises(Unavailable):
        opened(records)

    assert opened(records) == an_action()
    assert opened(records, id="action-2") == an_action()
    assert due_ids(records, LATER) == ["action-1"]


SAVES: Final = [
    pytest.param("PutItem", None, id="alone"),
    pytest.param("TransactWriteItems", Raw(received_at=at(1), body="copy"), id="with a notification"),
]


@pytest.mark.parametrize(("operation", "raw"), SAVES)
def test_a_lost_answer_to_a_save_is_recognised_as_its_own_success(
    client: DynamoDBClient, records: RecordTable, operation: str, raw: Raw | None
) -> None:
    action = opened(records)
    saved = closed(after(action).noted(at(1), "closed", "completed"))
    lose_answers(client, operation, [True])
    with pytest.raises(Unavailable):
        records.save(saved, raw=raw)

    records.save(saved, raw=raw)

    assert loaded(records) == saved
    assert told(records) == [(1, "completed", 1)]


def test_a_server_error_after_the_store_was_applied_is_a_success(
    client: DynamoDBClient, records: RecordTable
) -> None:
    action = opened(records)
    server_errors = iter([client_error("InternalServerError")])

    def fail(**_: object) -> None:
        for error in server_errors:
            raise error

    for operation in ("PutItem", "TransactWriteItems"):
        client.meta.events.register(f"after-call.dynamodb.{operation}", fail)
    records.save(closed(after(action)))

    assert loaded(records) == closed(after(action))


@pytest.mark.parametrize("error", BUSY)
def test_a_write_that_stays_busy_is_unavailable_after_a_few_tries(
    client: DynamoDBClient, records: RecordTable, error: Exception
) -> None:
    action = opened(records)
    calls = refuse(client, "TransactWriteItems", itertools.repeat(error))

    with pytest.raises(Unavailable, match="busy"):
        records.save(after(action), raw=a_raw())

    assert calls["TransactWriteItems"] == TRIES
    assert loaded(records) == action


def test_a_write_that_is_busy_for_a_moment_is_tried_again(
    client: DynamoDBClient, records: RecordTable
) -> None:
    action = opened(records)
    refuse(client, "TransactWriteItems", [cancelled("None", "TransactionConflict")] * 2)

    records.save(after(action), raw=a_raw())

    assert loaded(records) == after(action)


def test_a_refused_condition_is_not_tried_again_though_another_write_was_busy(
    client: DynamoDBClient, records: RecordTable
) -> None:
    action = opened(records)
    calls = refuse(client, "TransactWriteItems", [cancelled("TransactionConflict", "ConditionalCheckFailed")])

    with pytest.raises(Moved):
        records.save(after(action), raw=a_raw())

    assert calls["TransactWriteItems"] == 1


@pytest.mark.parametrize(("operation", "raw"), SAVES)
def test_a_save_that_moved_is_known_from_one_answer(
    client: DynamoDBClient, records: RecordTable, operation: str, raw: Raw | None
) -> None:
    action = opened(records)
    records.save(after(action))
    calls = refuse(client, operation, [])

    with pytest.raises(Moved):
        records.save(after(action, "evaluation-3"), raw=raw)

    assert calls == {operation: 1}


DOINGS: Final = [
    pytest.param("TransactWriteItems", lambda store: opened(store, id="x", token="x" * 36), id="open"),
    pytest.param("PutItem", lambda store: store.save(after(an_action())), id="save"),
    pytest.param("TransactWriteItems", lambda store: store.save(after(an_action()), raw=a_raw()), id="copy"),
    pytest.param("GetItem", lambda store: store.load("action-1"), id="load"),
    pytest.param("GetItem", lambda store: store.of_token(TOKEN), id="of_token"),
    pytest.param("BatchGetItem", lambda store: store.of_instance(INSTANCE), id="of_instance"),
    pytest.param("Query", lambda store: store.due(LATER), id="due"),
    pytest.param("GetItem", lambda store: store.keep_signal(a_signal()), id="keep_signal"),
    pytest.param("PutItem", lambda store: store.keep_move_end(an_activity_end()), id="keep_move_end"),
    pytest.param(
        "PutItem",
        lambda store: store.keep_instance_state("i-1", at(0), is_stopped=True),
        id="keep_instance_state",
    ),
    pytest.param("PutItem", lambda store: store.keep_instance_end("i-1", at(0)), id="keep_instance_end"),
    pytest.param("PutItem", lambda store: store.pause("usher-drain", "me"), id="pause"),
    pytest.param("PutItem", lambda store: store.resume("usher-drain"), id="resume"),
    pytest.param("Query", lambda store: store.pauses(), id="pauses"),
    pytest.param("PutItem", lambda store: store.keep_test(a_test("r", at(0))), id="keep_test"),
    pytest.param("Query", lambda store: store.evidence(an_action()), id="evidence"),
    pytest.param("Query", lambda store: store.timeline("action-1"), id="timeline"),
    pytest.param("Query", lambda store: store.tests("workers-1"), id="tests"),
    pytest.param("Query", lambda store: store.raws("action-1"), id="raws"),
]


@pytest.mark.parametrize(("operation", "do"), DOINGS)
def test_what_does_not_answer_is_unavailable(
    client: DynamoDBClient, records: RecordTable, operation: str, do: Callable[[Store], object]
) -> None:
    opened(records)
    refuse(client, operation, itertools.repeat(NO_ANSWER))

    with pytest.raises(Unavailable, match="did not answer"):
        do(records)


@pytest.mark.parametrize("error", UNREACHABLE)
def test_whatever_cuts_a_call_off_is_no_answer(
    client: DynamoDBClient, records: RecordTable, error: Exception
) -> None:
    refuse(client, "GetItem", itertools.repeat(error))

    with pytest.raises(NoAnswer, match="did not answer"):
        records.load("action-1")


@pytest.mark.parametrize("code", ["InternalFailure", "503"])
def test_what_aws_has_broken_is_no_answer(client: DynamoDBClient, records: RecordTable, code: str) -> None:
    """Found by reading: under a code that nobody had listed it was raised, and nothing was held."""
    opened(records)
    error = client_error(code)
    error.response["ResponseMetadata"] = {"HTTPStatusCode": 503}
    refuse(client, "GetItem", itertools.repeat(error))
    with pytest.raises(NoAnswer, match=code):
        records.load("action-1")


@pytest.mark.parametrize(("operation", "do"), DOINGS)
def test_what_is_misconfigured_is_denied_at_once_and_says_how(
    client: DynamoDBClient, records: RecordTable, operation: str, do: Callable[[Store], object]
) -> None:
    """Found by an outage: it was raised as it was, and nothing was held without the table."""
    opened(records)
    calls = refuse(client, operation, itertools.repeat(client_error("AccessDeniedException")))

    with pytest.raises(Denied, match="AccessDeniedException"):
        do(records)

    assert calls[operation] == 1


@pytest.mark.parametrize(
    "error",
    [
        *map(
            client_error,
            (
                "ExpiredTokenException",
                "InvalidSignatureException",
                "KMSAccessDeniedException",
                "KMSDisabledException",
                "ResourceNotFoundException",
                "UnrecognizedClientException",
                "WhatNobodyHasListed",
            ),
        ),
        botocore.exceptions.NoCredentialsError(),
        botocore.exceptions.CredentialRetrievalError(provider="role", error_msg="STS does not answer"),
    ],
    ids=lambda error: str(error)[:60],
)
def test_whatever_denies_the_table_is_denied_and_keeps_its_cause(
    client: DynamoDBClient, records: RecordTable, error: Exception
) -> None:
    refuse(client, "GetItem", itertools.repeat(error))
    with pytest.raises(Denied) as denied:
        records.load("action-1")
    assert (denied.value.__cause__, is_denied(denied.value)) == (error, True)


def test_what_is_wrong_with_one_request_is_raised_as_it_is(
    client: DynamoDBClient, records: RecordTable
) -> None:
    """It would be so with any table: nothing of that one is away."""
    calls = refuse(client, "GetItem", itertools.repeat(client_error("ValidationException")))
    with pytest.raises(botocore.exceptions.ClientError, match="ValidationException"):
        records.load("action-1")
    assert calls["GetItem"] == 1


def test_keys_that_a_batch_left_unread_are_asked_for_again(
    client: DynamoDBClient, records: RecordTable
) -> None:
    for number in range(5):
        opened(records, id=f"action-{number}", token=f"{number:036}", started_at=at(number))

    def leave_some(parsed: dict[str, Any], **_: object) -> None:
        for table, found in parsed["Responses"].items():
            keys = [{"pk": item["pk"], "sk": item["sk"]} for item in found[2:]]
            parsed["Responses"][table] = found[:2]
            parsed["UnprocessedKeys"] = {table: {"Keys": keys}} if keys else {}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_some)

    assert [action.id for action in records.of_instance(INSTANCE)] == [f"action-{n}" for n in range(5)]


def test_keys_that_stay_unread_are_unavailable(client: DynamoDBClient, records: RecordTable) -> None:
    opened(records)

    def leave_all(parsed: dict[str, Any], **_: object) -> None:
        table = next(iter(parsed["Responses"]))
        keys = [{"pk": {"S": "ACTION#action-1"}, "sk": {"S": "STATE"}}]
        parsed |= {"Responses": {}, "UnprocessedKeys": {table: {"Keys": keys}}}

    client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_all)

    with pytest.raises(Unavailable, match="unread"):
        records.of_instance(INSTANCE)


def test_all_pages_of_a_query_are_read(client: DynamoDBClient, records: RecordTable) -> None:
    def page_by_page(params: dict[str, Any], **_: object) -> None:
        params["Limit"] = 1

    client.meta.events.register("before-parameter-build.dynamodb.Query", page_by_page)
    for number in range(20):
        opened(records, id=f"action-{number}", token=f"{number:036}", started_at=at(number))
    for number in range(3):
        records.keep_signal(a_signal(event_id=f"event-{number}", name=f"name-{number}"))

    assert len(due_ids(records, LATER)) == 20
    assert len(list(records.of_instance(INSTANCE))) == 20
    assert heard_ids(records, an_action()) == ["event-0", "event-1", "event-2"]


def test_pointers_may_be_more_than_a_batch_reads_and_outlive_their_actions(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    for number in range(120):
        pointer = {"pk": f"INSTANCE#{INSTANCE}", "sk": f"ACTION#{number:03}", "action_id": f"gone-{number}"}
        client.put_item(TableName=table, Item={key: {"S": value} for key, value in pointer.items()})
    action = opened(records)

    assert list(records.of_instance(INSTANCE)) == [action]


@pytest.mark.parametrize("body", ["x" * 2_000_000, "é" * 1_000_000], ids=["ASCII", "of two bytes each"])
def test_a_notification_that_no_item_could_hold_is_cut_and_says_so(records: RecordTable, body: str) -> None:
    records.open(an_action(), a_raw(body))

    kept = records.raws("action-1")[0].body
    assert len(kept.encode()) < 300_100
    assert kept.endswith(" [cut from 2000000 bytes]")


def test_a_notification_that_is_no_unicode_is_kept_with_escapes(records: RecordTable) -> None:
    records.open(an_action(), a_raw('{"Origin":"\ud800"}'))

    assert records.raws("action-1")[0].body == '{"Origin":"\\ud800"}'


def test_lines_that_earlier_releases_stored_one_by_one_are_read_in_the_order_of_their_numbers(
    client: DynamoDBClient, table: str, records: RecordTable
) -> None:
    opened(records)
    for number in range(1, 13):
        line = {"number": number, "at": "2026-03-01T12:00:00+00:00", "event": "wait", "detail": f"{number}"}
        doc = json.dumps([line | {"last_at": line["at"]}])
        key = {"pk": {"S": "ACTION#action-1"}, "sk": {"S": f"LINE#{number:010}"}}
        client.put_item(TableName=table, Item={**key, "doc": {"S": doc}})

    assert [line.number for line in records.timeline("action-1")] == list(range(1, 13))


def test_a_refused_transaction_leaves_each_item_as_it_was(client: DynamoDBClient, table: str) -> None:
    """In moto, too, which copies less here than it does elsewhere (conftest.py)."""
    keys: list[Any] = [{"pk": {"S": name}, "sk": {"S": "x"}} for name in ("updated", "deleted", "none")]
    for key in keys[:2]:
        client.put_item(TableName=table, Item={**key, "of": {"M": {"n": {"N": "1"}}}})
    before = client.scan(TableName=table)["Items"]
    update: Any = {"UpdateExpression": "SET #of.n = :n", "ExpressionAttributeValues": {":n": {"N": "2"}}}
    asked: list[Any] = [
        {"Update": {"Key": keys[0], **update, "ExpressionAttributeNames": {"#of": "of"}}},
        {"Delete": {"Key": keys[1]}},
        {"ConditionCheck": {"Key": keys[2], "ConditionExpression": "attribute_exists(pk)"}},
    ]
    items = [{kind: {**of_it, "TableName": table} for kind, of_it in one.items()} for one in asked]

    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]

    in_order = [sorted(each, key=str) for each in (before, client.scan(TableName=table)["Items"])]
    assert in_order[0] == in_order[1]
