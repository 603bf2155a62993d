"""Words for the figures: a Markdown table for each workload, and the page in docs/.

Called by `__main__`. The page is rewritten between its two markers; around them it is
written by hand. Nothing in CI compares figures: they are this machine's, of one day.
"""

import datetime as dt
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Result, floor_kb

_PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_BEGIN = "<!-- measured: begin -->"
_END = "<!-- measured: end -->"
_HEAD = (
    "| | median | min to max | x minimum | x psql | client CPU | server CPU |"
    " peak RSS | runs |\n|---|--:|---|--:|--:|--:|--:|--:|--:|"
)


def seconds(value: float | None) -> str:
    """Return a duration that can be compared at a glance."""
    if value is None:
        return ""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def table(name: str, results: Sequence[Result]) -> str:
    """Return the table of one workload."""
    by_name = {result.contender: result for result in results}
    lines = [f"### {name}", "", _HEAD]
    for result in results:
        walls = [run.wall for run in result.runs]
        ratios = [
            f"{result.ratio(by_name[base]):.2f}" if base in by_name else ""
            for base in ("minimum", "psql")
        ]
        peak = max(run.peak_kb for run in result.runs)
        cells = [
            result.contender,
            seconds(result.median("wall")),
            f"{seconds(min(walls))} to {seconds(max(walls))}",
            *ratios,
            seconds(result.median("client_cpu")),
            seconds(result.median("server_cpu")),
            f"{peak / 1024:.0f} MB",
            str(len(result.runs)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def circumstances(server_version: str) -> str:
    """Return what the figures depend on besides the code."""
    today = dt.datetime.now(tz=dt.UTC).date()
    return (
        f"{today}, {os.cpu_count()} processors, {platform.system()} {platform.machine()},"
        f" Python {platform.python_version()}, PostgreSQL {server_version}. Peak memory"
        f" cannot read below {floor_kb() / 1024:.0f} MB here.\n"
    )


def write_page(text: str) -> Path:
    """Put the tables between the markers of the page."""
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text(f"{before}{_BEGIN}\n\n{text}\n{_END}{after}")
    return _PAGE
