import configparser

import pytest

from rally_deploy.engines.distro import ini


def test_values_of_all_kinds_are_rendered():
    text = ini.render({"DEFAULT": {"a": True, "b": ["x", "y"], "c": 3, "gone": None}})
    assert text == ini.HEADER + "[DEFAULT]\na = true\nb = x,y\nc = 3\n"


def test_section_without_options_is_left_out():
    assert "[empty]" not in ini.render({"empty": {"a": None}, "full": {"a": 1}})


def test_dollar_in_a_password_is_doubled_for_oslo_config_only():
    assert "p = a$$b" in ini.render({"s": {"p": "a$b"}})
    assert "p = a$b" in ini.render({"s": {"p": "a$b"}}, escape=False)


def test_value_with_a_newline_is_refused():
    with pytest.raises(ValueError, match="one line"):
        ini.render({"s": {"p": "a\n[other]"}})


def test_merged_options_of_later_parts_win():
    merged = ini.merged({"s": {"a": 1, "b": 1}}, {"s": {"b": 2}, "t": {"c": 3}})
    assert merged == {"s": {"a": 1, "b": 2}, "t": {"c": 3}}


def test_rendered_text_is_read_back_by_an_ini_parser():
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(ini.render({"one": {"a": "1"}, "two": {"b": "x y"}}))
    assert parser["two"]["b"] == "x y"
