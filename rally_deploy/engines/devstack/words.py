"""A value as bash reads it in ``KEY=VALUE``: is it one word, are its quotes closed."""

from __future__ import annotations

import enum
import re

#: What ends a word or begins another command if it is not quoted.
_ENDS = frozenset(" \t;&|<>()")


class Word(enum.Enum):
    """How bash takes a value that stands unquoted behind ``KEY=``."""

    ONE = "one word, or an array in parentheses"
    SPACED = "would end too early, but can be put in double quotes as it is"
    UNQUOTED = "has quotes, and something outside of them that ends it too early"
    UNCLOSED = "a quote, a brace or a parenthesis of it is not closed"
    LINES = "has more than one line"


def word(value: str) -> Word:
    """What bash would make of ``KEY=`` and this value."""
    if "\n" in value or "\r" in value:
        return Word.LINES
    if value.startswith("("):
        return _array(value)
    try:
        end = at = _end_of_word(value, 0)
        while at < len(value):
            at = _next(value, at)
    except _Unclosed:
        return Word.UNCLOSED
    if end == len(value):
        return Word.ONE
    return Word.UNQUOTED if re.search(r"[\"'\\`]", value) else Word.SPACED


def as_word(value: str) -> str:
    """The value as it is to be written: unquoted where bash can take it so, so that it expands.

    Only for what :func:`word` calls ONE or SPACED.
    """
    return f'"{value}"' if word(value) is Word.SPACED else value


class _Unclosed(Exception):
    pass


def _array(value: str) -> Word:
    if not value.rstrip().endswith(")"):
        return Word.UNCLOSED
    inside, at = value.rstrip()[1:-1], 0
    try:
        while at < len(inside):
            end = _end_of_word(inside, at)
            if end == at and inside[at] not in " \t":
                return Word.UNQUOTED
            at = max(end, at + 1)
    except _Unclosed:
        return Word.UNCLOSED
    return Word.ONE


def _end_of_word(text: str, at: int) -> int:
    """Where the word that begins at ``at`` ends."""
    while at < len(text) and text[at] not in _ENDS:
        at = _next(text, at)
    return at


def _next(text: str, at: int) -> int:
    """Behind the character, quotation or expansion that begins at ``at``."""
    char = text[at]
    if char == "\\":
        if at + 1 == len(text):
            raise _Unclosed
        return at + 2
    if char == "'":
        return _behind(text, at + 1, "'", plain=True)
    if char in "\"`":
        return _behind(text, at + 1, char)
    for opening, closing in (("$$", ""), ("$(", ")"), ("${", "}"), ("$[", "]")):
        if text.startswith(opening, at):
            return _behind(text, at + 2, closing) if closing else at + 2
    return at + 1


def _behind(text: str, at: int, closing: str, plain: bool = False) -> int:
    while at < len(text):
        if text[at] == closing:
            return at + 1
        if plain or (closing == '"' and text[at] == "'"):
            at += 1
        elif closing == ")" and text[at] == "(":
            at = _behind(text, at + 1, ")")
        else:
            at = _next(text, at)
    raise _Unclosed
