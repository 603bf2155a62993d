-- Ways to damage the prompt system, each with the lines the verification must print: every
-- line that fails, and no other. Read by test_damage_to_the_prompt_system_is_named.py.

-- name: index dropped
-- ✗ Index 'idx_prompt_executions_latency' does not exist
DROP INDEX idx_prompt_executions_latency;

-- name: index invalid
-- ✗ Index 'idx_prompt_executions_status' is not valid: the server does not use it; drop it and create it again
UPDATE pg_index SET indisvalid = false
WHERE indexrelid = 'idx_prompt_executions_status'::regclass;

-- name: one live experiment no longer a rule
-- ✗ Index 'idx_ab_test_experiments_active' is not unique
-- ✗ Trigger 'trigger_update_ab_test_statistics' on table 'prompt_executions' does not work: a second live experiment on one prompt was accepted
DROP INDEX idx_ab_test_experiments_active;
CREATE INDEX idx_ab_test_experiments_active
    ON ab_test_experiments (template_name) WHERE status IN ('running', 'paused');

-- name: one active version no longer a rule
-- ✗ Index 'idx_prompt_templates_active' is not unique
-- ✗ Trigger 'trigger_enforce_single_active_template' on table 'prompt_templates' does not work: a second active version of one prompt was accepted
DROP INDEX idx_prompt_templates_active;
CREATE INDEX idx_prompt_templates_active ON prompt_templates (name) WHERE is_active;

-- name: condition lost
-- ✗ Index 'idx_prompt_templates_active' has no condition, not WHERE is_active
-- ✗ Trigger 'trigger_update_ab_test_statistics' on table 'prompt_executions' does not work: duplicate key value violates unique constraint "idx_prompt_templates_active"
-- ✗ Trigger 'trigger_enforce_single_active_template' on table 'prompt_templates' does not work: duplicate key value violates unique constraint "idx_prompt_templates_active"
DROP INDEX idx_prompt_templates_active;
CREATE UNIQUE INDEX idx_prompt_templates_active ON prompt_templates (name);

-- name: condition narrowed
-- ✗ Index 'idx_ab_test_experiments_active' has WHERE ((status)::text = 'running'::text), not WHERE status = ANY (ARRAY['running', 'paused'])
DROP INDEX idx_ab_test_experiments_active;
CREATE UNIQUE INDEX idx_ab_test_experiments_active
    ON ab_test_experiments (template_name) WHERE status = 'running';

-- name: index on another table
-- ✗ Index 'idx_prompt_guardrails_active' is on table 'prompt_executions', not 'prompt_guardrails'; is over (error_message), not (priority, name); has no condition, not WHERE is_active
DROP INDEX idx_prompt_guardrails_active;
CREATE INDEX idx_prompt_guardrails_active ON prompt_executions (error_message);

-- name: index in ascending order
-- ✗ Index 'idx_prompt_executions_created_at' is over (created_at), not (created_at DESC)
DROP INDEX idx_prompt_executions_created_at;
CREATE INDEX idx_prompt_executions_created_at ON prompt_executions (created_at);

-- name: seeds deleted
-- ✗ Seed prompt 'nlu_topic_extraction' not found
-- ✗ Seed guardrail 'toxic_content_filter' not found
DELETE FROM prompt_templates WHERE name = 'nlu_topic_extraction';
DELETE FROM prompt_guardrails WHERE name = 'toxic_content_filter';

-- name: seeds altered
-- ✗ Seed prompt 'nlu_topic_extraction' has category other, not nlu
-- ✗ Seed prompt 'educational_script_generation' has content_hash c60375be4fbe9a9d6099b94ddfd745b3, not 4f257fa7dbaf79e9d0f901233d1155ad
-- ✗ Seed guardrail 'pii_detection_basic' has type length, not pii
UPDATE prompt_templates SET category = 'other' WHERE name = 'nlu_topic_extraction';
UPDATE prompt_templates SET system_prompt = NULL, template_text = 'Hello'
WHERE name = 'educational_script_generation';
UPDATE prompt_guardrails SET guardrail_type = 'length' WHERE name = 'pii_detection_basic';

-- name: guardrails dropped
-- ✗ Table 'prompt_guardrails' does not exist
-- ✗ Index 'idx_prompt_guardrails_active' does not exist
-- ✗ Index 'idx_prompt_guardrails_severity' does not exist
-- ✗ Seed guardrail 'pii_detection_basic' not found: relation "public.prompt_guardrails" does not exist
-- ✗ Seed guardrail 'toxic_content_filter' not found: relation "public.prompt_guardrails" does not exist
-- ✗ Seed guardrail 'prompt_injection_detection' not found: relation "public.prompt_guardrails" does not exist
-- ✗ View 'v_guardrail_violations_summary' does not exist
-- ✗ Query active guardrails: relation "public.prompt_guardrails" does not exist
DROP TABLE prompt_guardrails CASCADE;

-- name: view dropped
-- ✗ View 'v_recent_execution_errors' does not exist
DROP VIEW v_recent_execution_errors;

-- name: view that raises
-- ✗ View 'v_active_ab_tests' exists but cannot be queried: no such luck
CREATE FUNCTION fails() RETURNS bigint LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION 'no such luck'; END $$;
DROP VIEW v_active_ab_tests;
CREATE VIEW v_active_ab_tests AS SELECT fails() AS experiment_id;

-- name: view that is a table
-- ✗ View 'v_active_ab_tests' is not a view
DROP VIEW v_active_ab_tests;
CREATE TABLE v_active_ab_tests (id int);

-- name: performance view dropped
-- ✗ View 'v_template_performance' does not exist
-- ✗ Query v_template_performance view: relation "public.v_template_performance" does not exist
DROP VIEW v_template_performance;

-- name: trigger disabled
-- ✗ Trigger 'trigger_update_template_statistics' is disabled on table 'prompt_executions'
ALTER TABLE prompt_executions DISABLE TRIGGER trigger_update_template_statistics;

-- name: trigger for replicas only
-- ✗ Trigger 'trigger_update_template_statistics' is disabled on table 'prompt_executions'
ALTER TABLE prompt_executions ENABLE REPLICA TRIGGER trigger_update_template_statistics;

-- name: trigger dropped
-- ✗ Trigger 'trigger_enforce_single_active_template' does not exist on table 'prompt_templates'
DROP TRIGGER trigger_enforce_single_active_template ON prompt_templates;

-- name: trigger for each row
-- ✗ Trigger 'trigger_update_ab_test_statistics' fires at the wrong time: type 5, not 4
DROP TRIGGER trigger_update_ab_test_statistics ON prompt_executions;
CREATE TRIGGER trigger_update_ab_test_statistics AFTER INSERT ON prompt_executions
REFERENCING NEW TABLE AS new_rows FOR EACH ROW EXECUTE FUNCTION update_ab_test_statistics();

-- name: trigger with the caller's rights
-- ✗ Trigger 'trigger_update_ab_test_statistics' calls update_ab_test_statistics, which is no longer SECURITY DEFINER
ALTER FUNCTION update_ab_test_statistics() SECURITY INVOKER;

-- name: trigger that counts nothing
-- ✗ Trigger 'trigger_update_template_statistics' on table 'prompt_executions' does not work: executions, successes and latency are counted as {0,0,0}, not {3,2,47}
CREATE OR REPLACE FUNCTION update_template_statistics() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS 'BEGIN RETURN NULL; END';

-- name: trigger that deactivates nothing
-- ✗ Trigger 'trigger_enforce_single_active_template' on table 'prompt_templates' does not work: duplicate key value violates unique constraint "idx_prompt_templates_active"
CREATE OR REPLACE FUNCTION enforce_single_active_template() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS 'BEGIN RETURN NEW; END';

-- name: record missing
-- ✗ Migration record 'enterprise_prompt_system_phase1' not found
UPDATE schema_migrations SET name = 'another';

-- name: history missing
-- ✗ Table 'schema_migrations' does not exist
-- ✗ Migration record 'enterprise_prompt_system_phase1' not found: relation "schema_migrations" does not exist
DROP TABLE schema_migrations;
