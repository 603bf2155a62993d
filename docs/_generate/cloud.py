"""Markdown made from the declarations in ``jobs``: who needs which role; what is uploaded.

Called by cog, from the comments in the pages that say so.
"""

import textwrap

from docs._generate.pages import CHECKOUT, blocks
from docs._generate.reference import code, table
from jobs import bootstrap, source
from jobs.config import target_from
from jobs.resources import command
from jobs.roles import COVERED_BY, LEAST, Case, Who

__all__ = ["covered_table", "made_for_first_launch", "roles_table", "upload"]

#: A figure in a page is rounded up to this, so that not every change makes a new one.
_STEP = 10_000

#: What each kind of principal is, in a sentence.
PRINCIPALS = {
    Who.SUBMITTER: "Whoever types `launch`: a person, or the account of a CI job.",
    Who.CLEANUP: "Whoever sweeps: as a rule the submitter, who then can end what was killed.",
    Who.LOOKOUT: "Whoever wants the whole preflight. Without one of these its finding "
    "says `not checked`, and the launch goes on.",
    Who.APPROVER: "Whoever approves builds that wait; not the one who submits them.",
    Who.ROTATOR: "Whoever runs `secret set-url` and `secret rotate`.",
    Who.BUILD: "`build_service_account`: what the build's steps run as. It cannot read the "
    "database's address.",
    Who.RUNTIME: "`job_service_account`: what the migration runs as.",
    Who.AGENT: "Google's own account of Cloud Run in your project, "
    "`service-NUMBER@serverless-robot-prod.iam.gserviceaccount.com`. Within one project it "
    "needs nothing.",
}


def roles_table() -> str:
    """Return one section for each principal: roles, where, why, when."""
    parts = []
    for who in Who:
        rows = [
            (
                code(need.role),
                need.scope.value,
                need.why,
                code(need.permission),
                "" if need.case is Case.ALWAYS else need.case.value,
            )
            for need in LEAST
            if need.who is who
        ]
        title = who.value[0].upper() + who.value[1:]
        head = ("role", "granted on", "it", "shows by", "only")
        parts.append(f"## {title}\n\n{PRINCIPALS[who]}\n\n{table(head, rows)}")
    return "\n".join(parts)


def covered_table() -> str:
    """Return which wider roles will do."""
    rows = [
        (code(role), ", ".join(map(code, wider))) for role, wider in COVERED_BY.items()
    ]
    return table(("role of the tables above", "held by whoever has"), rows)


def upload() -> str:
    """Return what is uploaded of this checkout, and how much that is."""
    packed = len(source.pack(CHECKOUT).content)
    most = -(-packed // _STEP) * _STEP // 1000
    names = ", ".join(map(code, source.ALLOWED))
    return f"Packed, this checkout is less than {most} kB: {names}.\n"


def made_for_first_launch() -> str:
    """Return the commands that make what the environment of that page names."""
    page = CHECKOUT / "docs/how-to/first-launch.md"
    found = blocks(page.read_text(encoding="utf-8"))
    first = next(b for b in found if b.language == "yaml")
    target = target_from("\n".join(first.lines).encode(), "dev", str(page))
    steps = bootstrap.steps(target, bootstrap.Wishes())
    made = [s for s in steps if s.look or s is steps[0]]
    lines = [_folded(command(step.make)) for step in made]
    return "```sh\n" + "\n".join(lines) + "\n```\n"


def _folded(line: str) -> str:
    """Return a command in lines that fit a page."""
    wrapped = textwrap.wrap(
        line, 88, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return " \\\n".join(wrapped)
