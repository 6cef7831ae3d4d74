"""Reads a multipart form from the socket into memory, within limits, and looks at what kind of file it holds.

The parser is Werkzeug's, without I/O. Quart's own around it writes large files to the disk on the event loop,
and takes a form that breaks off for a complete one.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable

import trio
from attrs import field, frozen
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from fasttalk_stt.service.openai.errors import ApiError, invalid
from fasttalk_stt.service.transcriptions import UploadLimits

MOST_PARTS = 100
"""Keywords come as a part each."""
MAX_FIELDS_BYTES = 64 * 1024
"""Of all fields without the file. A prompt that is of use has less than 1 kB."""
MAX_OVERHEAD_BYTES = 2 * MAX_FIELDS_BYTES
"""What a form may hold beside its file: fields, and the heads of parts."""
PIECE_BYTES = 8 * 1024
"""Parsed at once, so that no step is long: a part's head of 64 kB takes 20 ms."""
MAX_HEAD_BYTES = 2 * PIECE_BYTES
"""What the parser keeps of a part whose head has not ended."""

ACCEPTED = "wav, flac, mp3, ogg (Vorbis or Opus), aiff, au, caf or w64"


@frozen
class Upload:
    """A form: its fields in their order, and its file."""

    fields: tuple[tuple[str, str], ...]
    file: io.BytesIO = field(eq=False, repr=False)
    file_name: str


async def read_upload(
    body: AsyncIterable[bytes], content_type: str, limits: UploadLimits
) -> Upload:
    """Read the form of a request.

    Raises ApiError: 400 for what is no form with one `file`, 408 after `limits.timeout_s`, 413 beyond
    `limits.max_bytes`.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get("boundary", "")
    if (
        media_type != "multipart/form-data"
        or not 0 < len(boundary) <= 200
        or not boundary.isascii()
    ):
        raise ApiError(
            400,
            f"The body is {media_type[:100] or 'of no type'!r}: send multipart/form-data with a file and a "
            "model.",
        )
    reader = _FormReader(boundary.encode("ascii"), limits)
    with trio.move_on_after(limits.timeout_s) as deadline:
        async for data in body:
            for start in range(0, len(data), PIECE_BYTES):
                reader.take(data[start : start + PIECE_BYTES])
                await trio.lowlevel.checkpoint()
        return reader.finish()
    if deadline.cancelled_caught:
        raise ApiError(
            408, f"The upload took longer than the {limits.timeout_s:g} s allowed.", code="timeout"
        )
    raise RuntimeError("an upload ended in no way")


class _FormReader:
    """Takes pieces of a form and keeps what they hold."""

    def __init__(self, boundary: bytes, limits: UploadLimits) -> None:
        self._limits = limits
        self._parser = MultipartDecoder(
            boundary, max_form_memory_size=MAX_HEAD_BYTES, max_parts=MOST_PARTS
        )
        self._fields: list[tuple[str, str]] = []
        self._file: io.BytesIO | None = None
        self._file_name = ""
        self._part: Field | File | None = None
        self._text = bytearray()
        self._n_bytes = 0
        self._n_field_bytes = 0

    def take(self, data: bytes) -> None:
        self._n_bytes += len(data)
        if self._n_bytes > self._limits.max_bytes + MAX_OVERHEAD_BYTES:
            raise self._too_large()
        self._parse(data)

    def finish(self) -> Upload:
        """The form, behind its end."""
        self._parse(None)
        if self._file is None:
            raise invalid(
                "file", "file is missing: send a recording.", "missing_required_parameter"
            )
        self._file.seek(0)
        _check_kind(self._file.getbuffer()[:16].tobytes())
        return Upload(tuple(self._fields), self._file, self._file_name)

    def _parse(self, data: bytes | None) -> None:
        try:
            self._parser.receive_data(data)
            while not isinstance(event := self._parser.next_event(), NeedData | Epilogue):
                if isinstance(event, Field | File):
                    self._begin(event)
                elif isinstance(event, Data):
                    self._add(event)
        except RequestEntityTooLarge as error:
            raise ApiError(
                413,
                f"The form has more than {MOST_PARTS} parts, or a part with too long a head.",
                code="request_too_large",
            ) from error
        # What the parser makes of heads that are not text, or of a body that breaks off.
        except (ValueError, AttributeError) as error:
            raise ApiError(400, "The form is not complete, or no multipart/form-data.") from error

    def _begin(self, part: Field | File) -> None:
        self._part = part
        self._text.clear()
        if isinstance(part, File):
            if part.name != "file" or self._file is not None:
                raise invalid(
                    str(part.name)[:100],
                    f"A file came as {str(part.name)[:100]!r}: send one, as file.",
                )
            self._file = io.BytesIO()
            name = "".join(filter(str.isprintable, part.filename))
            self._file_name = name[-100:] or "file"

    def _add(self, event: Data) -> None:
        if isinstance(self._part, File) and self._file is not None:
            self._file.write(event.data)
            if self._file.tell() > self._limits.max_bytes:
                raise self._too_large()
            return
        self._n_field_bytes += len(event.data)
        if self._n_field_bytes > MAX_FIELDS_BYTES:
            raise ApiError(
                413,
                f"The fields beside the file have more than {MAX_FIELDS_BYTES} bytes.",
                code="request_too_large",
            )
        self._text += event.data
        if not event.more_data and self._part is not None:
            # Werkzeug 3.1 leaves a CR behind a part where a read ends one byte behind its boundary; a
            # recording does not mind. `test_fields_and_file_whatever_the_pieces` shows it.
            value = self._text.decode("utf-8", "replace").removesuffix("\r")
            self._fields.append((str(self._part.name), value))

    def _too_large(self) -> ApiError:
        return ApiError(
            413,
            f"The file is larger than the {self._limits.max_bytes} bytes allowed. Send a "
            "compressed format, or a part of it at a time.",
            param="file",
            code="request_too_large",
        )


def _check_kind(head: bytes) -> None:
    """Raises ApiError for what libsndfile does not read, or is not to be asked to.

    It knows some formats more, which nobody sends and whose readers hardly anybody has tested.
    """
    if not head:
        raise invalid("file", "The file is empty.")
    if is_accepted(head):
        return
    kind = "an MP4, M4A or MOV file" if head[4:8] == b"ftyp" else "of no kind that is known here"
    if head.startswith(b"\x1aE\xdf\xa3"):
        kind = "a WebM or Matroska file"
    raise invalid(
        "file",
        f"The file is {kind}: send {ACCEPTED}. ffmpeg -i FILE -ac 1 -ar 16000 recording.flac makes one.",
        "unsupported_format",
    )


def is_accepted(head: bytes) -> bool:
    """Whether a file that begins so is of a kind that is decoded."""
    if head[:4] in {b"RIFF", b"RF64", b"RIFX"}:
        return head[8:12] == b"WAVE"
    if head[:4] == b"FORM":
        return head[8:12] in {b"AIFF", b"AIFC"}
    if head.startswith((b"fLaC", b"OggS", b".snd", b"caff", b"riff\x2e\x91\xcf\x11", b"ID3")):
        return True
    # The sync word of an MPEG audio frame, of layer III.
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2
