"""Cues: every word once, in order, never overlapping, readable; and the two file formats."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.transcripts.subtitles import (
    LINE_CHARACTERS,
    LONGEST_CUE_MS,
    SHORTEST_CUE_MS,
    Cue,
    as_srt,
    as_vtt,
    cues,
)
from fasttalk_stt.transcripts.transcript import Segment, Word


def spoken(text: str, *, start_ms: int = 0, word_ms: int = 300, utterance: int = 1) -> Segment:
    """A segment whose words follow each other without a pause."""
    words = [
        Word(
            text=word,
            start_ms=start_ms + index * word_ms,
            end_ms=start_ms + (index + 1) * word_ms,
            confidence=0.9,
        )
        for index, word in enumerate(text.split())
    ]
    return Segment(
        text=text,
        start_ms=start_ms,
        end_ms=start_ms + len(words) * word_ms,
        utterance=utterance,
        words=tuple(words),
    )


def shown(cue: Cue) -> str:
    return " ".join(cue.lines)


def test_one_short_sentence_is_one_cue():
    assert cues([spoken("Hello world, this is it.")]) == [
        Cue(start_ms=0, end_ms=1500, lines=("Hello world, this is it.",))
    ]


def test_two_lines_are_even():
    (cue,) = cues([spoken("one two three four five six seven eight nine ten", word_ms=200)])
    assert cue.lines == ("one two three four five", "six seven eight nine ten")


def test_a_pause_ends_a_cue_and_the_cue_is_not_shown_over_it():
    first, second = cues([spoken("before"), spoken("after", start_ms=5_000)])
    assert (first.start_ms, first.end_ms) == (0, SHORTEST_CUE_MS)
    assert (second.start_ms, shown(second)) == (5_000, "after")


def test_a_full_cue_is_cut_after_its_last_sentence():
    text = (
        "This is the first sentence of all. And here the second one goes on and on "
        "until it does not fit any more."
    )
    first, second, *_ = cues([spoken(text, word_ms=150)])
    assert shown(first) == "This is the first sentence of all."
    assert shown(second).startswith("And here")


def test_without_a_sentence_it_is_cut_after_a_clause():
    text = (
        "if the train from Berlin is late again, send a message to my sister and tell her "
        "to start dinner without me"
    )
    first, second = cues([spoken(text, word_ms=150)])
    assert shown(first) == "if the train from Berlin is late again,"
    assert shown(second).startswith("send a message")


def test_a_cue_is_not_shown_too_long():
    slow = spoken("every word takes very long to say here", word_ms=2_000)
    made = cues([slow])
    assert len(made) > 1
    assert all(cue.end_ms - cue.start_ms <= LONGEST_CUE_MS for cue in made)


def test_without_word_times_the_segment_is_spread():
    (cue,) = cues([Segment(text="no word times", start_ms=1_000, end_ms=3_000, utterance=1)])
    assert cue == Cue(start_ms=1_000, end_ms=3_000, lines=("no word times",))


def test_a_script_without_spaces_gets_none():
    words = tuple(
        Word(text=text, start_ms=start, end_ms=start + 400, confidence=1.0)
        for text, start in (("今日", 0), ("は", 400), ("晴れ", 800))
    )
    (cue,) = cues([Segment(text="今日は晴れ。", start_ms=0, end_ms=1200, utterance=1, words=words)])
    assert cue.lines == ("今日は晴れ。",)


def test_words_that_the_text_spells_otherwise_are_shown_all_the_same():
    words = (
        Word(text="twenty", start_ms=0, end_ms=300, confidence=1.0),
        Word(text="dollars", start_ms=300, end_ms=600, confidence=1.0),
    )
    (cue,) = cues([Segment(text="$20 dollars", start_ms=0, end_ms=600, utterance=1, words=words)])
    assert cue.lines == ("twenty dollars",)


def test_a_word_longer_than_a_line_stands_alone():
    long_word = "x" * (LINE_CHARACTERS + 8)
    made = cues([spoken(f"a {long_word} b")])
    assert "".join(line for cue in made for line in cue.lines).replace(" ", "") == f"a{long_word}b"
    assert all(line in ("a", long_word, "b") for cue in made for line in cue.lines)


def test_nothing_heard_is_no_cue():
    assert cues([]) == []
    assert as_srt([]) == ""
    assert as_vtt([]) == "WEBVTT\n\n"


def test_srt():
    made = [
        Cue(start_ms=0, end_ms=1_500, lines=("Hello world,", "again --> more")),
        Cue(start_ms=3_723_004, end_ms=3_724_050, lines=("A & B < C",)),
    ]
    assert as_srt(made) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello world,\nagain → more\n\n"
        "2\n01:02:03,004 --> 01:02:04,050\nA & B < C\n\n"
    )


def test_vtt():
    made = [Cue(start_ms=3_723_004, end_ms=3_724_050, lines=("A & B --> <C>", "second"))]
    assert as_vtt(made) == (
        "WEBVTT\n\n01:02:03.004 --> 01:02:04.050\nA &amp; B --&gt; &lt;C&gt;\nsecond\n\n"
    )


_word_text = st.text(alphabet="abcXYZ01.,?!-><&'ü日", min_size=1, max_size=50)


@st.composite
def _segments(draw: st.DrawFn) -> list[Segment]:
    """Segments as the server sends them: one after another, words in order inside them."""
    segments = []
    now_ms = draw(st.integers(0, 5_000))
    for utterance in range(draw(st.integers(0, 5))):
        texts = draw(st.lists(_word_text, min_size=1, max_size=25))
        start_ms = now_ms
        words = []
        for text in texts:
            now_ms += draw(st.integers(0, 900))
            end_ms = now_ms + draw(st.integers(1, 1_500))
            words.append(Word(text=text, start_ms=now_ms, end_ms=end_ms, confidence=0.5))
        end_ms = max(word.end_ms for word in words)
        now_ms = end_ms + draw(st.integers(0, 3_000))
        segments.append(
            Segment(
                text=" ".join(texts),
                start_ms=start_ms,
                end_ms=end_ms,
                utterance=utterance,
                words=tuple(words) if draw(st.booleans()) else (),
            )
        )
    return segments


@given(_segments())
def test_cues_hold_every_word_once_in_order_and_never_overlap(segments):
    made = cues(segments)
    assert [word for cue in made for line in cue.lines for word in line.split()] == [
        word for segment in segments for word in segment.text.split()
    ]
    assert all(cue.start_ms < cue.end_ms for cue in made)
    assert all(earlier.end_ms <= later.start_ms for earlier, later in pairwise(made))
    assert all(1 <= len(cue.lines) <= 2 for cue in made)
    for cue in made:
        for line in cue.lines:
            assert len(line) <= LINE_CHARACTERS or len(line.split()) == 1


@given(_segments())
def test_files_can_be_read_back(segments):
    made = cues(segments)
    blocks = as_vtt(made).split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len([block for block in blocks[1:] if block]) == len(made)
    assert all("-->" not in line for block in blocks[1:] for line in block.splitlines()[1:])
    assert as_srt(made).count(" --> ") == len(made)


@pytest.mark.parametrize("text", ["", "   "])
def test_a_segment_without_words_is_no_cue(text):
    assert cues([Segment(text=text, start_ms=0, end_ms=500, utterance=1)]) == []
