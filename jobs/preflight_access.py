"""Which accounts and roles would make this launch fail. Pure.

Called by `doctor` with the other checks. The caller's own permissions are asked for by
name; those of service accounts are read from the policies of the resources. A role that a
group, a custom role, a folder or an organisation may give is called unclear, not missing.
"""

from collections.abc import Sequence

from jobs import resources
from jobs.access import (
    Grant,
    Standing,
    account_resource,
    command,
    grants,
    holders,
    project_resource,
    standing,
)
from jobs.config import Target
from jobs.facts import Facts, Unknown
from jobs.findings import Finding, Weight
from jobs.preflight import Check, fine, unasked, wrong
from jobs.roles import Scope, Who

#: Whose roles are judged by what the caller may do.
OWN = frozenset({Who.SUBMITTER, Who.CLEANUP, Who.LOOKOUT})
_SERVICE = (Who.BUILD, Who.RUNTIME, Who.AGENT)


def needed(target: Target, facts: Facts) -> tuple[Grant, ...]:
    """Return the grants that this launch needs."""
    number, account = facts.remote.number, facts.remote.build_account
    return grants(
        target,
        person=facts.caller,
        number="" if isinstance(number, Unknown) else number or "",
        build_account="" if isinstance(account, Unknown) else account,
    )


def accounts(target: Target, facts: Facts) -> list[Finding]:
    """See that the service accounts exist and are enabled."""
    found: list[Finding] = []
    for email, known in facts.remote.accounts.items():
        if isinstance(known, Unknown):
            role = "iam.serviceAccountViewer"
            found += unasked("account", f"service account {email}", known, role)
        elif not known:
            found += wrong(
                "account",
                f"there is no service account {email}, or it is disabled",
                f"Service account {email} does not exist.",
                resources.command(resources.account(email).make),
            )
    named = (target.build_service_account, target.job_service_account)
    if not all(named):
        which = "build_service_account" if not named[0] else "job_service_account"
        text = f"{which} is not set: a default account with more rights than needed is used"
        found.append(Finding("account", Weight.WARNING, text))
    return found or fine(
        "account", f"{len(facts.remote.accounts)} service accounts exist"
    )


def own_roles(target: Target, facts: Facts) -> list[Finding]:
    """See that the caller may do what a launch does."""
    found: list[Finding] = []
    count = 0
    for grant in needed(target, facts):
        need = grant.need
        if need.who not in OWN:
            continue
        allowed = facts.remote.allowed.get(grant.resource)
        if isinstance(allowed, Unknown) or allowed is None:
            continue
        if need.permission in allowed:
            count += 1
        elif need.who is Who.SUBMITTER:
            found += wrong(
                "role",
                f"you lack {need.role} on {need.scope.value}: it {need.why}",
                f"Permission '{need.permission}' denied",
                command(grant),
            )
        else:
            text = f"you lack {need.role} on {need.scope.value}: it {need.why}"
            found.append(Finding("role", Weight.WARNING, text, cure=command(grant)))
    return found or fine(
        "role", f"you have {count} of the permissions that were asked for"
    )


def service_roles(target: Target, facts: Facts) -> list[Finding]:
    """See that the service accounts hold the roles of the table."""
    if facts.remote.policies.get(project_resource(target.project)) == []:
        # Every real project has an owner; an emulator without a policy has nobody.
        text = "not checked: the project's policy is empty, so roles are not kept here"
        return [Finding("role", Weight.WARNING, text)]
    found: list[Finding] = []
    unclear: list[str] = []
    exist = facts.remote.accounts
    for grant in needed(target, facts):
        need = grant.need
        email = grant.member.partition(":")[2]
        if need.who not in _SERVICE or exist.get(email) is False:
            continue
        # One account for build and job acts as itself without being told so.
        if need.scope is Scope.JOB_ACCOUNT and grant.resource == account_resource(
            email
        ):
            continue
        state = standing(grant, facts.remote.policies, target.project)
        if state is Standing.MISSING:
            found += wrong(
                "role",
                f"{need.who.value} {email} lacks {need.role} on {need.scope.value}: it "
                f"{need.why}",
                f"Permission '{need.permission}' denied for {email}",
                command(grant),
            )
        elif state is Standing.UNCLEAR:
            unclear.append(need.role)
    if unclear:
        roles = ", ".join(sorted(set(unclear)))
        text = f"not checked: whether service accounts hold {roles} (the policies are hidden)"
        cure = "grant roles/iam.securityReviewer to whoever launches"
        found.append(Finding("role", Weight.WARNING, text, cure=cure))
    return found or fine("role", "the service accounts hold the roles they need")


# --- those who approve and rotate -----------------------------------------------------

_MAY = {
    Who.APPROVER: "may approve a build that waits for it",
    Who.ROTATOR: "may change the address in the secret",
}
#: How many are named; a large group of owners is not listed whole.
_NAMED = 4


def people(target: Target, facts: Facts) -> list[Finding]:
    """See who approves builds that wait, and who rotates the secret: others' work.

    Nothing here forbids a launch, which needs neither of them.
    """
    if not facts.remote.policies.get(project_resource(target.project)):
        return []  # hidden, or not kept here: `service_roles` has said so
    wanted = {Who.APPROVER: facts.local.approval, Who.ROTATOR: True}
    firsts: dict[Who, Grant] = {}
    for grant in needed(target, facts):
        if wanted.get(grant.need.who):
            firsts.setdefault(grant.need.who, grant)
    return [
        found for grant in firsts.values() for found in _judged(target, facts, grant)
    ]


def _judged(target: Target, facts: Facts, grant: Grant) -> list[Finding]:
    """Say who may, and warn where it is nobody, or nobody else, or an account of ours."""
    found = holders(grant, facts.remote.policies, target.project)
    if found is None:
        return []
    who, may = grant.need.who, _MAY[grant.need.who]
    members, cure = found.members, command(grant)
    warnings = []
    if not members and not found.unclear:
        warnings.append((f"nobody {may}", cure))
    if who is Who.APPROVER and members == (facts.caller,):
        warnings.append((f"only you {may}: nobody else looks at what you launch", cure))
    warnings += [
        (f"{member} {may}: an account that runs migrations should not", "")
        for member in members
        if member in {f"serviceAccount:{email}" for email in facts.remote.accounts}
    ]
    if warnings:
        return [Finding("people", Weight.WARNING, t, cure=c) for t, c in warnings]
    if not members:
        return fine("people", f"a custom role says who {may}")
    more = len(members) - _NAMED
    named = ", ".join(members[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return fine("people", f"{named} {may}")


#: In the order they are told.
CHECKS: Sequence[Check] = (accounts, own_roles, service_roles, people)
