"""One function for each verb: call it, render what came, return the exit code.

Called by `cli` and `run_migration`, once the settings are known.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping

from migrate import render
from migrate.config import Output, Settings
from migrate.drift import Drift
from migrate.duration import readable
from migrate.errors import ConfirmationNeeded, ExitCode, ExplainedError
from migrate.events import Connected, Connecting, Event, Executing, Listener
from migrate.grouping import Manner
from migrate.migration import Entry, Migration, Script, order
from migrate.outcome import Outcome
from migrate.plan import OutOfOrder, Plan, Selection
from migrate.render import JsonListener, Printer, TextListener, explain
from migrate.runner import Result, apply, plan, read
from migrate.stop import Stop, at_once

_READING = frozenset({"status", "plan", "verify", "doctor"})


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Carry out one verb."""
    with at_once() if options.verb in _READING else contextlib.nullcontext():
        return _VERBS[options.verb](options, settings)


def _silent(_: Event) -> None:
    """The listener of verbs whose answer is all they say."""


def _deeds(output: Output) -> Listener:
    """The listener of verbs that act: it leaves out how the session came about."""
    if output is Output.JSON:
        return _silent
    told = TextListener(Printer(sys.stdout), terminal=False)
    introduction = (Connecting, Connected, Executing)
    return lambda event: None if isinstance(event, introduction) else told(event)


def _selection(options: argparse.Namespace) -> Selection:
    return Selection(
        to=options.to,
        only=options.only,
        out_of_order=OutOfOrder.ALLOW if options.out_of_order else OutOfOrder.REFUSE,
    )


def _say(value: object, text: str, output: Output) -> None:
    print(
        json.dumps(value, ensure_ascii=False, default=str)
        if output is Output.JSON
        else text
    )


# --- apply ----------------------------------------------------------------------------


def _apply(options: argparse.Namespace, settings: Settings) -> ExitCode:
    manner = Manner.SEPARATE
    if options.dry_run:
        manner = Manner.DRY
    elif options.single_transaction:
        manner = Manner.TOGETHER
    return carry_out(settings, _selection(options), manner)


def carry_out(settings: Settings, selection: Selection, manner: Manner) -> ExitCode:
    """Apply, telling everything as it happens; errors included."""
    printer = Printer(sys.stdout)
    if settings.output is Output.JSON:
        code = _in_json(settings, selection, manner, printer)
    else:
        code = _in_text(settings, selection, manner, printer)
    if printer.broken:
        message = f"warning: output ended early ({printer.broken}); the run went on to its end\n"
        sys.stderr.write(message)
    return code


def _in_text(
    settings: Settings, selection: Selection, manner: Manner, printer: Printer
) -> ExitCode:
    tell = TextListener(printer, terminal=sys.stdout.isatty())
    with Stop() as stop:
        result = apply(settings, selection, manner, tell, stop)
    outcome = result.outcome
    if result.error is not None:
        printer.line(_story(result))
        printer.line(render.banner(outcome))
        sys.stderr.write(explain(result.error) + "\n")
        return outcome.exit_code
    if not outcome.done and not outcome.left_out:
        printer.line(f"[Migration] Nothing is pending in {settings.dir}")
    elif manner is Manner.DRY:
        printer.line(f"[Migration] {_tried(outcome)}")
    else:
        printer.line(render.banner(outcome))
        printer.line(_story(result))
    return outcome.exit_code


def _tried(outcome: Outcome) -> str:
    """What a dry run has shown, and of how many files it has shown nothing."""
    left = f"; {len(outcome.left_out)} left out" if outcome.left_out else ""
    if not outcome.done:
        return f"Dry run: nothing could be tried{left}"
    count = len(outcome.done)
    return f"✓ Dry run: {count} would apply; everything was rolled back{left}"


def _story(result: Result) -> str:
    """One line that can stand alone: what, how many, how long."""
    outcome = result.outcome
    lines = [f"{len(outcome.done)} applied in {readable(outcome.duration_ms)}"]
    if outcome.failed:
        lines.append(f"failed: {outcome.failed}")
    if outcome.not_tried:
        lines.append(f"not tried: {', '.join(outcome.not_tried[:10])}")
    return "[Migration] " + "; ".join(lines)


def _in_json(
    settings: Settings, selection: Selection, manner: Manner, printer: Printer
) -> ExitCode:
    tell = JsonListener(printer, os.urandom(8).hex(), settings.environment)
    began = time.monotonic()
    try:
        with Stop() as stop:
            result = apply(settings, selection, manner, tell, stop)
    except ExplainedError as error:
        tell.refused(error, (time.monotonic() - began) * 1000)
        return error.exit_code
    except Exception as error:
        # A bug: its traceback goes to standard error, the end marker goes here.
        name = type(error).__name__
        tell.end(Outcome("apply", ExitCode.BUG, error="bug", message=name))
        raise
    if result.error:
        tell.error(result.error)
    tell.end(result.outcome)
    return result.outcome.exit_code


# --- looking --------------------------------------------------------------------------


def _plan(options: argparse.Namespace, settings: Settings) -> ExitCode:
    if options.check_files:
        from migrate.checking import check_files  # noqa: PLC0415

        found = check_files(settings, _selection(options))
        lines = [*map(_step_text, found)]
        lines.append(
            f"✓ {settings.dir}: {len(found)} read, nothing wrong; no database was asked."
        )
        _say({"files": [_step(s) for s in found]}, "\n".join(lines), settings.output)
        return ExitCode.OK
    made, scripts = plan(settings, _selection(options), _silent)
    value = {
        "steps": [_step(s) for s in scripts],
        "blocking": [_drift(d) for d in made.blocking],
    }
    _say(value, _plan_text(made, scripts, settings), settings.output)
    return ExitCode.BLOCKED if made.blocking else ExitCode.OK


def _step(script: Script) -> dict[str, object]:
    return {
        "version": script.migration.version,
        "name": script.migration.name,
        "file": script.migration.file,
        "mode": script.mode.value,
        "reasons": script.reasons,
        "statements": script.statements,
        "checksum": script.migration.checksum,
    }


def _drift(drift: Drift) -> dict[str, str]:
    return {"kind": drift.kind.value, "version": drift.version, "detail": drift.detail}


def _step_text(script: Script) -> str:
    why = f": {'; '.join(script.reasons)}" if script.reasons else ""
    return (
        f"{script.migration.version}  {script.migration.name}  "
        f"{script.statements} statements, {script.mode.value}{why}"
    )


def _plan_text(made: Plan, scripts: list[Script], settings: Settings) -> str:
    lines = [_step_text(script) for script in scripts]
    lines += [f"forbidden: {d.detail} ({d.kind.value})" for d in made.blocking]
    if not scripts and not made.blocking:
        return f"Nothing is pending in {settings.dir}."
    lines.append(f"{len(scripts)} pending. apply will decide again, under the lock.")
    return "\n".join(lines)


def _status(options: argparse.Namespace, settings: Settings) -> ExitCode:
    reading = read(settings, _silent)
    try:
        from migrate.plan import make_plan  # noqa: PLC0415

        made = make_plan(reading.migrations, reading.entries, Selection())
        as_json = settings.output is Output.JSON
        recorded = reading.history.report(reading.facts) if as_json else {}
    finally:
        reading.session.close()
    rows = _status_rows(reading.migrations, reading.entries, made)
    pending = len(made.steps)
    if as_json:
        told = [{**row, "recorded": recorded.get(row["version"])} for row in rows]
        print(json.dumps({"pending": pending, "migrations": told}, ensure_ascii=False))
    else:
        lines = [
            f"{row['state']:9} {row['version']:14} {row['name']}  {row['drift']}".rstrip()
            for row in rows
        ]
        lines.append(f"{len(rows) - pending} in the history, {pending} pending")
        print("\n".join(lines))
    if options.check:
        if made.blocking:
            return ExitCode.BLOCKED
        return ExitCode.PENDING if made.steps else ExitCode.OK
    return ExitCode.OK


def _status_rows(
    migrations: list[Migration], entries: list[Entry], made: Plan
) -> list[dict[str, str]]:
    names = {m.version: m.name for m in migrations} | {
        e.version: e.name for e in entries
    }
    states = {e.version: e.state.value for e in entries}
    steps = {m.version for m in made.steps}
    changed = steps & set(states)
    drift = {d.version: d.kind.value for d in made.drift}
    return [
        {
            "version": version,
            "name": names[version],
            "state": "pending"
            if version in changed and states[version] == "applied"
            else states.get(version, "pending" if version in steps else "baseline"),
            "drift": drift.get(version, ""),
        }
        for version in sorted(names, key=order)
    ]


def _verify(_options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.verifying import verify  # noqa: PLC0415

    tell = _deeds(settings.output)
    count = verify(settings, tell)
    _say(
        {"verified": count},
        f"✓ Verified: {count} objects and checks hold",
        settings.output,
    )
    return ExitCode.OK


def _doctor(_options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.doctor import examine  # noqa: PLC0415

    findings = examine(settings)
    value = [f._asdict() for f in findings]
    lines = []
    for finding in findings:
        lines.append(f"{'✓' if finding.good else '✗'} {finding.what}")
        lines += [f"  → {line}" for line in finding.cure.splitlines()]
    _say(value, "\n".join(lines), settings.output)
    return next((f.exit_code for f in findings if not f.good), ExitCode.OK)


def _new(options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.scaffold import new_migration  # noqa: PLC0415

    wanted = (("down", options.down), ("verify", options.checks))
    companions = tuple(role for role, asked in wanted if asked)
    paths = new_migration(settings.dir, options.name, companions, time.time())
    _say({"created": paths}, "\n".join(paths), settings.output)
    return ExitCode.OK


# --- fenced ---------------------------------------------------------------------------


def _fenced(
    deed: Callable[..., object],
    arguments: tuple[object, ...],
    options: argparse.Namespace,
    settings: Settings,
) -> ExitCode:
    verb = options.verb
    tell = _deeds(settings.output)
    with Stop() as stop:
        came = deed(
            settings, *arguments, confirmer(yes=options.yes, verb=verb), tell, stop
        )
    value: Mapping[str, object] = {"verb": verb, "done": came}
    text = ", ".join(came) if isinstance(came, list) else str(came or "recorded")
    _say(value, f"✓ {verb}: {text}", settings.output)
    return ExitCode.OK


def confirmer(*, yes: bool, verb: str) -> Callable[[list[str]], None]:
    """Return what shows a fenced verb's deeds and asks for them, where there is a person."""

    def confirm(lines: list[str]) -> None:
        sys.stderr.write("\n".join(lines) + "\n")
        if yes:
            return
        if not sys.stdin.isatty():
            raise ConfirmationNeeded(verb=verb)
        sys.stderr.write("Go on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise ConfirmationNeeded(verb=verb)

    return confirm


def _rollback(options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.repairs import rollback  # noqa: PLC0415

    return _fenced(rollback, (options.to,), options, settings)


def _baseline(options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.repairs import baseline  # noqa: PLC0415

    return _fenced(baseline, (options.version,), options, settings)


def _repair(options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.repairs import repair  # noqa: PLC0415

    return _fenced(repair, ((options.version, options.action),), options, settings)


def _unlock(options: argparse.Namespace, settings: Settings) -> ExitCode:
    from migrate.repairs import unlock  # noqa: PLC0415

    return _fenced(unlock, (), options, settings)


_VERBS: dict[str, Callable[[argparse.Namespace, Settings], ExitCode]] = {
    "status": _status,
    "plan": _plan,
    "apply": _apply,
    "up": _apply,
    "verify": _verify,
    "new": _new,
    "doctor": _doctor,
    "rollback": _rollback,
    "baseline": _baseline,
    "repair": _repair,
    "unlock": _unlock,
}
