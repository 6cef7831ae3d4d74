"""Whether an MP3 says how long it is: most begin with a frame that counts the others (Xing's).

Where one does not, libmpg123 takes the whole for as dense as its first frames, and may be wrong by far.
"""

from __future__ import annotations

from typing import BinaryIO

HEAD_BYTES = 4_096
"""From the first frame on, which is shorter, with some room for padding."""
MOST_TAGS = 4


def counts_its_frames(file: BinaryIO) -> bool:
    """Leaves the stream where it was."""
    before = file.tell()
    try:
        head = _first_frames(file)
    finally:
        file.seek(before)
    for name in (b"Xing", b"Info"):
        at = head.find(name)
        # Four bytes of flags follow, the lowest of which stands for the count.
        if at >= 0 and head[at + 7 : at + 8] and head[at + 7] & 1:
            return True
    return False


def _first_frames(file: BinaryIO) -> bytes:
    """What is behind the tags (ID3), which may hold a picture."""
    at = 0
    for _ in range(MOST_TAGS):
        file.seek(at)
        tag = file.read(10)
        if len(tag) < 10 or not tag.startswith(b"ID3"):
            break
        size = 0
        for each in tag[6:]:
            size = size << 7 | each & 0x7F
        has_footer = tag[5] & 0x10
        at += 10 + size + (10 if has_footer else 0)
    file.seek(at)
    return file.read(HEAD_BYTES)
