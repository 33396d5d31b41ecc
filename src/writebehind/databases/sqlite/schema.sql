-- The ledger of writebehind: what this database has applied of each partition's chain of batches.
-- Safe to run again.

-- One row: who this ledger is, to tell a database that was replaced or restored from another.
CREATE TABLE IF NOT EXISTS writebehind_meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    ledger_identity TEXT NOT NULL,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

INSERT INTO writebehind_meta (only_row, ledger_identity, version)
VALUES (1, lower(hex(randomblob(16))), 1)
ON CONFLICT (only_row) DO NOTHING;

-- One row per partition of a mapping.
CREATE TABLE IF NOT EXISTS writebehind_partitions (
    id INTEGER PRIMARY KEY,
    namespace TEXT NOT NULL,
    mapping TEXT NOT NULL,
    partition INTEGER NOT NULL,
    head TEXT NOT NULL DEFAULT 'root',
    commit_number INTEGER NOT NULL DEFAULT 0,
    declaration TEXT NOT NULL,
    UNIQUE (namespace, mapping, partition)
);

-- Batches that were dealt with. Fences are kept for ever, the others for seven days.
CREATE TABLE IF NOT EXISTS writebehind_batches (
    partition_id INTEGER NOT NULL REFERENCES writebehind_partitions (id),
    batch TEXT NOT NULL,
    birth TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('batch', 'fence', 'quarantined')),
    writes INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (partition_id, batch)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS writebehind_batches_birth
    ON writebehind_batches (partition_id, birth) WHERE kind = 'batch';
CREATE INDEX IF NOT EXISTS writebehind_batches_age
    ON writebehind_batches (partition_id, applied_at) WHERE kind <> 'fence';

-- Incarnations of the cache from which nothing more may be applied. Kept for ever.
CREATE TABLE IF NOT EXISTS writebehind_closed (
    partition_id INTEGER NOT NULL REFERENCES writebehind_partitions (id),
    incarnation TEXT NOT NULL,
    closed_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (partition_id, incarnation)
) WITHOUT ROWID;

-- The last sequence number that this database has of each lane (a producer within an incarnation).
CREATE TABLE IF NOT EXISTS writebehind_marks (
    partition_id INTEGER NOT NULL REFERENCES writebehind_partitions (id),
    producer TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    seq INTEGER NOT NULL,
    updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (partition_id, producer, incarnation)
) WITHOUT ROWID;

-- What the application's own keys were worth when they were captured last, in units of the column's scale.
CREATE TABLE IF NOT EXISTS writebehind_captured (
    partition_id INTEGER NOT NULL REFERENCES writebehind_partitions (id),
    key TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (partition_id, key)
) WITHOUT ROWID;

-- Writes that could not become part of their row, with the reason. value is what would have been written: of a
-- counter the amount, in units of the column's scale.
CREATE TABLE IF NOT EXISTS writebehind_dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_id INTEGER NOT NULL REFERENCES writebehind_partitions (id),
    mapping TEXT NOT NULL,
    key TEXT NOT NULL,
    operation TEXT NOT NULL,
    value TEXT NOT NULL,
    reason TEXT NOT NULL,
    error TEXT NOT NULL,
    sqlstate TEXT NOT NULL,
    batch TEXT NOT NULL,
    birth TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX IF NOT EXISTS writebehind_dead_letters_birth
    ON writebehind_dead_letters (partition_id, birth);

-- What a person should know of. detail is JSON.
CREATE TABLE IF NOT EXISTS writebehind_incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    partition_id INTEGER NOT NULL REFERENCES writebehind_partitions (id),
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
