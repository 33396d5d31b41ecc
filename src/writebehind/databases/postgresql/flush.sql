-- Changing and reading the user's tables. {names in braces} are filled with quoted identifiers and with
-- expressions over them; keys and amounts are always parameters, as binary arrays.

-- name: given
-- One row per input row: its key (k0, k1, ...), its amounts (a0, a1, ...) and its position, from 1.
SELECT {keys}, {amounts}, ARRAY[d.position] AS positions
FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)

-- name: given_grouped
-- As "given", with one row per key as the database compares it: UPDATE ... FROM uses only one of several
-- rows that match. The empty half lends the key columns' collations, which decide what is equal, to the
-- other. Sorted by the same comparison, so that concurrent flushes lock rows in one order.
SELECT {grouped_keys}, {sums}, array_agg(typed.position) AS positions
FROM (
    SELECT {table_keys}, {null_amounts}, NULL::bigint AS position FROM {table} AS t WHERE false
    UNION ALL
    SELECT {keys}, {amounts}, d.position FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)
) AS typed
GROUP BY {group_by}
ORDER BY {group_by}

-- name: update
UPDATE {table} AS t SET {assignments} FROM ({given}) AS d WHERE {same_key}

-- name: update_and_find_missing
-- Which input rows matched no row is told by the UPDATE itself: a question before or after it could see
-- another moment. EXCEPT, and not NOT EXISTS, which is quadratic where hash and merge joins are off.
WITH given AS MATERIALIZED (
    {given}
), updated AS (
    UPDATE {table} AS t SET {assignments} FROM given AS d WHERE {same_key} RETURNING d.positions
)
SELECT unnest(positions) - 1 FROM given
EXCEPT ALL
SELECT unnest(positions) - 1 FROM updated

-- name: insert
-- For rows that an UPDATE did not find; ON CONFLICT is for those that appeared since.
INSERT INTO {table} AS t ({columns})
SELECT {values} FROM ({given}) AS d
ON CONFLICT ({key_columns}) DO UPDATE SET {conflict_assignments}

-- name: read_counter
-- One statement, so one snapshot: values, head and the front's fate belong together.
-- A partition that was never declared has the head "root". Values come with the position of the asked key.
SELECT
    COALESCE(p.head, 'root'),
    p.id IS NOT NULL AND EXISTS (
        SELECT FROM writebehind_batches AS b WHERE b.partition_id = p.id AND b.batch = %(front)s
    ),
    found.position - 1,
    found.units
FROM (SELECT 1) AS always
LEFT JOIN writebehind_partitions AS p
    ON p.namespace = %(namespace)s AND p.mapping = %(mapping)s AND p.partition = %(partition)s
LEFT JOIN (
    SELECT d.position, {units} AS units
    FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)
    JOIN {table} AS t ON {same_key}
) AS found ON true

-- name: create_table
CREATE TABLE IF NOT EXISTS {table} ({definitions})
