"""What the guardrails look for: personal data, toxic words, prompt injection, length.

Used by ``guardrails``. The patterns and words are those of ``patterns.toml``: ours, and
linear in the text. A detector says where, never what; nothing it matched is kept.
"""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from prompts.prompt import PLACEHOLDER


class Seen(NamedTuple):
    """A text as a reader sees it, and where each of its characters came from."""

    text: str
    origin: Sequence[int]


class Span(NamedTuple):
    """Something found, in positions of `Seen.text`."""

    entity_type: str
    start: int
    end: int


_KNOWN = tomllib.loads(Path(__file__).with_name("patterns.toml").read_text("utf-8"))
Patterns = Mapping[str, re.Pattern[str]]


def _pattern(text: str) -> str:
    """Return the expression of an entry: one line, its parts filled in."""
    line = "".join(map(str.strip, text.split("\n"))) if "\n" in text else text
    parts = _KNOWN["parts"]
    return PLACEHOLDER.sub(lambda part: f"(?:{_pattern(parts[part[1]])})", line)


def _compiled(entries: Mapping[str, str], flags: int) -> Patterns:
    flags |= re.IGNORECASE
    return {kind: re.compile(_pattern(text), flags) for kind, text in entries.items()}


# --- seeing through tricks ------------------------------------------------------------

_LOOKS = dict(zip(_KNOWN["looks"]["characters"], _KNOWN["looks"]["like"], strict=True))
_SPACED = re.compile(r"(?<!\w)[^\W\d_](?:[ ._*-][^\W\d_]){3,}(?!\w)")
_TAGS = range(0xE0020, 0xE007F)


@lru_cache(maxsize=4096)
def _plain(character: str) -> str:
    """Return what a character looks like, in ASCII where there is such a thing."""
    if ord(character) in _TAGS:  # invisible, but read by models
        return chr(ord(character) - 0xE0000)
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.category(character) == "Pd":
        return "-"
    return "".join(
        _LOOKS.get(c, c)
        for c in unicodedata.normalize("NFKD", character)
        if unicodedata.category(c) not in {"Cf", "Mn", "Me"}
    )


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


# --- personal data, prompt injection: patterns, some of them with a proof -------------

_PII = _compiled(_KNOWN["pii"], re.ASCII)
_RULE_SETS = {
    name: _compiled(rules, re.MULTILINE) for name, rules in _KNOWN["rule_sets"].items()
}
_ISSUER = re.compile(_KNOWN["parts"]["issuer"])


def _is_card(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    doubled = [int(d) * (1 + at % 2) for at, d in enumerate(reversed(digits))]
    luhn = sum(d - 9 if d > 9 else d for d in doubled)  # noqa: PLR2004 (two digits)
    return _ISSUER.match(digits) is not None and luhn % 10 == 0


def _is_iban(text: str) -> bool:
    compact = text.replace(" ", "").upper()
    number = "".join(str(int(c, 36)) for c in compact[4:] + compact[:4])
    return int(number) % 97 == 1


_PROOFS = {"credit_card": _is_card, "iban": _is_iban}


def _search(text: str, patterns: Patterns) -> Iterable[Span]:
    for kind, pattern in patterns.items():
        proves = _PROOFS.get(kind)
        for found in pattern.finditer(text):
            if proves is None or proves(found.group()):
                yield Span(kind, *found.span())


def pii(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find personal data of the types the row names; an unknown type is a `KeyError`."""
    return _search(
        text, {kind: _PII[kind] for kind in config.get("entity_types", _PII)}
    )


def prompt_injection(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find attempts to give the model orders from inside a value."""
    return _search(text, _RULE_SETS[config.get("rule_set", "default")])


# --- toxic words, length --------------------------------------------------------------

_WORD = re.compile(r"[\w@$!*]+(?:'\w+)?")
_LEET = str.maketrans("013457@$!", "oieastasi")
_TRIPLED = re.compile(r"(.)\1{2,}")
_LONGEST_PHRASE = 5
_LISTS = {name: frozenset(words) for name, words in _KNOWN["word_lists"].items()}


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


def _is_listed(word: str, listed: frozenset[str]) -> bool:
    if word.isalpha() and not _TRIPLED.search(word):
        return word in listed
    if "*" in (masked := word.strip("*!")):
        return any(_is_masked(masked, entry) for entry in listed)
    return not listed.isdisjoint(_spellings(word))


def toxicity(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find the words and phrases of a list; ``words`` in the row adds plain words."""
    listed = _LISTS[config.get("word_list", "default")]
    listed |= {str(word).casefold() for word in config.get("words", ())}
    words = [(m.group().casefold(), m.start(), m.end()) for m in _WORD.finditer(text)]
    for word, start, end in words:
        if _is_listed(word, listed):
            yield Span("toxic_word", start, end)
    bare = [word.strip("!*@$").translate(_LEET) for word, _, _ in words]
    for size in range(2, _LONGEST_PHRASE + 1):
        for at in range(len(bare) - size + 1):
            if " ".join(bare[at : at + size]) in listed:
                yield Span("toxic_phrase", words[at][1], words[at + size - 1][2])


def length(text: str, config: Mapping[str, Any]) -> Iterable[Span]:
    """Find what stands beyond ``max_chars``; a row without it is a `KeyError`."""
    if len(text) > (most := int(config["max_chars"])):
        yield Span("too_long", most, len(text))


Detector = Callable[[str, Mapping[str, Any]], Iterable[Span]]
DETECTORS: dict[str, Detector] = {
    detector.__name__: detector
    for detector in (pii, toxicity, prompt_injection, length)
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
