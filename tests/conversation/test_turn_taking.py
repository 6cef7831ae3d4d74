"""Which silence ends an utterance: by words, by sound, by the speaker's habit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.turn_taking import (
    NO_CLUES,
    RESPONSE_FACTORS,
    SHORTEST_SILENCE_SAMPLES,
    Ending,
    EndpointerMode,
    PauseHabit,
    TurnClues,
    endpoint_silence_samples,
    sentence_ending,
)
from fasttalk_stt.conversation.turn_words import TURN_WORDS
from fasttalk_stt.protocol.client_messages import ResponseType

BASE = pipeline_samples(0.5)
MODES: tuple[EndpointerMode, ...] = get_args(EndpointerMode)

probabilities = st.floats(0.0, 1.0)
clues = st.builds(
    TurnClues,
    text=st.none() | st.text(max_size=30) | st.sampled_from(["I think.", "and", "So, um"]),
    language=st.none() | st.sampled_from([*TURN_WORDS, "en-US", "ja", ""]),
    turn_probability=st.none() | probabilities,
    stop_confidence=st.none() | probabilities,
)
pauses = st.lists(st.integers(0, 60_000), max_size=30)
response_types: st.SearchStrategy[ResponseType] = st.sampled_from(sorted(RESPONSE_FACTORS))


def habit(given_pauses: Iterable[int] = ()) -> PauseHabit:
    known = PauseHabit()
    for pause in given_pauses:
        known.add(pause)
    return known


def ended(stop_confidences: Iterable[float | None]) -> PauseHabit:
    known = PauseHabit()
    for confidence in stop_confidences:
        known.add_end(TurnClues("That is all.", "en", stop_confidence=confidence))
    return known


def silence(
    what: TurnClues, mode: EndpointerMode = "adaptive", known: PauseHabit | None = None
) -> int:
    return endpoint_silence_samples(BASE, mode, "casual", what, known or habit())


@pytest.mark.parametrize(
    ("text", "language", "ending"),
    [
        ("I would like a cup of tea.", "en", "finished"),
        ("Don't ask me to carry an oily rag like that.", "en", "finished"),
        ("Turn it on.", "en", "finished"),
        ("Where are you from?", "en", "finished"),
        ("Because?", "en", "finished"),
        ('He said "stop!"', "en", "finished"),
        ("Yes.", "en", "finished"),
        ("It happened in 1984.", "en", "finished"),
        ("Set a timer for 10 minutes.", "en-GB", "finished"),
        ("If you like.", "en", "finished"),
        ("If it rains, we stay.", "en", "finished"),
        ("", "en", "finished"),
        ("...", "en", "finished"),
        ("Zero", "en", "finished"),
        ("5", "en", "finished"),
        ("The", "en", "unfinished"),
        ("5, 7", "en", "unclear"),
        ("I could do so much for all", "en", "unclear"),
        ("When the first excitement had subsided.", "en", "unclear"),
        ("He left. When the rain began to fall.", "en", "unclear"),
        ("I want it because", "en", "unfinished"),
        ("I want it because.", "en", "unfinished"),
        ("And the", "en", "unfinished"),
        ("I'd like to speak to Mr.", "en", "unfinished"),
        ("Well, I’m", "en", "unfinished"),
        ("I went to", "en", "unfinished"),
        ("Um.", "en", "unfinished"),
        ("I think, uh", "en", "unfinished"),
        ("However,", "en", "unfinished"),
        ("Please enter the first...", "en", "unfinished"),
        ("There are three things:", "en", "unfinished"),
        ("I saw a –", "en", "unfinished"),
        ("8, 9, 6, 7.", "en", "unfinished"),
        ("My number is five five oh", "en", "unfinished"),
        ("Call 555-0123.", "en", "unfinished"),
        ("5550123", "en", "unfinished"),
        ("Ich komme später, weil", "de", "unfinished"),
        ("Das ist der.", "de", "unfinished"),
        ("Ich bin fertig damit.", "de", "finished"),
        ("Wenn ich morgen früh fertig bin.", "de", "unclear"),
        ("Quiero un café con", "es", "unfinished"),
        ("Está bien.", "es", "finished"),
        ("Je voudrais du", "fr", "unfinished"),
        ("C’est.", "fr", "unfinished"),
        ("Vorrei un caffè e", "it", "unfinished"),
        ("Eu quero um café com", "pt-BR", "unfinished"),
        ("Gosto muito.", "pt", "finished"),
        ("Ik wil graag een", "nl", "unfinished"),
        ("ではお願いします。", "ja", "finished"),
        ("でも、", "ja", "unfinished"),
        ("I want it because.", None, "finished"),
        ("I want it because", None, "unclear"),
        ("I want it,", None, "unfinished"),
    ],
)
def test_sentence_ending(text: str, language: str | None, ending: Ending) -> None:
    assert sentence_ending(text, language) == ending


@given(st.text(), st.none() | st.text(max_size=5))
def test_any_text_has_an_ending(text: str, language: str | None) -> None:
    assert sentence_ending(text, language) in get_args(Ending)


@pytest.mark.parametrize("language", sorted(TURN_WORDS))
def test_no_word_is_in_two_lists(language: str) -> None:
    words = TURN_WORDS[language]
    assert not words.never_last & words.seldom_last
    assert not words.hesitations & (words.never_last | words.seldom_last)


class TestSilence:
    @given(clues, pauses, response_types)
    def test_heeds_no_clue(
        self, what: TurnClues, known: list[int], response_type: ResponseType
    ) -> None:
        found = endpoint_silence_samples(BASE, "silence", response_type, what, habit(known))
        assert found == int(BASE * RESPONSE_FACTORS[response_type])

    def test_a_command_ends_sooner_and_an_answer_later(self) -> None:
        waits = [
            endpoint_silence_samples(BASE, "silence", response_type, NO_CLUES, habit())
            for response_type in ("command", "casual", "question")
        ]
        assert waits == [pipeline_samples(0.35), BASE, pipeline_samples(0.75)]


class TestAdaptive:
    def test_a_finished_sentence_waits_as_long_as_it_was_told(self) -> None:
        assert silence(TurnClues("That is all.", "en")) == BASE
        assert silence(TurnClues("That is all.", "en", stop_confidence=0.8)) == BASE

    def test_an_unfinished_one_waits_longer(self) -> None:
        assert silence(TurnClues("That is because", "en")) == 3 * BASE
        assert silence(TurnClues("It is 5, 7, 9.", "en")) == 3 * BASE

    def test_a_doubtful_full_stop_waits_longer(self) -> None:
        known = ended([0.9] * 8)
        doubts = [0.9, 0.65, 0.5, 0.3, 0.1]
        waits = [
            silence(TurnClues("That.", "en", stop_confidence=doubt), known=known)
            for doubt in doubts
        ]
        assert waits == sorted(waits)
        assert waits[:2] == [BASE, BASE]
        assert waits[-2:] == [3 * BASE, 3 * BASE]

    def test_a_missing_full_stop_is_the_most_doubtful_one(self) -> None:
        assert silence(TurnClues("That is all", "en"), known=ended([0.9] * 8)) == 3 * BASE

    @pytest.mark.parametrize("usual", [[], [0.9] * 3, [0.9] * 5 + [0.1] * 3, [None] * 8])
    def test_doubts_need_a_decoder_that_is_known_to_be_sure(
        self, usual: list[float | None]
    ) -> None:
        known = ended(usual)
        assert known.doubtful_stop is None
        assert silence(TurnClues("That is all", "en"), known=known) == BASE
        assert silence(TurnClues("That.", "en", stop_confidence=0.1), known=known) == BASE

    def test_ends_without_text_or_beyond_doubt_tell_nothing_of_the_decoder(self) -> None:
        known = habit()
        for _ in range(8):
            known.add_end(NO_CLUES)
            known.add_end(TurnClues("and the", "en"))
        assert known.doubtful_stop is None

    def test_without_text_it_is_plain_silence(self) -> None:
        assert silence(NO_CLUES) == BASE
        assert silence(TurnClues(stop_confidence=0.1)) == BASE

    def test_it_does_not_ask_how_it_sounded(self) -> None:
        assert silence(TurnClues("That is all.", "en", turn_probability=0.0)) == BASE


class TestSmart:
    def test_a_speaker_who_does_not_sound_done_is_waited_for(self) -> None:
        waits = [
            silence(TurnClues("That is all.", "en", turn_probability=probability), "smart")
            for probability in (0.9, 0.3, 0.2, 0.05, 0.0)
        ]
        assert waits == sorted(waits)
        assert waits[:2] == [int(0.7 * BASE), BASE]
        assert waits[-2:] == [int(2.5 * BASE)] * 2

    def test_whoever_sounds_done_still_needs_words_that_are(self) -> None:
        for text, shortest in (("That is all.", 0.7), ("That is because", 1.5), (None, 1.0)):
            waited = silence(TurnClues(text, "en", turn_probability=0.95), "smart")
            assert waited >= int(shortest * BASE)

    def test_nobody_is_cut_off_sooner_than_asked_for_or_200_ms(self) -> None:
        done = TurnClues("That is all.", "en", turn_probability=1.0)
        for base_ms, waited_ms in ((150, 150), (200, 200), (250, 200), (1_000, 700)):
            waited = endpoint_silence_samples(16 * base_ms, "smart", "casual", done, PauseHabit())
            assert waited == 16 * waited_ms

    def test_sound_counts_before_the_text_is_there(self) -> None:
        assert silence(TurnClues(turn_probability=0.05), "smart") == int(2.5 * BASE)

    def test_without_the_model_it_is_adaptive(self) -> None:
        what = TurnClues("And then the", "en")
        assert silence(what, "smart") == silence(what, "adaptive")


class TestHabit:
    def test_a_few_pauses_are_no_habit(self) -> None:
        assert habit([1_000] * 3).quantile(0.9) is None
        assert habit([1_000] * 4).quantile(0.9) == 1_000

    def test_old_pauses_are_forgotten(self) -> None:
        assert habit([9_000] * 50 + [100] * 20).quantile(1.0) == 100

    @given(st.lists(st.integers(0, 60_000), min_size=4, max_size=20))
    def test_quantiles_are_pauses_in_order(self, known: list[int]) -> None:
        found = [habit(known).quantile(share / 10) for share in range(11)]
        quantiles = [pause for pause in found if pause is not None]
        assert quantiles == sorted(quantiles)
        assert (quantiles[0], quantiles[-1]) == (min(known), max(known))
        assert set(quantiles) <= set(known)

    def test_a_brisk_speaker_is_not_waited_for_as_long(self) -> None:
        open_end = TurnClues("And then the", "en")
        brisk, slow = habit([BASE // 4] * 8), habit([BASE] * 8)
        assert silence(open_end, known=brisk) == int(1.5 * BASE)
        assert silence(open_end, known=slow) == 2 * BASE
        assert silence(open_end) == 3 * BASE

    def test_a_slow_speaker_changes_nothing_behind_a_finished_sentence(self) -> None:
        assert silence(TurnClues("That is all.", "en"), known=habit([5 * BASE] * 8)) == BASE


@given(st.integers(0, 100_000), st.sampled_from(MODES), response_types, clues, pauses)
def test_the_silence_is_bounded(
    base: int, mode: EndpointerMode, response_type: ResponseType, what: TurnClues, known: list[int]
) -> None:
    found = endpoint_silence_samples(base, mode, response_type, what, habit(known))
    plain = endpoint_silence_samples(base, "silence", response_type, NO_CLUES, habit())
    # Only who sounds done waits less, and never less than 200 ms.
    least = min(plain, max(int(0.7 * plain), 3_200)) if mode == "smart" else plain
    assert max(least, SHORTEST_SILENCE_SAMPLES) <= found <= 3 * plain


@given(
    response_types,
    st.none() | st.floats(0.65, 1.0),
    st.lists(clues, max_size=30),
    pauses,
    st.sampled_from(["en", None]),
)
def test_a_whole_sentence_never_waits_longer_than_plain_silence(
    response_type: ResponseType,
    stop: float | None,
    ends: list[TurnClues],
    paused: list[int],
    language: str | None,
) -> None:
    what = TurnClues("She had your dark suit in wash water.", language, stop_confidence=stop)
    base = pipeline_samples(0.2)
    known = habit(paused)
    for end in ends:
        known.add_end(end)
    found = endpoint_silence_samples(base, "adaptive", response_type, what, known)
    assert found == endpoint_silence_samples(base, "silence", response_type, what, known)
