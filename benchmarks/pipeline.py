"""``python -m benchmarks.pipeline``: how fast the orchestrator is, on an emulated cloud.

Called by a person and by ``make bench-pipeline``. Each figure is of real processes: the
command line, the emulator, an engine that only speaks, and the whole rehearsal. What has
not arrived complete and in order ends the measurement. ``--write`` replaces the figures in
docs/benchmarks.md.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.gcp.cloud import connect

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs/benchmarks.md"
BEGIN, END = "<!-- pipeline: begin -->", "<!-- pipeline: end -->"
PROJECT, REGION = "rehearsal-project", "us-central1"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/bench/engine"
SECRET = "database-url-bench"  # a name
LINES = 100_000
#: Speaks as the engine does: numbered JSON lines, and an end marker.
ENGINE = """\
import json, os, sys, time
def tell(seq, event="Notice", **fields):
    sys.stdout.write(json.dumps({"severity": "INFO", "message": f"line {seq}", "run_id": "r",
                     "seq": seq, "event": event, "fields": fields}) + "\\n")
count = int(os.environ["LINES"])
if count < 10:
    time.sleep(4)
for n in range(1, count):
    tell(n)
    if count < 10:
        sys.stdout.flush()
        time.sleep(1.7)
tell(count, "End", schema=1, verb="apply", exit_code=0, done=[], failed=None, error=None,
     message="", not_tried=[], duration_ms=1)
"""


class Incomplete(Exception):
    """Lines were missing, double or out of order, or a command failed."""


@contextlib.contextmanager
def emulated(directory: Path) -> Iterator[Mapping[str, str]]:
    """Hold an emulator with an image that speaks; yield the variables that lead there."""
    image = directory / "image"
    image.mkdir()
    (image / "main.py").write_text(ENGINE, encoding="utf-8")
    data = directory / "data.json"
    speaks = {"directory": str(image), "entrypoint": ["python3", "-I", "/app/main.py"]}
    told = {
        "repositories": ["bench"],
        "secrets": {SECRET: ["postgresql://nobody"]},
        "images": {f"{IMAGE}:1": speaks},
    }
    data.write_text(json.dumps(told), encoding="utf-8")
    command = [sys.executable, "-m", "emulator", "--project", PROJECT]
    command += ["--region", REGION, "--data", str(data)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as it:
        assert it.stdout is not None
        try:
            yield {**os.environ, **json.loads(it.stdout.readline())["environment"]}
        finally:
            it.terminate()


def environment_file(directory: Path, lines: int) -> None:
    """Write the environment that `run` reads."""
    (directory / "environments").mkdir(exist_ok=True)
    launch = {
        "project": PROJECT,
        "region": REGION,
        "image": IMAGE,
        "database_secret": SECRET,
        "variables": {"LINES": str(lines)},
    }
    text = f"launch: {json.dumps(launch)}\n"
    (directory / "environments/bench.yaml").write_text(text, encoding="utf-8")


def followed(
    directory: Path, variables: Mapping[str, str], lines: int, *more: str
) -> tuple[list[float], float, float]:
    """Run the job; return how late each line was, the seconds, and the megabytes."""
    environment_file(directory, lines)
    cloud = connect(PROJECT, REGION, "", variables)
    image = f"{IMAGE}@{cloud.registry.digest(IMAGE, '1')}"
    command = [sys.executable, "-m", "jobs", "run", "bench", "--image", image]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--output", "json", *more],
        stdout=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={**variables, "PYTHONPATH": str(CHECKOUT)},
    )
    assert process.stdout is not None
    late, numbers = [], []
    for line in process.stdout:
        now = time.time()
        event = json.loads(line)
        if event["event"] == "LogLine" and event["seq"]:
            numbers.append(event["seq"])
            late.append(now - event["timestamp"])
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or numbers != list(range(1, lines + 1)):
        raise Incomplete(f"exit {process.returncode}, {len(numbers)} of {lines} lines")
    return late, time.monotonic() - began, usage.ru_maxrss / 1024


def processor() -> float:
    """Return the processor seconds of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def help_seconds() -> tuple[float, float]:
    """Return the best of ten starts of the command line: seconds, and the processor's."""
    spent = []
    for _ in range(10):
        began, used = time.monotonic(), processor()
        command = [sys.executable, "-m", "jobs", "--help"]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, cwd=CHECKOUT)
        spent.append((time.monotonic() - began, processor() - used))
    return min(spent)


def rehearsed() -> tuple[float, float, float]:
    """Return the seconds of a rehearsal, those without the migration, the processor's."""
    used = processor()
    command = [sys.executable, "-m", "jobs.rehearsal", "--fresh", "--output", "json"]
    began = time.monotonic()
    ran = subprocess.run(
        command, capture_output=True, text=True, cwd=CHECKOUT, check=False
    )
    whole = time.monotonic() - began
    told = [json.loads(x) for x in ran.stdout.splitlines() if x.startswith("{")]
    ends = [e for e in told if e.get("event") == "LogLine" and e["fields"].get("verb")]
    if ran.returncode or not ends:
        raise Incomplete(f"the rehearsal ended with {ran.returncode}: {ran.stderr}")
    launch = next(e["seconds"] for e in told if e.get("event") == "LaunchEnded")
    without = launch - ends[-1]["fields"]["duration_ms"] / 1000
    return whole, without, processor() - used


def figures(rounds: int) -> list[tuple[str, str, str]]:
    """Measure everything; return rows of (what, bound, figure)."""
    wall, used = (1000 * seconds for seconds in help_seconds())
    told = f"{wall:.0f} ms, {used:.0f} ms of them the processor's"
    rows = [("`python -m jobs --help`", "150 ms", told)]
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        with emulated(directory) as variables:
            for what, bound, more in (
                ("a line on the terminal after its emission, with tail", "1.5 s", ()),
                ("the same in list-only mode", "4 s", ("--no-tail",)),
            ):
                late = [
                    max(followed(directory, variables, 4, *more)[0])
                    for _ in range(rounds)
                ]
                rows.append((what, bound, f"{min(late):.2f} to {max(late):.2f} s"))
            _, seconds, megabytes = followed(directory, variables, LINES)
            what = f"{LINES:,} lines, complete and in order: peak memory"
            rows.append((what, "200 MB", f"{megabytes:.0f} MB, in {seconds:.0f} s"))
    runs = [rehearsed() for _ in range(rounds)]
    for at, (what, bound) in enumerate(
        (
            ("`make rehearse`, all of it", "30 s"),
            ("a launch without its migration", "10 s"),
        )
    ):
        best = min(runs)
        used_too = f", {best[2]:.1f} s the processor's" if at == 0 else ""
        rows.append((what, bound, f"{best[at]:.1f} s{used_too}"))
    return rows


def table(rows: Sequence[tuple[str, str, str]]) -> str:
    """Return the figures as Markdown."""
    lines = ["| what | bound | measured |", "|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.0f}"
    return "\n".join([*lines, "", f"Measured on {load}; the best of the rounds.", ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if anything was incomplete."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    try:
        told: Any = table(figures(options.rounds))
    except Incomplete as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(told)
    if options.write:
        text = PAGE.read_text(encoding="utf-8")
        head, _, rest = text.partition(BEGIN)
        tail = rest.partition(END)[2]
        PAGE.write_text(f"{head}{BEGIN}\n{told}{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
