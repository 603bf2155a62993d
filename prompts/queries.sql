-- What the service and the command line ask the database, one named statement each. Each
-- is sent as one message and so is one transaction, whatever it holds. Every one of them
-- may arrive twice without harm, or is sent without a retry (the command line's).

-- name: served
-- The active version, and both arms of the running experiment.
SELECT t.id AS template_id, t.name, t.version, t.category, t.purpose, t.description,
       t.system_prompt, t.template_text, t.variables, t.model_config,
       'database' AS source, t.is_active, e.id AS experiment_id, e.salt,
       e.treatment_percent::float8,
       CASE t.version WHEN e.control_version THEN 'control'
                      WHEN e.treatment_version THEN 'treatment' END AS arm
FROM public.prompt_templates t
LEFT JOIN public.ab_test_experiments e ON e.template_name = t.name AND e.status = 'running'
WHERE t.name = %(name)s
  AND (t.is_active OR t.version IN (e.control_version, e.treatment_version));

-- name: version
SELECT id AS template_id, name, version, category, purpose, description, system_prompt,
       template_text, variables, model_config, 'database' AS source, true AS is_active
FROM public.prompt_templates
WHERE name = %(name)s AND version = %(version)s;

-- name: guardrails
SELECT name, description, guardrail_type, applies_to, severity, action, config, categories,
       priority
FROM public.prompt_guardrails
WHERE is_active
ORDER BY priority, name;

-- name: log
-- An id that is there already is dropped, and the triggers see inserted rows only: a
-- retry adds nothing and counts nothing.
INSERT INTO public.prompt_executions
    (id, template_id, prompt_name, source, experiment_id, ab_test_group, subject_hash,
     status, latency_ms, model, input_tokens, output_tokens, cost_usd, input_variables,
     rendered_prompt, response_text, guardrail_violations, error_type, error_message,
     trace_id, environment)
SELECT r.id, r.template_id, r.prompt_name, r.source, r.experiment_id, r.ab_test_group,
       r.subject_hash, r.status, r.latency_ms, left(r.model, 100), r.input_tokens,
       r.output_tokens, r.cost_usd, r.input_variables, r.rendered_prompt, r.response_text,
       r.guardrail_violations, left(r.error_type, 100), left(r.error_message, 1000),
       left(r.trace_id, 64), left(r.environment, 50)
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (id uuid, template_id uuid, prompt_name text, source text, experiment_id uuid,
     ab_test_group text, subject_hash text, status text, latency_ms integer, model text,
     input_tokens integer, output_tokens integer, cost_usd numeric, input_variables jsonb,
     rendered_prompt text, response_text text, guardrail_violations jsonb, error_type text,
     error_message text, trace_id text, environment text)
ON CONFLICT (id) DO NOTHING;

-- name: list
SELECT name, version, category, purpose, is_active AS active, content_hash,
       total_executions AS executions, activated_at::text
FROM public.prompt_templates
ORDER BY name, version;

-- name: details
SELECT name, version, category, purpose, description, system_prompt, template_text,
       variables, model_config, is_active, created_by, change_note, created_at::text,
       activation_log, content_hash
FROM public.prompt_templates
WHERE name = %(name)s AND version = coalesce(%(version)s, (
    SELECT version FROM public.prompt_templates WHERE name = %(name)s
    ORDER BY is_active DESC, version DESC LIMIT 1
));

-- name: create
-- The lock the activation trigger takes too: two creations get two numbers.
SELECT pg_advisory_xact_lock(hashtextextended('prompt_templates:' || %(name)s, 0)),
       set_config('prompts.actor', %(actor)s, true);
INSERT INTO public.prompt_templates
    (name, version, category, purpose, description, system_prompt, template_text,
     variables, model_config, is_active, created_by, change_note)
SELECT %(name)s, coalesce(max(version), 0) + 1, %(category)s, %(purpose)s,
       %(description)s, %(system_prompt)s, %(template_text)s, %(variables)s::jsonb,
       %(model_config)s::jsonb, %(activate)s, %(actor)s, %(note)s
FROM public.prompt_templates
WHERE name = %(name)s
RETURNING name, version, is_active AS active;

-- name: activate
SELECT set_config('prompts.actor', %(actor)s, true);
UPDATE public.prompt_templates SET is_active = true
WHERE name = %(name)s AND version = %(version)s
RETURNING name, version;

-- name: deactivate
UPDATE public.prompt_templates SET is_active = false
WHERE name = %(name)s AND is_active
RETURNING name, NULL AS version;

-- name: rollback
-- To the newest version below the active one that has been active before: done twice, it
-- goes back twice.
SELECT set_config('prompts.actor', %(actor)s, true);
UPDATE public.prompt_templates t SET is_active = true
WHERE t.name = %(name)s AND t.version = (
    SELECT max(b.version)
    FROM public.prompt_templates b
    JOIN public.prompt_templates a ON a.name = b.name AND a.is_active
    WHERE b.name = %(name)s AND b.version < a.version AND b.activation_log <> '[]'
)
RETURNING t.name, t.version;

-- name: all_guardrails
SELECT name, guardrail_type AS type, applies_to, severity, action, is_active AS active
FROM public.prompt_guardrails
ORDER BY priority, name;

-- name: one_guardrail
SELECT name FROM public.prompt_guardrails WHERE name = %(name)s;

-- name: set_guardrail
UPDATE public.prompt_guardrails SET action = %(action)s, updated_at = now()
WHERE name = %(name)s
RETURNING name, action;

-- name: rehearse
-- What was found is logged whatever the action was, so the log knows what a block would
-- have stopped. Calls that were blocked anyway are left aside.
SELECT x.prompt_name AS prompt, count(*) AS calls,
       count(*) FILTER (WHERE x.guardrail_violations @> jsonb_build_array(
           jsonb_build_object('guardrail', %(name)s::text))) AS would_be_blocked
FROM public.prompt_executions x
WHERE x.created_at >= now() - make_interval(days => %(days)s::int) AND x.status <> 'blocked'
GROUP BY x.prompt_name
ORDER BY x.prompt_name;

-- name: experiment_start
INSERT INTO public.ab_test_experiments
    (name, hypothesis, template_name, control_version, treatment_version,
     treatment_percent, primary_metric, min_subjects, status, started_at, created_by)
VALUES (%(name)s, %(hypothesis)s, %(prompt)s, %(control)s, %(treatment)s, %(percent)s,
        %(metric)s, %(min_subjects)s, 'running', now(), %(actor)s);
UPDATE public.prompt_templates
SET ab_test_group = CASE version WHEN %(control)s THEN 'control' ELSE 'treatment' END
WHERE name = %(prompt)s AND version IN (%(control)s, %(treatment)s)
RETURNING %(name)s AS name, 'running' AS status;

-- name: experiment_stop
UPDATE public.prompt_templates t SET ab_test_group = NULL
FROM public.ab_test_experiments e
WHERE e.name = %(name)s AND e.status IN ('running', 'paused')
  AND t.name = e.template_name AND t.ab_test_group IS NOT NULL;
UPDATE public.ab_test_experiments
SET status = 'completed', ended_at = clock_timestamp(), winner = %(winner)s
WHERE name = %(name)s AND status IN ('running', 'paused')
RETURNING name, winner;

-- name: experiment
SELECT name, template_name AS prompt, status, primary_metric AS metric,
       treatment_percent::float8 AS percent, min_subjects, control_version AS control,
       treatment_version AS treatment
FROM public.ab_test_experiments
WHERE name = %(name)s;

-- name: arms
-- The subject is the unit: a mean per subject first, then over subjects. Who was seen in
-- both arms is counted and left out.
WITH measured AS (
    SELECT x.subject_hash, x.ab_test_group AS arm,
           CASE e.primary_metric
               WHEN 'success_rate' THEN (x.status = 'success')::int::float8
               WHEN 'latency_ms' THEN CASE WHEN x.status = 'success' THEN x.latency_ms END
               ELSE x.cost_usd::float8
           END AS value
    FROM public.prompt_executions x
    JOIN public.ab_test_experiments e ON e.id = x.experiment_id
    WHERE e.name = %(name)s AND x.subject_hash IS NOT NULL
), subjects AS (
    SELECT min(arm) AS arm, count(DISTINCT arm) AS arms, avg(value) AS value
    FROM measured
    GROUP BY subject_hash
)
SELECT coalesce(arm, '') AS arm, count(*) AS seen, count(value) AS measured,
       coalesce(avg(value), 0) AS mean, coalesce(var_samp(value), 0) AS variance
FROM (SELECT CASE WHEN arms = 1 THEN arm ELSE 'both' END AS arm, value FROM subjects) s
GROUP BY arm;

-- name: performance
SELECT name, version, is_active AS active, total_executions AS executions,
       success_rate_percent::float8 AS U&"success\0025", average_latency_ms::float8 AS avg_ms,
       executions_7d AS "7d", p50_latency_ms_7d AS p50_7d, p95_latency_ms_7d AS p95_7d,
       cost_usd_7d::float8 AS cost_7d
FROM public.v_template_performance
ORDER BY name, version;

-- name: errors
SELECT created_at::text AS at, prompt_name AS prompt, version, source, error_type AS error,
       error_message AS message, latency_ms AS ms
FROM public.v_recent_execution_errors
ORDER BY created_at DESC
LIMIT 20;

-- name: violations
SELECT guardrail, severity, action, is_active AS active, violations::float8 AS found,
       executions AS calls, blocked_executions AS blocked, templates AS prompts,
       last_seen_at::text AS last_seen
FROM public.v_guardrail_violations_summary
ORDER BY guardrail;

-- name: experiments
SELECT name, template_name AS prompt, status, control_version AS control,
       treatment_version AS treatment, treatment_percent::float8 AS percent,
       control_subjects AS subjects_c, treatment_subjects AS subjects_t,
       srm_chi2::float8 AS chi2
FROM public.v_active_ab_tests
ORDER BY name;
