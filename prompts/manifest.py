"""What the migration created, by name: the list the verification goes by.

Read by ``verification`` and by tests. It holds facts and no code, and it lists what the
report prints in the order in which the report prints it. The seeds stand in ``builtin``.
"""

from typing import NamedTuple

TABLES = (
    "prompt_templates",
    "prompt_executions",
    "prompt_guardrails",
    "ab_test_experiments",
    "schema_migrations",
)
RECORD = "enterprise_prompt_system_phase1"


class Index(NamedTuple):
    """An index: on what, over which columns, under which condition."""

    name: str
    table: str
    columns: str
    condition: str = ""
    unique: bool = False


INDEXES = (
    Index(
        "idx_prompt_templates_active",
        "prompt_templates",
        "name",
        "is_active",
        unique=True,
    ),
    Index(
        "idx_prompt_templates_ab_test",
        "prompt_templates",
        "name, ab_test_group",
        "ab_test_group IS NOT NULL",
        unique=True,
    ),
    Index(
        "idx_prompt_templates_version", "prompt_templates", "name, version", unique=True
    ),
    Index("idx_prompt_templates_category", "prompt_templates", "category, name"),
    Index("idx_prompt_templates_purpose", "prompt_templates", "purpose"),
    Index(
        "idx_prompt_executions_template",
        "prompt_executions",
        "template_id, created_at DESC",
    ),
    Index("idx_prompt_executions_created_at", "prompt_executions", "created_at DESC"),
    Index(
        "idx_prompt_executions_latency",
        "prompt_executions",
        "latency_ms DESC",
        "latency_ms >= 1000",
    ),
    Index(
        "idx_prompt_executions_status",
        "prompt_executions",
        "status, created_at DESC",
        "status <> 'success'",
    ),
    Index(
        "idx_prompt_guardrails_active",
        "prompt_guardrails",
        "priority, name",
        "is_active",
    ),
    Index("idx_prompt_guardrails_severity", "prompt_guardrails", "severity"),
    Index(
        "idx_ab_test_experiments_active",
        "ab_test_experiments",
        "template_name",
        "status = ANY (ARRAY['running', 'paused'])",
        unique=True,
    ),
    Index(
        "idx_ab_test_experiments_template",
        "ab_test_experiments",
        "template_name, control_version, treatment_version",
    ),
    Index(
        "idx_prompt_executions_experiment",
        "prompt_executions",
        "experiment_id, ab_test_group, subject_hash",
        "experiment_id IS NOT NULL",
    ),
    Index(
        "idx_prompt_executions_violations",
        "prompt_executions",
        "created_at DESC",
        "guardrail_violations <> '[]'",
    ),
    Index(
        "idx_prompt_executions_fallback",
        "prompt_executions",
        "prompt_name, created_at DESC",
        "source = 'fallback'",
    ),
)


VIEWS = (
    "v_template_performance",
    "v_recent_execution_errors",
    "v_guardrail_violations_summary",
    "v_active_ab_tests",
)


class Trigger(NamedTuple):
    """A trigger: its table, its function, when it fires, and what exercises it."""

    name: str
    table: str
    function: str
    fires: int  # as pg_trigger.tgtype says it
    exercise: str


AFTER_INSERT_STATEMENT = 4
BEFORE_INSERT_OR_UPDATE_ROW = 1 + 2 + 4 + 16

TRIGGERS = (
    Trigger(
        "trigger_update_template_statistics",
        "prompt_executions",
        "update_template_statistics",
        AFTER_INSERT_STATEMENT,
        "exercise_template_statistics",
    ),
    Trigger(
        "trigger_update_ab_test_statistics",
        "prompt_executions",
        "update_ab_test_statistics",
        AFTER_INSERT_STATEMENT,
        "exercise_ab_test_statistics",
    ),
    Trigger(
        "trigger_enforce_single_active_template",
        "prompt_templates",
        "enforce_single_active_template",
        BEFORE_INSERT_OR_UPDATE_ROW,
        "exercise_activation",
    ),
)
