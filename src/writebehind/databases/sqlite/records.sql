-- Changing and reading records. {names in braces} are filled with quoted identifiers.

-- name: delete
DELETE FROM {table} WHERE {same_key};

-- name: update
UPDATE {table} SET {assignments} WHERE {same_key};

-- name: find_row
SELECT 1 FROM {table} WHERE {same_key};

-- name: insert
INSERT INTO {table} ({columns}) VALUES ({values});

-- name: read
SELECT {columns} FROM {table} WHERE {same_key};
