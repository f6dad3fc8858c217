"""Usher as an installation: its wheel in an environment of its own, beside somebody's `cli/` and `infra/`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from collections import defaultdict
from typing import TYPE_CHECKING, Final
from zipfile import ZipFile

import click
import pytest

from tests.bare_clone import ROOT
from tests.e2e.distributions import HOOKS, OF_CHECK, PACKAGES, linked
from tests.infra.test_asset import contents
from usher.core.compiled import compiled
from usher_cdk.bundle import build
from usher_cli.main import main
from usher_hooksfile.load import read
from usher_local.cdk import node

if TYPE_CHECKING:
    from pathlib import Path

STACK: Final = """\
import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling, aws_ec2 as ec2
from usher_cdk.own_group import UsherHooks


class Fleet(cdk.Stack):
    def __init__(self, scope, construct_id, *, deployment, controller):
        super().__init__(scope, construct_id)
        group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            auto_scaling_group_name="ours",
            vpc=ec2.Vpc(self, "Vpc", nat_gateways=0),
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC),
            instance_type=ec2.InstanceType("t4g.nano"),
            machine_image=ec2.MachineImage.generic_linux({"eu-central-1": "ami-0123456789abcdef0"}),
        )
        UsherHooks(
            self,
            "Hooks",
            group=group,
            group_name="ours",
            configuration=deployment.configuration,
            inbox_arn=controller.inbox.queue.queue_arn,
            hook_role_arn=controller.hook_role.role.role_arn,
        )
"""
APP: Final = """\
from pathlib import Path
import aws_cdk as cdk
from infra.fleet import Fleet
from usher_cdk.configuration import Deployment
from usher_cdk.controller import Controller
from usher_hooksfile.load import load, read

app = cdk.App(outdir="cdk.out")
hooks = Path("hooks.yaml")
deployment = Deployment(configuration=load(hooks), hooks_data=read(hooks), own_groups=("ours",))
place = cdk.Environment(account="111122223333", region="eu-central-1")
controller = Controller(app, "Usher", deployment=deployment)
Fleet(app, "Fleet", deployment=deployment, controller=controller)
app.synth()
"""


HELPS: Final = """\
import json
from click.testing import CliRunner
from usher_cli.main import main
made = [(name, CliRunner().invoke(main, [name, "--help"])) for name in main.list_commands(None)]
print(json.dumps([(name, done.exit_code, done.stderr) for name, done in made]))
"""


def pip(*words: str, folder: Path) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "pip", *words],
        cwd=folder,
        env=os.environ | offline,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (built,) = dist.glob("*.whl")
    return built


class Installation:
    """The wheel in a virtual environment, and somebody's app: a folder with packages of its own."""

    def __init__(self, wheel: Path, folder: Path) -> None:
        self.folder, self.app, self._venv = folder, folder / "app", folder / "venv"
        venv.create(self._venv)
        pip("--python", str(self._venv), "install", "--no-deps", str(wheel), folder=folder)
        for package in ("cli", "infra", "simulator"):
            (self.app / package).mkdir(parents=True)
            (self.app / package / "__init__.py").write_text(f"OWN = {package!r}\n")
        (self.app / "infra" / "fleet.py").write_text(STACK)
        (self.app / "hooks.yaml").write_text(HOOKS)
        (self.app / "app.py").write_text(APP)

    def run(
        self, packages: Path, program: str, *words: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """A program of the environment, with `packages` and the app to import from."""
        inherited = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
        path = os.pathsep.join((str(self.app), str(packages)))
        return subprocess.run(  # noqa: S603 - our own words
            [self._venv / "bin" / program, *words],
            cwd=self.app,
            env=inherited | {"PYTHONPATH": path} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def packages(self, *named: str) -> Path:
        """A folder with those distributions and all that they declare to need."""
        site = next(self._venv.glob("lib/python3*/site-packages"))
        folder = self.folder / "-".join(named)
        if not folder.exists():
            linked(folder, named, site)
        return folder

    def helps(self, *named: str) -> dict[str, tuple[int, str]]:
        """How the help of each command ends with those, in one process: starting takes longer."""
        done = self.run(self.packages(*named), "python", "-c", HELPS)
        assert done.returncode == 0, done.stderr
        return {name: (code, error.strip()) for name, code, error in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(wheel, tmp_path_factory.mktemp("installed"))


def test_it_brings_no_package_that_anybody_else_might_have(wheel: Path, installed: Installation) -> None:
    assert f"`pip install dist/{wheel.name}`" in (ROOT / "README.md").read_text(encoding="utf-8")
    names = {name.partition("/")[0] for name in ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == PACKAGES
    for package in ("cli", "infra", "simulator"):
        said = installed.run(installed.folder, "python", "-c", f"import {package}; print({package}.OWN)")
        assert said.stdout == f"{package}\n"


def test_the_help_and_a_check_need_three_packages_and_their_own(installed: Installation) -> None:
    three = installed.packages(*OF_CHECK)
    assert "\n  check " in installed.run(three, "usher", "--help").stdout
    done = installed.run(three, "usher", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("hooks.yaml is valid. Hooks: 1. Policies: 1.\n")


@pytest.mark.parametrize(
    ("packages", "words", "missing", "extra"),
    [
        (("usher-hooks",), ("replay", "--sample"), "botocore", "[replay]"),
        (("usher-hooks[replay]",), ("list",), "boto3", "[aws]"),
        (("usher-hooks[replay]",), ("replay", "s3://a-bucket"), "boto3", "[aws]"),
        (("usher-hooks[aws]",), ("local",), "aws_cdk", "[local]"),
    ],
)
def test_what_is_missing_is_told_in_one_line_with_how_to_install_it(
    installed: Installation, packages: tuple[str, ...], words: tuple[str, ...], missing: str, extra: str
) -> None:
    done = installed.run(installed.packages(*packages), "usher", *words)
    assert (done.returncode, done.stdout) == (2, "")
    how = f"install the wheel of usher-hooks with its extra {extra}"
    assert done.stderr == f"Error: This command needs {missing}, which is not installed: {how}.\n"


def test_without_an_extra_a_command_works_or_names_the_extra_that_brings_all_it_imports(
    installed: Installation,
) -> None:
    lacking = defaultdict(list)
    for name, (code, error) in installed.helps("usher-hooks").items():
        if code:
            (extra,) = re.findall(
                r"which is not installed: install the wheel of usher-hooks with its extra (\[\w+\])\.$", error
            )
            lacking[extra].append(name)
    assert len(lacking) > 1
    for extra, names in lacking.items():
        helps = installed.helps(f"usher-hooks{extra}")
        assert {name: helps[name] for name in names} == dict.fromkeys(names, (0, ""))


def test_a_replay_of_the_sample_needs_the_extra_replay_alone(installed: Installation) -> None:
    done = installed.run(
        installed.packages("usher-hooks[replay]"), "usher", "replay", "--sample", "--report", "day.html"
    )
    assert (done.returncode, done.stderr) == (0, "Wrote day.html.\n")
    assert "15 actions" in done.stdout
    assert (installed.app / "day.html").stat().st_size > 10_000


def test_a_shell_completes_what_can_be_run(installed: Installation) -> None:
    asked = {"_USHER_COMPLETE": "bash_complete", "COMP_WORDS": "usher ", "COMP_CWORD": "1"}
    done = installed.run(installed.packages("usher-hooks[replay]"), "usher", **asked)
    assert done.stderr == ""
    assert "plain,replay" in done.stdout
    assert "plain,list" not in done.stdout


def test_each_command_is_there_with_all_extras(installed: Installation) -> None:
    every = dict.fromkeys(main.list_commands(click.Context(main)), (0, ""))
    assert installed.helps("usher-hooks[aws,cdk,console,local]") == every


def test_the_constructs_synthesise_in_an_app_with_an_infra_of_its_own(
    installed: Installation, tmp_path: Path
) -> None:
    build(tmp_path / "asset", compiled(read(installed.app / "hooks.yaml"), {"ours"}))
    environment = {"JSII_NODE": str(node()), "CDK_VALIDATION": "false", "XDG_CACHE_HOME": str(tmp_path)}
    environment |= {"PIP_NO_INDEX": "1"}  # nor is anything of an earlier build there: the wheel brings it
    done = installed.run(installed.packages("usher-hooks[cdk]"), "python", "app.py", **environment)
    assert done.returncode == 0, done.stderr
    out = installed.app / "cdk.out"
    fleet = json.loads((out / "Fleet.template.json").read_text())["Resources"].values()
    (group,) = [each for each in fleet if each["Type"] == "AWS::AutoScaling::AutoScalingGroup"]
    (hook,) = group["Properties"]["LifecycleHookSpecificationList"]
    assert hook["LifecycleHookName"] == "ours-in"

    (asset,) = [file.parent for file in out.glob("asset.*/intake.py")]
    assert contents(asset) == contents(tmp_path / "asset")
