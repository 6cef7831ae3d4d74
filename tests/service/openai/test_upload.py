"""Forms from the socket, in pieces of any size, and those that are none."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from fasttalk_stt.service.openai.errors import ApiError
from fasttalk_stt.service.openai.upload import is_accepted, read_upload
from fasttalk_stt.service.transcriptions import UploadLimits

BOUNDARY = b"a-boundary"
TYPE = "multipart/form-data; boundary=a-boundary"
LIMITS = UploadLimits(max_bytes=10_000, timeout_s=5.0, longest_s=10.0)
FLAC = b"fLaC" + b"0123456789abcdef" * 50


def form(*fields, file=FLAC, name="file"):
    encoder = MultipartEncoder(BOUNDARY)
    events = [Preamble(data=b"")]
    for field, value in fields:
        events += [Field(name=field, headers=Headers()), Data(data=value, more_data=False)]
    events += [
        File(name=name, filename="a.flac", headers=Headers()),
        Data(data=file, more_data=False),
    ]
    return b"".join(map(encoder.send_event, [*events, Epilogue(data=b"")]))


async def pieces(data, size=7):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data, content_type=TYPE, size=50):
    return await read_upload(pieces(data, size), content_type, LIMITS)


async def refused(data, **more):
    with pytest.raises(ApiError) as caught:
        await read(data, **more)
    return caught.value


@pytest.mark.parametrize("size", [1, 7, 4_096])
async def test_fields_and_file_whatever_the_pieces(size):
    upload = await read(
        form(("model", b"m"), ("prompt", "Grüße".encode()), ("model", b"n")), size=size
    )
    assert upload.fields == (("model", "m"), ("prompt", "Grüße"), ("model", "n"))
    assert upload.file.read().removesuffix(b"\r") == FLAC
    assert upload.file_name == "a.flac"


async def test_a_file_at_the_limit_and_beyond():
    assert len((await read(form(file=b"fLaC" + bytes(9_996)))).file.read()) == 10_000
    error = await refused(form(file=b"fLaC" + bytes(9_997)))
    assert (error.status, error.param) == (413, "file")


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (form()[:-30], 400, "not complete"),
        (form()[:60], 400, "not complete"),
        (b"", 400, "not complete"),
        (form(name="audio"), 400, "A file came as 'audio'"),
        (form(file=b""), 400, "The file is empty"),
        (form(file=b"text"), 400, "of no kind that is known here"),
        (form(file=b"\0\0\0 ftypM4A "), 400, "an MP4, M4A or MOV file"),
        (form(file=b"\x1aE\xdf\xa3webm"), 400, "a WebM or Matroska file"),
        (form(*[(f"f{n}", b"x") for n in range(101)]), 413, "more than 100 parts"),
        (form(("prompt", bytes(70_000))), 413, "fields beside the file"),
        (b"--a-boundary\r\n" + bytes(200_000), 413, "."),
        (form().replace(b"\r\n", b"\r\n" + b"a:\r\n" * 5_000, 1), 413, "too long a head"),
    ],
)
async def test_forms_that_cannot_be_used(data, status, message):
    error = await refused(data)
    assert error.status == status
    assert message in error.message


async def test_a_prompt_far_longer_than_a_head():
    upload = await read(form(("prompt", b"word " * 12_000)), size=65_536)
    assert upload.fields == (("prompt", "word " * 12_000),)


async def test_what_follows_the_end_is_dropped_but_counts():
    assert (await read(form() + b"epilogue" * 100)).file.read() == FLAC
    assert (await refused(form() + bytes(200_000), size=4_096)).status == 413


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/form-data"])
async def test_bodies_of_another_type(content_type):
    assert (await refused(form(), content_type=content_type)).status == 400


async def test_an_upload_that_takes_too_long(autojump_clock: trio.testing.MockClock):
    async def slow():
        for byte in form():
            yield bytes([byte])
            await trio.sleep(0.1)

    with pytest.raises(ApiError) as caught:
        await read_upload(slow(), TYPE, LIMITS)
    assert (caught.value.status, trio.current_time()) == (408, pytest.approx(5.0))


@pytest.mark.parametrize(
    "head",
    [
        b"RIFF\0\0\0\0WAVEfmt ", b"RF64\xff\xff\xff\xffWAVE", b"FORM\0\0\0\0AIFF", b"fLaC", b"OggS\0",
        b"ID3\x04", b"\xff\xfb\x90", b"\xff\xf3\x44", b"caff\0\1", b".snd",
    ],
)  # fmt: skip
def test_kinds_that_are_decoded(head):
    assert is_accepted(head)


@pytest.mark.parametrize(
    "head", [b"", b"\xff", b"RIFF\0\0\0\0AVI ", b"\xff\xf1\x50", b"MATLAB 5.0 MAT", b"%PDF"]
)
def test_kinds_that_are_not(head):
    assert not is_accepted(head)


@given(st.binary(max_size=2_000), st.integers(1, 300))
def test_no_body_does_harm(data, size):
    async def run():
        try:
            await read(b"--a-boundary\r\n" + data, size=size)
        except ApiError as error:
            assert error.status in {400, 413}

    trio.run(run)
