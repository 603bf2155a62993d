"""The committed tables say what the installed libraries say.

When this fails, a library has added or changed an RPC: run ``python -m
tests.emulator.harvest``, read the difference, and decide what the emulator does about it.
"""

import json

import pytest

from emulator.coverage import coverage
from emulator.policy import PERMISSIONS
from emulator.serving import covered
from emulator.table import rpcs
from tests.emulator import harvest

FREE = {  # asked by everybody, or checked where the resource is known
    "Jobs.TestIamPermissions", "SecretManagerService.TestIamPermissions",
    "ArtifactRegistry.TestIamPermissions", "Projects.TestIamPermissions",
    "IAM.TestIamPermissions",
}  # fmt: skip


def test_table_of_rpcs_is_current():
    """Path, kind and message types of every RPC."""
    committed = json.loads((harvest.TABLES / "rpcs.json").read_text())

    assert committed == harvest.harvest_rpcs()


def test_table_of_rules_is_current():
    """Verb, template and body of every HTTP rule."""
    committed = json.loads((harvest.TABLES / "rules.json").read_text())

    assert committed == harvest.harvest_rules()


@pytest.mark.parametrize("rpc", [r for r in rpcs() if covered(r)], ids=str)
def test_what_is_carried_out_needs_a_permission(rpc):
    """No RPC of Google's is carried out without a permission in the table."""
    service = rpc.service.rsplit(".", 1)[1]

    if service != "Operations":
        name = f"{service}.{rpc.method}"
        assert name in PERMISSIONS or name in FREE


def test_coverage_lists_what_is_carried_out():
    """The page's table has a row for each service."""
    table = coverage()

    assert "`google.cloud.run.v2.Jobs`" in table
    assert "`TailLogEntries`" in table
