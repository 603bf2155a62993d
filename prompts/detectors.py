"""What the guardrails look for: personal data, toxic words, prompt injection, length.

Used by ``guardrails``. Every pattern is ours, and linear in the text: no expression ever
comes from a row. A detector says where, never what; nothing it matched is kept.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """A text as a reader sees it, and where each of its characters came from."""

    text: str
    origin: Sequence[int]


class Span(NamedTuple):
    """Something found, in positions of `Seen.text`."""

    entity_type: str
    start: int
    end: int


# --- seeing through tricks ------------------------------------------------------------

_LOOKALIKES = dict(
    zip(
        "аеіјорѕсухԁһӏкмтвнАЕІЈОРЅСУХКМТВНαορνικ",
        "aeijopscyxdhlkmtbhAEIJOPSCYXKMTBHaopvik",
        strict=True,
    )
)
_SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[ ._*-][^\W\d_]){3,}(?!\w)")
_TAGS = range(0xE0020, 0xE007F)


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """Return what a character looks like, in ASCII where there is such a thing."""
    if character in _LOOKALIKES:
        return _LOOKALIKES[character]
    if ord(character) in _TAGS:  # invisible, but read by models
        return chr(ord(character) - 0xE0000)
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(character) == "Pd":
        return "-"
    kept = [
        c
        for c in unicodedata.normalize("NFKD", character)
        if unicodedata.category(c) not in {"Cf", "Mn", "Me"}
    ]
    return "".join(_LOOKALIKES.get(c, c) for c in kept)


def see(text: str) -> Seen:
    """Undo zero-width characters, full width, accents, look-alikes and spaced letters."""
    plain = text
    origin: Sequence[int] = range(len(text))
    if not text.isascii():
        table = {ord(character): _plain(character) for character in set(text)}
        plain = text.translate(table)
        if any(len(looks) != 1 for looks in table.values()):
            origin = [at for at, c in enumerate(text) for _ in table[ord(c)]]
    runs = [run.span() for run in _SPACED.finditer(plain)]
    if runs:
        dropped = {at for start, end in runs for at in range(start + 1, end, 2)}
        kept = [at for at in range(len(plain)) if at not in dropped]
        plain, origin = "".join(plain[at] for at in kept), [origin[at] for at in kept]
    return Seen(plain, origin)


# --- personal data: only what a checksum or a fixed structure backs -------------------

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,24}(?![\w-])",
    re.IGNORECASE | re.ASCII,
)
_CARD = re.compile(
    r"(?<![\w.-])(?:\d{13,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?"
    r"|\d{4}([ -])\d{6}\2\d{4,5})(?![\w-])",
    re.ASCII,
)
_ISSUER = re.compile(
    r"4|5[0-9]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[04-9]|6(?:011|4[4-9]|[2357])"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d\d(?: ?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in re.findall(
        r"(\d+)((?: [A-Z]{2})+)",
        "15 NO 16 BE 18 DK FI NL 19 MK SI 20 AT BA EE KZ LT LU XK 21 CH HR LI LV"
        " 22 BG BH DE GB GE IE ME RS 23 AE GI IL TL 24 AD CZ ES MD PK RO SA SE SK TN VG"
        " 25 PT 26 IS TR 27 FR GR IT MC SM 28 AL AZ BY CY DO HU LB PL 29 BR EG QA UA"
        " 30 JO KW MU 31 MT SC",
    )
    for country in countries.split()
}
_SSN = re.compile(
    r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-])", re.ASCII
)
_PHONE = re.compile(
    r"(?<![\w+])\+(?:1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|(?:2[1-689]|3[578]|42|5[09]|6[789]|8[0578]|9[679])\d)(?:[ .()-]{0,3}\d){7,12}(?!\w)"
    r"|(?<![\w-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[.-])[2-9]\d\d[.-]\d{4}(?![\w-])",
    re.ASCII,
)


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    luhn = sum(d - 9 if d > 9 else d for d in doubled)  # noqa: PLR2004 (two digits)
    return _ISSUER.match(digits) is not None and luhn % 10 == 0


def _emails(text: str) -> Iterable[tuple[int, int]]:
    return [found.span() for found in _EMAIL.finditer(text)] if "@" in text else []


def _cards(text: str) -> Iterable[tuple[int, int]]:
    return [m.span() for m in _CARD.finditer(text) if _is_card(m.group())]


def _ibans(text: str) -> Iterable[tuple[int, int]]:
    for found in _IBAN.finditer(text):
        places = [at for at in range(*found.span()) if text[at] != " "]
        length = _IBAN_LENGTHS.get(text[places[0] :][:2].upper(), 99)
        if len(places) < length:
            continue
        end = places[length - 1] + 1
        compact = "".join(text[at] for at in places[:length]).upper()
        number = "".join(str(int(c, 36)) for c in compact[4:] + compact[:4])
        if int(number) % 97 == 1 and not text[end : end + 1].isalnum():
            yield found.start(), end


_PII: dict[str, Callable[[str], Iterable[tuple[int, int]]]] = {
    "email": _emails,
    "credit_card": _cards,
    "iban": _ibans,
    "us_ssn": lambda text: [found.span() for found in _SSN.finditer(text)],
    "phone": lambda text: [found.span() for found in _PHONE.finditer(text)],
}
ENTITY_TYPES = tuple(_PII)


def pii(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find personal data of the types the row names; an unknown type is a `KeyError`."""
    finders = {kind: _PII[kind] for kind in config.get("entity_types", ENTITY_TYPES)}
    for kind, finder in finders.items():
        yield from (Span(kind, start, end) for start, end in finder(text))


# --- toxic words: a list, and no more than a list -------------------------------------

_WORD = re.compile(r"[\w@$!*]+(?:'\w+)?")
_LEET = str.maketrans("013457@$!", "oieastasi")
_TRIPLED = re.compile(r"(.)\1{2,}")
_LONGEST_PHRASE = 5
_LISTS = {
    "default": frozenset(
        line
        for line in Path(__file__).with_name("words.txt").read_text("utf-8").split("\n")
        if line and not line.startswith("#")
    )
}


def _spellings(word: str) -> set[str]:
    bare = word.strip("!*@$_")
    return {
        form
        for spelt in (bare, word.translate(_LEET).rstrip("i"), bare.translate(_LEET))
        for form in (spelt, _TRIPLED.sub(r"\1", spelt), _TRIPLED.sub(r"\1\1", spelt))
    }


def _is_masked(word: str, entry: str) -> bool:
    """Tell whether a word with stars hides an entry of which it shows at least half."""
    if len(word) != len(entry) or word.count("*") * 2 > len(word):
        return False
    return all(shown in {"*", real} for shown, real in zip(word, entry, strict=True))


def toxicity(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find the words and phrases of a list; ``words`` in the row adds plain words."""
    listed = _LISTS[config.get("word_list", "default")]
    listed |= {str(word).casefold() for word in config.get("words", ())}
    found = [(m.group().casefold(), m.start(), m.end()) for m in _WORD.finditer(text)]
    for word, start, end in found:
        if word.isalpha() and not _TRIPLED.search(word):
            hit = word in listed
        elif "*" in (masked := word.strip("*!")):
            hit = any(_is_masked(masked, entry) for entry in listed)
        else:
            hit = not listed.isdisjoint(_spellings(word))
        if hit:
            yield Span("toxic_word", start, end)
    bare = [word.strip("!*@$").translate(_LEET) for word, _, _ in found]
    for size in range(2, _LONGEST_PHRASE + 1):
        for at in range(len(bare) - size + 1):
            if " ".join(bare[at : at + size]) in listed:
                yield Span("toxic_phrase", found[at][1], found[at + size - 1][2])


# --- prompt injection: a verb and its target, in one sentence -------------------------

_BREAK = r"(?:[^\w.!?;:。؟।\n]|\n(?![^\S\n]*\n))+"  # within a sentence, a line may end
_GAP = rf"(?:{_BREAK}\w+){{{{0,{{most}}}}}}?{_BREAK}"
_DROP = (
    r"ignor\w*|disregard\w*|forget|overrid\w+|bypass\w*|neglect|discard|vergiss|missachte\w*"
    r"|oublie\w*|olvid\w+|esque[cç]\w+|dimentic\w+|negeer|vergeet|zignoruj|zapomnij"
    r"|(?:don.?t|(?:do{g0})?not|never|stop){g0}(?:follow|obey)\w*"
)
_WHICH = (
    r"previous(?:ly)?|prior|above|earlier|preceding|existing|all|every|any|your|system|initial"
    r"|original|vorherig\w*|bisherig\w*|obig\w*|alle|deine|precedent\w*|toutes|vos|tes"
    r"|anterior\w*|todas|previas|tutte|vorige|eerdere|poprzedni\w*|sistema|systeme"
)
_ORDERS = (
    r"instruct\w*|prompts?|guidelines?|directives?|programming|safeguards?|safety rules"
    r"|anweisung\w*|vorgaben|consignes|instruccion\w*|instruc\w+es|istruzion\w*|polece\w*"
)
_OWN = r"previous|prior|above|earlier|preceding|your|system|safety|deine|vorherigen|anteriores"
_RULES = r"rules?|orders?|commands?|restrictions?|constraints?|filters?|regeln|reglas|regras|regels"
_TELL = (
    r"reveal|show|print|repeat|output|display|tell|give|leak|dump|expose|share|recite|what is"
    r"|what are|zeige?|affiche\w*|muestra\w*|revela\w*|mostra\w*"
)
_HIDDEN = r"your|hidden|secret|internal|dein\w*|votre|tes|tus?|seu|tuo"
_ALL = r"everything|alles|tout|todo|tutto|tudo"
_ABOVE = r"above|oben|ci-dessus|arriba|sopra|acima"
_FREE = (
    r"polic\w+|restrict\w*|rules|filters?|limit\w*|guidelines|censorship|moral\w*|ethic\w*"
    r"|safeguards"
)
_INJECTION = {
    kind: re.compile(
        rf"(?<!\w)(?:{pattern})(?!\w)".format(
            **{f"g{n}": _GAP.format(most=n) for n in range(9)}
        ),
        re.IGNORECASE | re.MULTILINE,
    )
    for kind, pattern in {
        "override": (
            rf"(?:{_DROP}){{g3}}(?:(?:{_WHICH}){{g3}}(?:{_ORDERS})|(?:{_ORDERS}){{g2}}"
            rf"(?:{_WHICH})|(?:{_OWN}){{g3}}(?:{_RULES})|(?:{_RULES}){{g2}}(?:given|told)"
            rf"|(?:{_ALL}){{g2}}(?:{_ABOVE}|before{{g0}}(?:this|now)|previous(?:ly)?|told|said)"
            r"|(?:the{g0})?above(?={g0}(?:and|then|but|just)|[^\w\s]|\s*$))"
            r"|(?:ignore|disregard|forget|override|bypass)\w{{0,20}}?(?:previous|prior|above"
            r"|all|your)\w{{0,20}}?(?:instructions?|prompts?|rules|guidelines)"
        ),
        "reveal": (
            rf"(?:{_TELL}){{g6}}(?:(?:{_HIDDEN}){{g2}}|(?:system|initial|original){{g0}})"
            rf"(?:{_ORDERS})|(?:{_TELL}){{g3}}system{{g0}}message|(?:{_TELL}){{g1}}everything{{g0}}above"
        ),
        "persona": (
            r"you{g1}are{g1}now{g3}(?:dan|unrestricted|unfiltered|uncensored|jailbroken|evil"
            r"|root|admin)|do anything now|(?:pretend|act|behave|role-?play|respond|answer)"
            rf"{{g8}}(?:without|no|ignoring){{g3}}(?:{_FREE})|(?:enable|enter|activate|switch"
            r"{g1}to){g3}(?:developer|dan|god|jailbreak|debug|admin|sudo|unrestricted){g0}mode"
        ),
    }.items()
}
_MARKS = re.compile(
    r"<\|(?:im_start|im_end|system|endoftext)\|>|\[/?INST\]|<</?SYS>>|\[system\]\("
    r"|^[ \t]*(?:#{1,6} *)?\[?(?:new |updated |real )?(?:system|developer)"
    r"(?: prompt| message| instructions?| override)\]? *:"
    r"|^[ \t]*(?:#{1,6} *)?(?:new|updated|real) instructions? *:|^[ \t]*#{1,6} *system *:"
    r"|(?:end|start) of (?:system|user) (?:prompt|input|message)",
    re.IGNORECASE | re.MULTILINE,
)
_RULE_SETS = {"default": {**_INJECTION, "role_marker": _MARKS}}


def prompt_injection(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find attempts to give the model orders from inside a value."""
    for kind, pattern in _RULE_SETS[config.get("rule_set", "default")].items():
        yield from (Span(kind, *found.span()) for found in pattern.finditer(text))


def length(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find what stands beyond ``max_chars``; a row without it is a `KeyError`."""
    if len(text) > (most := int(config["max_chars"])):
        yield Span("too_long", most, len(text))


Detector = Callable[[str, Mapping[str, Any]], Iterable[Span]]
DETECTORS: dict[str, Detector] = {
    "pii": pii,
    "toxicity": toxicity,
    "prompt_injection": prompt_injection,
    "length": length,
}


def replace(text: str, seen: Seen, spans: Iterable[Span]) -> str:
    """Return the text with what was found replaced by its type in brackets."""
    cuts = sorted(
        (seen.origin[s.start], seen.origin[s.end - 1] + 1, s.entity_type) for s in spans
    )
    pieces, at = [], 0
    for start, end, kind in cuts:
        if start >= at:
            pieces += [text[at:start], f"[{kind}]"]
        at = max(at, end)
    return "".join([*pieces, text[at:]])
