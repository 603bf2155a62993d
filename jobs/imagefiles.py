"""What ``Dockerfile.migrate`` puts where, and what the build file does with it. Pure.

Called by `preflight` with texts and names of files; reads nothing. It follows FROM,
WORKDIR, ENV, ARG, COPY and ADD as far as files of the upload are concerned: enough to say
before a build whether the runner will find its migrations in the image.
"""

import fnmatch
import json
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}|\$(\w+)")
#: A substitution of Cloud Build; ``$$`` is a dollar sign.
_SUBSTITUTION = re.compile(r"\$\$|\$\{(_[A-Z0-9_]+)\}|\$(_[A-Z0-9_]+)")
_RUN_STEP = "run-migration"


class Stage(NamedTuple):
    """A stage of the Dockerfile: what it holds of ours, image path to uploaded path."""

    files: Mapping[str, str]
    workdir: str
    environment: Mapping[str, str]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield (INSTRUCTION, the rest), continued lines joined, comments dropped."""
    whole = ""
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#") or (not bare and not whole):
            continue
        whole += bare.removesuffix("\\")
        if bare.endswith("\\"):
            whole += " "
            continue
        word, _, rest = whole.strip().partition(" ")
        whole = ""
        yield word.upper(), rest.strip()


def image_of(dockerfile: str, uploaded: Sequence[str], stage: str = "") -> Stage:
    """Return what a stage holds, or the last one where no stage of this name is."""
    stages: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    name, now = "", Stage({}, "/", {})
    for word, rest in instructions(dockerfile):
        if word == "ARG":
            key, _, default = rest.partition("=")
            arguments.setdefault(key, default)
        elif word == "FROM":
            words = _filled(rest, arguments).split()
            base = next((w for w in words if not w.startswith("--")), "")
            name = words[-1] if len(words) > 2 and words[-2].upper() == "AS" else base  # noqa: PLR2004
            now = stages.get(base, Stage({}, "/", {}))
        else:
            now = _applied(now, word, rest, stages, arguments, uploaded)
        if name:
            stages[name] = now
    return stages.get(stage, now)


def _applied(  # noqa: PLR0917 - an instruction and what it can see
    now: Stage,
    word: str,
    rest: str,
    stages: Mapping[str, Stage],
    arguments: Mapping[str, str],
    uploaded: Sequence[str],
) -> Stage:
    rest = _filled(rest, {**arguments, **now.environment})
    if word == "WORKDIR":
        return now._replace(workdir=posixpath.normpath(_join(now.workdir, rest)))
    if word == "ENV":
        return now._replace(environment={**now.environment, **_pairs(rest)})
    if word in {"COPY", "ADD"}:
        copied = _copied(now, rest, stages, uploaded)
        return now._replace(files={**now.files, **copied})
    return now


def _pairs(rest: str) -> Mapping[str, str]:
    words = shlex.split(rest)
    if words and "=" not in words[0]:  # the old form: ENV NAME value
        return {words[0]: " ".join(words[1:])}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _copied(
    now: Stage, rest: str, stages: Mapping[str, Stage], uploaded: Sequence[str]
) -> Mapping[str, str]:
    words = json.loads(rest) if rest.startswith("[") else rest.split()
    flags = [w for w in words if w.startswith("--")]
    *sources, to = [w for w in words if not w.startswith("--")] or [""]
    origin = next((f[7:] for f in flags if f.startswith("--from=")), "")
    held = {f"/{name}": name for name in uploaded}
    if origin:
        held = dict(stages.get(origin, Stage({}, "/", {})).files)
    whole = _join(now.workdir, to)
    into = to.endswith(("/", ".")) or len(sources) > 1
    found: dict[str, str] = {}
    for source in sources:
        pattern = posixpath.normpath(_join("/", source))
        for place, name in held.items():
            if (tail := _below(place, pattern)) is None:
                continue
            if tail == "" and not into:
                found[posixpath.normpath(whole)] = name
            else:
                tail = tail or posixpath.basename(place)
                found[posixpath.normpath(_join(whole, tail))] = name
    return found


def _below(place: str, pattern: str) -> str | None:
    """Return a file's path below a pattern: '' when it is what the pattern names."""
    if pattern == "/":
        return place[1:]
    parts, depth = place.split("/"), pattern.count("/") + 1
    head = parts[:depth]
    named = pattern.split("/")
    fits = len(head) == depth and all(map(fnmatch.fnmatchcase, head, named))
    return "/".join(parts[depth:]) if fits else None


def _join(base: str, path: str) -> str:
    return posixpath.join(base, path.rstrip("/") or "/") if path else base


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        found = values.get(match[1] or match[3])
        return (match[2] or "") if found is None else found

    return _VARIABLE.sub(value, text)


def directory_in(image: Stage, directory: str) -> str:
    """Return where a directory of the runner's is in the image."""
    return posixpath.normpath(_join(image.workdir, directory))


def files_in(image: Stage, directory: str) -> Mapping[str, str]:
    """Return the files right in a directory of the image, by their bare names."""
    return {
        posixpath.basename(place): name
        for place, name in image.files.items()
        if posixpath.dirname(place) == directory
    }


def runner_directory(
    args: Sequence[str], variables: Mapping[str, str], image: Stage, engine_dir: str
) -> tuple[str, str]:
    """Return where the runner looks for migrations, and who says so.

    In the engine's own order: option, variable, environment file, default.
    """
    for at, word in enumerate(args):
        if word.startswith("--dir="):
            return word[6:], "args"
        if word == "--dir" and at + 1 < len(args):
            return args[at + 1], "args"
    if found := variables.get("MIGRATE_DIR"):
        return found, "variables"
    if found := image.environment.get("MIGRATE_DIR"):
        return found, "Dockerfile.migrate"
    return (engine_dir, "engine") if engine_dir else ("migrations", "")


# --- the build file -------------------------------------------------------------------


def _words(step: Mapping[str, Any]) -> str:
    given = [*(step.get("args") or ()), step.get("script") or ""]
    return " ".join(map(str, given))


def pushes_before_run(document: Mapping[str, Any]) -> bool:
    """Tell whether an image is pushed before the step that makes the job of it.

    ``images:`` does not count: it is pushed when every step is over.
    """
    for step in document["steps"]:
        if step.get("id") == _RUN_STEP:
            return False
        if re.search(r"\bpush\b", _words(step)):
            return True
    return False


def stage_built(document: Mapping[str, Any]) -> str:
    """Return the stage of the Dockerfile that the runner's image is."""
    words = " ".join(_words(step) for step in document["steps"])
    return "runner" if "runner" in words else ""


def undeclared(document: Mapping[str, Any]) -> list[str]:
    """Return the substitutions that are used and not declared."""
    return sorted(_used(document) - set(document.get("substitutions") or ()))


def unused(document: Mapping[str, Any]) -> list[str]:
    """Return the substitutions that are declared and not used: Cloud Build refuses them."""
    options = document.get("options") or {}
    if options.get("substitutionOption") == "ALLOW_LOOSE":
        return []
    return sorted(set(document.get("substitutions") or ()) - _used(document))


def _used(document: Mapping[str, Any]) -> set[str]:
    text = json.dumps(document, default=str)
    return {m[1] or m[2] for m in _SUBSTITUTION.finditer(text) if m[0] != "$$"}
