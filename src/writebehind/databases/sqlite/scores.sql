-- Leaderboards. {names in braces} are filled with quoted identifiers; {new} is a placeholder, or what an INSERT
-- would have written.

-- name: remove
DELETE FROM {table} WHERE {same_key};

-- name: max
max(COALESCE({column}, {new}), {new})

-- name: min
min(COALESCE({column}, {new}), {new})

-- name: last
{new}

-- name: read_board
SELECT {member}, CAST({column} AS {type}) FROM {table} WHERE {condition};
