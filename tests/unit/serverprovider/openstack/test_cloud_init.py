"""What cloud-init of every generation reports, taken apart."""

import json

import pytest

from rally_deploy.serverprovider.openstack.cloud_init import parse


def report(status, result=None, failed="", log=""):
    """As the script prints it."""
    shown = status if isinstance(status, str) else json.dumps(status, indent=1)
    return (f"=== status\n{shown}\n=== result\n{json.dumps(result) if result else ''}\n"
            f"=== failed\n{failed}=== log\n{log}")


UNIT = "cloud-final.service loaded failed failed Cloud-init: Final Stage\n"


@pytest.mark.parametrize(("text", "errors"), [
    ("", []),
    (report({"status": "done", "errors": []}, {"v1": {"errors": []}}), []),
    (report({"status": "error", "errors": ["one", "two", "one"]}), ["one", "two"]),
    (report({"status": "error", "errors": [], "detail": "DataSourceNone"}),
     ["status: error, detail: DataSourceNone"]),
    (report({"status": "running", "errors": []}, failed=UNIT), ["cloud-final.service has failed"]),
    (report({"status": "error", "errors": ["one"]}, failed=UNIT), ["one"]),
    (report({"status": "disabled", "errors": []}), []),
    (report("status: done\n"), []),
    (report("status: error\ndetail: it broke\n"), ["status: error detail: it broke"]),
    (report("", {"v1": {"errors": ["('scripts-user', 'x')"]}}), ["('scripts-user', 'x')"]),
    (report("{broken"), []),
])
def test_errors_of_every_generation_are_understood(text, errors):
    assert parse(text)[0] == errors


def test_what_it_got_over_is_told_by_levels():
    status = {"status": "done", "extended_status": "degraded done", "errors": [],
              "recoverable_errors": {"WARNING": ["one\n  more"], "DEPRECATED": ["two", "two"]}}
    text = report(status, log="2026-01-01 10:00:00,0 - util.py[WARNING]: one\n")
    assert parse(text) == ([], ["warning: one more", "deprecated: two"])


def test_an_old_ones_log_is_read():
    text = report({"status": "done", "errors": []}, log=(
        "2026-01-01 10:00:00,0 - util.py[WARNING]: Failed loading yaml blob\n"
        "2026-01-01 10:00:01,0 - cc_x.py[ERROR]: no x\n"))
    assert parse(text) == ([], ["warning: Failed loading yaml blob", "error: no x"])
