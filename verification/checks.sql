-- What the verification asks the database, one named statement each; what the migration
-- created stands here by name, in the order in which the report prints it. Sent by report.py.
--
-- A row is a line of the report: its subject, what is said if it is right, the problems if
-- it is not, and the details printed below it. Where a row without problems names a probe,
-- that statement is sent too; if it fails, the problem begins with `failing`.
--
-- Our objects are looked for in schema public, where the trigger functions look; the runner's
-- history table may stand wherever the search_path finds it.

-- name: tables
SELECT format('Table ''%s''', want.name) AS subject, 'exists' AS success,
       CASE WHEN c.oid IS NULL THEN ARRAY['does not exist']
            WHEN c.relkind NOT IN ('r', 'p') THEN ARRAY['is not a table']
            ELSE '{}' END AS problems
FROM (VALUES
    (1, 'public.', 'prompt_templates'),
    (2, 'public.', 'prompt_executions'),
    (3, 'public.', 'prompt_guardrails'),
    (4, 'public.', 'ab_test_experiments'),
    (5, '', 'schema_migrations')
) AS want (place, schema, name)
LEFT JOIN pg_class c ON c.oid = to_regclass(want.schema || want.name)
ORDER BY want.place;

-- name: indexes
-- Key columns one by one: the text of a whole definition differs between a fresh database
-- and a restored one. So does a condition: casts, brackets and spaces are left aside.
WITH want (place, name, unique_too, on_table, columns, condition) AS (VALUES
    (1, 'idx_prompt_templates_active', true, 'prompt_templates', 'name', 'is_active'),
    (2, 'idx_prompt_templates_ab_test', true, 'prompt_templates', 'name, ab_test_group',
     'ab_test_group IS NOT NULL'),
    (3, 'idx_prompt_templates_version', true, 'prompt_templates', 'name, version', NULL),
    (4, 'idx_prompt_templates_category', false, 'prompt_templates', 'category, name', NULL),
    (5, 'idx_prompt_templates_purpose', false, 'prompt_templates', 'purpose', NULL),
    (6, 'idx_prompt_executions_template', false, 'prompt_executions',
     'template_id, created_at DESC', NULL),
    (7, 'idx_prompt_executions_created_at', false, 'prompt_executions', 'created_at DESC', NULL),
    (8, 'idx_prompt_executions_latency', false, 'prompt_executions', 'latency_ms DESC',
     'latency_ms >= 1000'),
    (9, 'idx_prompt_executions_status', false, 'prompt_executions', 'status, created_at DESC',
     'status <> ''success'''),
    (10, 'idx_prompt_guardrails_active', false, 'prompt_guardrails', 'priority, name',
     'is_active'),
    (11, 'idx_prompt_guardrails_severity', false, 'prompt_guardrails', 'severity', NULL),
    (12, 'idx_ab_test_experiments_active', true, 'ab_test_experiments', 'template_name',
     'status = ANY (ARRAY[''running'', ''paused''])'),
    (13, 'idx_ab_test_experiments_template', false, 'ab_test_experiments',
     'template_name, control_version, treatment_version', NULL),
    (14, 'idx_prompt_executions_experiment', false, 'prompt_executions',
     'experiment_id, ab_test_group, subject_hash', 'experiment_id IS NOT NULL'),
    (15, 'idx_prompt_executions_violations', false, 'prompt_executions', 'created_at DESC',
     'guardrail_violations <> ''[]'''),
    (16, 'idx_prompt_executions_fallback', false, 'prompt_executions',
     'prompt_name, created_at DESC', 'source = ''fallback''')
), found AS (
    SELECT i.relname AS name, t.relname AS on_table, x.indisvalid AND x.indisready AS valid,
           x.indisunique AS is_unique, pg_get_expr(x.indpred, x.indrelid) AS condition,
           (SELECT string_agg(
                       pg_get_indexdef(x.indexrelid, k, true)
                           || CASE x.indoption[k - 1] & 1 WHEN 1 THEN ' DESC' ELSE '' END,
                       ', ' ORDER BY k)
            FROM generate_series(1, x.indnkeyatts) AS k) AS columns
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid
    WHERE i.relnamespace = to_regnamespace('public')
), bare (condition, text) AS (
    SELECT condition,
           regexp_replace(condition, '::[a-z][a-z ]*(\[\])?|ARRAY|[][()[:space:]]', '', 'g')
    FROM (SELECT condition FROM want UNION SELECT condition FROM found) c
)
SELECT format('Index ''%s''', want.name) AS subject, 'exists' AS success,
       CASE WHEN found.name IS NULL THEN ARRAY['does not exist'] ELSE array_remove(ARRAY[
           CASE WHEN found.on_table <> want.on_table
               THEN format('is on table ''%s'', not ''%s''', found.on_table, want.on_table) END,
           CASE WHEN NOT found.valid
               THEN 'is not valid: the server does not use it; drop it and create it again' END,
           CASE WHEN want.unique_too AND NOT found.is_unique THEN 'is not unique' END,
           CASE WHEN found.columns <> want.columns
               THEN format('is over (%s), not (%s)', found.columns, want.columns) END,
           CASE WHEN (SELECT text FROM bare WHERE condition = found.condition)
                     IS DISTINCT FROM (SELECT text FROM bare WHERE condition = want.condition)
               THEN format('has %s, not %s',
                           coalesce('WHERE ' || found.condition, 'no condition'),
                           coalesce('WHERE ' || want.condition, 'no condition')) END
       ], NULL) END AS problems
FROM want
LEFT JOIN found USING (name)
ORDER BY want.place;

-- name: seed_prompts
SELECT 'Seed prompt ''' || want.name || '''' AS subject, 'found' AS success,
       CASE WHEN t.name IS NULL THEN ARRAY['not found'] ELSE array_remove(ARRAY[
           'has category ' || nullif(t.category, want.category) || ', not ' || want.category,
           'has purpose ' || nullif(t.purpose, want.purpose) || ', not ' || want.purpose,
           'has variables ' || nullif(t.variables, want.variables)::text
               || ', not ' || want.variables::text,
           'has content_hash ' || nullif(t.content_hash, want.content_hash)
               || ', not ' || want.content_hash
       ], NULL) END AS problems
FROM jsonb_to_recordset(%(prompts)s::jsonb) AS want
    (place integer, name text, category text, purpose text, variables jsonb, content_hash text)
LEFT JOIN public.prompt_templates t ON t.name = want.name AND t.version = 1
ORDER BY want.place;

-- name: seed_guardrails
SELECT 'Seed guardrail ''' || want.name || '''' AS subject, 'found' AS success,
       CASE WHEN g.name IS NULL THEN ARRAY['not found'] ELSE array_remove(ARRAY[
           'has type ' || nullif(g.guardrail_type, want.type) || ', not ' || want.type
       ], NULL) END AS problems
FROM jsonb_to_recordset(%(guardrails)s::jsonb) AS want (place integer, name text, type text)
LEFT JOIN public.prompt_guardrails g ON g.name = want.name
ORDER BY want.place;

-- name: views
SELECT format('View ''%s''', want.name) AS subject, 'exists and is queryable' AS success,
       CASE WHEN c.oid IS NULL THEN ARRAY['does not exist']
            WHEN c.relkind <> 'v' THEN ARRAY['is not a view']
            ELSE '{}' END AS problems,
       want.name AS probe, 'exists but cannot be queried' AS failing
FROM (VALUES
    (1, 'v_template_performance'),
    (2, 'v_recent_execution_errors'),
    (3, 'v_guardrail_violations_summary'),
    (4, 'v_active_ab_tests')
) AS want (place, name)
LEFT JOIN pg_class c ON c.oid = to_regclass('public.' || want.name)
ORDER BY want.place;

-- Whole rows are counted: for count(*) the planner would leave the columns uncomputed.

-- name: v_template_performance
SELECT count(v) FROM public.v_template_performance v;

-- name: v_recent_execution_errors
SELECT count(v) FROM public.v_recent_execution_errors v;

-- name: v_guardrail_violations_summary
SELECT count(v) FROM public.v_guardrail_violations_summary v;

-- name: v_active_ab_tests
SELECT count(v) FROM public.v_active_ab_tests v;

-- name: triggers
-- From pg_trigger: information_schema shows a row per event, and only of one's own tables.
-- When one fires is pg_trigger.tgtype: 4 is after an insert, once a statement; 23 is before
-- an insert or update, for each row. What tries one out is a check of the migration's own.
WITH want (place, name, on_table, function, fires, probe) AS (VALUES
    (1, 'trigger_update_template_statistics', 'prompt_executions',
     'update_template_statistics', 4,
     'an execution moves its template''s counters once, and a retry of it not at all'),
    (2, 'trigger_update_ab_test_statistics', 'prompt_executions',
     'update_ab_test_statistics', 4,
     'an execution moves its experiment''s arm, and a prompt has one live experiment at most'),
    (3, 'trigger_enforce_single_active_template', 'prompt_templates',
     'enforce_single_active_template', 23,
     'activating a version deactivates the one before, and a second active one is refused')
), found AS (
    SELECT want.*, g.oid, g.tgenabled IN ('O', 'A') AS enabled, g.tgtype, p.proname, p.prosecdef,
           format('on table ''%s''', want.on_table) AS there
    FROM want
    LEFT JOIN pg_trigger g ON g.tgname = want.name AND NOT g.tgisinternal
        AND g.tgrelid = to_regclass('public.' || want.on_table)
    LEFT JOIN pg_proc p ON p.oid = g.tgfoid
), judged AS (
    SELECT *, CASE WHEN oid IS NULL THEN ARRAY['does not exist ' || there]
        ELSE array_remove(ARRAY[
            CASE WHEN NOT enabled THEN 'is disabled ' || there END,
            CASE WHEN proname <> function THEN format('calls %s, not %s', proname, function)
                 WHEN NOT prosecdef
                     THEN format('calls %s, which is no longer SECURITY DEFINER', proname) END,
            CASE WHEN tgtype <> fires
                THEN format('fires at the wrong time: type %s, not %s', tgtype, fires) END
        ], NULL) END AS problems
    FROM found
)
SELECT format('Trigger ''%s''', name) AS subject, 'exists ' || there AS success,
       CASE WHEN problems = '{}' AND current_setting('transaction_read_only')::boolean
           THEN ARRAY[there || ' cannot be exercised: the session is read-only']
           ELSE problems END AS problems,
       probe, there || ' does not work' AS failing
FROM judged
ORDER BY place;

-- name: record
SELECT format('Migration record ''%s''', want.name) AS subject, 'found' AS success,
       CASE WHEN m.name IS NULL THEN ARRAY['not found'] ELSE '{}' END AS problems,
       CASE WHEN m.name IS NOT NULL THEN ARRAY[
           'Description: ' || coalesce(m.description, 'None'),
           'Executed at: ' || to_char(m.executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
       ] END AS details
FROM (VALUES ('enterprise_prompt_system_phase1')) AS want (name)
LEFT JOIN schema_migrations m USING (name)
ORDER BY m.executed_at DESC
LIMIT 1;

-- name: active_templates
SELECT 'Query active templates:' AS subject,
       count(*) || CASE count(*) WHEN 1 THEN ' template found' ELSE ' templates found' END
           AS success,
       array_agg('- ' || t.name || ' (v' || t.version || ', ' || t.category || ')'
                 ORDER BY seed.place, t.name, t.version) AS details
FROM public.prompt_templates t
LEFT JOIN jsonb_to_recordset(%(prompts)s::jsonb) AS seed (place integer, name text)
    ON seed.name = t.name
WHERE t.is_active;

-- name: active_guardrails
SELECT 'Query active guardrails:' AS subject,
       count(*) || CASE count(*) WHEN 1 THEN ' guardrail found' ELSE ' guardrails found' END
           AS success,
       array_agg(format('- %s (%s, %s)', name, severity, action) ORDER BY priority, name)
           AS details
FROM public.prompt_guardrails
WHERE is_active;

-- name: performance
SELECT 'Query v_template_performance view:' AS subject,
       count(v) || CASE count(v) WHEN 1 THEN ' row' ELSE ' rows' END AS success
FROM public.v_template_performance v;

-- The three blocks below are those of the migration's .verify.sql, which has to stand
-- alone; a test holds them together. They raise what they found, and leave nothing behind.
