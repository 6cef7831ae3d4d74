"""Words on the terminal while they come: finals as lines, partials on one line that changes.

It only formats what messages say. `replay` connects it to a session.
"""

from __future__ import annotations

from typing import TextIO

from attrs import define, field

from tools.trace import Message

TERMINAL_COLUMNS = 100
"""A partial is cut to its last characters at this width: one line can be overwritten, two not."""

_CLEAR_LINE = "\r\x1b[2K"


@define
class Display:
    """Prints one session's messages to `stream`.

    `show_partials` needs a terminal, and one session at a time. `label` stands before each line,
    for several clients at once. `show_words` adds each word with its times.
    """

    stream: TextIO
    show_partials: bool = False
    show_words: bool = False
    label: str = ""
    _partial_shown: bool = field(default=False, init=False)

    def show(self, message: Message) -> None:
        """Print what this message adds; most types add nothing."""
        kind = message.get("type")
        if kind == "partial_transcription" and self.show_partials:
            text = str(message["data"]["text"])[-TERMINAL_COLUMNS:]
            self.stream.write(f"{_CLEAR_LINE}... {text}")
            self.stream.flush()
            self._partial_shown = True
        elif kind == "transcription" and message["data"]["text"]:
            data = message["data"]
            self.line(f"{_clock(data['metadata']['audio_start_ms'])}  {data['text'].strip()}")
            if self.show_words:
                for word in data.get("timestamps") or ():
                    self.line(word_line(word))
        elif kind == "error":
            error = message["error"]
            self.line(f"error {error['code']}: {error['message']}")

    def line(self, text: str) -> None:
        """Print a line of its own, instead of the partial that may stand there."""
        if self._partial_shown:
            self.stream.write(_CLEAR_LINE)
            self._partial_shown = False
        self.stream.write(f"{self.label}{text}\n")
        self.stream.flush()


def word_line(word: Message) -> str:
    """One word with its times in seconds and its confidence."""
    start_s, end_s = word["start_ms"] / 1000, word["end_ms"] / 1000
    return f"    {start_s:8.3f} - {end_s:8.3f}  {word['confidence']:.2f}  {word['word'].strip()}"


def _clock(position_ms: float) -> str:
    minutes, rest_ms = divmod(position_ms, 60_000)
    return f"{minutes:3.0f}:{rest_ms / 1000:05.2f}"
