-- Takes away exactly what the migration created. This deletes every prompt, every
-- guardrail, every experiment and the whole execution log: dump them first if they matter.

-- No CASCADE and no IF EXISTS: an object of somebody else that depends on ours, or one of
-- ours that is already gone, has to stop this and be looked at. Dropping a table takes its
-- indexes, constraints and triggers along. The history table belongs to the runner.
DROP VIEW v_active_ab_tests;
DROP VIEW v_guardrail_violations_summary;
DROP VIEW v_recent_execution_errors;
DROP VIEW v_template_performance;

-- What refers goes before what is referred to.
DROP TABLE prompt_executions;
DROP TABLE ab_test_experiments;
DROP TABLE prompt_guardrails;
DROP TABLE prompt_templates;

-- The triggers that used them are gone with the tables.
DROP FUNCTION update_ab_test_statistics();
DROP FUNCTION update_template_statistics();
DROP FUNCTION enforce_single_active_template();
