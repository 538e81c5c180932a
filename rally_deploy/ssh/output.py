"""What a command prints: kept for its result, and told line by line as it comes."""

from __future__ import annotations

import codecs
from collections.abc import Callable


class Stream:
    """One of a command's two streams. Bytes in; ``text`` is all of it."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell = tell
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._parts: list[str] = []
        self._open = ""  # a line that has no end yet

    def feed(self, data: bytes, final: bool = False) -> None:
        text = self._decode(data, final)
        self._parts.append(text)
        if self._tell is None:
            return
        *lines, self._open = (self._open + text).split("\n")
        if final and self._open:
            lines.append(self._open)
            self._open = ""
        for line in lines:
            self._tell(line.rstrip("\r"))

    def end(self) -> None:
        """Tell the last line even if it has no line end."""
        self.feed(b"", final=True)

    @property
    def text(self) -> str:
        return "".join(self._parts)


class Output:
    """Both streams of a command."""

    def __init__(self, tell: Callable[[str], None] | None) -> None:
        self.out = Stream(tell)
        self.err = Stream(tell)

    def end(self) -> None:
        self.out.end()
        self.err.end()

    def last(self) -> str:
        """What is best shown of a command that did not end by itself."""
        return self.err.text.strip() or self.out.text
