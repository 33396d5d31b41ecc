-- The user's tables. {names in braces} are filled with quoted identifiers and expressions over them.

-- name: find_table
-- SQLite finds names without regard to case; the answer is the name as it was created.
SELECT type, name FROM {schema}.sqlite_master WHERE name = :name COLLATE NOCASE AND type IN ('table', 'view');

-- name: columns
-- hidden: 0 an ordinary column, 1 one of a virtual table, 2 and 3 generated ones.
SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(:table, :schema) ORDER BY cid;

-- name: unique_indexes
SELECT name FROM pragma_index_list(:table, :schema) WHERE "unique" AND NOT partial;

-- name: index_columns
-- An expression has no name.
SELECT name, coll FROM pragma_index_xinfo(:index, :schema) WHERE "key" ORDER BY seqno;

-- name: count_different
-- How many of three texts the column's collation tells apart; a compound takes it from its first part.
SELECT count(*) FROM (SELECT {column} FROM {table} WHERE 0 UNION SELECT 'a' UNION SELECT 'A' UNION SELECT 'a ');

-- name: update
UPDATE {table} SET {assignments} WHERE {same_key};

-- name: find_row
SELECT 1 FROM {table} WHERE {same_key};

-- name: insert
-- For rows that an UPDATE did not find; ON CONFLICT is for a second spelling of a key that was just inserted.
INSERT INTO {table} ({columns}) VALUES ({values})
ON CONFLICT ({key_columns}) DO UPDATE SET {conflict_assignments};

-- name: read_counter
SELECT COALESCE({column}, 0) FROM {table} WHERE {same_key};

-- name: sum
-- The new value of a counter. SQLite answers an integer overflow with a rounded REAL; abs() of the lowest
-- integer is an error, and so stops the statement. The amount is given twice. NULL adds nothing.
CASE typeof(COALESCE({column}, 0) + {amount})
    WHEN 'integer' THEN COALESCE({column}, 0) + {amount}
    WHEN 'null' THEN {column}
    ELSE abs(min(COALESCE({column}, 0), -9223372036854775807 - 1))
END

-- name: create_table
CREATE TABLE IF NOT EXISTS {table} ({definitions});
