"""The fields of a transcription request, as OpenAI's clients send them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.service.openai.errors import ApiError
from fasttalk_stt.service.openai.form import (
    LONGEST_TERM_CHARS,
    MOST_TERMS,
    TranscriptionRequest,
    read_request,
)
from fasttalk_stt.transcripts.transcription import Wishes

MODELS = ("whisper-1", "tiny.en")


def read(*fields, model="whisper-1", default_language=None):
    return read_request(
        [("model", model), *fields],
        models=MODELS,
        languages=frozenset({"de", "en", "pt"}),
        default_language=default_language,
    )


def refused(*fields, **more):
    with pytest.raises(ApiError) as caught:
        read(*fields, **more)
    return caught.value


def test_a_model_is_all_that_is_needed():
    assert read() == TranscriptionRequest(Wishes())
    assert read(model="tiny.en") == read()
    assert read(default_language="de").wishes.language == "de"


def test_everything_at_once():
    assert read(
        ("language", "en"),
        ("prompt", "Fasttalk, Zyntrix"),
        ("keywords[]", "Maria Silva"),
        ("response_format", "verbose_json"),
        ("temperature", "0.5"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("stream", "false"),
        ("chunking_strategy", "auto"),
        ("something_new", "x"),
    ) == TranscriptionRequest(
        Wishes("en", ("Maria Silva", "Fasttalk", "Zyntrix")),
        "verbose_json",
        frozenset({"word", "segment"}),
    )


@pytest.mark.parametrize("given", ["pt", "PT", "pt-BR", "portuguese", "Portuguese", " pt "])
def test_a_language_by_code_tag_or_name(given):
    assert read(("language", given), default_language="de").wishes.language == "pt"


def test_an_empty_field_is_as_none():
    empty = [(name, "") for name in ("language", "prompt", "response_format", "temperature")]
    assert read(*empty) == read()


@pytest.mark.parametrize("response_format", ["json", "text"])
def test_a_stream(response_format):
    assert read(("stream", "true"), ("response_format", response_format)).stream


@pytest.mark.parametrize(
    ("field", "param", "code"),
    [
        (("language", "xx"), "language", "invalid_value"),
        (("response_format", "diarized_json"), "response_format", "invalid_value"),
        (("temperature", "1.01"), "temperature", "invalid_value"),
        (("temperature", "nan"), "temperature", "invalid_value"),
        (("temperature", "warm"), "temperature", "invalid_value"),
        (("stream", "yes"), "stream", "invalid_value"),
        (("timestamp_granularities[]", "word"), "timestamp_granularities", "invalid_value"),
        (("include[]", "logprobs"), "include", "unsupported_value"),
        (("chunking_strategy[type]", "server_vad"), "chunking_strategy", "unsupported_value"),
        (("chunking_strategy", '{"type": "server_vad"}'), "chunking_strategy", "unsupported_value"),
        (("known_speaker_names[]", "Ann"), "known_speaker_names", "unsupported_parameter"),
        (("languages[]", "en"), "languages", "unsupported_parameter"),
        (("model", "tiny.en"), "model", "invalid_value"),
    ],
)
def test_what_cannot_be_used_is_named(field, param, code):
    error = refused(field)
    assert (error.status, error.param, error.code) == (400, param, code)


def test_granularities_there_are_none_of():
    error = refused(("timestamp_granularities[]", "day"), ("response_format", "verbose_json"))
    assert error.param == "timestamp_granularities"


@pytest.mark.parametrize("response_format", ["srt", "vtt", "verbose_json"])
def test_formats_that_cannot_be_streamed(response_format):
    error = refused(("stream", "true"), ("response_format", response_format))
    assert (error.param, error.code) == ("response_format", "unsupported_value")


def test_models_there_are_none_of():
    error = refused(model="gpt-4o-transcribe")
    assert (error.status, error.param, error.code) == (404, "model", "model_not_found")
    assert (refused(model="").status, refused(model="").code) == (400, "missing_required_parameter")


@given(st.text(max_size=5_000), st.lists(st.text(max_size=300), max_size=100))
def test_any_prompt_is_a_vocabulary_that_a_session_takes(prompt, keywords):
    fields = [("prompt", prompt), *(("keywords[]", each) for each in keywords)]
    terms = read(*fields).wishes.vocabulary
    assert len(terms) <= MOST_TERMS
    assert all(0 < len(term) <= LONGEST_TERM_CHARS and term.strip() == term for term in terms)


class Talk(str):
    """Counts its words that are looked at."""

    n_words = 0

    def split(self, *_):
        for word in super().split():
            self.n_words += 1
            yield word


def test_of_a_prompt_without_end_little_is_looked_at():
    talk = Talk("a " * 32_000)
    assert len(read(("keywords", talk)).wishes.vocabulary) == MOST_TERMS
    assert talk.n_words <= MOST_TERMS * LONGEST_TERM_CHARS


def test_a_long_prompt_keeps_its_words():
    prompt = " ".join(f"word{number}" for number in range(60))
    assert " ".join(read(("prompt", prompt)).wishes.vocabulary) == prompt
