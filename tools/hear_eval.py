"""How well the server hears: onsets, endpoints, words and latencies over a corpus, in one report.

    python -m tools.hear_eval --corpus DIRECTORY --json hear.json --png hear.png

It runs the real pipeline over a corpus's speech and noise and over mixtures that it makes of them
itself, with the voice detectors and the endpointers side by side. Parts, for `--only`:

    onsets     delay, misses and false alarms of speech onsets, also in noise and under the bot's voice
    endpoints  delay of endpoints against false cut-offs in pauses
    words      words written on non-speech; words lost at the edges against clips cut by hand
    ttfs       end of speech to final text at a real server, in real time
    interrupt  acknowledgement of interrupts while the engine is stuck

Onsets, endpoints and words are computed in audio time and say the same on every machine; the last two
are measured by the wall clock, so leave the machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.hearing.endpoints import ENDPOINTERS, SILENCES_MS
from tools.hearing.figure import draw
from tools.hearing.mixtures import LEAKS_DB, SNRS_DB
from tools.hearing.parts import PARTS, Options
from tools.hearing.running import EXPECTED_ERRORS, run_parts
from tools.hearing.tables import text_report

VADS = ("cascade", "webrtc", "silero")

NO_CORPUS = """no corpus: set SPEECH_CORPUS, or give --corpus DIRECTORY.
It is a directory of recordings with a manifest.jsonl: one JSON object a line with id, file (relative
to the directory), seconds, kind (speech, noise, music or silence), lang, text (what is said), label
(what is heard in a file without speech), words (word, start_ms, end_ms) and word_times (beginning
with "hand-verified" where somebody checked these times: onset delays are measured on those). Words
are measured on lang "en" with a text; docs/hearing.md tells what each part needs."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options is None:
        print(NO_CORPUS, file=sys.stderr)
        return 2
    args, chosen = options
    report: dict[str, Any] = {"options": chosen.as_json()}
    try:
        run_parts(args.only, PARTS, chosen, report, args.json)
    except EXPECTED_ERRORS as error:
        print(f"hear_eval: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(text_report(report))
    if args.png is not None:
        draw(report, args.png)
    return 0


def _options(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, Options] | None:
    args = _parser().parse_args(arguments)
    if args.corpus is None:
        return None
    quick = args.quick

    def default(value: Any, full: Any, short: Any) -> Any:
        return value if value is not None else short if quick else full

    return args, Options(
        corpus=args.corpus,
        vads=tuple(args.vads),
        endpointers=tuple(args.endpointers),
        silences_ms=tuple(default(args.silences_ms, SILENCES_MS, (200, 500, 1000))),
        snrs_db=tuple(default(args.snr_db, SNRS_DB, (5.0,))),
        leaks_db=tuple(default(args.leak_db, LEAKS_DB, (-6.0, -18.0))),
        noise_hours=default(args.noise_hours, 2.0, 0.0),
        clips=default(args.clips, None, 24),
        model=args.model,
        utterances=default(args.utterances, 60, 12),
        interrupts=default(args.interrupts, 200, 40),
        sweep=not args.no_sweep,
        jobs=args.jobs,
        seed=args.seed,
        cache=args.cache,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.hear_eval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    corpus = os.environ.get("SPEECH_CORPUS") or None
    add("--corpus", type=Path, default=corpus, help="default: SPEECH_CORPUS")
    add(
        "--only",
        type=_names(PARTS),
        default=list(PARTS),
        metavar="PART,...",
        help=f"of {','.join(PARTS)}",
    )
    add("--vads", type=_names(VADS), default=list(VADS), metavar="VAD,...")
    add("--endpointers", type=_names(ENDPOINTERS), default=list(ENDPOINTERS), metavar="NAME,...")
    add("--silences-ms", type=_numbers(int), metavar="MS,...", help="endpoint silences to try")
    add("--snr-db", type=_numbers(float), metavar="DB,...", help="of the mixtures")
    add("--leak-db", type=_numbers(float), metavar="DB,...", help="of the bot, such as=-6,-12")
    add("--noise-hours", type=float, help="at least so much non-speech, varied (default 2)")
    add("--clips", type=int, metavar="N", help="only so many recordings of each kind of speech")
    add("--model", default="tiny.en", help="an installed English model (default tiny.en)")
    add("--utterances", type=int, help="spoken for TTFS (default 60: about 5 minutes)")
    add("--interrupts", type=int, help="default 200")
    add("--no-sweep", action="store_true", help="leave the operating points out")
    add("--jobs", type=int, default=min(os.cpu_count() or 1, 4), help="processes (default: cores)")
    add("--seed", type=int, default=0, help="of the mixtures")
    add("--quick", action="store_true", help="fewer clips, mixtures and settings: a few minutes")
    add("--cache", type=Path, help="a directory that keeps what the engine heard")
    add("--json", type=Path, help="write all figures there")
    add("--png", type=Path, help="draw the curves there")
    return parser


def _names(known: Any) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r}: expected of {', '.join(known)}")
        return names

    return parse


def _numbers(kind: type[int] | type[float]) -> Callable[[str], list[float]]:
    def parse(text: str) -> list[float]:
        try:
            return [kind(number) for number in text.split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: expected numbers with commas") from error

    return parse


if __name__ == "__main__":
    sys.exit(main())
