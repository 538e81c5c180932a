import os
import subprocess
import sys
from pathlib import Path

import pytest

import rally_deploy.cli.commands
from rally_deploy.cli.group import COMMANDS
from rally_deploy.cli.reference import cli_reference, key_reference
from rally_deploy.plugins import Registry

DOCS = Path(__file__).parents[3] / "docs"
GENERATE = "run: python -m rally_deploy.cli.reference docs"
HEAVY = ("sqlalchemy", "alembic", "cryptography", "paramiko", "rich", "jsonschema", "yaml",
         "keystoneauth1", "openstack", "requests", "rally_deploy.deployer")


def test_every_command_module_is_a_command_of_the_group():
    folder = Path(rally_deploy.cli.commands.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert modules == {name.replace("-", "_") for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_succeeds(rdeploy, name):
    done = rdeploy(name, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: rdeploy {name}")


def test_help_lists_every_command_with_a_summary(rdeploy):
    lines = rdeploy("--help").out.partition("Commands:")[2].splitlines()
    told = dict(line.split(None, 1) for line in lines if line.strip())
    assert set(told) == set(COMMANDS)


def test_unknown_command_names_the_nearest(rdeploy):
    done = rdeploy("detsroy")
    assert done.code == 2
    assert "Did you mean 'destroy'?" in done.err


def test_version_is_told(rdeploy):
    assert rdeploy("--version").out == "rdeploy, version 0.1.0\n"


@pytest.mark.parametrize("arguments", [["list"], ["--version"], ["validate", "--help"]])
def test_quick_commands_import_nothing_heavy(rdeploy, arguments):
    rdeploy("list")  # the database is made
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "rally_deploy", *arguments],
        capture_output=True, text=True, check=True,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert loaded.isdisjoint(HEAVY)
    assert "click" in loaded


def test_key_reference_is_what_the_generator_writes():
    written = (DOCS / "keys.rst").read_text()
    assert written == key_reference(Registry()), GENERATE


def test_command_reference_has_every_command_option_and_help_text():
    # Usage lines and marks of options differ between releases of click; what is ours does not.
    def ours(text):
        lines = [line.strip() for line in text.splitlines() if "::" not in line]
        options = {line.split()[0].strip("`,") for line in lines if line.startswith("``-")}
        told = {line for line in lines if line and not line.startswith(("``", "rdeploy"))}
        return options, {line for line in told if "[" not in line}

    written = (DOCS / "cli.rst").read_text()
    generated = cli_reference()
    assert ours(written) == ours(generated), GENERATE
    assert [line for line in written.splitlines() if line.startswith("rdeploy ")] == [
        line for line in generated.splitlines() if line.startswith("rdeploy ")
    ], GENERATE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_of_each_shell_calls_us(rdeploy, shell):
    done = rdeploy("completion", shell)
    assert done.code == 0
    assert f"_RDEPLOY_COMPLETE={shell}_complete" in done.out


def test_completion_knows_deployments_by_name_and_uuid(rdeploy, monkeypatch):
    uuid = rdeploy.create("--json").lines[-1]["uuid"]

    def complete(*words):
        process = subprocess.run(
            [sys.executable, "-m", "rally_deploy"], capture_output=True, text=True, check=False,
            env={**os.environ, "_RDEPLOY_COMPLETE": "bash_complete",
                 "COMP_WORDS": " ".join(["rdeploy", *words]), "COMP_CWORD": str(len(words))},
        )
        return process.stdout.splitlines()

    assert complete("show", "clo") == ["plain,cloud"]
    assert complete("show", uuid[:4]) == [f"plain,{uuid}"]
    assert complete("clouds-y") == ["plain,clouds-yaml"]
