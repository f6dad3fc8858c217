"""What is uploaded to Lambda: the same bytes each time, small, and nothing that does not belong there."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from benchmarks.asset import MOST, zipped_bytes
from usher.core.compiled import compiled
from usher_cdk.bundle import RuntimeMissing, build, dependencies
from usher_cdk.models import OPERATIONS
from usher_cdk.python import WANTED, Python, find_python
from usher_cdk.wheels import ROOT, WheelsMissing, unpacked
from usher_hooksfile.load import read

HANDLERS = sorted(path.stem for path in (ROOT / "functions").glob("*.py"))
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "USHER_TABLE": "records",
    "USHER_WAKE_UPS_URL": "http://127.0.0.1:1/wake-ups",
    "USHER_QUESTIONS_URL": "http://127.0.0.1:1/questions",
    "USHER_DEAD_LETTERS_URL": "http://127.0.0.1:1/dead-letters",
    "USHER_CALLS_PER_SECOND": "10",
    "USHER_INBOX_ARN": "arn:aws:sqs:us-east-1:123456789012:inbox",
    "USHER_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
    "USHER_INTAKE_ARN": "arn:aws:lambda:us-east-1:123456789012:function:intake",
    "USHER_HOOK_ROLE_ARN": "arn:aws:iam::123456789012:role/hooks",
    "USHER_ENROLMENTS_PER_HOUR": "50",
}


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("asset"))


def built(folder: Path) -> Path:
    build(folder, compiled(read(ROOT / "hooks.yaml")))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_no_file_knows_where_it_was_built(asset: Path) -> None:
    known = (str(ROOT).encode(), sys.prefix.encode())
    assert [name for name, text in contents(asset).items() if any(place in text for place in known)] == []


def test_no_hash_is_of_a_script_which_names_the_python_of_this_machine(asset: Path) -> None:
    records = [record.read_text() for record in asset.glob("*.dist-info/RECORD")]
    assert records
    assert [line for text in records for line in text.splitlines() if "/bin/" in line] == []


def test_it_has_no_native_file(asset: Path) -> None:
    kinds = {Path(name).suffix for name in contents(asset)}
    assert not kinds & {".so", ".pyd", ".dylib"}
    tags = [line for wheel in asset.glob("*.dist-info/WHEEL") for line in wheel.read_text().splitlines()]
    assert [tag for tag in tags if tag.startswith("Tag:") and not tag.endswith("-none-any")] == []


def test_each_module_is_compiled_for_the_runtime_where_it_is_at_hand(asset: Path) -> None:
    """Python passes over a file of another version in silence; flag 1 says: by hash, not compared."""
    python = find_python()
    ask = "import importlib.util; print(importlib.util.MAGIC_NUMBER.hex())"
    magic = bytes.fromhex(subprocess.check_output(python.isolated([], ask), text=True))  # noqa: S603 - ours
    headers = {path: path.read_bytes()[:8] for path in asset.rglob("*.pyc")}
    modules = list(asset.rglob("*.py")) if python.version == WANTED else []
    files = [path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc" for path in modules]
    assert headers == dict.fromkeys(files, magic + (1).to_bytes(4, "little"))


def test_without_the_runtime_it_is_not_compiled_and_says_so_and_a_release_refuses(
    asset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = compiled(read(ROOT / "hooks.yaml"))
    other = Python(path=sys.executable, version="3.12")
    build(tmp_path / "asset", file, python=other)
    sources = {name: text for name, text in contents(asset).items() if not name.endswith(".pyc")}
    assert contents(tmp_path / "asset") == sources
    said = "The functions are not compiled, so they start slower: put python3.13 on PATH.\n"
    assert capsys.readouterr() == ("", said)
    with pytest.raises(RuntimeMissing, match=r"A release needs Python 3\.13, which was not found"):
        build(tmp_path / "release", file, strict=True, python=other)
    assert not (tmp_path / "release").exists()


def test_it_has_the_handlers_and_their_code_and_what_that_needs_and_no_more(asset: Path) -> None:
    entries = {path.name for path in asset.iterdir() if path.suffix != ".dist-info"} - {"__pycache__"}
    handlers = {f"{handler}.py" for handler in HANDLERS}
    needed = {"aws_lambda_powertools", "jmespath", "models", "typing_extensions.py"}
    assert entries == {"usher", "hooks.json"} | handlers | needed


def test_the_code_in_it_is_that_of_the_functions_folder(asset: Path) -> None:
    sources = {name: text for name, text in contents(ROOT / "functions").items() if name.endswith(".py")}
    assert sources.items() <= contents(asset).items()


def test_the_hooks_file_is_in_it_as_json(asset: Path) -> None:
    assert json.loads((asset / "hooks.json").read_text())["file"] == read(ROOT / "hooks.yaml")


def test_its_zip_stays_within_one_and_a_half_of_that_of_powertools_and_what_it_needs(asset: Path) -> None:
    assert zipped_bytes(asset) <= MOST * zipped_bytes(dependencies())


@pytest.fixture(scope="module")
def imported(asset: Path) -> dict[str, str | None]:
    """Every module outside the standard library that a cold start of the functions imports: its file."""
    python = find_python()
    program = (
        f"import json, {', '.join(HANDLERS)}\n"
        "modules = {name: getattr(m, '__file__', None) for name, m in list(sys.modules.items())}\n"
        "print(json.dumps({name: file for name, file in modules.items()"
        " if name.partition('.')[0] not in sys.stdlib_module_names}))"
    )
    command = python.isolated([asset, python.runtime()], program)
    said = subprocess.check_output(command, env=ENVIRONMENT)  # noqa: S603 - our own
    return dict(json.loads(said))


def test_the_functions_run_on_asset_runtime_and_standard_library_alone(
    imported: dict[str, str | None], asset: Path
) -> None:
    names = {name.partition(".")[0] for name in imported}
    assert names >= {"usher", "aws_lambda_powertools", "boto3", *HANDLERS}
    ours = (str(asset), str(find_python().runtime()))
    assert {name for name, file in imported.items() if file and not file.startswith(ours)} == set()


# Modules of the asset that a cold start of each function imports: more need a reason, as each costs 0.2 ms.
MOST_MODULES = {"announce": 109, "intake": 179, "provision": 185, "questions": 174, "sweep": 197, "wake": 171}


@pytest.fixture(scope="module")
def modules(asset: Path) -> dict[str, list[str]]:
    """How many modules of the asset each function has, and whether asyncio; in a process of its own."""
    python = find_python()
    program = f"""
import boto3, os
for function in {HANDLERS}:
    if not os.fork():
        __import__(function)
        files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
        count = sum(file.startswith({str(asset)!r}) for file in files)
        print(function, count, "asyncio" in sys.modules, flush=True)
        os._exit(0)
    os.wait()
"""
    command = python.isolated([asset, python.runtime()], program)
    said = subprocess.check_output(command, env=ENVIRONMENT, text=True)  # noqa: S603 - our own
    return {name: told for name, *told in map(str.split, said.splitlines())}


@pytest.mark.parametrize("function", HANDLERS)
def test_a_function_imports_so_many_modules_of_the_asset(
    function: str, modules: dict[str, list[str]]
) -> None:
    count, has_asyncio = modules[function]
    assert int(count) <= MOST_MODULES[function], f"{function} imports {count}: see MOST_MODULES"
    assert has_asyncio == "False"


def test_its_functions_make_clients_by_the_reduced_models_and_find_endpoints_by_the_rules_of_each_service(
    asset: Path,
) -> None:
    """Only the rules know DynamoDB's endpoints by account; S3 is no service of ours."""
    program = """
import json, sys, boto3, wake
def stop(request, **_):
    print(json.dumps([made, request.url, boto3.DEFAULT_SESSION.get_available_regions("s3")]))
    sys.exit()
made = boto3.client("ec2").meta.service_model.operation_names
keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "aws_account_id": "123456789012"}
client = boto3.client("dynamodb", **keys)
client.meta.events.register("before-send.dynamodb.GetItem", stop)
client.get_item(TableName="usher", Key={"pk": {"S": "a"}})
"""
    python = find_python()
    command = python.isolated([asset, python.runtime()], program)
    said = subprocess.check_output(command, env=ENVIRONMENT, text=True)  # noqa: S603 - our own
    url = "https://123456789012.ddb.us-east-1.amazonaws.com/"
    assert json.loads(said) == [list(OPERATIONS["ec2"]), url, []]


def test_what_pip_cannot_get_is_told_with_what_pip_said() -> None:
    requirements = ROOT / "requirements" / "functions.txt"
    with pytest.raises(WheelsMissing) as raised:
        unpacked(requirements, "never", ("--no-such-option",))
    assert "the wheels of requirements/functions.txt" in str(raised.value)
    assert "no such option: --no-such-option" in str(raised.value)


def test_an_environment_without_pip_is_told_that_pip_is_missing(tmp_path: Path) -> None:
    """As uv makes them. Every environment that `usher local` is promised for has pip of that age."""
    venv.create(tmp_path / "venv", with_pip=False)
    program = (
        "from pathlib import Path; from usher_cdk.wheels import ROOT, WheelsMissing, unpacked\n"
        "try: unpacked(ROOT / 'requirements' / 'functions.txt', 'never', ('--no-such-option',))\n"
        "except WheelsMissing as missing: print(missing)"
    )
    said = subprocess.check_output(  # noqa: S603 - our own words
        [tmp_path / "venv" / "bin" / "python", "-c", program],
        env={"PYTHONPATH": str(ROOT / "infra")},
        text=True,
    )
    assert "needs pip 23.2 or later in this environment" in said
    assert "No module named pip" in said
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "pip>=23.2" in extras["cdk"]  # which the extra `local` includes
