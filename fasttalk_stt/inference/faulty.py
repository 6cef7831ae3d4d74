"""An engine that fails on purpose, around any other: for tests, and for integrators who rehearse.

    oom:0.05,slow(2s):0.1,hang:0.01;seed=7      by chance, the same chances with the same seed
    error@2,garbage@5-8,hang(30s)@10            by the number of the call, from 1

Kinds: `error` (the model fails), `gpu` (a CUDA error), `oom` (the GPU's memory is exhausted), `garbage`
(an answer that is none), `slow` (2 s more, or as told), `hang` (for ever, or as long as told). A call that is
slow or hangs keeps its seat; no thread is kept busy meanwhile.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Literal, get_args

import trio
from attrs import evolve, frozen

from fasttalk_stt.inference.engine import DecodeRequest, Hypothesis
from fasttalk_stt.inference.errors import EngineError, GpuError, GpuMemoryExhaustedError
from fasttalk_stt.inference.fallback import UnloadableEngine

Kind = Literal["error", "gpu", "oom", "garbage", "slow", "hang"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_USUAL_S = {"slow": 2.0, "hang": math.inf}
_RULE = re.compile(
    r"(?P<kind>[a-z]+)(?:\((?P<seconds>[0-9.]+)s\))?"
    r"(?::(?P<chance>[0-9.]+)|@(?P<first>[0-9]+)(?:-(?P<last>[0-9]+))?)"
)

FORM = (
    "expected faults with commas between, each KIND:CHANCE (0-1) or KIND@CALL or KIND@FIRST-LAST, of "
    f"{', '.join(KINDS)}, slow and hang with (SECONDSs) if wanted, and perhaps ;seed=N at the end"
)


@frozen
class FaultRule:
    """One kind of fault, by chance or for the calls from `first` to `last`."""

    kind: Kind
    seconds: float
    chance: float = 0.0
    first: int = 0
    last: int = 0

    def strikes(self, call: int, rng: random.Random) -> bool:
        """Whether it does in this call, counted from 1."""
        return rng.random() < self.chance or self.first <= call <= self.last


@frozen
class FaultPlan:
    """What goes wrong in which call; the first rule that strikes does."""

    rules: tuple[FaultRule, ...]
    seed: int = 0


def read_faults(text: str) -> FaultPlan:
    """Read a plan as it stands at the top of this module. Raises ValueError with one line."""
    rules_text, _, rest = text.partition(";")
    seed = 0
    if rest:
        name, _, number = rest.partition("=")
        if name.strip() != "seed" or not number.strip().isdecimal():
            raise ValueError(f"{rest!r} is no seed; {FORM}")
        seed = int(number)
    return FaultPlan(tuple(_rule(part.strip()) for part in rules_text.split(",")), seed)


def _rule(text: str) -> FaultRule:
    found = _RULE.fullmatch(text)
    if found is None or found["kind"] not in KINDS:
        raise ValueError(f"{text!r} is no fault; {FORM}")
    kind = next(kind for kind in KINDS if kind == found["kind"])
    if found["seconds"] is not None and kind not in _USUAL_S:
        raise ValueError(f"{text!r}: {kind} takes no time; {FORM}")
    try:
        seconds = float(found["seconds"] or _USUAL_S.get(kind, 0.0))
        chance = float(found["chance"] or 0.0)
    except ValueError:
        raise ValueError(f"{text!r} holds no number; {FORM}") from None
    first = int(found["first"] or 0)
    last = int(found["last"] or first)
    if chance > 1 or (found["first"] is not None and not 1 <= first <= last):
        raise ValueError(f"{text!r} is out of range; {FORM}")
    return FaultRule(kind, seconds, chance, first or 1, last)


class Faults:
    """A plan that is being carried out, over all the calls of the engines that share it."""

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self.rng = random.Random(plan.seed)  # noqa: S311 - no secret
        self._calls = 0

    def strike(self) -> FaultRule | None:
        """What goes wrong in the next call."""
        self._calls += 1
        # All of them draw, so that one rule's chances do not depend on the others.
        struck = [rule for rule in self._plan.rules if rule.strikes(self._calls, self.rng)]
        return struck[0] if struck else None


class FaultyEngine:
    """An engine that fails by a plan; everything else is the other's."""

    def __init__(self, engine: UnloadableEngine, faults: Faults) -> None:
        self._engine = engine
        self._faults = faults

    @property
    def model_name(self) -> str:
        return self._engine.model_name

    @property
    def supported_languages(self) -> frozenset[str]:
        return self._engine.supported_languages

    @property
    def seats(self) -> int:
        return self._engine.seats

    @property
    def batch_size(self) -> int:
        return self._engine.batch_size

    @property
    def request_s(self) -> float:
        return self._engine.request_s

    async def load(self) -> None:
        """As the other engine."""
        await self._engine.load()

    async def unload(self) -> None:
        await self._engine.unload()

    async def decode(self, requests: Sequence[DecodeRequest]) -> list[Hypothesis]:
        """As the other engine, or as the plan says."""
        rule = self._faults.strike()
        if rule is None:
            return await self._engine.decode(requests)
        match rule.kind:
            case "error":
                raise EngineError("a fault was injected")
            case "gpu":
                raise GpuError("a CUDA fault was injected")
            case "oom":
                raise GpuMemoryExhaustedError("exhausted memory was injected")
            case "slow" | "hang":
                await trio.sleep(rule.seconds)
                return await self._engine.decode(requests)
            case "garbage":
                return self._garbage(await self._engine.decode(requests))

    def _garbage(self, answers: list[Hypothesis]) -> list[Hypothesis]:
        """Answers that no session may ever see: too few, no numbers, times that run backwards."""
        shape = self._faults.rng.randrange(3)
        if shape == 0 or not answers:
            return answers[:-1]
        spoiled = answers[0]
        if shape == 1 or len(spoiled.words) < 2:
            return [evolve(spoiled, average_log_probability=math.nan), *answers[1:]]
        return [evolve(spoiled, words=spoiled.words[::-1]), *answers[1:]]
