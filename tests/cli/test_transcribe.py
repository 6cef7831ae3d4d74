"""The `transcribe` command: its jobs, its outputs, its progress."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import trio

from fasttalk_stt.cli.transcribe import (
    PROGRESS_INTERVAL_S,
    Job,
    OutputError,
    ProgressDisplay,
    offline_settings,
    plan_jobs,
    render,
    transcribe_jobs,
    write,
)
from fasttalk_stt.inference.fake import FakeEngine
from fasttalk_stt.settings import Settings
from fasttalk_stt.transcripts.transcript import Segment, Transcript, Word
from fasttalk_stt.transcripts.transcription import Progress

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture
def transcript():
    word = Word(text="Ja.", start_ms=0, end_ms=1_500, confidence=0.9)
    segment = Segment(text="Ja.", start_ms=0, end_ms=1_500, utterance=1, words=(word,))
    return Transcript(
        file="a.wav", duration_ms=2_000, model="m", language="de", segments=(segment,)
    )


def test_results_go_to_stdout_or_beside_each_other():
    paths = [Path("x/a.wav"), Path("b.flac")]
    assert plan_jobs(paths, output="-", format_name="text") == [
        Job(path=path, output=None) for path in paths
    ]
    assert plan_jobs(paths, output="out", format_name="srt") == [
        Job(path=paths[0], output=Path("out/a.srt")),
        Job(path=paths[1], output=Path("out/b.srt")),
    ]


@pytest.mark.parametrize("format_name", ["srt", "vtt"])
def test_several_subtitle_files_do_not_run_together(format_name):
    with pytest.raises(OutputError, match="give --output DIR"):
        plan_jobs([Path("a.wav"), Path("b.wav")], output="-", format_name=format_name)


def test_results_do_not_overwrite_each_other():
    with pytest.raises(OutputError, match=r"x/a\.wav and y/a\.flac would both become out/a\.txt"):
        plan_jobs([Path("x/a.wav"), Path("y/a.flac")], output="out", format_name="text")


def test_output_must_be_a_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="not a directory"):
        plan_jobs([Path("a.wav")], output=str(tmp_path / "file"), format_name="text")


def test_settings_take_the_command_line_and_no_live_limits():
    settings = offline_settings(Settings(model="base", language="de"), model=None, language=None)
    assert (settings.model, settings.language) == ("base", "de")
    assert settings.transcription_timeout_s > Settings().transcription_timeout_s
    settings = offline_settings(settings, model="tiny.en", language="en")
    assert (settings.model, settings.language) == ("tiny.en", "en")


def test_each_format(transcript):
    assert render(transcript, "text") == "Ja.\n"
    assert render(transcript, "srt") == "1\n00:00:00,000 --> 00:00:01,500\nJa.\n\n"
    assert render(transcript, "vtt") == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nJa.\n\n"
    assert json.loads(render(transcript, "json"))["language"] == "de"


def test_a_result_file_is_written_with_its_directory(transcript, tmp_path, capsys):
    target = tmp_path / "new" / "a.txt"
    write(transcript, Job(path=Path("a.wav"), output=target), "text", with_heading=True)
    assert target.read_text() == "Ja.\n"
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"a.wav -> {target}\n"


def test_text_of_several_files_has_headings(transcript, capsys):
    job = Job(path=Path("a.wav"), output=None)
    write(transcript, job, "text", with_heading=True)
    write(transcript, job, "text", with_heading=False)
    assert capsys.readouterr().out == "== a.wav ==\nJa.\nJa.\n"


def test_json_on_stdout_is_one_line_a_file(transcript, capsys):
    job = Job(path=Path("a.wav"), output=None)
    write(transcript, job, "json", with_heading=True)
    write(transcript, job, "json", with_heading=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["a.wav", "a.wav"]


async def test_files_go_through_the_real_pipeline_and_a_bad_one_stops_nobody(tmp_path, capsys):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not audio")
    jobs = [Job(path=path, output=None) for path in (broken, SAMPLES / "yes.flac")]
    exit_code = await transcribe_jobs(
        jobs,
        "json",
        settings=offline_settings(Settings(), model=None, language="en"),
        engine=FakeEngine(),
    )
    assert exit_code == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"fasttalk-stt: {broken}: not readable as audio")
    (line,) = captured.out.splitlines()
    made = json.loads(line)
    assert made["text"].startswith("word")
    assert made["model"] == "fake"
    assert made["language"] == "en"
    words = [word for segment in made["segments"] for word in segment["words"]]
    assert " ".join(word["word"] for word in words) == made["text"]


async def test_files_that_go_well_are_exit_code_0(tmp_path, capsys):
    job = Job(path=SAMPLES / "yes.flac", output=tmp_path / "yes.srt")
    settings = offline_settings(Settings(), model=None, language=None)
    assert await transcribe_jobs([job], "srt", settings=settings, engine=FakeEngine()) == 0
    assert job.output is not None
    assert job.output.read_text().startswith("1\n00:00:")
    assert capsys.readouterr().out == ""


async def test_a_language_the_model_lacks_is_one_line(capsys):
    settings = offline_settings(Settings(), model=None, language="xx")
    job = Job(path=SAMPLES / "yes.flac", output=None)
    assert await transcribe_jobs([job], "text", settings=settings, engine=FakeEngine()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"fasttalk-stt: {job.path}: ")
    assert "xx" in line


async def test_progress_on_a_terminal_is_one_line_that_changes():
    stream = io.StringIO()
    display = ProgressDisplay(stream, is_terminal=True)
    display.show("a.wav", Progress(settled_ms=500, duration_ms=2_000))
    display.finish()
    display.finish()
    assert stream.getvalue() == "\r\x1b[2Ka.wav: 0 of 2 s (25%) ...\r\x1b[2K"


async def test_progress_in_a_log_is_a_line_now_and_then(autojump_clock):
    stream = io.StringIO()
    display = ProgressDisplay(stream, is_terminal=False)
    display.note("loading the model")
    for step in range(11):
        display.show("a.wav", Progress(settled_ms=step * 1_000, duration_ms=10_000))
        await trio.sleep(PROGRESS_INTERVAL_S / 5)
    assert stream.getvalue() == "a.wav: 5 of 10 s (50%)\na.wav: 10 of 10 s (100%)\n"
