"""Each of the least roles, taken away, is named by the preflight: whose, where, the command."""

import pytest

from emulator.policy import ROLES
from jobs.access import grants
from jobs.facts import Facts
from jobs.findings import Weight
from jobs.gcp.cloud import connect
from jobs.looking import _Crew, _remote, asked
from jobs.preflight_access import CHECKS, OWN
from jobs.roles import Who
from tests.fix_emulator import PROJECT, REGION
from tests.fix_story import NUMBER, PERSON, bindings_of
from tests.preflighted import some_facts

INSTANCE = "vividly-dev-rich:us-central1:dev-vividly-db"
ADDRESS = f"postgresql://vividly:s3cret@/vividly?host=/cloudsql/{INSTANCE}"
#: Whoever approves or rotates does so at another time: a launch does not need them.
OTHERS = {Who.APPROVER, Who.ROTATOR}


@pytest.fixture(scope="module")
def checkout(story):
    """Give an environment to which every row within one project applies."""
    return story.checkout(
        "roles",
        ADDRESS,
        cloudsql_instance=INSTANCE,
        variables={"MIGRATE_IAM_AUTH": "true"},
    )


@pytest.fixture(scope="module")
def findings(checkout):
    """Give what the checks of access say, without looking at the checkout again."""
    target = checkout.target
    cloud = connect(PROJECT, REGION, "", checkout.environment)
    account = target.build_service_account
    local = some_facts(target).local

    def look():
        number = asked(lambda: cloud.projects.number(PROJECT))
        remote = _remote(target, cloud, _Crew(), number, account)
        facts = Facts(local, remote, caller=PERSON)
        return [f for check in CHECKS for f in check(target, facts)]

    return look


def test_with_all_of_them_nothing_is_missing(findings, story):
    """The rows of the table are enough; the loop below starts from here."""
    story.grant()

    assert [] == [f.what for f in findings() if f.weight is not Weight.FINE]


def test_each_role_that_is_taken_away_is_named(checkout, findings, story):
    """By whoever lacks it, with the command; unless another of their roles holds it too."""
    needed = [
        g
        for g in grants(checkout.target, person=PERSON, number=NUMBER)
        if g.need.who not in OTHERS
    ]
    held = {(b["principal"], b["role"]) for b in bindings_of(checkout.target)}
    unnamed, tried = [], 0
    for grant in needed:
        role, email = grant.need.role, grant.member.partition(":")[2]
        others = {r for who, r in held if who == grant.member} - {role}
        if any(grant.need.permission in ROLES[other] for other in others):
            continue
        tried += 1
        story.grant((grant.member, role))
        whose = "you lack" if grant.need.who in OWN else email
        said = [f for f in findings() if whose in f.what and role in f.what]
        if not any(f"--role={role}" in f.cure for f in said):
            unnamed.append((grant.need.who.value, role))
    story.grant()

    assert tried > len(needed) / 2
    assert [] == unnamed
