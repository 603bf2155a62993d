-- The statements of the history table. {table} is its quoted, qualified name; nothing
-- else is composed. Read by history.py.

-- name: inspect
-- One row: oid, columns, comment, current user, privileges, whether we can write at all.
SELECT c.oid,
       (SELECT array_agg(a.attname::text) FROM pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       obj_description(c.oid, 'pg_class'),
       CASE WHEN c.oid IS NULL THEN NULL
            ELSE has_table_privilege(c.oid, 'SELECT') END,
       CASE WHEN c.oid IS NULL THEN NULL
            ELSE has_table_privilege(c.oid, 'INSERT')
             AND has_table_privilege(c.oid, 'UPDATE')
             AND has_table_privilege(c.oid, 'DELETE') END,
       n.oid IS NOT NULL,
       CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')
            ELSE has_schema_privilege(n.oid, 'CREATE') END,
       session_user::text, current_database()::text,
       current_setting('transaction_read_only') = 'on', pg_is_in_recovery(),
       n.oid IS NULL OR has_schema_privilege(n.oid, 'USAGE'),
       c.relkind IN ('r', 'p')
  FROM (SELECT 1) one
  LEFT JOIN pg_namespace n ON n.nspname = %s
  LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = %s;

-- name: layout 1
CREATE TABLE {table} (
    version      varchar(255) PRIMARY KEY,
    name         varchar(255) NOT NULL,
    description  text NOT NULL DEFAULT '',
    checksum     varchar(100),
    executed_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    duration_ms  bigint,
    executed_by  text NOT NULL DEFAULT SESSION_USER,
    state        varchar(20) NOT NULL DEFAULT 'applied'
                 CHECK (state IN ('applied', 'baseline', 'running', 'failed')),
    tool_version varchar(50),
    build_id     text,
    commit_sha   text,
    image_digest text,
    execution    text
);

-- name: layout 2
-- What a run needs to resume a non-transactional migration and to answer for its work:
-- statements done and their hash chain, the statement at work, the run, what was created.
ALTER TABLE {table}
    ADD COLUMN run_id           varchar(64),
    ADD COLUMN statements_done  integer NOT NULL DEFAULT 0,
    ADD COLUMN statements_chain varchar(100),
    ADD COLUMN at_work          jsonb,
    ADD COLUMN created          text[] NOT NULL DEFAULT '{{}}',
    ADD COLUMN removed          text[] NOT NULL DEFAULT '{{}}',
    ADD COLUMN highest_oid      bigint;

-- name: read
SELECT version, name, checksum, state FROM {table};

-- name: standing
SELECT version, state, statements_done FROM {table};

-- name: report
SELECT version, description, extract(epoch FROM executed_at)::float8, duration_ms, executed_by,
       build_id, commit_sha, image_digest, execution
  FROM {table};

-- name: created
SELECT created, removed FROM {table} WHERE state = 'applied' ORDER BY executed_at, version;

-- name: created by
SELECT created, removed FROM {table} WHERE run_id = %s AND state = 'applied'
 ORDER BY executed_at, version;

-- name: created of
SELECT created, removed FROM {table} WHERE version = ANY (%s) ORDER BY executed_at, version;

-- name: unfinished
SELECT statements_done, statements_chain, at_work FROM {table}
 WHERE version = %s AND state IN ('running', 'failed');

-- name: committed
-- Those of (versions, checksums) that are applied, by whichever run, and how long each took.
SELECT version, duration_ms FROM {table} WHERE state = 'applied'
   AND (version, checksum) IN (SELECT * FROM unnest(%s::text[], %s::text[]));

-- name: spent
-- Stands behind the last COMMIT of a message.
SELECT version, duration_ms FROM {table} WHERE version = ANY ({versions}::text[]);

-- name: begin
INSERT INTO {table} (version, name, description, checksum, state, tool_version, build_id,
                     commit_sha, image_digest, execution, run_id)
VALUES (%s, %s, %s, %s, 'running', %s, %s, %s, %s, %s, %s)
    ON CONFLICT (version) DO UPDATE
   SET name = EXCLUDED.name, description = EXCLUDED.description, checksum = EXCLUDED.checksum,
       state = 'running', executed_at = clock_timestamp(), executed_by = SESSION_USER,
       tool_version = EXCLUDED.tool_version, build_id = EXCLUDED.build_id,
       commit_sha = EXCLUDED.commit_sha, image_digest = EXCLUDED.image_digest,
       execution = EXCLUDED.execution, run_id = EXCLUDED.run_id;

-- name: restart
UPDATE {table} SET statements_done = 0, statements_chain = NULL, at_work = NULL
 WHERE version = %s;

-- name: at work
UPDATE {table} SET at_work = %s::jsonb WHERE version = %s;

-- name: fail
UPDATE {table} SET state = 'failed' WHERE version = %s;

-- name: remove
DELETE FROM {table} WHERE version = %s;

-- name: accept
UPDATE {table} SET checksum = %s WHERE version = %s;

-- name: baseline
INSERT INTO {table} (version, name, description, checksum, state, tool_version, build_id,
                     commit_sha, image_digest, execution, run_id)
VALUES (%s, %s, %s, NULL, 'baseline', %s, %s, %s, %s, %s, %s);

-- name: progress
-- Sent inside a transaction of the file's making, under any setting: names are qualified.
UPDATE {table} SET statements_done = {done}, statements_chain = {chain}, at_work = NULL,
       created = (SELECT coalesce(array_agg(thing), '{{}}')
                    FROM (SELECT DISTINCT unnest(created || {created})) AS u (thing))
 WHERE version = {version};

-- name: applied
UPDATE {table} SET state = 'applied', at_work = NULL, statements_chain = NULL,
       duration_ms = (extract(epoch FROM greatest(clock_timestamp() - executed_at,
                                                  interval '0')) * 1000)::bigint,
       executed_at = greatest(clock_timestamp(), (SELECT max(p.executed_at) FROM {table} p)
                                                 + interval '1 microsecond')
 WHERE version = {version};
