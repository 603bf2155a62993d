"""Sum up the checks of the prompt system; without NEEDS, GitHub's word on them, run them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

#: Each is a make target and a job, with the minutes it may take.
CHECKS = {
    "verify-schema": 10,
    "test-prompt-operations": 15,
    "test-backwards-compatibility": 20,
    "performance-benchmark": 30,
    "verify-monitoring": 10,
}


def run(check: str, minutes: int) -> str:
    """Run one check here; return its result."""
    began, command = time.monotonic(), ["make", "--no-print-directory", check]
    try:
        code = subprocess.run(command, check=False, timeout=minutes * 60).returncode
    except subprocess.TimeoutExpired:
        return f"not within {minutes} min"
    spent = time.monotonic() - began
    return f"success, {spent:.0f} s" if code == 0 else f"failure, exit code {code}"


needs = json.loads(os.environ.get("NEEDS") or "{}")
said = {c: needs[c]["result"] if needs else run(c, m) for c, m in CHECKS.items()}
rows = [f"| {check} | {result} |" for check, result in said.items()]
text = "\n".join(["| check | result |", "|---|---|", *rows]) + "\n"
print(text)
if page := os.environ.get("GITHUB_STEP_SUMMARY"):
    with Path(page).open("a", encoding="utf-8") as file:
        file.write(text)
sys.exit(not all(result.startswith("success") for result in said.values()))
