-- The application's role: it may read prompts, log executions and move the pointer. It may
-- not edit a text, a counter or a row of the log; the triggers count with their owner's
-- rights. Run it as the owner of the tables, once or as often as you like; as a repeatable
-- migration it would be R__prompts_grants.sql. Then: GRANT prompts_application TO your_login.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'prompts_application') THEN
        CREATE ROLE prompts_application NOLOGIN;
    END IF;
END $$;

GRANT USAGE ON SCHEMA public TO prompts_application;

-- The columns a new version consists of; its counters and its log of activations are not
-- among them.
GRANT SELECT, UPDATE (is_active, ab_test_group),
      INSERT (id, name, version, category, purpose, description, system_prompt,
              template_text, variables, model_config, is_active, created_by, change_note)
    ON public.prompt_templates TO prompts_application;

-- SELECT (id) is what ON CONFLICT (id) needs: the rest of the log cannot be read.
GRANT SELECT (id),
      INSERT (id, template_id, prompt_name, source, experiment_id, ab_test_group,
              subject_hash, status, latency_ms, model, input_tokens, output_tokens,
              cost_usd, input_variables, rendered_prompt, response_text,
              guardrail_violations, error_type, error_message, trace_id, environment)
    ON public.prompt_executions TO prompts_application;

GRANT SELECT ON public.prompt_guardrails, public.ab_test_experiments,
      public.v_template_performance, public.v_recent_execution_errors,
      public.v_guardrail_violations_summary, public.v_active_ab_tests
    TO prompts_application;
