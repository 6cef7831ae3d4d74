"""Words that tell whether a sentence can end here, by language. Data alone; `turn_taking` reads it.

A word belongs in `never_last` only where a sentence that ends in it is nearly always unfinished, even
where the transcript has a full stop after it: Whisper puts one behind most fragments. What a finished
sentence may well end in ("turn it on", "what it is") belongs in `seldom_last` or in no list.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from attrs import field, frozen


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@frozen
class TurnWords:
    """One language, in lower case.

    `hesitations` fill a pause. `never_last` words want another one behind them; `seldom_last` words do
    so where no full stop follows. A clause that begins with one of `openers` and has no comma wants its
    main clause. `digits` are the digits as words.
    """

    hesitations: frozenset[str] = field(converter=_words)
    never_last: frozenset[str] = field(converter=_words)
    seldom_last: frozenset[str] = field(converter=_words)
    openers: frozenset[str] = field(converter=_words)
    digits: frozenset[str] = field(converter=_words)


TURN_WORDS: Mapping[str, TurnWords] = MappingProxyType(
    {
        "en": TurnWords(
            hesitations="um umm uh uhm uhh er erm ehm hmm hm",
            never_last=(
                "a an the my your our their every "
                "and or but because cause 'cause if unless although whereas than whether "
                "i'm i'll i've i'd you're we're we'll we've they're they'll they've "
                "he'll she'll who's there's it'll mr mrs ms dr"
            ),
            seldom_last=(
                "of to for with from at by into onto between without through during against "
                "upon per via about until till since while as like which is are was were be am has "
                "have must its very really just also maybe please let's i we he she they"
            ),
            openers="when whenever if unless while although though whereas once",
            digits="zero oh one two three four five six seven eight nine double",
        ),
        "de": TurnWords(
            hesitations="äh ähm ähh öh öhm hm hmm mh",
            never_last=(
                "der dem den des ein eine einen einem einer eines und weil wenn obwohl "
                "sondern falls bevor nachdem sowie "
                "mein meine meinen meinem meiner dein deine deinen deinem deiner "
                "unser unsere unseren unserem unserer euer eure seinen seinem "
                "vom beim zum zur ins im am"
            ),
            seldom_last=(
                "die das damit denn oder aber dass ob als wie also dann so mit von für auf in an bei aus "
                "nach zu um über unter gegen ohne durch seit bis vor zwischen wegen "
                "ist sind war waren bin habe hat haben hatte wird werden kann können muss müssen "
                "soll will würde ich wir er sie es sehr noch auch nur mal bitte nicht sein seine "
                "ihr ihre ihren ihrem wo was wer warum kein keine keinen"
            ),
            openers="wenn falls als obwohl während sobald solange nachdem bevor",
            digits="null eins ein zwei zwo drei vier fünf sechs sieben acht neun",
        ),
        "es": TurnWords(
            hesitations="eh ehm em mmm um",
            never_last=(
                "el la los las un unos unas y o u pero porque aunque sino que si mi tu su mis "
                "tus sus nuestro nuestra del al de con para por en sin sobre desde hasta entre "
                "según cuando mientras muy"
            ),
            seldom_last=(
                "a una es son era está están hay he ha han como donde quien cual lo le me te se nos "
                "yo más menos también entonces pues así no este esta ese esa"
            ),
            openers="si cuando aunque mientras",
            digits="cero uno dos tres cuatro cinco seis siete ocho nueve",
        ),
        "fr": TurnWords(
            hesitations="euh euhm heu hum hm ben",
            never_last=(
                "le la les des du de et ou mais parce car que quand lorsque puisque si mon "
                "ma mes ton ta tes son sa ses notre votre leurs ce cet cette ces au aux à en "
                "dans sur sous chez par vers entre je j'ai c'est"
            ),
            seldom_last=(
                "un une pour avec sans contre avant après depuis comme donc alors puis où qui dont il "
                "elle on nous vous ils elles ne est sont était suis ai a ont avait y très plus "
                "moins aussi bien leur"
            ),
            openers="si quand lorsque puisque comme",
            digits="zéro un deux trois quatre cinq six sept huit neuf",
        ),
        "it": TurnWords(
            hesitations="ehm eh uhm mmm boh",
            never_last=(
                "il lo la i gli le un e ed o oppure ma perché se che anche di del della "
                "dello dei degli delle da dal dalla con per in nel nella nei su sul sulla tra fra "
                "al alla allo ai agli alle mentre quando"
            ),
            seldom_last=(
                "a uno una come dove chi quale cui quindi allora poi è sono era ho ha hanno sia mi ti si "
                "ci vi non più molto io mio mia tuo tua suo sua nostro nostra questo questa "
                "quello quella senza dopo prima verso contro"
            ),
            openers="se quando mentre benché siccome",
            digits="zero uno due tre quattro cinque sei sette otto nove",
        ),
        "pt": TurnWords(
            hesitations="hum ahn hã eh ehm",
            never_last=(
                "o os a as um uns umas e ou mas porque embora que se meu minha meus minhas seu "
                "sua seus suas nosso nossa do da dos das de com para por em no na nos nas num numa "
                "pelo pela ao à aos às sobre entre até desde quando enquanto"
            ),
            seldom_last=(
                "uma muito sem é são era está estão foi há tem como onde quem qual me te lhe eu ele ela mais "
                "menos também então assim não este esta esse essa pra pro"
            ),
            openers="se quando embora enquanto",
            digits="zero um uma dois duas três quatro cinco seis meia sete oito nove",
        ),
        "nl": TurnWords(
            hesitations="eh ehm uh uhm euh hm hmm",
            never_last=(
                "de een en of maar omdat want als hoewel terwijl mijn jouw onze ons uw hun "
                "'n m'n z'n"
            ),
            seldom_last=(
                "dat het van met voor op in aan bij uit naar over onder tegen zonder door sinds tot "
                "tussen om te dus dan zo die wie wat waar hoe is zijn was waren ben heb heeft "
                "hebben had wordt kan kunnen moet moeten zal wil zou ik we wij hij ze zij heel "
                "ook nog even niet geen haar deze dit"
            ),
            openers="als wanneer hoewel terwijl zodra",
            digits="nul een één twee drie vier vijf zes zeven acht negen",
        ),
    }
)
"""By ISO 639-1 code."""
