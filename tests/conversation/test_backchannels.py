"""What says "go on", and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.conversation.backchannel_phrases import INTERRUPTING_WORDS, PHRASES
from fasttalk_stt.conversation.backchannels import (
    LONGEST_WORDS,
    Backchannels,
    BackchannelsError,
    default_backchannels,
    read_backchannels,
)

DEFAULT = default_backchannels()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Mm-hmm.", "en"),
        ("Mmmm.", "en"),
        ("Hmmmm", "en"),
        ("mm hm", "en"),
        ("Mhm.", "en"),
        ("Uh-huh.", "en"),
        ("uh-huh, uh-huh", "en"),
        ("Yeah.", "en"),
        ("Yeah, yeah.", "en"),
        ("Yeahhh", "en"),
        ("Okay, right.", "en"),
        ("OK", "en-GB"),
        ("All right!", "en"),
        (" I see, I see.", "en"),
        ("That’s right.", "en"),
        ("Ja, genau.", "de"),
        ("Ach so…", "de"),
        ("Yeah.", "de"),
        ("Sí, claro.", "es"),
        ("Vale, vale.", "es-MX"),
        ("D'accord.", "fr"),
        ("C’est ça.", "fr"),
        ("Sì, va bene.", "it"),
        ("Pois é.", "pt-BR"),
        ("Ja, precies.", "nl"),
        ("Genau.", None),
        ("Mm-hmm.", "cy"),
    ],
)
def test_backchannels(text: str, language: str | None) -> None:
    assert DEFAULT.matches(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("...", "en"),
        ("No.", "en"),
        ("no no no", "en"),
        ("Stop.", "en"),
        ("Okay, stop.", "en"),
        ("Wait.", "en"),
        ("Yeah, but", "en"),
        ("Right?", "en"),
        ("Huh?", "en"),
        ("Okay, what about Tuesday?", "en"),
        ("Yes, please call her.", "en"),
        ("yeah yeah yeah yeah yeah", "en"),
        ("Genau.", "en"),
        ("Nein.", "de"),
        ("Ja, aber", "de"),
        ("Moment", "de"),
        ("No.", "es"),
        ("Non.", "fr"),
        ("Aspetta", "it"),
        ("Não.", "pt"),
        ("Nee.", None),
        ("Stop!", None),
        ("No.", None),
    ],
)
def test_everything_else(text: str, language: str | None) -> None:
    assert not DEFAULT.matches(text, language)


def test_a_long_utterance_is_more_than_the_words_that_were_understood() -> None:
    assert DEFAULT.matches("Yeah.", "en", pipeline_samples(0.4))
    assert DEFAULT.matches("Okay.", "en", pipeline_samples(1.1))
    assert not DEFAULT.matches("Yeah.", "en", pipeline_samples(1.5))
    assert DEFAULT.matches("I see, I see.", "en", pipeline_samples(1.5))


@given(st.data())
def test_any_few_phrases_of_a_language_match(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(sorted(PHRASES)))
    phrases = data.draw(
        st.lists(st.sampled_from(sorted(PHRASES[language])), min_size=1, max_size=4)
    )
    text = ", ".join(phrases).capitalize() + "."
    assert DEFAULT.matches(text, language) == (len(text.split()) <= LONGEST_WORDS)


@given(st.data())
def test_one_interrupting_word_is_enough(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(sorted(PHRASES)))
    listed = sorted(PHRASES[language])
    words = data.draw(st.lists(st.sampled_from(listed), max_size=3))
    stop = data.draw(st.sampled_from(sorted(INTERRUPTING_WORDS[language])))
    words.insert(data.draw(st.integers(0, len(words))), stop)
    assert not DEFAULT.matches(" ".join(words), language)
    assert not DEFAULT.matches(" ".join(words), None)


@given(st.text(), st.none() | st.sampled_from([*PHRASES, "ja-JP", ""]), st.none() | st.integers(0))
def test_any_text_has_an_answer(text: str, language: str | None, speech: int | None) -> None:
    assert DEFAULT.matches(text, language, speech) in {True, False}


@pytest.mark.parametrize("language", sorted(PHRASES))
def test_the_default_lists_hold_nothing_that_interrupts(language: str) -> None:
    listed = {word for phrase in PHRASES[language] for word in phrase.split()}
    assert not listed & INTERRUPTING_WORDS[language]


class TestAnOperatorsOwnLists:
    def test_replace_a_language_and_leave_the_others(self) -> None:
        own = read_backchannels('[phrases]\nen = ["Righty-ho"]\nsv = ["jaha", "just det"]\nfr = []')
        assert own.matches("righty ho!", "en")
        assert not own.matches("Yeah.", "en")
        assert own.matches("Just det.", "sv")
        assert own.matches("Genau.", "de")
        assert not own.matches("Oui.", "fr")

    def test_may_be_empty(self) -> None:
        assert read_backchannels("") == DEFAULT

    def test_set_the_length(self) -> None:
        own = read_backchannels("longest_words = 1")
        assert own.matches("Yeah.", "en")
        assert not own.matches("Yeah, yeah.", "en")

    @pytest.mark.parametrize(
        ("toml_text", "message"),
        [
            ("phrases = [", "not TOML"),
            ("words = 3", "unknown key 'words'"),
            ('phrases = ["yeah"]', "phrases must be a table"),
            ('[phrases]\nen = "yeah"', r"phrases\.en must be a list of strings"),
            ("[phrases]\nen = [1]", r"phrases\.en must be a list of strings"),
            ('[phrases]\nen = ["..."]', "has no words"),
            ('[phrases]\nen = ["okay stop"]', "'stop' interrupts"),
            ('[phrases]\nde = ["Nein!"]', "'nein' interrupts"),
            ("longest_words = 0", "whole number from 1 to 10"),
            ("longest_words = true", "whole number from 1 to 10"),
        ],
    )
    def test_bad_ones_say_what_is_wrong(self, toml_text: str, message: str) -> None:
        with pytest.raises(BackchannelsError, match=message):
            read_backchannels(toml_text)


def test_no_language_at_all_matches_nothing() -> None:
    assert not Backchannels({}).matches("Yeah.", "en")
