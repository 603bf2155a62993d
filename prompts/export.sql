-- What a migration that ships prompts is made of. Filled in by export.py, which quotes.

-- name: prompt
INSERT INTO prompt_templates
    (name, version, category, purpose, description, system_prompt, template_text,
     variables, model_config, is_active, created_by, change_note)
SELECT {{name}}, {{version}}, {{category}}, {{purpose}},
{{description}},
{{system_prompt}},
{{template_text}},
{{variables}}, {{model_config}},
{{active}}, {{author}}, {{note}}
WHERE NOT EXISTS (SELECT FROM prompt_templates WHERE {{guard}});

-- name: guardrail
INSERT INTO prompt_guardrails
    (name, description, guardrail_type, applies_to, severity, action, config, priority)
SELECT {{name}}, {{description}},
       {{guardrail_type}}, {{applies_to}}, {{severity}}, {{action}},{{gap}}{{config}}, {{priority}}
WHERE NOT EXISTS (SELECT FROM prompt_guardrails WHERE name = {{name}});

-- name: head
-- migrate: description=Ship prompt {{name}} version {{version}}

-- Applied again, it changes nothing.

-- name: compare
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM prompt_templates
        WHERE {{key}}
          AND content_hash = '{{content_hash}}'
    ) THEN
        RAISE EXCEPTION '{{name}} version {{version}} is there with another text';
    END IF;
END $$;

-- name: activate
-- Only if it was never active: a later rollback is somebody's decision.
UPDATE prompt_templates SET is_active = true
WHERE {{key}} AND activation_log = '[]';
