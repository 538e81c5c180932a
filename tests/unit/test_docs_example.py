"""The example of docs/plugins.rst, installed as its reader would, and its tests run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "rd_hello"


@pytest.fixture
def installed(tmp_path):
    """The example in a folder of its own, with the entry points that its setup.cfg names."""
    built = subprocess.run(
        [sys.executable, "-c", "from setuptools import setup; setup()", "-q", "egg_info",
         "--egg-base", str(tmp_path)],
        cwd=EXAMPLE, capture_output=True, text=True, check=False,
    )
    assert built.returncode == 0, built.stderr
    return {**os.environ, "PYTHONPATH": f"{tmp_path}:{EXAMPLE}", "RDEPLOY_HOME": str(tmp_path)}


def test_example_plugin_is_found_and_shown(installed):
    shown = subprocess.run(
        [sys.executable, "-m", "rally_deploy", "providers", "show", "FolderProvider"],
        env=installed, capture_output=True, text=True, check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert "where the folders are made" in shown.stdout


def test_example_plugin_passes_the_contract(installed):
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         str(EXAMPLE / "test_rd_hello.py")],
        env=installed, cwd=EXAMPLE, capture_output=True, text=True, check=False,
    )
    assert run.returncode == 0, run.stdout
    assert " passed" in run.stdout
