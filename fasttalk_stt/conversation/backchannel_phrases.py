"""Backchannels by language, as Whisper spells them. Data alone; `backchannels` reads it.

A phrase belongs here only where a listener says it without wanting the floor. "Huh?" and "what" ask
for a repetition, "no" and "wait" interrupt: they belong nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType


def _phrases(text: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in text.split(","))


COMMON_PHRASES = _phrases(
    "m, mm, hm, hmm, mhm, mhmm, mmhm, mmhmm, mm-hm, mm-hmm, mm-mm-hmm, hm-hm, hmm-hmm, uh-huh, uh-hu, "
    "uhuh, uhhuh, um-hum, um-hmm, aha, ah, oh, ok, okay, okey, yeah"
)
"""Heard in all languages; a hum is spelled in whatever language the decoder takes it for."""

PHRASES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "en": _phrases(
            "yes, yep, yup, ya, right, alright, all right, sure, sure thing, of course, i see, "
            "got it, i got it, gotcha, i get it, i know, i understand, understood, true, that's true, "
            "that's right, exactly, absolutely, definitely, indeed, correct, very good, good, great, "
            "nice, cool, wow, oh yeah, oh yes, oh wow, ah yes, makes sense, that makes sense, "
            "interesting, really"
        ),
        "de": _phrases(
            "ja, jaja, jo, jep, jup, joa, genau, gut, alles klar, klar, na klar, ach so, achso, ach ja, "
            "ach, stimmt, richtig, verstehe, ich verstehe, verstanden, eben, natürlich, "
            "selbstverständlich, in ordnung, sehr gut, super, prima, schön, interessant, ah ja, "
            "oh ja, so so, tja"
        ),
        "es": _phrases(
            "sí, si, ya, ajá, aja, vale, claro, claro que sí, bueno, bien, muy bien, entiendo, "
            "entendido, ya veo, de acuerdo, exacto, exactamente, así es, eso es, eso, por supuesto, "
            "perfecto, cierto, correcto, qué bien, ah sí"
        ),
        "fr": _phrases(
            "oui, ouais, ouaip, d'accord, bien, très bien, bien sûr, je vois, je comprends, compris, "
            "exactement, exact, voilà, c'est ça, c'est vrai, entendu, tout à fait, parfait, bon, "
            "ah oui, ah bon, ah d'accord, super, hum"
        ),
        "it": _phrases(
            "sì, si, eh, già, va bene, bene, benissimo, certo, esatto, esattamente, giusto, vero, "
            "capito, ho capito, capisco, d'accordo, ecco, infatti, perfetto, chiaro, ah sì, eh sì, "
            "appunto"
        ),
        "pt": _phrases(
            "sim, é, pois, pois é, tá, tá bom, tá certo, está bem, certo, claro, aham, uhum, hum, "
            "entendi, entendo, percebo, exato, exatamente, isso, isso mesmo, é verdade, com certeza, "
            "beleza, legal, bom, muito bem, perfeito, ah sim"
        ),
        "nl": _phrases(
            "ja, jaja, jawel, jep, jo, oké, okee, goed, heel goed, prima, precies, klopt, dat klopt, "
            "juist, inderdaad, natuurlijk, tuurlijk, snap ik, ik snap het, ik begrijp het, begrepen, "
            "zeker, mooi, leuk, top, ach ja, ah ja, o ja"
        ),
    }
)
"""By ISO 639-1 code."""

INTERRUPTING_WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "en": _phrases("no, nope, nah, not, don't, stop, wait, hold, pause, quiet, enough, cancel"),
        "de": _phrases("nein, nee, nicht, stopp, stop, halt, warte, moment, ruhe, genug, schluss"),
        "es": _phrases("no, para, pare, espera, espere, alto, basta, silencio, momento"),
        "fr": _phrases("non, pas, stop, arrête, arrêtez, attends, attendez, assez, silence"),
        "it": _phrases("no, non, stop, ferma, fermati, aspetta, aspetti, basta, silenzio, zitto"),
        "pt": _phrases("não, nao, para, pare, espera, espere, chega, basta, silêncio"),
        "nl": _phrases("nee, niet, stop, wacht, genoeg, stil"),
    }
)
"""What must never be listed as a backchannel of that language."""
