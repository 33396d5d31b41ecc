-- The ledger of writebehind: what this database has applied of each partition's chain of batches.
-- Safe to run again. There are no foreign keys: DuckDB could not change a row that another one references.

-- One row: who this ledger is, to tell a database that was replaced or restored from another.
CREATE TABLE IF NOT EXISTS writebehind_meta (
    only_row BOOLEAN PRIMARY KEY CHECK (only_row),
    ledger_identity TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

INSERT INTO writebehind_meta (only_row, ledger_identity, version)
VALUES (true, replace(CAST(uuid() AS TEXT), '-', ''), 1)
ON CONFLICT (only_row) DO NOTHING;

-- One row per partition of a mapping.
CREATE SEQUENCE IF NOT EXISTS writebehind_partitions_id;
CREATE TABLE IF NOT EXISTS writebehind_partitions (
    id BIGINT PRIMARY KEY DEFAULT nextval('writebehind_partitions_id'),
    namespace TEXT NOT NULL,
    mapping TEXT NOT NULL,
    partition INTEGER NOT NULL,
    head TEXT NOT NULL DEFAULT 'root',
    commit_number BIGINT NOT NULL DEFAULT 0,
    declaration TEXT NOT NULL,
    UNIQUE (namespace, mapping, partition)
);

-- Batches that were dealt with. Fences are kept for ever, the others for seven days.
CREATE TABLE IF NOT EXISTS writebehind_batches (
    partition_id BIGINT NOT NULL,
    batch TEXT NOT NULL,
    birth TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('batch', 'fence', 'quarantined')),
    writes BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    applied_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (partition_id, batch)
);

-- Incarnations of the cache from which nothing more may be applied. Kept for ever.
CREATE TABLE IF NOT EXISTS writebehind_closed (
    partition_id BIGINT NOT NULL,
    incarnation TEXT NOT NULL,
    closed_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (partition_id, incarnation)
);

-- The last sequence number that this database has of each lane (a producer within an incarnation).
CREATE TABLE IF NOT EXISTS writebehind_marks (
    partition_id BIGINT NOT NULL,
    producer TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    seq BIGINT NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (partition_id, producer, incarnation)
);

-- What the application's own keys were worth when they were captured last. Always empty: event logs capture nothing.
CREATE TABLE IF NOT EXISTS writebehind_captured (
    partition_id BIGINT NOT NULL,
    key TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (partition_id, key)
);

-- Events that could not become rows, with the reason. value is the event as it travelled.
CREATE SEQUENCE IF NOT EXISTS writebehind_dead_letters_id;
CREATE TABLE IF NOT EXISTS writebehind_dead_letters (
    id BIGINT PRIMARY KEY DEFAULT nextval('writebehind_dead_letters_id'),
    partition_id BIGINT NOT NULL,
    mapping TEXT NOT NULL,
    key TEXT NOT NULL,
    operation TEXT NOT NULL,
    value TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    sqlstate TEXT NOT NULL,
    batch TEXT NOT NULL,
    birth TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What a person should know of. detail is JSON.
CREATE SEQUENCE IF NOT EXISTS writebehind_incidents_id;
CREATE TABLE IF NOT EXISTS writebehind_incidents (
    id BIGINT PRIMARY KEY DEFAULT nextval('writebehind_incidents_id'),
    partition_id BIGINT NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL DEFAULT now()
);
