"""A `gcloud` that makes things in a file instead of a project, and writes down what it was told.

Put on PATH as a program of its own by the tests of the bootstrap. It knows the commands and
flags of a real gcloud (`tests/recorded/gcloud_commands.json`) and refuses any other, as
gcloud does, with 2. It answers as Google would: nothing is made before its API is enabled,
or twice; nobody is granted anything on what is not there. Where a file `slow` lies beside its
own, an account that was just made is not known to the first grant, as it is with Google. What
there is are lines: `account/a@p`, `grant/RESOURCE/MEMBER/ROLE`.
"""

import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
KNOWN = json.loads((HERE / "recorded/gcloud_commands.json").read_text(encoding="utf-8"))
NUMBER = "123456789012"
#: Command group: what it makes, and the API it needs.
KINDS = {
    "iam service-accounts": ("account", "iam"),
    "artifacts repositories": ("repository", "artifactregistry"),
    "storage buckets": ("bucket", "storage"),
    "compute networks": ("network", "compute"),
    "compute networks subnets": ("subnet", "compute"),
    "compute networks vpc-access connectors": ("connector", "vpcaccess"),
    "secrets": ("secret", "secretmanager"),
    "secrets versions": ("version", "secretmanager"),
    "iam workload-identity-pools": ("pool", "iam"),
    "iam workload-identity-pools providers": ("provider", "iam"),
    "projects": ("project", "cloudresourcemanager"),
}


class RefusedError(Exception):
    """What gcloud would say, and its exit code."""

    def __init__(self, reason: str, code: int = 1) -> None:
        super().__init__(reason)
        self.code = code


def parsed(words: list[str]) -> tuple[str, str, dict[str, str]]:
    """Return the command, its positional arguments and its flags; anything else is refused."""
    paths = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    path = next((p for p in paths if p in KNOWN["commands"]), "")
    if not path:
        raise RefusedError(f"Invalid choice: {words[:3]!r}", 2)
    rest = words[len(path.split()) :]
    flags = {w.partition("=")[0]: w.partition("=")[2] for w in rest if w[:1] == "-"}
    allowed = {*KNOWN["everywhere"], *KNOWN["commands"][path]}
    if unknown := set(flags) - allowed:
        raise RefusedError(f"unrecognized arguments: {sorted(unknown)}", 2)
    return path, " ".join(w for w in rest if w[:1] != "-"), flags


def named(kind: str, name: str, flags: dict[str, str]) -> str:
    """Return the line that a thing is."""
    if kind == "account" and "--project" not in flags:
        raise RefusedError("Failed to find attribute [project].")
    if kind == "account" and "@" not in name:
        name = f"{name}@{flags['--project']}.iam.gserviceaccount.com"
    return f"{kind}/{name}"


class Project:
    """What there is, in a file; one line each."""

    def __init__(self, file: Path) -> None:
        self.file = file
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        self.lines = set(text.splitlines()) | {"project/acme-dev"}

    def add(self, line: str) -> None:
        """Remember a line."""
        self.lines.add(line)
        self.file.write_text("\n".join(sorted(self.lines)) + "\n", encoding="utf-8")

    def needs(self, line: str) -> None:
        """Refuse what is not there."""
        if line not in self.lines:
            raise RefusedError(f"NOT_FOUND: {line} does not exist.")

    def needs_api(self, name: str) -> None:
        """Refuse what was not enabled."""
        if f"api/{name}.googleapis.com" not in self.lines:
            raise RefusedError(f"SERVICE_DISABLED: {name}.googleapis.com")


def answered(project: Project, path: str, name: str, flags: dict[str, str]) -> str:
    """Carry a command out; return what it prints."""
    if path == "services enable":
        for api in name.split():
            project.add(f"api/{api}")
        return ""
    group, _, verb = path.rpartition(" ")
    kind, api = KINDS[group]
    if kind != "project":
        project.needs_api(api)
    if kind == "version":
        project.needs(f"secret/{name}")
        return versions(project, verb, name, flags)
    line = named(kind, name, flags)
    if verb == "describe":
        project.needs(line)
        return NUMBER if kind == "project" else name
    if verb == "add-iam-policy-binding":
        return granted(project, line, flags)
    if line in project.lines:
        raise RefusedError(f"ALREADY_EXISTS: {line}")
    for flag, other in (("--network", "network"), ("--workload-identity-pool", "pool")):
        if flag in flags:
            project.needs(f"{other}/{flags[flag]}")
    project.add(line)
    return f"Created {line}"


def versions(project: Project, verb: str, name: str, flags: dict[str, str]) -> str:
    """List versions, or add one: its value is on standard input, its digest is kept."""
    if verb == "list":
        return "\n".join(x for x in project.lines if x.startswith(f"version/{name}/"))
    if flags.get("--data-file") != "-":
        raise RefusedError("a value belongs on standard input")
    value = sys.stdin.buffer.read()
    project.add(f"version/{name}/{hashlib.sha256(value).hexdigest()}")
    return "Created version"


def granted(project: Project, line: str, flags: dict[str, str]) -> str:
    """Grant a role; an account is known from the second time on that it is asked for."""
    project.needs(line)
    kind, _, who = flags["--member"].partition(":")
    if kind == "serviceAccount":
        project.needs(f"account/{who}")
        slow = project.file.with_name("slow").exists()
        if slow and f"settled/{who}" not in project.lines:
            project.add(f"settled/{who}")
            raise RefusedError(f"Service account {who} does not exist.")
    project.add(f"grant/{line}/{flags['--member']}/{flags['--role']}")
    return "Updated"


def main(directory: Path, words: list[str]) -> int:
    """Write the command down, carry it out, return its exit code."""
    with (directory / "commands.jsonl").open("a", encoding="utf-8") as told:
        told.write(json.dumps(words) + "\n")
    try:
        path, name, flags = parsed(words)
        print(answered(Project(directory / "project.txt"), path, name, flags))
    except RefusedError as refused:
        print(f"ERROR: (gcloud) {refused}", file=sys.stderr)
        return refused.code
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
