"""The prompts and guardrails in the code: what is served without a database.

Those of ``seeds.toml``. Used by ``service`` when the database has nothing to say, and by
``export``, which writes the seeds of the first migration from them.
"""

import tomllib
from pathlib import Path

from prompts.guardrails import Guardrail
from prompts.prompt import make

_SEEDS = tomllib.loads(Path(__file__).with_name("seeds.toml").read_text("utf-8"))
PROMPTS = {row["name"]: make(row) for row in _SEEDS["prompts"]}
GUARDRAILS = tuple(Guardrail(**row) for row in _SEEDS["guardrails"])
