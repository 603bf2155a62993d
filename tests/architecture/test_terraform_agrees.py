"""infra/ says the same as the bootstrap: the same APIs, roles and names, in form and in fact.

The files are parsed; arguments are compared with those the provider takes, as its published
bindings list them (`tests/recorded/google_provider.json`). Nothing of Terraform is run.
"""

import json
import re
from typing import Any

import hcl2
import pytest

from jobs import bootstrap, resources
from jobs.config import Target
from jobs.roles import LEAST, Case, Who
from tests.fix_cli import CHECKOUT

FILES = sorted((CHECKOUT / "infra").glob("*.tf"))
RECORDED = json.loads(
    (CHECKOUT / "tests/recorded/google_provider.json").read_text(encoding="utf-8")
)
#: What Terraform itself takes in every resource.
META = {"count", "for_each", "depends_on"}
INTERPOLATION = re.compile(r"\$\{[^{}]*\}")


def plain(value: Any) -> Any:
    """Return a parsed value without the parser's own marks and quotes."""
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items() if k[:2] != "__"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    quoted = isinstance(value, str) and value[:1] == value[-1:] == '"'
    return value[1:-1] if quoted else value


@pytest.fixture(scope="module")
def infra():
    """Give everything that is declared: kind to a list of declarations."""
    found: dict[str, list[Any]] = {}
    for file in FILES:
        for kind, declared in plain(
            hcl2.loads(file.read_text(encoding="utf-8"))
        ).items():
            found.setdefault(kind, []).extend(declared)
    return found


@pytest.fixture(scope="module")
def values(infra):
    """Give the locals of all files in one mapping."""
    return {name: value for block in infra["locals"] for name, value in block.items()}


def declared(infra, *kinds):
    """Yield (type, name, body) of resources or data."""
    for kind in kinds:
        for one in infra[kind]:
            for type_, named in one.items():
                yield from ((type_, name, body) for name, body in named.items())


def only(infra, type_, name):
    """Return the body of one resource."""
    (body,) = [b for t, n, b in declared(infra, "resource") if (t, n) == (type_, name)]
    return body


def test_every_argument_is_one_the_provider_takes(infra):
    """And none that it asks for is missing."""
    wrong = [
        (type_, name, sorted(given - known), sorted(required - given))
        for type_, name, body in declared(infra, "resource", "data")
        for given in [set(body) - META]
        for required in [set(RECORDED["types"][type_]["required"])]
        for known in [required | set(RECORDED["types"][type_]["optional"])]
        if not required <= given <= known
    ]

    assert [] == wrong


def test_the_roles_are_the_least_roles(values):
    """Row by row: who, which role, on what, in which case."""
    expected = [
        {
            "who": need.who.name.lower(),
            "role": need.role,
            "on": need.scope.name.lower(),
            "when": need.case.name.lower(),
        }
        for need in LEAST
    ]

    assert expected == values["grants"]
    assert {case.name.lower() for case in Case} == set(values["cases"])
    assert {who.name.lower() for who in Who} == set(values["members"])


def test_every_place_has_its_resource(infra, values):
    """A row whose place nobody grants on would be lost without a word."""
    places = {row["on"] for row in values["grants"]}
    granted = set(
        re.findall(
            r'by_place\["(\w+)"\]', json.dumps(infra["resource"]).replace("\\", "")
        )
    )

    assert places == granted


def test_the_apis_are_those_of_the_bootstrap(values):
    """With every setting and a workflow: those of a launch, of the preflight, of a token."""
    target = Target(
        *("dev", "acme-dev", "us-central1"),
        image="us-central1-docker.pkg.dev/acme-dev/migrations/app",
        database_secret="s",
        build_service_account="b@acme-dev.iam.gserviceaccount.com",
        job_service_account="j@acme-dev.iam.gserviceaccount.com",
        connector="c",
        cloudsql_instance="p:r:i",
    )
    made = bootstrap.steps(target, bootstrap.Wishes(github="acme/app"))

    named = re.findall(r'"(\w+)"', values["apis"])

    assert sorted(set(resources.api_names(named))) == sorted(made[0].make[2:-1])


def test_the_workflow_has_the_same_names(infra, values):
    """The account, the pool, whose tokens it takes, and of which job."""
    provider = only(infra, "google_iam_workload_identity_pool_provider", "github")
    account = only(infra, "google_service_account", "launch")
    trust = only(infra, "google_service_account_iam_member", "workflow")
    (subject,) = re.findall(r"/subject/.*", trust["member"])

    assert bootstrap.LAUNCH_ACCOUNT == account["account_id"]
    assert values["launch_account"].startswith(f"{bootstrap.LAUNCH_ACCOUNT}@")
    assert bootstrap.PROVIDER == provider["workload_identity_pool_provider_id"]
    assert bootstrap.ISSUER == provider["oidc"][0]["issuer_uri"]
    assert bootstrap.MAPPING == "=".join(*provider["attribute_mapping"].items())
    assert "assertion.repository=='${var.github}'" == provider["attribute_condition"]
    assert bootstrap.IMPERSONATE == trust["role"]
    assert "/subject/repo:${var.github}:environment:${var.environment}" == subject


def test_what_the_environment_does_not_say_has_the_same_defaults(infra):
    """Ranges of addresses, and nobody."""
    found = {
        name: body["default"]
        for one in infra["variable"]
        for name, body in one.items()
        if "default" in body
    }
    wishes = bootstrap.Wishes()._asdict()

    assert {"make_network", "make_subnet"} == set(found) - set(wishes)
    assert {
        name: list(v) if isinstance(v, tuple) else v for name, v in wishes.items()
    } == {name: found[name] for name in wishes}


def test_no_secret_value_stands_in_a_state(infra):
    """The secret is made without a version."""
    types = {type_ for type_, _, _ in declared(infra, "resource")}

    assert "google_secret_manager_secret" in types
    assert not [t for t in types if "secret_version" in t]


def closed(levels, count):
    """Close brackets: a line that opened several is left with the last of them."""
    while count and levels:
        taken = min(count, levels[-1])
        levels[-1] -= taken
        count -= taken
        if not levels[-1]:
            levels.pop()


def badly_indented(lines):
    """Yield the numbers of lines that do not stand two spaces deeper for each open line."""
    levels: list[int] = []
    for number, line in enumerate(lines, 1):
        bare = re.sub(r'"[^"]*"', '""', INTERPOLATION.sub("", line)).partition("#")[0]
        rest = bare.strip().lstrip(")]}")
        closed(levels, len(bare.strip()) - len(rest))
        if line and len(line) - len(line.lstrip()) != 2 * len(levels):
            yield number
        net = sum(map(rest.count, "([{")) - sum(map(rest.count, ")]}"))
        levels += [net] if net > 0 else []
        closed(levels, max(0, -net))


def badly_aligned(lines):
    """Yield the numbers of lines whose sign does not stand below its neighbour's."""
    before = None
    for number, line in enumerate(lines, 1):
        found = re.match(r"( *)[\w]+ *(?== )", line)
        now = (found[1], found.end()) if found and line[-1] not in "{[(" else None
        if now and before and now[0] == before[0] and now != before:
            yield number
        before = now


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_files_are_formatted(file):
    """As `terraform fmt` would, as far as we use its language."""
    lines = file.read_text(encoding="utf-8").splitlines()

    assert [] == list(badly_indented(lines))
    assert [] == list(badly_aligned(lines))
    assert [] == [line for line in lines if line != line.rstrip() or "\t" in line]
