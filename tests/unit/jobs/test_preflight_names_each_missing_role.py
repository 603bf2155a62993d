"""Each role that somebody lacks is named, with the command that grants it."""

from jobs import access
from jobs.findings import Weight, fatal
from jobs.ports import Binding
from jobs.roles import LEAST, Who
from tests.preflighted import (
    AWAY,
    DENIED,
    NUMBER,
    a_target,
    judged,
    only,
    policies_of,
    troubles,
)


def test_each_role_taken_away_is_named():
    """Whose, which, where; with the command that gives it back."""
    target = a_target()
    for lost in access.grants(target, number=NUMBER):
        if lost.need.who not in {Who.BUILD, Who.RUNTIME}:
            continue
        policies = {
            place: [
                b
                for b in bindings
                if (place, b.role, b.members)
                != (lost.resource, lost.need.role, (lost.member,))
            ]
            for place, bindings in policies_of(target).items()
        }

        found = only(target, policies=policies)

        assert ("role", Weight.FATAL) == (found.check, found.weight)
        assert f"lacks {lost.need.role}" in found.what
        assert access.command(lost) == found.cure


def test_each_permission_taken_from_the_caller_is_named():
    """What a launch needs forbids it; what only looks or cleans up is a warning."""
    target = a_target()
    for need in LEAST:
        if need.who not in {Who.SUBMITTER, Who.CLEANUP, Who.LOOKOUT}:
            continue
        everything = frozenset(n.permission for n in LEAST) - {need.permission}
        allowed = {g.resource: everything for g in access.grants(target, number=NUMBER)}

        found = only(target, allowed=allowed)

        weight = Weight.FATAL if need.who is Who.SUBMITTER else Weight.WARNING
        assert (need.role, weight) == (found.what.split()[2], found.weight)


def test_what_is_hidden_is_not_judged():
    """Policies that may not be read are one warning; permissions that were not asked, none."""
    hidden = only(policies={})

    assert Weight.WARNING is hidden.weight
    assert "securityReviewer" in hidden.cure
    assert [] == troubles(allowed={})
    assert [] == troubles(allowed=dict.fromkeys(policies_of(a_target()), DENIED))
    nobody: list[Binding] = []
    empty = {access.project_resource("vividly-dev-rich"): nobody}
    assert "the project's policy is empty" in only(policies=empty).what


def test_accounts_are_judged_before_their_roles():
    """One that is missing has no roles; one that is not named is told; one may be hidden."""
    target = a_target()
    email = target.build_service_account
    gone = troubles(policies={}, accounts={email: False})
    one = a_target(job_service_account=email)

    assert [("account", "fatal"), ("role", "warning")] == gone
    assert [("account", "warning")] == troubles(accounts={email: DENIED})
    assert (
        "build_service_account is not set"
        in only(a_target(build_service_account="")).what
    )
    assert (
        "job_service_account is not set" in only(a_target(job_service_account="")).what
    )
    without_self = {
        place: found
        for place, found in policies_of(one).items()
        if place != access.account_resource(email)
    }
    assert [] == troubles(one, policies=without_self)


def test_the_number_and_the_account_may_be_unknown():
    """Roles of the accounts that are named are judged all the same."""
    target = a_target(build_service_account="")

    found = judged(target, number=AWAY, build_account=AWAY)

    assert any("PROJECT_NUMBER" in f.what for f in found if f.check == "role")
    assert () == fatal(judged(number=AWAY))


def test_a_custom_role_may_hold_what_is_needed():
    """It is not judged, and named in the warning."""
    target = a_target()
    policies = policies_of(target)
    member = f"serviceAccount:{target.build_service_account}"
    project = access.project_resource(target.project)
    policies[project] = [
        b for b in policies[project] if b.role != "roles/run.developer"
    ] + [Binding("projects/p/roles/own", (member,))]

    assert "roles/run.developer" in only(target, policies=policies).what
    assert Weight.WARNING is only(target, policies=policies).weight
