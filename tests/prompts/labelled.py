"""The labelled cases of the guardrails, and how well each detector does on them.

Read by the tests and by docs/reference/prompts.md, which prints `table`. Holds no expectation.
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from prompts.detectors import DETECTORS, see

KINDS = ("pii", "toxicity", "prompt_injection")
WIDE = {ord(c): chr(ord(c) + 0xFEE0) for c in map(chr, range(0x21, 0x7F))}
LOOKALIKE = str.maketrans("aeiopcsxy", "аеіорсѕху")
TRICKS = {
    "-": lambda text: text,
    "zero-width": "\u200b".join,
    "soft": "\u00ad".join,
    "wide": lambda text: text.translate(WIDE),
    "spaced": lambda text: "  ".join(" ".join(word) for word in text.split()),
    "lookalike": lambda text: text.translate(LOOKALIKE),
    "accents": lambda text: "".join(c + "\u0301" * c.isalpha() for c in text),
    "lines": lambda text: "\n".join(text.split()),
    "tags": lambda text: "A cell. " + "".join(chr(0xE0000 + ord(c)) for c in text),
}


class Case(NamedTuple):
    """One value, and the detector that should speak: or ``benign``."""

    label: str
    text: str


class Score(NamedTuple):
    """How a detector did."""

    hits: int
    misses: int
    false_alarms: int

    @property
    def precision(self) -> float:
        """Return the share of its alarms that were right."""
        return self.hits / (self.hits + self.false_alarms)

    @property
    def recall(self) -> float:
        """Return the share of the attacks it saw."""
        return self.hits / (self.hits + self.misses)


KNOWN, UNSEEN = "guardrail_cases.txt", "guardrail_cases_unseen.txt"


def cases(file: str = KNOWN) -> list[Case]:
    """Return every case of a file, its trick played."""
    path = Path(__file__).with_name(file)
    lines = [line for line in path.read_text("utf-8").splitlines() if line]
    rows = [line.split(" | ", 2) for line in lines if not line.startswith("# ")]
    return [Case(label, TRICKS[trick](text)) for label, trick, text in rows]


def speaks(kind: str, text: str) -> bool:
    """Tell whether a detector finds something, with its row's usual config."""
    return any(DETECTORS[kind](see(text).text, {}))


def score(kind: str, file: str = KNOWN) -> Score:
    """Measure one detector on all cases: those of the others are not its own."""
    counted = Counter((c.label == kind, speaks(kind, c.text)) for c in cases(file))
    return Score(counted[True, True], counted[True, False], counted[False, True])


def table() -> str:
    """Return the table the documentation prints."""
    lines = [
        "| detector | set | cases | found | missed | false alarms | precision | recall |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for kind in KINDS:
        for name, file in (("known", KNOWN), ("unseen", UNSEEN)):
            s = score(kind, file)
            lines.append(
                f"| `{kind}` | {name} | {s.hits + s.misses} | {s.hits} | {s.misses}"
                f" | {s.false_alarms} | {s.precision:.3f} | {s.recall:.3f} |"
            )
    sizes = [
        f"{len(found)} {name} cases, {sum(c.label == 'benign' for c in found)} of them benign"
        for name, found in (("known", cases()), ("unseen", cases(UNSEEN)))
    ]
    return "\n".join([*lines, "", f"{'; '.join(sizes)}."])
