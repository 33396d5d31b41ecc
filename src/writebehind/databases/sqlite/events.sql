-- Event logs. {names in braces} are filled with quoted identifiers.

-- name: append
INSERT INTO {table} ({columns}) VALUES ({values});

-- name: append_defaults
-- For events without any column.
INSERT INTO {table} DEFAULT VALUES;
