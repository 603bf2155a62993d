"""The filter language of Cloud Logging (and, with other fields, of Cloud Build).

`compile_filter(text)` gives a predicate over a record: anything with ``field(path)`` that
answers a string, a number, a `Severity`, a `Moment`, a list or None. Called by the log
store and by ListBuilds. Pure; a filter it cannot read is refused with the position.
"""

import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

from emulator.moments import parse_ns
from emulator.problem import invalid

SEVERITIES = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
LONGEST = 20_000


class Severity(int):
    """A severity: compared by rank, written by name."""


class Moment(int):
    """A time in nanoseconds: compared by rank, written as RFC 3339."""


class Record(Protocol):
    """What a filter can ask."""

    def field(self, path: tuple[str, ...]) -> object:
        """Return the value at a path, or None when it is not there."""
        ...


Predicate = Callable[[Record], bool]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<comment>--[^\n]*)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<op>!=|>=|<=|=~|!~|=|>|<|:)
    | (?P<paren>[()])
    | (?P<comma>,)
    | (?P<dot>\.)
    | (?P<minus>-(?=[\w"(]))
    | (?P<word>[^\s"()=<>!~:,.][^\s"()=<>!~:,.]*)
    )""",
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int
    spaced: bool


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise invalid(f"Unparseable filter: syntax error at position {at + 1}")
        kind = match.lastgroup
        if kind != "comment":
            start = match.start(kind)
            found.append(_Token(kind, match.group(kind), start, start > at))
        at = match.end()
    return found


def _unquote(text: str) -> str:
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(
        r"\\(.)",
        lambda m: escapes.get(m.group(1), m.group(1)),
        text[1:-1],
        flags=re.DOTALL,
    )


class _Parser:
    """Recursive descent: or ← and ← not ← comparison. Juxtaposition means AND."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0

    def whole(self) -> Predicate:
        if not self._tokens:
            return lambda _record: True
        found = self._or()
        if self._peek() is not None:
            raise self._wrong()
        return found

    def _peek(self) -> _Token | None:
        if self._next < len(self._tokens):
            return self._tokens[self._next]
        return None

    def _take(self) -> _Token:
        token = self._peek()
        if token is None:
            raise invalid("Unparseable filter: unexpected end of the filter")
        self._next += 1
        return token

    def _wrong(self) -> Exception:
        token = self._peek()
        if token is None:
            return invalid("Unparseable filter: unexpected end of the filter")
        return invalid(
            f"Unparseable filter: syntax error at position {token.at + 1}, "
            f"token '{token.text}'"
        )

    def _word(self, text: str) -> bool:
        token = self._peek()
        if token is not None and token.kind == "word" and token.text == text:
            self._next += 1
            return True
        return False

    # AND binds looser than OR in Google's language, as its documentation says; NOT binds
    # tightest. Hence `a AND b OR c` is `a AND (b OR c)`.
    def _or(self) -> Predicate:
        return self._conjunction()

    def _conjunction(self) -> Predicate:
        parts = [self._disjunction()]
        while (token := self._peek()) is not None:
            if token.kind == "paren" and token.text == ")":
                break
            self._word("AND")
            parts.append(self._disjunction())
        return parts[0] if len(parts) == 1 else lambda r: all(p(r) for p in parts)

    def _disjunction(self) -> Predicate:
        parts = [self._negation()]
        while self._word("OR"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else lambda r: any(p(r) for p in parts)

    def _negation(self) -> Predicate:
        token = self._peek()
        if token is not None and (token.kind == "minus" or token.text == "NOT"):
            self._next += 1
            inner = self._negation()
            return lambda record: not inner(record)
        return self._primary()

    def _primary(self) -> Predicate:
        token = self._peek()
        if token is not None and token.text == "(" and token.kind == "paren":
            self._take()
            inner = self._or()
            self._close()
            return inner
        path = self._path()
        operator = self._peek()
        if operator is None or operator.kind != "op":
            return _anywhere(path[-1])
        self._take()
        return self._values(path, operator.text)

    def _close(self) -> None:
        closing = self._peek()
        if closing is None or closing.text != ")":
            raise self._wrong()
        self._take()

    def _path(self) -> tuple[str, ...]:
        parts = [self._segment()]
        while (token := self._peek()) is not None and token.kind == "dot":
            self._take()
            parts.append(self._segment())
        return tuple(parts)

    def _segment(self) -> str:
        token = self._take()
        if token.kind == "string":
            return _unquote(token.text)
        if token.kind != "word" or token.text in {"AND", "OR"}:
            self._next -= 1
            raise self._wrong()
        return token.text

    def _values(self, path: tuple[str, ...], operator: str) -> Predicate:
        """Read ``value`` or ``(a OR b)``."""
        token = self._peek()
        if token is None or token.text != "(":
            return comparison(path, operator, self._value())
        self._take()
        choices, glue = [self._value()], "OR"
        while (following := self._peek()) is not None and following.text != ")":
            if following.text in {"OR", "AND"} and following.kind == "word":
                glue = self._take().text
            choices.append(self._value())
        self._close()
        parts = [comparison(path, operator, choice) for choice in choices]
        if glue == "AND":
            return lambda record: all(part(record) for part in parts)
        return lambda record: any(part(record) for part in parts)

    def _value(self) -> str:
        """Read one value; an unquoted one runs to the next blank or parenthesis."""
        token = self._take()
        if token.kind == "string":
            return _unquote(token.text)
        if token.kind not in {"word", "minus", "dot"}:
            self._next -= 1
            raise self._wrong()
        parts = [token.text]
        while (more := self._peek()) is not None:
            glued = more.kind in {"word", "dot", "op"} and not more.spaced
            if not glued:
                break
            parts.append(self._take().text)
        return "".join(parts)


def _anywhere(text: str) -> Predicate:
    wanted = text.lower()

    def matches(record: Record) -> bool:
        return any(wanted in str(piece).lower() for piece in _leaves(record.field(())))

    return matches


def _leaves(value: object) -> list[object]:
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in _leaves(child)]
    if isinstance(value, (list, tuple)):
        return [leaf for child in value for leaf in _leaves(child)]
    return [] if value is None else [value]


def comparison(path: tuple[str, ...], operator: str, wanted: str) -> Predicate:
    """One comparison as a predicate. A field that is not there fails all but ``!=``."""
    if operator in {"=~", "!~"}:
        pattern = _pattern(wanted)
        positive = operator == "=~"
        return lambda r: (
            any(
                isinstance(v, str) and pattern.search(v) is not None
                for v in _many(r.field(path))
            )
            is positive
        )
    if operator == ":":
        return lambda r: _has(r.field(path), wanted)
    if operator == "!=":
        return lambda r: not any(_equal(v, wanted) for v in _many(r.field(path)))
    if operator == "=":
        return _equality(path, wanted)
    return lambda r: any(_ordered(v, operator, wanted) for v in _many(r.field(path)))


def _equality(path: tuple[str, ...], wanted: str) -> Predicate:
    """The commonest comparison, of which a list makes one for each entry."""
    lowered = wanted.lower()

    def equal(record: Record) -> bool:
        value = record.field(path)
        if isinstance(value, str):
            return value == wanted or value.lower() == lowered
        return any(_equal(v, wanted) for v in _many(value))

    return equal


def _pattern(wanted: str) -> re.Pattern[str]:
    try:
        return re.compile(wanted)
    except re.error as error:
        raise invalid(
            f"Unparseable filter: invalid regular expression: {error}"
        ) from error


def _many(value: object) -> list[object]:
    if isinstance(value, (list, tuple)):
        return list(value)
    return [] if value is None else [value]


def _has(value: object, wanted: str) -> bool:
    """``:`` is "has": a substring, an element, a key; ``:*`` is "is set"."""
    if isinstance(value, dict):
        return (wanted == "*" and bool(value)) or wanted in value
    if wanted == "*":
        return value is not None and value not in ("", [])
    return any(
        wanted.lower() in v.lower() if isinstance(v, str) else _equal(v, wanted)
        for v in _many(value)
    )


def _rank(like: object, wanted: str) -> float | int | None:
    """Read the wanted value in the terms of the field it is compared with."""
    try:
        if isinstance(like, Severity):
            return (
                SEVERITIES[wanted.upper()]
                if wanted.upper() in SEVERITIES
                else int(wanted)
            )
        if isinstance(like, Moment):
            return parse_ns(wanted)
        return float(wanted)
    except ValueError:
        return None


def _equal(value: object, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.lower() == str(value).lower()
    if isinstance(value, (int, float)):
        return value == _rank(value, wanted)
    # Equality of strings ignores case in Google's language.
    return str(value).lower() == wanted.lower()


def _ordered(value: object, operator: str, wanted: str) -> bool:
    left: object = value
    right: object = wanted
    if isinstance(value, (int, float)):
        right = _rank(value, wanted)
        if right is None:
            return False
    else:
        left = str(value)
    tests = {
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
    }
    return bool(tests[operator](left, right))


def compile_filter(text: str) -> Predicate:
    """Read a filter; `Problem` INVALID_ARGUMENT when it cannot be read."""
    if len(text) > LONGEST:
        raise invalid(f"The filter is longer than {LONGEST} characters.")
    return _Parser(text).whole()
