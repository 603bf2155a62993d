-- What the verification asks the database, one named statement each. Called by
-- verification.py, in a transaction that is rolled back. Our objects are looked for in
-- schema public, where the trigger functions look; the runner's history table may stand
-- wherever the search_path finds it.

-- name: tables
SELECT want.name, c.relkind IN ('r', 'p')
FROM unnest(%(names)s::text[]) AS want (name)
JOIN pg_class c ON c.oid = to_regclass(
    CASE want.name WHEN 'schema_migrations' THEN '' ELSE 'public.' END || want.name
);

-- name: indexes
-- Key columns one by one: the text of a whole definition differs between a fresh database
-- and a restored one.
SELECT i.relname, t.relname, x.indisvalid AND x.indisready, x.indisunique,
       (SELECT string_agg(
                   pg_get_indexdef(x.indexrelid, k, true)
                       || CASE x.indoption[k - 1] & 1 WHEN 1 THEN ' DESC' ELSE '' END,
                   ', ' ORDER BY k)
        FROM generate_series(1, x.indnkeyatts) AS k),
       pg_get_expr(x.indpred, x.indrelid)
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
WHERE i.relname = ANY (%(names)s) AND i.relnamespace = to_regnamespace('public');

-- name: seed_prompts
SELECT name, category, purpose, variables, content_hash
FROM public.prompt_templates
WHERE version = 1 AND name = ANY (%(names)s);

-- name: seed_guardrails
SELECT name, guardrail_type FROM public.prompt_guardrails WHERE name = ANY (%(names)s);

-- name: views
SELECT relname, relkind = 'v'
FROM pg_class
WHERE relname = ANY (%(names)s) AND relnamespace = to_regnamespace('public');

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
SELECT g.tgname, t.relname, g.tgenabled IN ('O', 'A'), g.tgtype, p.proname, p.prosecdef
FROM pg_trigger g
JOIN pg_class t ON t.oid = g.tgrelid
JOIN pg_proc p ON p.oid = g.tgfoid
WHERE g.tgname = ANY (%(names)s) AND NOT g.tgisinternal
  AND t.relnamespace = to_regnamespace('public');

-- name: read_only
SELECT current_setting('transaction_read_only')::boolean;

-- name: record
SELECT description, to_char(executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM schema_migrations
WHERE name = %(name)s
ORDER BY executed_at DESC
LIMIT 1;

-- name: active_templates
SELECT name, version, category
FROM public.prompt_templates
WHERE is_active
ORDER BY array_position(%(names)s::text[], name::text), name, version;

-- name: active_guardrails
SELECT name, severity, action
FROM public.prompt_guardrails
WHERE is_active
ORDER BY priority, name;

-- The three blocks below are those of the migration's .verify.sql, which has to stand
-- alone; a test holds them together. They raise what they found, and leave nothing behind.

-- name: exercise_activation
DO $$
DECLARE
    probe text := 'verify_' || replace(gen_random_uuid()::text, '-', '_');
    active integer[];
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    BEGIN
        INSERT INTO public.prompt_templates
            (name, version, category, purpose, template_text, is_active)
        VALUES (probe, 1, 'verification', 'verification', 'one', true),
               (probe, 2, 'verification', 'verification', 'two', false),
               (probe || '_b', 1, 'verification', 'verification', 'other', true);
        UPDATE public.prompt_templates SET is_active = true
        WHERE name = probe AND version = 2;
        SELECT array_agg(version) INTO active
        FROM public.prompt_templates WHERE name = probe AND is_active;
        IF active IS DISTINCT FROM '{2}' THEN
            RAISE EXCEPTION 'after activating version 2 the active versions are %', active;
        END IF;
        -- A renaming does not fire the trigger, so the index alone has to refuse this one.
        BEGIN
            UPDATE public.prompt_templates SET name = probe, version = 3
            WHERE name = probe || '_b';
            RAISE EXCEPTION 'a second active version of one prompt was accepted';
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'VRF00';
    EXCEPTION WHEN SQLSTATE 'VRF00' THEN
        NULL;
    END;
END $$;

-- name: exercise_template_statistics
DO $$
DECLARE
    probe text := 'verify_' || replace(gen_random_uuid()::text, '-', '_');
    template uuid := gen_random_uuid();
    execution uuid := gen_random_uuid();
    counters bigint[];
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    BEGIN
        INSERT INTO public.prompt_templates
            (id, name, version, category, purpose, template_text)
        VALUES (template, probe, 1, 'verification', 'verification', 'one');
        FOR attempt IN 1..2 LOOP
            INSERT INTO public.prompt_executions
                (id, template_id, prompt_name, status, error_type, latency_ms)
            VALUES (execution, template, probe, 'success', NULL, 40)
            ON CONFLICT (id) DO NOTHING;
        END LOOP;
        INSERT INTO public.prompt_executions
            (template_id, prompt_name, status, error_type, latency_ms)
        VALUES (template, probe, 'success', NULL, 2), (template, probe, 'error', 'x', 5);
        SELECT ARRAY[total_executions, successful_executions, total_latency_ms]
        INTO counters
        FROM public.prompt_templates WHERE id = template;
        IF counters IS DISTINCT FROM '{3,2,47}' THEN
            RAISE EXCEPTION 'executions, successes and latency are counted as %, not {3,2,47}',
                counters;
        END IF;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'VRF00';
    EXCEPTION WHEN SQLSTATE 'VRF00' THEN
        NULL;
    END;
END $$;

-- name: exercise_ab_test_statistics
DO $$
DECLARE
    probe text := 'verify_' || replace(gen_random_uuid()::text, '-', '_');
    experiment uuid := gen_random_uuid();
    counters bigint[];
BEGIN
    IF current_setting('transaction_read_only')::boolean THEN
        RETURN;
    END IF;
    BEGIN
        INSERT INTO public.prompt_templates
            (name, version, category, purpose, template_text)
        VALUES (probe, 1, 'verification', 'verification', 'one'),
               (probe, 2, 'verification', 'verification', 'two');
        INSERT INTO public.ab_test_experiments
            (id, name, template_name, control_version, treatment_version, status, started_at)
        VALUES (experiment, probe, probe, 1, 2, 'running', now());
        INSERT INTO public.prompt_executions
            (template_id, prompt_name, experiment_id, ab_test_group, status, error_type,
             latency_ms)
        SELECT t.id, probe, experiment, x.arm, x.status, x.error_type, x.latency_ms
        FROM (VALUES (1, 'control', 'success', NULL, 40),
                     (2, 'treatment', 'success', NULL, 2),
                     (2, 'treatment', 'error', 'x', 5))
            AS x (version, arm, status, error_type, latency_ms)
        JOIN public.prompt_templates t ON t.name = probe AND t.version = x.version;
        SELECT ARRAY[control_executions, control_successes, control_latency_ms,
                     treatment_executions, treatment_successes, treatment_latency_ms]
        INTO counters
        FROM public.ab_test_experiments WHERE id = experiment;
        IF counters IS DISTINCT FROM '{1,1,40,2,1,7}' THEN
            RAISE EXCEPTION 'the arms are counted as %, not {1,1,40,2,1,7}', counters;
        END IF;
        BEGIN
            INSERT INTO public.ab_test_experiments
                (name, template_name, control_version, treatment_version, status, started_at)
            VALUES (probe || '_b', probe, 2, 1, 'running', now());
            RAISE EXCEPTION 'a second live experiment on one prompt was accepted';
        EXCEPTION WHEN unique_violation THEN
            NULL;
        END;
        RAISE EXCEPTION 'undo' USING ERRCODE = 'VRF00';
    EXCEPTION WHEN SQLSTATE 'VRF00' THEN
        NULL;
    END;
END $$;
