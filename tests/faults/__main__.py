"""``python -m tests.faults``: a campaign, or one case again.

``make faults N=2000`` runs so many cases of every fault and writes the table of
docs/faults.md. A failing case prints the command that repeats it.
"""

import argparse
import contextlib
import signal
import sys
import time
from types import ModuleType

from docs._generate.pages import CHECKOUT, cog
from tests.faults.campaign import WORKERS, Answer, Task, account, carry_out
from tests.faults.catalogue import FAULTS, fault
from tests.faults.report import keep

EVERY_S = 30.0


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    numbers = [module.NUMBER for module in FAULTS]
    parser.add_argument(
        "--fault",
        type=int,
        action="append",
        choices=numbers,
        help="only this one (repeatable)",
    )
    parser.add_argument("--seed", type=int, default=0, help="the first case")
    parser.add_argument("-n", type=int, help="cases of each fault (default: its own)")
    parser.add_argument("--workers", type=int, default=WORKERS)
    parser.add_argument("--dry", action="store_true", help="write no table")
    return parser.parse_args()


def main() -> int:
    """Run the campaign; 0 when everything was survived."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = arguments()
    chosen = [m for m in FAULTS if not asked.fault or m.NUMBER in asked.fault]
    server, answers = campaign(tasks_of(chosen, asked.seed, asked.n), asked.workers)
    for module in chosen:
        of_it = [a for a in answers if a.task.fault == module.NUMBER]
        if not of_it:
            continue
        total = account(of_it, server)
        print(
            f"fault {module.NUMBER}, {module.TITLE}: tried {total.tried} times at "
            f"{total.points} points, survived {total.survived}"
        )
        if not asked.dry:
            keep(module.NUMBER, total)
    if not asked.dry:
        page = CHECKOUT / "docs" / "faults.md"
        page.write_text(cog(page.read_text(encoding="utf-8")), encoding="utf-8")
    return int(any(answer.failure for answer in answers))


def tasks_of(chosen: list[ModuleType], seed: int, count: int | None) -> list[Task]:
    """Return the cases of all faults, in turn: a campaign that is ended met each."""
    wanted = {module.NUMBER: count or module.TIMES for module in chosen}
    most = max(wanted.values())
    return [Task(n, seed + k) for k in range(most) for n in wanted if k < wanted[n]]


def campaign(tasks: list[Task], workers: int) -> tuple[str, list[Answer]]:
    """Try all, or as many as there is time for: SIGINT and SIGTERM end it."""
    answers: list[Answer] = []
    server, told = "", time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        for answer in carry_out(tasks, min(workers, len(tasks))):
            if isinstance(answer, str):
                server = answer
                continue
            answers.append(answer)
            if answer.failure:
                say_failure(answer)
            elif len(tasks) == 1:
                print(answer.point)
            if time.monotonic() - told > EVERY_S:
                told = time.monotonic()
                failed = sum(bool(a.failure) for a in answers)
                so_far = f"{len(answers)} of {len(tasks)} tried, {failed} failed"
                print(so_far, flush=True)
    return server, answers


def say_failure(answer: Answer) -> None:
    """Say what did not hold, and how to see it again."""
    task = answer.task
    again = f"python -m tests.faults --dry --fault {task.fault} --seed {task.seed} -n 1"
    title = fault(task.fault).TITLE
    print(f"--- {title}: not survived\n{answer.failure}\n  again: {again}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
