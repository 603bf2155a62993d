"""What campaigns found: kept in results/, shown as the table of docs/faults.md.

Written by ``python -m tests.faults``, read by the documentation's generator.
"""

import json
from pathlib import Path

from tests.faults.campaign import Account
from tests.faults.catalogue import FAULTS

RESULTS = Path(__file__).resolve().parent / "results"


def keep(number: int, account: Account) -> None:
    """Write down what came of one fault."""
    RESULTS.mkdir(exist_ok=True)
    value = {"fault": number, **account._asdict()}
    (RESULTS / f"{number:02}.json").write_text(json.dumps(value, indent=1) + "\n")


def table() -> str:
    """Return the table: fault, times tried, survived, what was found and fixed."""
    lines = [
        "| | fault | tried | distinct points | survived | found and fixed |",
        "|--:|---|--:|--:|--:|---|",
    ]
    for module in FAULTS:
        path = RESULTS / f"{module.NUMBER:02}.json"
        if not path.exists():
            continue
        kept = json.loads(path.read_text())
        counts = (f"{kept[key]:,}" for key in ("tried", "points", "survived"))
        found = "<br>".join(_paragraphs(module.FOUND))
        cells = (str(module.NUMBER), module.TITLE, *counts, found or "nothing")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _paragraphs(found: str | tuple[str, ...]) -> list[str]:
    """Return what was found, one sentence or more each."""
    parts = found.split("\n\n") if isinstance(found, str) else found
    return [" ".join(part.split()) for part in parts]
