"""Each file in cases/: a config as text, and every problem that it has, as it is told."""

import json
from pathlib import Path

import pytest

from rally_deploy import config
from rally_deploy.errors import ConfigError
from tests.unit.config.plugins import registry

CASES = sorted((Path(__file__).parent / "cases").glob("*.json"))


def problems_of(case):
    text, source = "\n".join(case["text"]), f"case.{case['ending']}"
    try:
        document = config.parse(text, source, case.get("variables", {}))
        config.validate(document, registry(), case.get("environ", {}), case["kind"])
    except ConfigError as error:
        return [
            f"{p.line}:{p.column} {p.path}: {p.message}" + (f" ({p.hint})" if p.hint else "")
            for p in error.problems
        ]
    return []


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_config_has_exactly_these_problems(path):
    case = json.loads(path.read_text())
    assert problems_of(case) == case["problems"]


def test_cases_named_valid_expect_no_problem():
    wrong = [
        path.stem for path in CASES
        if path.stem.startswith("valid_") == bool(json.loads(path.read_text())["problems"])
    ]
    assert wrong == []
