"""``python -m tests.faults.large_texts``: how long the splitter takes for very large files.

Measures texts of the worst kind at half their size and at all of it, and keeps the figures
for docs/faults.md. Beside the faults: nothing is broken on purpose here.
"""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

from migrate.statements import Splitter
from tests.fix_cli import CHECKOUT

_RESULT = Path(__file__).resolve().parent / "results" / "large_texts.json"
_MEGABYTES = 50
_SHAPES = {
    "nested comments": lambda n: b"/*" * (n // 4) + b"*/" * (n // 4) + b"SELECT 1;",
    "one dollar quote": lambda n: b"SELECT $a$" + b"$b;" * (n // 3) + b"$a$;",
    "semicolons": lambda n: b";" * n,
}


def seconds(text: bytes) -> float:
    """Return the processor's time for one pass."""
    began = time.process_time()
    for _ in Splitter(io.BytesIO(text), "large.sql"):
        pass
    return time.process_time() - began


def measure() -> dict[str, list[float]]:
    """Return, by shape, megabytes, seconds for half of them, and seconds for all."""
    found = {}
    for name, text in _SHAPES.items():
        size = 10_000_000 if name == "semicolons" else _MEGABYTES << 20
        half, whole = (
            min(seconds(text(n)) for _ in range(3)) for n in (size // 2, size)
        )
        found[name] = [round(size / (1 << 20), 1), round(half, 3), round(whole, 3)]
    return found


def table() -> str:
    """Return the figures kept last, as a table."""
    lines = ["| file | size | half of it | all of it |", "|---|--:|--:|--:|"]
    for name, (size, half, whole) in json.loads(_RESULT.read_text()).items():
        lines.append(f"| {name} | {size:.1f} MB | {half:.2f} s | {whole:.2f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    _RESULT.write_text(json.dumps(measure(), indent=1) + "\n")
    write = [sys.executable, "-m", "docs._generate", "write"]
    subprocess.run(write, cwd=CHECKOUT, check=True)
