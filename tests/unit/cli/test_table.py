from rally_deploy.cli.rendering import duration, masked_credentials
from rally_deploy.cli.table import table


def test_columns_are_as_wide_as_their_widest_cell():
    assert table(("a", "name"), [("1", "x"), ("222", "longer")]) == (
        "A    NAME\n1    x\n222  longer"
    )


def test_wide_and_control_characters_keep_columns_and_lines():
    lines = table(("a", "b"), [("漢字", "x"), ("one\ntwo\x1b[2J", "y")]).splitlines()
    assert len(lines) == 3
    assert lines[1] == "漢字" + " " * 9 + "x"
    assert lines[2] == "one two [2J" + "  " + "y"


def test_duration_is_in_a_persons_units():
    assert [duration(s) for s in (0.04, 9.94, 59.4, 65, 3600, 7380)] == [
        "0.0 s", "9.9 s", "59 s", "1 min 5 s", "1 h 0 min", "2 h 3 min",
    ]


def test_passwords_are_masked_at_any_depth():
    tree = {"admin": {"username": "a", "password": "b"}, "users": [{"password": "c"}, {}]}
    assert masked_credentials(tree) == {
        "admin": {"username": "a", "password": "***"}, "users": [{"password": "***"}, {}],
    }
