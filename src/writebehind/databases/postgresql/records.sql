-- Changing and reading records. {names in braces} are filled with quoted identifiers and with expressions over them;
-- keys and values are always parameters, as arrays: keys as they are, values as texts (v0, v1, ...), which are cast
-- to their column's type without a length, so that the assignment checks what a cast would cut.

-- name: delete
DELETE FROM {table} AS t USING unnest({arrays}) AS d ({names}) WHERE {same_key}

-- name: update
-- One statement for rows that name different columns: the masks (m0, m1, ...) say which, the others stay.
-- The rows come sorted by key, so concurrent flushes lock them in one order.
UPDATE {table} AS t SET {assignments}
FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)
WHERE {same_key}
RETURNING d.position - 1

-- name: insert
-- For rows that an UPDATE did not find, and those deleted before; ON CONFLICT is for what appeared since.
-- The key is the application's, also where the column would number its rows itself.
INSERT INTO {table} AS t ({columns}) OVERRIDING SYSTEM VALUE
SELECT {values} FROM unnest({arrays}) AS d ({names})
ON CONFLICT ({key_columns}) DO {on_conflict}

-- name: read_versions
-- Rows are locked after the sort, in the order of the keys.
SELECT d.position - 1, {version}
FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)
JOIN {table} AS t ON {same_key}
ORDER BY d.position
FOR UPDATE OF t

-- name: read_records
-- One statement, so one snapshot; see "read_counter".
SELECT
    COALESCE(p.head, 'root'),
    p.id IS NOT NULL AND EXISTS (
        SELECT FROM writebehind_batches AS b WHERE b.partition_id = p.id AND b.batch = %(front)s
    ),
    found.*
FROM (SELECT 1) AS always
LEFT JOIN writebehind_partitions AS p
    ON p.namespace = %(namespace)s AND p.mapping = %(mapping)s AND p.partition = %(partition)s
LEFT JOIN (
    SELECT {values}
    FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)
    JOIN {table} AS t ON {same_key}
) AS found ON true
