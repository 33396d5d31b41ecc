-- The ledger: what a flush and its settling ask and change. Placeholders are psycopg's.

-- name: begin_flush
-- One round trip, before the first lock.
-- READ COMMITTED, so that what is read after waiting for a lock is what its last holder committed.
-- synchronous_commit: a commit that was answered must be on disk; remote_apply is stronger, and stays.
-- Joins: from about 1 % of the table's rows on, the planner takes a hash join with a full scan, over four
-- times slower than the index at 10,000 rows.
BEGIN ISOLATION LEVEL READ COMMITTED;
SELECT
    set_config(
        'synchronous_commit',
        CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
        true
    ),
    set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true);

-- name: lock_creation
-- IF NOT EXISTS does not protect two sessions that create the same table at the same instant.
-- The number only has to be ours: it spells "wrbehind".
SELECT pg_advisory_xact_lock(8607050025541398116);

-- name: read_meta
SELECT version FROM writebehind_meta;

-- name: declare
INSERT INTO writebehind_partitions (namespace, mapping, partition, declaration)
SELECT namespace, mapping, partition, %(declaration)s
FROM unnest(%(namespaces)s::text[], %(mappings)s::text[], %(partitions)s::integer[])
    AS wanted (namespace, mapping, partition)
ORDER BY namespace COLLATE "C", mapping COLLATE "C", partition
ON CONFLICT (namespace, mapping, partition) DO NOTHING;

-- name: read_declarations
SELECT DISTINCT mapping, declaration
FROM writebehind_partitions
WHERE (namespace, mapping) IN (SELECT * FROM unnest(%(namespaces)s::text[], %(mappings)s::text[]));

-- name: read_partitions
SELECT p.id, p.namespace, p.mapping, p.partition, p.head, p.commit_number, meta.ledger_identity
FROM writebehind_partitions AS p
JOIN unnest(%(namespaces)s::text[], %(mappings)s::text[], %(partitions)s::integer[])
    AS wanted (namespace, mapping, partition) USING (namespace, mapping, partition)
CROSS JOIN writebehind_meta AS meta
ORDER BY p.namespace, p.mapping, p.partition;

-- name: lock_partitions
-- Rows are locked in the order of the sort, the same in every flusher: no deadlock.
SELECT p.id, p.namespace, p.mapping, p.partition, p.head, p.commit_number, meta.ledger_identity
FROM writebehind_partitions AS p
JOIN unnest(%(namespaces)s::text[], %(mappings)s::text[], %(partitions)s::integer[])
    AS wanted (namespace, mapping, partition) USING (namespace, mapping, partition)
CROSS JOIN writebehind_meta AS meta
ORDER BY p.namespace, p.mapping, p.partition
FOR UPDATE OF p;

-- name: standing
SELECT
    p.head,
    EXISTS (SELECT FROM writebehind_batches AS b WHERE b.partition_id = p.id AND b.batch = %(batch)s),
    EXISTS (SELECT FROM writebehind_closed AS c WHERE c.partition_id = p.id AND c.incarnation = %(incarnation)s),
    (
        SELECT max(b.writes) FROM writebehind_batches AS b
        WHERE b.partition_id = p.id AND b.birth = %(birth)s AND b.kind = 'batch'
    )
FROM writebehind_partitions AS p
WHERE p.id = %(partition_id)s;

-- name: write_marks
INSERT INTO writebehind_marks (partition_id, producer, incarnation, seq)
SELECT %(partition_id)s, producer, %(incarnation)s, seq
FROM unnest(%(producers)s::text[], %(seqs)s::bigint[]) AS given (producer, seq)
ON CONFLICT (partition_id, producer, incarnation) DO UPDATE
SET seq = excluded.seq, updated_at = excluded.updated_at
WHERE writebehind_marks.seq < excluded.seq;

-- name: read_mark
SELECT seq FROM writebehind_marks
WHERE partition_id = %(partition_id)s AND producer = %(producer)s AND incarnation = %(incarnation)s;

-- name: read_captured
SELECT key, value FROM writebehind_captured WHERE partition_id = %(partition_id)s AND key = ANY (%(keys)s::text[]);

-- name: scan_captured
SELECT key, value FROM writebehind_captured
WHERE partition_id = %(partition_id)s AND key > %(after)s
ORDER BY key
LIMIT %(limit)s;

-- name: write_captured
INSERT INTO writebehind_captured (partition_id, key, value)
SELECT %(partition_id)s, key, value FROM unnest(%(keys)s::text[], %(values)s::bigint[]) AS given (key, value)
ON CONFLICT (partition_id, key) DO UPDATE SET value = excluded.value;

-- name: forget_captured
DELETE FROM writebehind_captured WHERE partition_id = %(partition_id)s AND key = ANY (%(keys)s::text[]);

-- name: any_fence_applied
SELECT EXISTS (
    SELECT FROM writebehind_batches
    WHERE partition_id = %(partition_id)s AND batch = ANY (%(fences)s::text[]) AND kind = 'fence'
);

-- name: close_incarnation
INSERT INTO writebehind_closed (partition_id, incarnation)
VALUES (%(partition_id)s, %(incarnation)s)
ON CONFLICT (partition_id, incarnation) DO NOTHING;

-- name: move_head
WITH remembered AS (
    INSERT INTO writebehind_batches (partition_id, batch, birth, incarnation, kind, writes, rows)
    VALUES (%(partition_id)s, %(batch)s, %(birth)s, %(incarnation)s, %(kind)s, %(writes)s, %(rows)s)
)
UPDATE writebehind_partitions
SET head = %(batch)s, commit_number = commit_number + 1
WHERE id = %(partition_id)s
RETURNING commit_number;

-- name: remember_quarantined
WITH remembered AS (
    INSERT INTO writebehind_batches (partition_id, batch, birth, incarnation, kind, writes, rows)
    VALUES (%(partition_id)s, %(batch)s, %(birth)s, %(incarnation)s, 'quarantined', %(writes)s, 0)
)
UPDATE writebehind_partitions
SET commit_number = commit_number + 1
WHERE id = %(partition_id)s
RETURNING commit_number;

-- name: forget_old_batches
DELETE FROM writebehind_batches
WHERE partition_id = %(partition_id)s AND kind <> 'fence' AND applied_at < now() - %(days)s * interval '1 day';

-- name: add_dead_letter
INSERT INTO writebehind_dead_letters
    (partition_id, mapping, key, operation, value, reason, error, sqlstate, batch, birth)
SELECT id, mapping, %(key)s, %(operation)s, %(value)s, %(reason)s, %(error)s, %(sqlstate)s, %(batch)s, %(birth)s
FROM writebehind_partitions
WHERE id = %(partition_id)s;

-- name: add_incident
INSERT INTO writebehind_incidents (partition_id, kind, detail)
VALUES (%(partition_id)s, %(kind)s, %(detail)s);

-- name: dead_letters
SELECT d.partition_id, d.key, d.operation, d.value, d.reason, d.error, d.sqlstate, d.batch, d.birth
FROM writebehind_dead_letters AS d
JOIN writebehind_partitions AS p ON p.id = d.partition_id
WHERE p.namespace = %(namespace)s AND p.mapping = %(mapping)s AND p.partition = %(partition)s
    AND d.birth = ANY (%(births)s::text[])
ORDER BY d.id;

-- name: count_dead_letters
SELECT p.mapping, count(*)
FROM writebehind_dead_letters AS d
JOIN writebehind_partitions AS p ON p.id = d.partition_id
WHERE p.namespace = %(namespace)s
GROUP BY p.mapping
ORDER BY p.mapping;

-- name: incidents
SELECT p.mapping, p.partition, i.kind, i.detail
FROM writebehind_incidents AS i
JOIN writebehind_partitions AS p ON p.id = i.partition_id
WHERE p.namespace = %(namespace)s
ORDER BY i.id;
