"""Who approves builds that wait and who rotates the secret: named, or told to be missing."""

from jobs import access, preflight_access
from jobs.ports import Binding
from tests.preflighted import a_target, policies_of, some_facts


def people(*more, approval=False, caller="user:ada@example.com", without=()):
    """Return (weight, text, cure) of what is said of those who approve and rotate."""
    target = a_target()
    project = access.project_resource(target.project)
    policies = policies_of(target)
    policies[project] = [*policies[project], *more]
    left = {
        place: [b for b in bindings if b.role not in without]
        for place, bindings in policies.items()
    }
    facts = some_facts(target, local={"approval": approval}, policies=left)
    found = preflight_access.people(target, facts._replace(caller=caller))
    return [(f.weight.value, f.what, f.cure) for f in found]


APPROVES, ROTATES = (
    "roles/cloudbuild.builds.approver",
    "roles/secretmanager.secretVersionManager",
)
OWNER = Binding("roles/owner", tuple(f"user:{n}@example.com" for n in "abcdef"))


def test_whoever_approves_and_rotates_is_named():
    """The approver only where the environment's trigger asks for one."""
    rotates = "user:ROTATOR@EXAMPLE.COM may change the address in the secret"
    approves = "user:APPROVER@EXAMPLE.COM may approve a build that waits for it"

    assert [("fine", rotates, "")] == people()
    assert [("fine", approves, ""), ("fine", rotates, "")] == people(approval=True)
    (many,) = people(OWNER, without=[ROTATES])
    named = ", ".join(OWNER.members[:4])
    assert f"{named} and 2 more may change the address in the secret" == many[1]


def test_nobody_to_approve_or_rotate_is_told_with_the_command():
    """A warning: a launch needs neither."""
    approver, rotator = people(approval=True, without=[APPROVES, ROTATES])

    assert ("warning", "nobody may approve a build that waits for it") == approver[:2]
    assert f"--role={APPROVES}" in approver[2]
    assert ("warning", "nobody may change the address in the secret") == rotator[:2]
    assert f"--role={ROTATES}" in rotator[2]


def test_nobody_approves_what_they_launch_themselves():
    """Two pairs of eyes: the caller alone is not enough, and an account of ours no pair."""
    account = f"serviceAccount:{a_target().build_service_account}"

    (alone, _) = people(approval=True, caller="user:APPROVER@EXAMPLE.COM")
    (ours, _) = people(Binding(APPROVES, (account,)), approval=True)

    assert "warning" == alone[0] == ours[0]
    assert "only you may approve" in alone[1]
    assert f"{account} may approve" in ours[1]


def test_a_custom_role_or_a_hidden_policy_may_name_others():
    """Then nothing is called missing."""
    target = a_target()
    custom = Binding("projects/p/roles/own", ("user:b@example.com",))
    policies = policies_of(target) | {
        f"//secretmanager.googleapis.com/{target.secret_name}": None
    }

    assert [
        ("fine", "a custom role says who may change the address in the secret", "")
    ] == (people(custom, without=[ROTATES]))
    assert [] == preflight_access.people(target, some_facts(target, policies=policies))
    assert [] == preflight_access.people(target, some_facts(target, policies={}))
