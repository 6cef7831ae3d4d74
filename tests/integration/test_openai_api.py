"""OpenAI's own package against the real server and the real model, beside `fasttalk-stt transcribe`."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tools.scoring import word_errors

pytestmark = pytest.mark.integration

LIMIT_S = 240.0
CLOCK = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{3})")


@pytest.fixture
def client(real_server: Any) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{real_server.http_url}/v1", api_key="none", timeout=LIMIT_S, max_retries=0
    ) as client:
        yield client


def transcribe(client: openai.OpenAI, item: Any, **more: Any) -> Any:
    with item.path.open("rb") as file:
        return client.audio.transcriptions.create(file=file, model="whisper-1", **more)


def test_a_conversation_as_text_with_times(client: openai.OpenAI, samples: Any) -> None:
    conversation = samples["conversation"]
    made = transcribe(
        client,
        conversation,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert word_errors(conversation.reference, made.text).errors <= 3
    assert made.language == "english"
    assert 29.0 < made.duration < 31.0
    assert " ".join(word.word for word in made.words) == made.text
    times = [time for word in made.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= made.duration
    assert all(word.start < word.end for word in made.words)
    assert len(made.segments) >= 5
    assert " ".join(segment.text for segment in made.segments) == made.text
    assert all(-1.5 < segment.avg_logprob <= 0 for segment in made.segments)


@pytest.mark.parametrize("response_format", ["srt", "vtt"])
def test_subtitles_parse(client: openai.OpenAI, samples: Any, response_format: str) -> None:
    text = transcribe(client, samples["conversation"], response_format=response_format)
    cues = [block for block in text.strip().split("\n\n") if " --> " in block]
    assert len(cues) >= 5
    last_ms = 0
    for cue in cues:
        line = next(line for line in cue.splitlines() if " --> " in line)
        start_ms, end_ms = (
            ((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(ms)
            for h, m, s, ms in CLOCK.findall(line)
        )
        assert last_ms <= start_ms < end_ms
        last_ms = end_ms


def test_a_stream_begins_before_the_end(client: openai.OpenAI, samples: Any) -> None:
    arrived_s: list[float] = []
    deltas: list[str] = []
    for event in transcribe(client, samples["conversation"], stream=True):
        arrived_s.append(time.monotonic())
        if event.type == "transcript.text.delta":
            deltas.append(event.delta)
        else:
            assert event.text == "".join(deltas)
    assert len(deltas) >= 5
    assert arrived_s[-1] - arrived_s[0] > 0.3


def test_it_says_what_the_command_says(client: openai.OpenAI, samples: Any) -> None:
    import subprocess
    import sys

    item = samples["long_sentence"]
    done = subprocess.run(
        [sys.executable, "-m", "fasttalk_stt", "transcribe", "--model", "tiny.en", str(item.path)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    assert transcribe(client, item).text.split() == done.stdout.split()


def test_several_at_once_are_as_one_alone(client: openai.OpenAI, samples: Any) -> None:
    names = ["command", "question", "date", "order_amount"]
    alone = {name: transcribe(client, samples[name]).text for name in names}
    together: dict[str, str] = {}

    def run(name: str) -> None:
        together[name] = transcribe(client, samples[name]).text

    threads = [threading.Thread(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert together == alone
