-- Leaderboards: scores of members. {names in braces} are filled with quoted identifiers and with expressions
-- over them; keys and scores are always parameters, as binary arrays.

-- name: remove
DELETE FROM {table} AS t USING unnest({arrays}) AS d ({names}) WHERE {same_key}

-- name: write
-- Which rows are missing is told by the UPDATE itself: a question before or after it could see another moment.
-- Existing rows are not left to ON CONFLICT: its INSERT half would check constraints, such as points >= 0,
-- against an amount alone, and use up a sequence's numbers; it is for rows that appeared since the UPDATE.
-- EXCEPT, and not NOT EXISTS, which is quadratic where hash and merge joins are off. The INSERT sorts what it is
-- given, so the UPDATE is over before it begins.
WITH given AS MATERIALIZED (
    SELECT d.position, {given_keys}, {score} AS score
    FROM unnest({arrays}) WITH ORDINALITY AS d ({names}, position)
), updated AS (
    UPDATE {table} AS t SET {column} = {merged} FROM given AS d WHERE {same_key}
    RETURNING d.position, {given_keys}, d.score
), missing AS (
    SELECT * FROM given EXCEPT ALL SELECT * FROM updated
)
INSERT INTO {table} AS t ({key_columns}, {column})
SELECT {given_keys}, d.score FROM missing AS d ORDER BY d.position
ON CONFLICT ({key_columns}) DO UPDATE SET {column} = {merged_with_excluded}

-- name: begin_board
-- A board is read to its end: the planner must not prefer what is quick at the first rows alone.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config('cursor_tuple_fraction', '1', true);

-- name: read_head
SELECT
    p.head,
    EXISTS (SELECT FROM writebehind_batches AS b WHERE b.partition_id = p.id AND b.batch = %(front)s)
FROM writebehind_partitions AS p
WHERE p.namespace = %(namespace)s AND p.mapping = %(mapping)s AND p.partition = %(partition)s

-- name: declare_board
DECLARE writebehind_board NO SCROLL CURSOR FOR
SELECT t.{member}::text, {units} FROM {table} AS t WHERE {condition}

-- name: fetch_board
FETCH 10000 FROM writebehind_board
