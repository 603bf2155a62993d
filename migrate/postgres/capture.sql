-- What the transaction at hand created or changed, read from the catalogs inside it.
-- Read by catalog.py. {floor} is an oid below every object created since; {anything} says
-- that any table may have been altered, {names} lists those that were altered by name.
--
-- A row is ours when its xmin is our transaction or one of its subtransactions: those have
-- no age, or a negative one and are still in progress. Others' rows are visible only when
-- their transaction has ended. Oids come from one counter, so every catalog is entered by
-- its oid index; columns have no oid, and those added to an older table are found by the
-- table's name, or through the lock that adding one takes.

-- name: floor
SELECT greatest((SELECT max(oid) FROM pg_class), (SELECT max(oid) FROM pg_proc),
                (SELECT max(oid) FROM pg_type), (SELECT max(oid) FROM pg_constraint),
                (SELECT max(oid) FROM pg_trigger), (SELECT max(oid) FROM pg_namespace))::bigint;

-- name: found
-- "others" are the arms for what a text with nothing but plain tables and indexes cannot create.
  SELECT CASE WHEN c.relkind IN ('r', 'p', 'f') THEN 2
              WHEN c.relkind IN ('i', 'I') THEN 5 ELSE 6 END AS rank, c.oid::bigint AS at,
         CASE c.relkind WHEN 'r' THEN 'table ' WHEN 'p' THEN 'table ' WHEN 'v' THEN 'view '
              WHEN 'm' THEN 'materialized view ' WHEN 'i' THEN 'index ' WHEN 'I' THEN 'index '
              WHEN 'S' THEN 'sequence ' WHEN 'f' THEN 'foreign table ' ELSE 'type ' END
         || c.relnamespace::regnamespace::text || '.' || quote_ident(c.relname) AS thing,
         c.xmin
    FROM pg_class c
   WHERE c.oid > {floor} AND c.relnamespace <> 99 AND c.relpersistence <> 't'
     AND c.relkind <> 't' AND age(c.xmin) <= 0
  UNION ALL
  SELECT 3, a.attrelid::bigint, 'column ' || c.relnamespace::regnamespace::text || '.'
         || quote_ident(c.relname) || '.' || quote_ident(a.attname), a.xmin
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
   WHERE c.oid > {floor} AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't'
     AND age(c.xmin) <= 0 AND a.attnum > 0 AND NOT a.attisdropped AND age(a.xmin) <= 0
  UNION ALL
  SELECT 3, a.attrelid::bigint, 'column ' || c.relnamespace::regnamespace::text || '.'
         || quote_ident(c.relname) || '.' || quote_ident(a.attname), a.xmin
    FROM (SELECT l.relation FROM pg_locks l
           WHERE {anything} AND l.locktype = 'relation' AND l.pid = pg_backend_pid()
             AND l.mode = 'AccessExclusiveLock'
          UNION ALL
          SELECT to_regclass(name) FROM unnest({names}) AS name) AS touched (oid)
    JOIN pg_class c ON c.oid = touched.oid AND c.relkind IN ('r', 'p', 'f')
                   AND c.relpersistence <> 't' AND touched.oid <= {floor}
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     AND age(a.xmin) <= 0
  UNION ALL
  SELECT 4, k.oid::bigint,
         CASE WHEN k.convalidated THEN '' ELSE 'unvalidated ' END || 'constraint '
         || k.conrelid::regclass::text || '.' || quote_ident(k.conname), k.xmin
    FROM pg_constraint k
   WHERE k.oid > {floor} AND k.conrelid <> 0 AND k.contype IN ('p', 'u', 'f', 'c', 'x')
     AND age(k.xmin) <= 0
  {others}

-- name: others
  UNION ALL
  SELECT 1, n.oid::bigint, 'schema ' || quote_ident(n.nspname), n.xmin
    FROM pg_namespace n WHERE n.oid > {floor} AND n.nspname !~ '^pg_' AND age(n.xmin) <= 0
  UNION ALL
  SELECT 7, t.oid::bigint, 'type ' || t.oid::regtype::text, t.xmin
    FROM pg_type t WHERE t.oid > {floor} AND t.typtype IN ('e', 'd', 'r') AND age(t.xmin) <= 0
  UNION ALL
  SELECT 8, p.oid::bigint, 'function ' || p.oid::regprocedure::text, p.xmin
    FROM pg_proc p WHERE p.oid > {floor} AND age(p.xmin) <= 0
  UNION ALL
  SELECT 9, g.oid::bigint,
         'trigger ' || g.tgrelid::regclass::text || '.' || quote_ident(g.tgname), g.xmin
    FROM pg_trigger g WHERE g.oid > {floor} AND NOT g.tgisinternal AND age(g.xmin) <= 0

-- name: ours
(age(xmin) = 0 OR pg_xact_status(
    (pg_current_xact_id()::text::bigint - age(xmin))::text::xid8) = 'in progress')

-- name: created
ARRAY(SELECT thing FROM ({found} OFFSET 0) AS found WHERE {ours} ORDER BY rank, at, thing)

-- name: record
-- The highest oid that a migration created is the floor of the next one in its session.
-- An entry is never older than the one before it, whatever the clock says: what was created
-- and removed is replayed in that order.
WITH before AS MATERIALIZED (
    SELECT greatest(max(p.highest_oid), {floor}) AS oid, max(p.executed_at) AS at
      FROM {table} p WHERE p.version = {previous}
), found AS MATERIALIZED ({found})
INSERT INTO {table} (version, name, description, checksum, duration_ms, state, tool_version,
                     build_id, commit_sha, image_digest, execution, run_id, statements_done,
                     executed_at, created, highest_oid)
SELECT {version}, {name}, {description}, {checksum},
       (extract(epoch FROM clock_timestamp()
                - least(greatest(transaction_timestamp(), before.at), clock_timestamp()))
        * 1000)::bigint,
       'applied', {tool_version}, {build_id}, {commit_sha}, {image_digest}, {execution},
       {run_id}, {statements},
       greatest(clock_timestamp(), interval '1 microsecond'
                + CASE WHEN {previous} = '' THEN (SELECT max(p.executed_at) FROM {table} p)
                       ELSE before.at END),
       made.things, greatest(made.oid, before.oid)
  FROM before,
       (SELECT coalesce(array_agg(thing ORDER BY rank, at, thing), '{{}}') AS things,
               max(at) AS oid
          FROM found WHERE {ours}) AS made
    ON CONFLICT (version) DO UPDATE
   SET name = EXCLUDED.name, description = EXCLUDED.description, checksum = EXCLUDED.checksum,
       duration_ms = EXCLUDED.duration_ms, state = EXCLUDED.state, run_id = EXCLUDED.run_id,
       tool_version = EXCLUDED.tool_version, build_id = EXCLUDED.build_id,
       commit_sha = EXCLUDED.commit_sha, image_digest = EXCLUDED.image_digest,
       execution = EXCLUDED.execution, statements_done = EXCLUDED.statements_done,
       executed_at = EXCLUDED.executed_at, executed_by = SESSION_USER, at_work = NULL,
       statements_chain = NULL, created = EXCLUDED.created,
       highest_oid = EXCLUDED.highest_oid

-- name: removed
UPDATE {table} SET removed = ARRAY(
    SELECT thing FROM (SELECT DISTINCT unnest(h.created) FROM {table} h
                        WHERE h.version <> {version}) AS earlier (thing)
     WHERE {condition} = 'is gone' ORDER BY thing)
 WHERE version = {version}

-- name: kept
-- A file applied statement by statement may drop what it made itself.
UPDATE {table} SET created = ARRAY(
    SELECT thing FROM unnest(created) WITH ORDINALITY AS own (thing, place)
     WHERE {condition} <> 'is gone' ORDER BY place)
 WHERE version = {version}

-- name: condition
CASE split_part(thing, ' ', 1)
  WHEN 'schema' THEN
    CASE WHEN to_regnamespace(substr(thing, 8)) IS NULL THEN 'is gone' ELSE '' END
  WHEN 'column' THEN coalesce((
    SELECT '' FROM parse_ident(substr(thing, 8)) AS p(part)
      JOIN pg_namespace n ON n.nspname = part[1]
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = part[2]
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = part[3] AND NOT a.attisdropped),
    'is gone')
  WHEN 'unvalidated' THEN coalesce((  -- NOT VALID on purpose: it need only be there
    SELECT '' FROM parse_ident(substr(thing, 24)) AS p(part)
      JOIN pg_namespace n ON n.nspname = part[1]
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = part[2]
      JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = part[3]), 'is gone')
  WHEN 'constraint' THEN coalesce((
    SELECT CASE WHEN k.convalidated THEN '' ELSE 'is not validated' END
      FROM parse_ident(substr(thing, 12)) AS p(part)
      JOIN pg_namespace n ON n.nspname = part[1]
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = part[2]
      JOIN pg_constraint k ON k.conrelid = c.oid AND k.conname = part[3]), 'is gone')
  WHEN 'trigger' THEN coalesce((
    SELECT CASE WHEN g.tgenabled = 'D' THEN 'is disabled' ELSE '' END
      FROM parse_ident(substr(thing, 9)) AS p(part)
      JOIN pg_namespace n ON n.nspname = part[1]
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = part[2]
      JOIN pg_trigger g ON g.tgrelid = c.oid AND g.tgname = part[3]), 'is gone')
  WHEN 'index' THEN coalesce((
    SELECT CASE WHEN i.indisvalid AND i.indisready THEN '' ELSE 'is INVALID' END
      FROM pg_index i WHERE i.indexrelid = to_regclass(substr(thing, 7))), 'is gone')
  WHEN 'function' THEN
    CASE WHEN to_regprocedure(substr(thing, 10)) IS NULL THEN 'is gone' ELSE '' END
  WHEN 'type' THEN
    CASE WHEN to_regtype(substr(thing, 6)) IS NULL THEN 'is gone' ELSE '' END
  ELSE
    CASE WHEN to_regclass(regexp_replace(thing,
           '^(table|view|materialized view|sequence|foreign table) ', '')) IS NULL
         THEN 'is gone' ELSE '' END
END
