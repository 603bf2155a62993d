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
    GuardrailBlockedError,
    InconsistentPromptError,
    PromptError,
    UnknownPromptError,
)
from prompts.executions import ExecutionLog, LogRow, as_json, storable
from prompts.experiments import ARMS, Split, arm
from prompts.guardrails import INPUT, OUTPUT, Finding, Guardrail
from prompts.identity import subject_hash, uuid7
from prompts.prompt import MAX_CHARS, Prompt, fill, given, make
from prompts.store import COOL_DOWN_S, Link, Row, statements

CACHE_S, FOR_EVER_S = 60.0, float("inf")
READ_MS, WRITE_MS = 200, 2000
MOST_CACHED = 1000
MOST_MS = 2**31 - 1
MESSAGE_CHARS = 10_000  # more of an error message is not even looked at
NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
CAPTURES = ("none", "redacted", "full")
QUERIES = statements(Path(__file__).with_name("queries.sql"))
Reader = Callable[[Sequence[Row]], Any]


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
        database: str | Link | None = None,
        secret_key: str = "",
        *,
        environment: str | None = None,
        capture: str = "none",
        cache_seconds: float = CACHE_S,
        max_chars: int = MAX_CHARS,
    ) -> None:
        if capture not in CAPTURES:
            raise ValueError(f"capture is one of {', '.join(CAPTURES)}")
        # Two connections: a slow log must not keep anybody from a prompt.
        self._reads, self._writes = (
            Link(database, answer_ms=limit) if isinstance(database, str) else database
            for limit in (READ_MS, WRITE_MS)
        )
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
        for link in (self._reads, self._writes):
            if link is not None:
                link.close()

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
        key = name if version is None else (name, version)
        statement = "served" if version is None else "version"
        served: _Served = (
            self._lookup(key, statement, _read_served, name=name, version=version)
            or _Served()
        )
        if served.active is None:
            own = PROMPTS.get(name)
            if own is not None and version in {None, own.version}:
                return own
            raise served.damage or UnknownPromptError(name, version)
        if served.split is not None and (hashed := self._hash(subject)):
            return served.arms[arm(served.split, hashed)]
        return served.active

    def _guardrails(self) -> tuple[Guardrail, ...]:
        found: tuple[Guardrail, ...] | None
        found = self._lookup((), "guardrails", _read_guardrails)
        return GUARDRAILS if found is None else found

    def _lookup(
        self, key: object, statement: str, read: Reader, **asked: object
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
                    rows = self._reads.rows(QUERIES[statement], asked)
                    value, lasts = read(rows), self._cache_s
                    # A version never changes; that there is none may.
                    if statement == "version":
                        lasts = FOR_EVER_S if rows else 0
                except PromptError as error:  # what is stale is better than nothing
                    self.trouble = error
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
        texts = {"response": response or ""}
        checked = guardrails.check(
            self._guardrails(), call.prompt.category, OUTPUT, texts
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
                "latency_ms": round(min(max(float(latency_ms), 0), MOST_MS)),
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


def _read_served(rows: Sequence[Row]) -> _Served:
    """Read the rows of ``served`` and ``version``: what is active, and an experiment on it.

    Deactivating every version switches the experiment off too. An experiment whose arm is
    gone or damaged is no experiment: everybody gets the active version.
    """
    active = damage = split = None
    arms = {}
    for row in rows:
        try:
            prompt = make(row)
        except InconsistentPromptError as error:
            damage = error if row["is_active"] else damage
            continue
        if row["is_active"]:
            active = prompt._replace(experiment_id=None, arm=None)
        if prompt.arm:
            arms[prompt.arm] = prompt
            split = Split(row["experiment_id"], row["salt"], row["treatment_percent"])
    return _Served(active, split if len(arms) == len(ARMS) else None, arms, damage)


def _read_guardrails(rows: Sequence[Row]) -> tuple[Guardrail, ...]:
    return tuple(Guardrail(**row) for row in rows)
