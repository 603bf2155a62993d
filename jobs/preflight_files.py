"""What in the checkout would make this launch fail: build file, upload, image. Pure.

Called by `doctor` with the other checks. The seeds' first, second and fourth build are
caught here: an image that is built and never pushed, a migration that is not where the
runner looks.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.buildfile import differing_times, step_is_short
from jobs.config import Target
from jobs.facts import Facts, Unknown
from jobs.findings import Finding
from jobs.imagefiles import (
    directory_in,
    files_in,
    pushes_before_run,
    runner_directory,
    undeclared,
    unused,
)
from jobs.preflight import Check, fine, unasked, wrong
from jobs.spec import Launch, substitutions

#: A name for the substitutions of a launch that is not made.
_NOBODY = Launch("preflight", "preflight", "preflight", "preflight")


def build_file(target: Target, facts: Facts) -> list[Finding]:
    """See that the build file is one that Cloud Build takes, and pushes what the job pulls."""
    document, file = facts.local.document, target.build_file
    if isinstance(document, Unknown):
        cure = f"git checkout -- {file}"
        return wrong("build-file", document.why, "invalid build", cure)
    if not pushes_before_run(document):
        return wrong(
            "build-file",
            f"{file}: no step pushes the image before run-migration",
            f"Image '{target.image}' not found.",
            f"add the step push-image to {file} before run-migration "
            "(`images:` is pushed when every step is over)",
        )
    given = set(substitutions(target, _NOBODY, "1"))
    declared = set(document.get("substitutions") or ())
    if missing := sorted({*undeclared(document), *(given - declared)}):
        return wrong(
            "build-file",
            f"{file} does not declare {', '.join(missing)} under substitutions",
            f'key in the template "{missing[0]}" is not a valid built-in substitution',
            f"add {', '.join(missing)} under `substitutions` in {file}",
        )
    if extra := unused(document):
        return wrong(
            "build-file",
            f"{file} declares {', '.join(extra)} and never uses it",
            f'key "{extra[0]}" in the substitution data is not matched in the template',
            f"remove {', '.join(extra)} from `substitutions` in {file}",
        )
    if late := _times(target, document):
        return late
    return fine("build-file", f"{file} pushes the image before the job is made")


def _times(target: Target, document: Mapping[str, Any]) -> list[Finding]:
    """See that the file ends what takes too long when the environment says so."""
    file, settings = target.build_file, target.file or "the environment file"
    for name, found, key, asked in differing_times(document, target):
        return wrong(
            "build-file",
            f"{file} has {name}: {found}s, and {settings} {key}: {asked} s",
            "Cloud Build goes by the build file; a launch would wait by the other",
            f"make them equal, or give {target.env} a build_file of its own",
        )
    if short := step_is_short(document, target):
        return wrong(
            "build-file",
            f"{file} ends run-migration after {short[0]} s, and it may take {short[1]} s",
            "a step that Cloud Build ends leaves no verdict, and perhaps a job",
            f"raise the step's timeout in {file}, or lower task_timeout in {settings}",
        )
    return []


def source(_target: Target, facts: Facts) -> list[Finding]:
    """See that everything that the build needs is here to be uploaded."""
    uploaded = facts.local.uploaded
    if isinstance(uploaded, Unknown):
        return wrong(
            "source",
            uploaded.why,
            "COPY failed: file not found in build context",
            "git status --short --ignored",
        )
    return fine("source", f"{len(uploaded)} files would be uploaded")


def image(target: Target, facts: Facts) -> list[Finding]:
    """See that the runner will find its migrations and its settings in the image."""
    made, uploaded = facts.local.image, facts.local.uploaded
    if isinstance(made, Unknown):
        return wrong("image", made.why, "unable to evaluate Dockerfile", "git status")
    if isinstance(uploaded, Unknown):
        return []
    written, origin = runner_directory(
        target.args, target.variables, made, facts.local.engine_dir
    )
    place = directory_in(made, written)
    there = {name for name in files_in(made, place) if name.endswith(".sql")}
    here = {
        name.rpartition("/")[2]
        for name in uploaded
        if name.startswith("migrations/") and name.endswith(".sql")
    }
    settings = f"environments/{target.env}.yaml"
    if not there:
        return _nothing_there(target, place, written, origin, sorted(here))
    if lost := sorted(here - there):
        return wrong(
            "image",
            f"not in the image's {place}: {', '.join(lost)}",
            _not_found(f"{place}/{lost[0]}"),
            "in Dockerfile.migrate: COPY migrations/ migrations/",
        )
    if directory_in(made, settings) not in made.files:
        return wrong(
            "image",
            f"{settings} is not in the image",
            f"there is no environment '{target.env}' (there are: none)",
            "in Dockerfile.migrate: COPY environments/ environments/",
        )
    return fine("image", f"{len(there)} SQL files are in the image's {place}")


def _not_found(path: str) -> str:
    return f"[Errno 2] No such file or directory: '{path}'"


def _nothing_there(
    target: Target, place: str, written: str, origin: str, here: Sequence[str]
) -> list[Finding]:
    first = here[0] if here else "*.sql"
    file = target.file or f"environments/{target.env}.yaml"
    cures = {
        "Dockerfile.migrate": f"sed -i 's#{written}#migrations#' Dockerfile.migrate",
        "": "in Dockerfile.migrate: COPY migrations/ migrations/",
    }
    return wrong(
        "image",
        f"the runner looks for migrations in {place}, and the image has none there"
        + (f" ({origin} says {written})" if origin else ""),
        _not_found(f"{place}/{first}"),
        cures.get(origin, f"sed -i 's#{written}#migrations#' {file}"),
    )


def migrations(_target: Target, facts: Facts) -> list[Finding]:
    """See that the engine can read the migrations."""
    code, said = facts.local.engine_exit, facts.local.engine_said
    if code == 0:
        return fine("migrations", "the engine reads the migrations")
    if facts.local.engine_late:
        what = "whether the engine reads the migrations"
        return unasked("migrations", what, Unknown(said))
    cure = "python -m migrate plan --check-files"
    return wrong("migrations", said, f"exit code {code} of the job", cure)


#: In the order they are told.
CHECKS: Sequence[Check] = (build_file, source, image, migrations)
