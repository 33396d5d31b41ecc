-- Event logs. {names in braces} are filled with quoted identifiers.

-- name: copy
COPY {table} ({columns}) FROM STDIN

-- name: insert_defaults
-- For events without any column, which COPY has no way to say.
INSERT INTO {table} SELECT FROM generate_series(1, %(count)s)

-- name: check_now
-- A deferred constraint would speak at the COMMIT, which a trial does not reach.
SET CONSTRAINTS ALL IMMEDIATE
