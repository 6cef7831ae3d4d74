"""What a person sees while words come."""

from __future__ import annotations

import io

from tools.display import Display


def partial(text):
    return {"type": "partial_transcription", "data": {"text": text}}


def test_finals_are_lines_with_their_time(transcription):
    stream = io.StringIO()
    Display(stream).show(transcription("Hello world", start_ms=61_500, duration_ms=1000))
    assert stream.getvalue() == "  1:01.50  Hello world\n"


def test_empty_finals_and_other_messages_are_not_shown(transcription):
    stream = io.StringIO()
    display = Display(stream)
    display.show(transcription("", start_ms=0, duration_ms=0))
    display.show({"type": "pong"})
    assert stream.getvalue() == ""


def test_a_partial_stays_on_one_line_until_its_final(transcription):
    stream = io.StringIO()
    display = Display(stream, show_partials=True)
    display.show(partial("Hel"))
    display.show(partial("Hello wor"))
    display.show(transcription("Hello world", start_ms=0, duration_ms=1000))
    assert stream.getvalue() == (
        "\r\x1b[2K... Hel\r\x1b[2K... Hello wor\r\x1b[2K  0:00.00  Hello world\n"
    )


def test_partials_need_a_terminal():
    stream = io.StringIO()
    Display(stream).show(partial("Hel"))
    assert stream.getvalue() == ""


def test_a_long_partial_shows_its_end():
    stream = io.StringIO()
    Display(stream, show_partials=True).show(partial("a" * 200 + "end"))
    assert stream.getvalue().endswith("aend")
    assert len(stream.getvalue()) < 120


def test_words_have_their_times(transcription):
    stream = io.StringIO()
    display = Display(stream, show_words=True, label="[2] ")
    display.show(transcription("Hello world", start_ms=0, duration_ms=1000))
    assert stream.getvalue().splitlines()[1:] == [
        "[2]        0.000 -    0.500  0.90  Hello",
        "[2]        0.500 -    1.000  0.90  world",
    ]


def test_errors_are_shown():
    stream = io.StringIO()
    Display(stream).show({"type": "error", "error": {"code": "gpu_error", "message": "no GPU"}})
    assert stream.getvalue() == "error gpu_error: no GPU\n"
