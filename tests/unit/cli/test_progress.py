import io
import json
import os
import pty
import re
import threading
import time
from datetime import datetime, timezone

import pytest
from rich.console import Console

from rally_deploy.cli import progress
from rally_deploy.cli.progress.json_lines import JsonLines
from rally_deploy.cli.progress.live import Live
from rally_deploy.cli.progress.plain import Plain, event_line
from rally_deploy.cli.progress.steps import RunningSteps
from rally_deploy.cli.progress.text import plain_text
from rally_deploy.estimate import Estimate
from rally_deploy.events import Event, Kind, Output
from rally_deploy.model import DeploymentRecord, State

NOW = datetime(2026, 1, 31, 12, 0, 5, tzinfo=timezone.utc)
RECORD = DeploymentRecord("u" * 36, "cloud", None, State.NEW, "FakeEngine", NOW, NOW)


def event(kind, title, step="", parent="", server="", **fields):
    at = fields.pop("at", datetime.now(timezone.utc))
    return Event("u" * 36, at, kind, title, server, step, parent, **fields)


def begin(title, step, parent="", server=""):
    return event(Kind.STEP_BEGIN, title, step, parent, server)


def done(title, step, elapsed_s=0.1, **fields):
    return event(Kind.STEP_DONE, title, step, elapsed_s=elapsed_s, **fields)


class Screen:
    """A terminal of some size, and a live view on it."""

    def __init__(self, width=80, height=24, estimate=None):
        self.file = io.StringIO()
        self._size = {"width": width, "height": height}
        self.live = Live(self._console(self.file))
        self.live.begin(RECORD, estimate or Estimate(()))

    def frame(self):
        """What the view shows right now, as lines without colours."""
        # Not on its own terminal: there its thread draws, too.
        beside = io.StringIO()
        self._console(beside).print(self.live._picture())
        return plain_lines(beside.getvalue())

    def _console(self, file):
        return Console(file=file, force_terminal=True, highlight=False, **self._size)

    def end(self):
        self.live.end()
        return plain_lines(self.file.getvalue())


def plain_lines(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).splitlines()


@pytest.fixture
def screen():
    made = []

    def make(*arguments, **options):
        made.append(Screen(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        one.live.end()


def test_plain_line_has_time_kind_server_and_duration():
    line = event_line(done("install packages", "s", 65.2, server="web-1", at=NOW))
    assert line == "2026-01-31T12:00:05Z done    install packages [web-1] 1 min 5 s"


def test_plain_line_of_many_lines_is_one_line():
    line = event_line(event(Kind.STEP_FAILED, "a\nb", detail="first\nsecond", at=NOW))
    assert line == "2026-01-31T12:00:05Z failed  a b - first"


def test_plain_line_of_a_wait_reads_as_a_sentence():
    line = event_line(event(Kind.WAITING, "waiting for the port: refused", at=NOW))
    assert line == "2026-01-31T12:00:05Z still   waiting for the port: refused"


@pytest.mark.parametrize("kind", [Kind.WAITING, Kind.NOTE, Kind.WARNING, Kind.ERROR])
def test_live_keeps_what_is_told(screen, kind):
    now = screen()
    now.live.event(event(kind, "this and that"))
    assert "this and that" in "\n".join(now.end())


def test_plain_begin_tells_the_time_left_from_past_runs(capsys):
    plain = Plain()
    plain.begin(RECORD, Estimate([{"Starting Keystone": 180.0}]))
    plain.event(begin("Starting Keystone", "a", server="ctl"))
    plain.event(done("Starting Keystone", "a", 3.0, server="ctl"))
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" begin   Starting Keystone [ctl], about 3 min left")
    assert second.endswith(" done    Starting Keystone [ctl] 3.0 s")


def test_plain_begin_says_nothing_of_the_time_left_without_past_runs(capsys):
    plain = Plain()
    plain.begin(RECORD, Estimate(()))
    plain.event(begin("Starting Keystone", "a", server="ctl"))
    assert capsys.readouterr().err.endswith(" begin   Starting Keystone [ctl]\n")


def test_json_lines_have_the_time_left_of_each_begin(capsys):
    lines = JsonLines()
    lines.begin(RECORD, Estimate([{"install": 180.0}]))
    for one in (begin("install", "a"), done("install", "a"), begin("other", "b")):
        lines.event(one)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said[0]["left_s"] == 180.0
    assert said[1]["left_s"] is None
    assert said[2]["left_s"] == pytest.approx(180, abs=5)


def test_timings_are_for_programs_only(screen, capsys):
    timing = event(Kind.TIMING, "pip_install", elapsed_s=60.0)
    now = screen()
    for shown in (Plain(), JsonLines(), now.live):
        shown.event(timing)
    said = capsys.readouterr()
    assert said.err == ""
    assert json.loads(said.out)["elapsed_s"] == 60.0
    assert "pip_install" not in "\n".join(now.end())


def test_plain_tells_no_output_lines(capsys):
    Plain().output(Output("u", "web", "s", "hello"))
    assert capsys.readouterr() == ("", "")


def test_running_steps_are_a_tree_with_their_last_line():
    steps = RunningSteps()
    for one in (begin("deploy", "a"), begin("install", "b", "a", "web"), begin("other", "c")):
        steps.event(one)
    steps.output(Output("u", "web", "b", "line 1"))
    steps.output(Output("u", "web", "b", "line 2"))
    steps.output(Output("u", "web", "gone", "nobody's"))
    assert [(depth, s.title, s.line) for depth, s in steps.tree()] == [
        (0, "deploy", ""), (1, "install", "line 2"), (0, "other", ""),
    ]
    assert steps.depth("b") == 1
    steps.event(done("deploy", "a"))
    assert [(depth, s.title) for depth, s in steps.tree()] == [(0, "install"), (0, "other")]


def test_live_shows_running_steps_with_host_and_last_line(screen):
    now = screen()
    now.live.event(begin("install packages", "a", server="web-1"))
    now.live.output(Output("u", "web-1", "a", "\x1b[31mGet:1\x1b[0m stuff\r50 %\r99 %"))
    [line, footer] = now.frame()
    assert re.search(r"install packages \[web-1\] 0\.\d s  99 %$", line)
    assert footer.startswith("cloud, new, 0.")


def test_live_keeps_what_ended_as_lines(screen):
    now = screen()
    now.live.event(begin("install", "a"))
    now.live.event(done("install", "a", 3.2, server="web-1"))
    now.live.event(event(Kind.NOTE, "a server was booted"))
    now.live.event(event(Kind.STEP_FAILED, "start", elapsed_s=1.0, detail="no\nspace"))
    now.live.event(event(Kind.STATE, "ready"))
    text = "\n".join(now.end())
    assert "install [web-1] 3.2 s" in text
    assert "a server was booted" in text
    assert "start 1.0 s no" in text
    assert "cloud: ready" in text


def test_live_tells_the_time_left_from_past_runs(screen):
    now = screen(estimate=Estimate([{"install": 180.0}]))
    now.live.event(begin("install", "a"))
    assert now.frame()[-1].endswith("about 3 min left")


@pytest.mark.parametrize("width", [1, 5, 20, 40])
def test_live_survives_a_narrow_terminal(screen, width):
    now = screen(width=width)
    for number in range(5):
        now.live.event(begin("install all the packages", f"s{number}", server="a-long-name"))
        now.live.output(Output("u", "a-long-name", f"s{number}", "漢字" * 100))
    lines = now.frame()
    assert len(lines) == 6
    assert all(len(line) <= width for line in lines)


def test_live_shows_no_more_steps_than_the_terminal_is_high(screen):
    now = screen(height=10)
    for number in range(200):
        now.live.event(begin("install", f"s{number}", server=f"web-{number}"))
    lines = now.frame()
    assert len(lines) <= 9
    assert "and 194 more steps" in lines[-2]


def test_live_takes_thousands_of_lines_a_second_from_many_threads(screen):
    now = screen()
    for number in range(8):
        now.live.event(begin("install", f"s{number}"))

    def print_much(number):
        for line in range(5000):
            now.live.output(Output("u", "", f"s{number}", f"line {line}"))

    threads = [threading.Thread(target=print_much, args=(n,)) for n in range(8)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start < 4
    assert all("line 4999" in line for line in now.frame()[:-1])


def test_live_does_what_a_program_prints_no_harm(screen):
    now = screen()
    now.live.event(begin("t\x1b[2Jitle", "a", server="\x1b]0;x\x07"))
    now.live.output(Output("u", "", "a", "\x1b[2J\x1b[H[bold]markup[/bold] \x07"))
    [line, _] = now.frame()
    assert line.endswith("[bold]markup[/bold]")
    assert "\x07" not in line


@pytest.mark.parametrize(("line", "text"), [
    ("plain", "plain"), ("  indented  ", "  indented"), ("\x1b[1;31mred\x1b[0m", "red"),
    ("10 %\r20 %\r", "20 %"), ("a\tb\x00c", "a b c"),
    ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
])
def test_output_line_is_shown_without_orders_to_the_terminal(line, text):
    assert plain_text(line) == text


def test_live_is_chosen_on_a_terminal_only(monkeypatch):
    assert isinstance(progress.choose(False), Plain)
    master, slave = pty.openpty()
    with open(slave, "w") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        assert isinstance(progress.choose(False), Live)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(progress.choose(False), Plain)
    os.close(master)
