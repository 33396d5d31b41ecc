-- Event logs. {names in braces} are filled with quoted identifiers and casts; `given` is an Arrow table of texts.

-- name: append
-- DuckDB keeps the order of the rows that it is given (preserve_insertion_order).
INSERT INTO {table} ({columns}) SELECT {values} FROM given;

-- name: append_defaults
-- For events without any column.
INSERT INTO {table} DEFAULT VALUES;

-- name: create_table
CREATE TABLE IF NOT EXISTS {table} ({definitions});
