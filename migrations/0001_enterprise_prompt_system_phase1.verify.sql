-- Checks of the migration beside this file. A check fails if it raises, returns no row, or
-- returns a first column that is false or null; a second column says what was found wrong.
-- They hold on live data too: rows are looked for by name, never counted in all, and the
-- three blocks that write undo it themselves. In a read-only session those pass unexercised.

-- the four tables exist
SELECT count(*) FILTER (WHERE c.oid IS NULL) = 0 AS ok,
       string_agg(want.name, ', ') FILTER (WHERE c.oid IS NULL) AS missing
FROM unnest(ARRAY[
    'prompt_templates', 'prompt_executions', 'prompt_guardrails', 'ab_test_experiments'
]) AS want (name)
LEFT JOIN pg_class c
    ON c.relname = want.name AND c.relkind = 'r'
    AND c.relnamespace = to_regnamespace('public');

-- the sixteen indexes exist, are valid, and stand on their tables
SELECT count(*) FILTER (WHERE x.indisvalid AND x.indisready) = 16 AS ok,
       string_agg(want.name, ', ')
           FILTER (WHERE (x.indisvalid AND x.indisready) IS NOT TRUE) AS missing_or_invalid
FROM (VALUES
    ('idx_prompt_templates_active', 'prompt_templates'),
    ('idx_prompt_templates_ab_test', 'prompt_templates'),
    ('idx_prompt_templates_version', 'prompt_templates'),
    ('idx_prompt_templates_category', 'prompt_templates'),
    ('idx_prompt_templates_purpose', 'prompt_templates'),
    ('idx_prompt_executions_template', 'prompt_executions'),
    ('idx_prompt_executions_created_at', 'prompt_executions'),
    ('idx_prompt_executions_latency', 'prompt_executions'),
    ('idx_prompt_executions_status', 'prompt_executions'),
    ('idx_prompt_guardrails_active', 'prompt_guardrails'),
    ('idx_prompt_guardrails_severity', 'prompt_guardrails'),
    ('idx_ab_test_experiments_active', 'ab_test_experiments'),
    ('idx_ab_test_experiments_template', 'ab_test_experiments'),
    ('idx_prompt_executions_experiment', 'prompt_executions'),
    ('idx_prompt_executions_violations', 'prompt_executions'),
    ('idx_prompt_executions_fallback', 'prompt_executions')
) AS want (name, on_table)
LEFT JOIN pg_class i
    ON i.relname = want.name AND i.relnamespace = to_regnamespace('public')
LEFT JOIN pg_index x
    ON x.indexrelid = i.oid
    AND x.indrelid = to_regclass('public.' || want.on_table);

-- the four indexes that are rules are unique
SELECT count(*) FILTER (WHERE x.indisunique) = 4 AS ok,
       string_agg(want.name, ', ') FILTER (WHERE x.indisunique IS NOT TRUE) AS not_unique
FROM unnest(ARRAY[
    'idx_prompt_templates_active', 'idx_prompt_templates_ab_test',
    'idx_prompt_templates_version', 'idx_ab_test_experiments_active'
]) AS want (name)
LEFT JOIN pg_index x ON x.indexrelid = to_regclass('public.' || want.name);

-- the unique indexes on live rows still have their conditions
SELECT count(*) FILTER (WHERE x.predicate ~ want.pattern) = 2 AS ok,
       string_agg(want.name || ': ' || coalesce(x.predicate, 'none'), ', ')
           FILTER (WHERE (x.predicate ~ want.pattern) IS NOT TRUE) AS wrong
FROM (VALUES
    ('idx_prompt_templates_active', '^\(?is_active\)?$'),
    ('idx_ab_test_experiments_active', 'status.*''running''.*''paused''')
) AS want (name, pattern)
LEFT JOIN LATERAL (
    SELECT pg_get_expr(p.indpred, p.indrelid) AS predicate
    FROM pg_index p
    WHERE p.indexrelid = to_regclass('public.' || want.name)
) x ON true;

-- the four foreign keys exist and are validated
SELECT count(*) FILTER (WHERE c.convalidated) = 4 AS ok,
       string_agg(want.name, ', ')
           FILTER (WHERE c.convalidated IS NOT TRUE) AS missing_or_not_validated
FROM (VALUES
    ('prompt_executions_template_id_fkey', 'prompt_executions'),
    ('prompt_executions_experiment_id_fkey', 'prompt_executions'),
    ('ab_test_experiments_control_exists', 'ab_test_experiments'),
    ('ab_test_experiments_treatment_exists', 'ab_test_experiments')
) AS want (name, on_table)
LEFT JOIN pg_constraint c
    ON c.conname = want.name AND c.contype = 'f'
    AND c.conrelid = to_regclass('public.' || want.on_table);

-- the three triggers exist on their tables and are enabled
SELECT count(*) FILTER (WHERE t.tgenabled IN ('O', 'A')) = 3 AS ok,
       string_agg(want.name, ', ')
           FILTER (WHERE (t.tgenabled IN ('O', 'A')) IS NOT TRUE) AS missing_or_disabled
FROM (VALUES
    ('trigger_update_template_statistics', 'prompt_executions'),
    ('trigger_update_ab_test_statistics', 'prompt_executions'),
    ('trigger_enforce_single_active_template', 'prompt_templates')
) AS want (name, on_table)
LEFT JOIN pg_trigger t
    ON t.tgname = want.name AND NOT t.tgisinternal
    AND t.tgrelid = to_regclass('public.' || want.on_table);

-- the trigger functions run with their owner's rights and a pinned search_path
SELECT count(*) FILTER (WHERE p.prosecdef AND p.proconfig @> '{"search_path=public, pg_temp"}')
           = 3 AS ok,
       string_agg(p.proname, ', ') AS found
FROM pg_proc p
WHERE p.pronamespace = to_regnamespace('public')
  AND p.proname IN ('enforce_single_active_template', 'update_template_statistics',
                    'update_ab_test_statistics');

-- v_template_performance runs
SELECT count(v) >= 0 AS ok FROM public.v_template_performance v;

-- v_recent_execution_errors runs
SELECT count(v) >= 0 AS ok FROM public.v_recent_execution_errors v;

-- v_guardrail_violations_summary runs and shows every guardrail
SELECT count(v) = (SELECT count(*) FROM public.prompt_guardrails) AS ok
FROM public.v_guardrail_violations_summary v;

-- v_active_ab_tests runs
SELECT count(v) >= 0 AS ok FROM public.v_active_ab_tests v;

-- the three seed prompts exist in version 1
SELECT count(t.id) = 3 AS ok,
       string_agg(want.name, ', ') FILTER (WHERE t.id IS NULL) AS missing
FROM unnest(ARRAY[
    'nlu_topic_extraction', 'clarification_question_generation',
    'educational_script_generation'
]) AS want (name)
LEFT JOIN public.prompt_templates t ON t.name = want.name AND t.version = 1;

-- the seed prompts declare the placeholders they use, no more and no fewer
SELECT bool_and(t.variables @> used.names AND t.variables <@ used.names) AS ok,
       string_agg(t.name || ' uses ' || used.names::text, ', ') AS found
FROM public.prompt_templates t
CROSS JOIN LATERAL (
    SELECT coalesce(jsonb_agg(DISTINCT m.groups[1]), '[]') AS names
    FROM regexp_matches(t.template_text, '\{\{([a-z_][a-z0-9_]*)\}\}', 'g') AS m (groups)
) used
WHERE t.version = 1
  AND t.name IN ('nlu_topic_extraction', 'clarification_question_generation',
                 'educational_script_generation');

-- the three seed guardrails exist
SELECT count(g.id) = 3 AS ok,
       string_agg(want.name, ', ') FILTER (WHERE g.id IS NULL) AS missing
FROM (VALUES
    ('pii_detection_basic', 'pii'), ('toxic_content_filter', 'toxicity'),
    ('prompt_injection_detection', 'prompt_injection')
) AS want (name, kind)
LEFT JOIN public.prompt_guardrails g
    ON g.name = want.name AND g.guardrail_type = want.kind;

-- no prompt has two active versions
SELECT count(*) = 0 AS ok, string_agg(twice.name, ', ') AS twice_active
FROM (
    SELECT name FROM public.prompt_templates WHERE is_active GROUP BY name HAVING count(*) > 1
) twice;

-- activating a version deactivates the one before, and a second active one is refused
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

-- an execution moves its template's counters once, and a retry of it not at all
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

-- an execution moves its experiment's arm, and a prompt has one live experiment at most
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
