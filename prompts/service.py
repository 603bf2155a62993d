"""`PromptTemplateService`: resolve, render, check, log. What an application calls.

    service = PromptTemplateService(database_url, secret_key)
    call = service.render("nlu_topic_extraction", values, subject=user_id)
    call = service.check(call, ask_the_model(call.prompt.system_prompt, call.text))
    service.log(call, latency_ms=812)

Thread-safe, without a thread of its own. The caller gets a prompt or a `PromptError`,
never a driver's exception; what the log cannot take reaches nobody.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prompts import guardrails
from prompts.builtin import GUARDRAILS, PROMPTS
from prompts.errors import (
    ConnectionFailedError,
    GuardrailBlockedError,
    InconsistentPromptError,
    PromptError,
    StatementFailedError,
    UnknownPromptError,
)
from prompts.executions import ExecutionLog, LogRow, as_json, storable
from prompts.experiments import CONTROL, TREATMENT, Split, arm
from prompts.guardrails import INPUT, OUTPUT, Finding, Guardrail
from prompts.identity import subject_hash, uuid7
from prompts.prompt import DATABASE, MAX_CHARS, Prompt, fill, given, make
from prompts.store import COOL_DOWN_S, Link, Row, Source, statements

CACHE_S, FOR_EVER_S = 60.0, float("inf")
READ_MS, WRITE_MS = 200, 2000
MOST_CACHED = 1000
MESSAGE_CHARS = 10_000  # more of an error message is not even looked at
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
CAPTURES = ("none", "redacted", "full")
QUERIES = statements(Path(__file__).with_name("queries.sql"))


class Call(NamedTuple):
    """One use of a prompt: what to send, and what the log will want to know."""

    id: str
    prompt: Prompt
    text: str
    values: Mapping[str, str]
    findings: tuple[Finding, ...] = ()
    subject_hash: str | None = None
    response: str | None = None


class _Served(NamedTuple):
    """What the database says is served under a name; nothing, if nothing is active."""

    active: Prompt | None = None
    split: Split | None = None
    arms: Mapping[str, Prompt] = {}
    damage: InconsistentPromptError | None = None


class PromptTemplateService:
    """Prompts from the database, with the code's own behind them."""

    def __init__(
        self,
        database: str | Source | None = None,
        secret_key: str = "",
        *,
        environment: str | None = None,
        capture: str = "none",
        cache_seconds: float = CACHE_S,
        max_chars: int = MAX_CHARS,
    ) -> None:
        if capture not in CAPTURES:
            raise ValueError(f"capture is one of {', '.join(CAPTURES)}")
        self._reads: Source | None
        self._writes: Source | None
        if isinstance(database, str):
            # Two connections: a slow log must not keep anybody from a prompt.
            self._reads = Link(database, answer_ms=READ_MS)
            self._writes = Link(database, answer_ms=WRITE_MS)
        else:
            self._reads = self._writes = database
        self._secret_key = secret_key
        self._environment = environment
        self._capture = capture
        self._cache_s = cache_seconds
        self._max_chars = max_chars
        self._cache: dict[object, tuple[float, Any]] = {}
        self._refresh = threading.Lock()
        self._log = ExecutionLog(self._write)
        self.trouble: PromptError | None = None  # what the database last failed with

    @property
    def dropped(self) -> int:
        """Return how many log rows were dropped so far; watch that it stays 0."""
        return self._log.dropped

    def forget(self) -> None:
        """Empty the cache: the next call asks the database."""
        with self._refresh:
            self._cache.clear()

    def close(self) -> None:
        """Close the connections. Nothing is waiting to be written."""
        for source in (self._reads, self._writes):
            if source is not None:
                source.close()

    # --- resolve ----------------------------------------------------------------------

    def resolve(
        self, name: str, *, subject: object = None, version: int | None = None
    ) -> Prompt:
        """Return the prompt to use: cache, database, stale cache, code.

        A subject in a running experiment gets the version of its arm, the same one each
        time. Raises `UnknownPromptError`, or `InconsistentPromptError`.
        """
        if not NAME.fullmatch(name) or not 0 < (version or 1) < 2**31:
            raise UnknownPromptError(name, version)
        if version is not None:
            return self._pinned(name, version)
        served: _Served = (
            self._lookup(name, self._cache_s, "served", _read_served, name=name)
            or _Served()
        )
        if served.active is None:
            if name in PROMPTS:
                return PROMPTS[name]
            raise served.damage or UnknownPromptError(name)
        if served.split is not None and (hashed := self._hash(subject)):
            return served.arms[arm(served.split, hashed)]
        return served.active

    def _pinned(self, name: str, version: int) -> Prompt:
        asked = {"name": name, "version": version}
        prompt: Prompt | None = self._lookup(
            (name, version), FOR_EVER_S, "version", _read_version, **asked
        )
        if prompt is None:
            prompt = PROMPTS.get(name)
            if prompt is None or prompt.version != version:
                raise UnknownPromptError(name, version)
        return prompt

    def _guardrails(self) -> tuple[Guardrail, ...]:
        found: tuple[Guardrail, ...] | None = self._lookup(
            (), self._cache_s, "guardrails", _read_guardrails
        )
        return GUARDRAILS if found is None else found

    def _lookup(
        self,
        key: object,
        seconds: float,
        statement: str,
        read: Callable[[Sequence[Row]], Any],
        **asked: object,
    ) -> Any:
        """Return what the cache or the database knows; None in an outage without either.

        One thread asks; others meanwhile use what is stale, and only who has nothing
        waits for the answer. What failed is not asked again for a moment.
        """
        kept = self._cache.get(key)
        if kept is not None and time.monotonic() < kept[0]:
            return kept[1]
        if self._reads is None:
            return None
        if not self._refresh.acquire(blocking=kept is None):
            return kept and kept[1]
        try:
            kept = self._cache.get(key)
            if kept is None or time.monotonic() >= kept[0]:
                try:
                    value = read(self._reads.rows(QUERIES[statement], asked))
                    # That there is no such version may change; a version never does.
                    lasts = 0 if value is None else seconds
                except (ConnectionFailedError, StatementFailedError) as error:
                    self.trouble = error  # what is stale is better than nothing
                    value, lasts = kept and kept[1], COOL_DOWN_S
                kept = (time.monotonic() + lasts, value)
                self._cache.pop(key, None)
                if len(self._cache) >= MOST_CACHED:
                    self._cache.pop(next(iter(self._cache)))  # the longest untouched
                self._cache[key] = kept
        finally:
            self._refresh.release()
        return kept[1]

    # --- render and check -------------------------------------------------------------

    def render(
        self, name: str, values: Mapping[str, object], *, subject: object = None
    ) -> Call:
        """Resolve a prompt, check the values, fill the text.

        Raises `MissingVariableError`, `PromptTooLongError`, or `GuardrailBlockedError`,
        which is logged already.
        """
        prompt = self.resolve(name, subject=subject)
        texts = given(prompt, values)
        text = fill(prompt, texts, self._max_chars)
        checked = guardrails.check(self._guardrails(), prompt.category, INPUT, texts)
        if checked.values is not texts:
            text = fill(prompt, checked.values, self._max_chars)
        hashed = self._hash(subject)
        call = Call(uuid7(), prompt, text, checked.values, checked.findings, hashed)
        return self._let_pass(call, checked.blocked)

    def check(self, call: Call, response: str | None) -> Call:
        """Return the call with the model's answer, checked and perhaps redacted.

        Raises `GuardrailBlockedError`, which is logged already. None, of a model that
        said nothing, is an empty answer.
        """
        checked = guardrails.check(
            self._guardrails(),
            call.prompt.category,
            OUTPUT,
            {"response": response or ""},
        )
        findings = call.findings + checked.findings
        call = call._replace(response=checked.values["response"], findings=findings)
        return self._let_pass(call, checked.blocked)

    def _let_pass(self, call: Call, blocked: GuardrailBlockedError | None) -> Call:
        if blocked:
            self.log(call, status="blocked")
            raise blocked
        return call

    def _hash(self, subject: object) -> str | None:
        if subject is None or not self._secret_key:
            return None
        return subject_hash(self._secret_key, str(subject))

    # --- log --------------------------------------------------------------------------

    def log(
        self,
        call: Call,
        *,
        status: str = "success",
        latency_ms: float = 0,
        model: str | None = None,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        error_type: str | None = None,
        error_message: object = None,
        trace_id: str | None = None,
    ) -> bool:
        """Write one row; True when it is durable. Never raises.

        The same call logged again is one row still: the id is the call's.
        """
        try:
            if self._writes is None:
                return self._log.drop()
            told = str(error_message or "")[:MESSAGE_CHARS]
            row = {
                "id": call.id,
                "template_id": call.prompt.template_id,
                "prompt_name": call.prompt.name,
                "source": call.prompt.source,
                "experiment_id": call.prompt.experiment_id,
                "ab_test_group": call.prompt.arm,
                "subject_hash": call.subject_hash,
                "status": status,
                "latency_ms": latency_ms,
                "model": model,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "cost_usd": cost_usd,
                "guardrail_violations": [f.as_row() for f in call.findings],
                "error_type": error_type or ("unknown" if status == "error" else None),
                "error_message": guardrails.without_pii(told) or None,
                "trace_id": trace_id,
                "environment": self._environment,
                **self._captured(call),
            }
            return self._log.add(storable(row))
        except Exception:  # noqa: BLE001 - the promise: a logging failure reaches nobody
            return self._log.drop()

    def _captured(self, call: Call) -> dict[str, object]:
        if self._capture == "none":
            return {}
        hide = guardrails.without_pii if self._capture == "redacted" else str
        return {
            "input_variables": {name: hide(v) for name, v in call.values.items()},
            "rendered_prompt": hide(call.text),
            "response_text": None if call.response is None else hide(call.response),
        }

    def _write(self, rows: Sequence[LogRow]) -> None:
        if self._writes is not None:
            try:
                self._writes.rows(QUERIES["log"], {"rows": as_json(rows)})
            except PromptError as error:
                self.trouble = error
                raise


# --- rows into values -----------------------------------------------------------------


def _read_prompt(row: Row) -> Prompt:
    """Read the first ten columns of the statements ``served`` and ``version``."""
    return make(row[1:10], source=DATABASE, template_id=row[0])


def _read_version(rows: Sequence[Row]) -> Prompt | None:
    return _read_prompt(rows[0]) if rows else None


def _read_served(rows: Sequence[Row]) -> _Served:
    """Read the rows of ``served``: an active version first, then an experiment on it.

    Deactivating every version switches the experiment off too. An experiment whose arm is
    gone or damaged is no experiment: everybody gets the active version.
    """
    active: Prompt | None = None
    damage = None
    arms = {}
    split = None
    for row in rows:
        is_active, experiment_id, salt, percent, *versions = row[10:]
        try:
            prompt = _read_prompt(row)
        except InconsistentPromptError as error:
            damage = error if is_active else damage
            continue
        active = prompt if is_active else active
        if prompt.version in versions:
            name = (CONTROL, TREATMENT)[versions.index(prompt.version)]
            arms[name] = prompt._replace(experiment_id=experiment_id, arm=name)
            split = Split(experiment_id, salt, percent)
    return _Served(active, split if len(arms) == 2 else None, arms, damage)  # noqa: PLR2004


def _read_guardrails(rows: Sequence[Row]) -> tuple[Guardrail, ...]:
    return tuple(map(Guardrail._make, rows))
