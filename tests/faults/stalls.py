"""``python -m tests.faults.stalls``: what clients wait while a table is altered, and by whom.

Measures the same file applied by psql and by us, with the same traffic, while a session
that is idle in a transaction holds the table; keeps the figures for docs/faults.md.
"""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from docs._generate.pages import CHECKOUT, cog
from tests.faults import scenario
from tests.faults.bench import Bench, Case, finish
from tests.faults.campaign import benches
from tests.faults.pgbench import Traffic, Waited, idle_in_transaction
from tests.faults.traffic import HELD
from tests.observing import until

_RESULT = Path(__file__).resolve().parent / "results" / "stalls.json"
_CLIENTS, _RATE = 8, 200
_HELD_S = 20
#: Before it begins and after it has ended, so that quiet times count as well.
_QUIET_S = 2.0


class Figures(NamedTuple):
    """What the clients of one run waited, in seconds; how long it took, how it ended."""

    run: str
    transactions: int
    p99: float
    longest: float
    longest_begun: float
    took: float


Start = Callable[[Case], "subprocess.Popen[str]"]


def _by_psql(case: Case) -> "subprocess.Popen[str]":
    server = case.bench.server
    command = [str(server.program("psql")), "-XqAt", "-v", "ON_ERROR_STOP=1"]
    file = case.directory / "0002_alters.sql"
    return subprocess.Popen(
        [*command, "-d", case.database.dsn, "-f", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def _by_us(timeout: str) -> Start:
    def start(case: Case) -> "subprocess.Popen[str]":
        return case.start("apply", "--lock-timeout", timeout)

    return start


#: The first shape of the first alteration: ALTER TABLE … ADD COLUMN.
_RUNS: dict[str, Start] = {
    "`psql -f`": _by_psql,
    "ours, lock timeout 5 s (the default)": _by_us("5s"),
    "ours, lock timeout 1 s": _by_us("1s"),
    "ours, lock timeout 200 ms": _by_us("200ms"),
}


def measure(bench: Bench, name: str, start: Start) -> Figures:
    """Return what one run makes the clients wait."""
    with (
        bench.case(scenario.ALTERING) as case,
        Traffic(case.database, bench.scratch, clients=_CLIENTS, rate=_RATE) as traffic,
    ):
        _pass(_QUIET_S)
        with idle_in_transaction(case.database, HELD[0]):
            began = time.monotonic()
            process = start(case)
            _pass(_HELD_S)
        ended = finish(process)
        took = time.monotonic() - began
        _pass(_QUIET_S)
        if ended.exit:
            raise RuntimeError(f"{name}: {ended}")
        return _figures(name, traffic.end(), took)


def _figures(name: str, waited: list[Waited], took: float) -> Figures:
    due = sorted(each.due for each in waited)
    return Figures(
        run=name,
        transactions=len(due),
        p99=round(due[int(len(due) * 0.99)], 4),
        longest=round(due[-1], 4),
        longest_begun=round(max(each.begun for each in waited), 4),
        took=round(took, 1),
    )


def _pass(seconds: float) -> None:
    """Let time pass: here it is what is measured, not what is waited for."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, "time passes", seconds + 5)


def table() -> str:
    """Return the figures kept last, as a table."""
    lines = [
        "| applied by | took | transactions | p99 | maximum | longest of one transaction |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for kept in json.loads(_RESULT.read_text()):
        one = Figures(*kept)
        cells = [one.run, f"{one.took:.1f} s", f"{one.transactions:,}"]
        cells += [
            f"{seconds:.2f} s" for seconds in (one.p99, one.longest, one.longest_begun)
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, keep, and write the page."""
    with benches() as bench:
        found = [measure(bench, name, start) for name, start in _RUNS.items()]
    _RESULT.write_text(json.dumps(found, indent=1) + "\n")
    page = CHECKOUT / "docs" / "faults.md"
    page.write_text(cog(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
