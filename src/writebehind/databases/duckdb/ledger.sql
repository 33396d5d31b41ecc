-- The ledger: what a flush and its settling ask and change. Placeholders are by name.
-- One process at a time has the file, and one thread of it, so nothing here has to lock a row.

-- name: read_meta
SELECT version FROM writebehind_meta;

-- name: declare
INSERT INTO writebehind_partitions (namespace, mapping, partition, declaration)
VALUES ($namespace, $mapping, $partition, $declaration)
ON CONFLICT (namespace, mapping, partition) DO NOTHING;

-- name: read_declarations
SELECT DISTINCT declaration FROM writebehind_partitions WHERE namespace = $namespace AND mapping = $mapping;

-- name: read_partition
SELECT p.id, p.head, p.commit_number, meta.ledger_identity
FROM writebehind_partitions AS p CROSS JOIN writebehind_meta AS meta
WHERE p.namespace = $namespace AND p.mapping = $mapping AND p.partition = $partition;

-- name: standing
SELECT
    p.head,
    EXISTS (SELECT 1 FROM writebehind_batches AS b WHERE b.partition_id = p.id AND b.batch = $batch),
    EXISTS (SELECT 1 FROM writebehind_closed AS c WHERE c.partition_id = p.id AND c.incarnation = $incarnation),
    (
        SELECT max(b.writes) FROM writebehind_batches AS b
        WHERE b.partition_id = p.id AND b.birth = $birth AND b.kind = 'batch'
    )
FROM writebehind_partitions AS p
WHERE p.id = $partition_id;

-- name: write_mark
INSERT INTO writebehind_marks (partition_id, producer, incarnation, seq)
VALUES ($partition_id, $producer, $incarnation, $seq)
ON CONFLICT (partition_id, producer, incarnation) DO UPDATE
SET seq = excluded.seq, updated_at = excluded.updated_at
WHERE writebehind_marks.seq < excluded.seq;

-- name: read_mark
SELECT seq FROM writebehind_marks
WHERE partition_id = $partition_id AND producer = $producer AND incarnation = $incarnation;

-- name: is_fence_applied
SELECT 1 FROM writebehind_batches WHERE partition_id = $partition_id AND batch = $fence AND kind = 'fence';

-- name: close_incarnation
INSERT INTO writebehind_closed (partition_id, incarnation)
VALUES ($partition_id, $incarnation)
ON CONFLICT (partition_id, incarnation) DO NOTHING;

-- name: remember_batch
INSERT INTO writebehind_batches (partition_id, batch, birth, incarnation, kind, writes, rows)
VALUES ($partition_id, $batch, $birth, $incarnation, $kind, $writes, $rows);

-- name: raise_commit_number
-- A NULL head leaves the head where it is.
UPDATE writebehind_partitions
SET head = COALESCE($head, head), commit_number = commit_number + 1
WHERE id = $partition_id
RETURNING commit_number;

-- name: forget_old_batches
DELETE FROM writebehind_batches
WHERE partition_id = $partition_id AND kind <> 'fence'
    AND applied_at < now() - to_days($days);

-- name: add_dead_letters
-- `given` is an Arrow table.
INSERT INTO writebehind_dead_letters
    (partition_id, mapping, key, operation, value, reason, error, sqlstate, batch, birth)
SELECT p.id, p.mapping, g.key, g.operation, g.value, g.reason, g.error, g.sqlstate, g.batch, g.birth
FROM given AS g
JOIN writebehind_partitions AS p ON p.id = g.partition_id
ORDER BY g.number;

-- name: add_incident
INSERT INTO writebehind_incidents (partition_id, kind, detail) VALUES ($partition_id, $kind, $detail);

-- name: dead_letters
SELECT d.partition_id, d.key, d.operation, d.value, d.reason, d.error, d.sqlstate, d.batch, d.birth
FROM writebehind_dead_letters AS d
JOIN writebehind_partitions AS p ON p.id = d.partition_id
WHERE p.namespace = $namespace AND p.mapping = $mapping AND p.partition = $partition
    AND list_contains($births, d.birth)
ORDER BY d.id;

-- name: count_dead_letters
SELECT p.mapping, count(*)
FROM writebehind_dead_letters AS d
JOIN writebehind_partitions AS p ON p.id = d.partition_id
WHERE p.namespace = $namespace
GROUP BY p.mapping
ORDER BY p.mapping;

-- name: incidents
SELECT p.mapping, p.partition, i.kind, i.detail
FROM writebehind_incidents AS i
JOIN writebehind_partitions AS p ON p.id = i.partition_id
WHERE p.namespace = $namespace
ORDER BY i.id;
