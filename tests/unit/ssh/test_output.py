from __future__ import annotations

from rally_deploy.ssh.output import Output, Stream


def test_stream_line_in_pieces_is_told_once_whole() -> None:
    lines: list[str] = []
    stream = Stream(lines.append)
    for piece in (b"on", b"e\ntw", b"o\r\n", b"thr"):
        stream.feed(piece)
    assert lines == ["one", "two"]
    stream.end()
    assert lines == ["one", "two", "thr"]
    assert stream.text == "one\ntwo\r\nthr"


def test_stream_character_split_between_reads_stays_whole() -> None:
    lines: list[str] = []
    stream = Stream(lines.append)
    data = "naïve €\n".encode()
    for index in range(len(data)):
        stream.feed(data[index : index + 1])
    assert lines == ["naïve €"]


def test_stream_bytes_that_are_no_text_do_not_raise() -> None:
    stream = Stream(None)
    stream.feed(b"\xff\xfe ok")
    stream.end()
    assert stream.text.endswith(" ok")


def test_output_last_prefers_the_errors() -> None:
    output = Output(None)
    output.out.feed(b"fine\n")
    assert output.last() == "fine\n"
    output.err.feed(b"oops\n")
    assert output.last() == "oops"
