-- The ledger of writebehind: what this database has applied of each partition's chain of batches.
-- Safe to run again. The tables go into the first schema of the search_path.

-- One row: who this ledger is, to tell a database that was replaced or restored from another.
CREATE TABLE IF NOT EXISTS writebehind_meta (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    ledger_identity text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO writebehind_meta (ledger_identity, version)
VALUES (replace(gen_random_uuid()::text, '-', ''), 1)
ON CONFLICT (only_row) DO NOTHING;

-- One row per partition of a mapping; flushers lock it. "C" makes every database sort alike.
CREATE TABLE IF NOT EXISTS writebehind_partitions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace text COLLATE "C" NOT NULL,
    mapping text COLLATE "C" NOT NULL,
    partition integer NOT NULL,
    head text NOT NULL DEFAULT 'root',
    commit_number bigint NOT NULL DEFAULT 0,
    declaration text NOT NULL,
    UNIQUE (namespace, mapping, partition)
);

-- Batches that were dealt with. Fences are kept for ever, the others for seven days.
CREATE TABLE IF NOT EXISTS writebehind_batches (
    partition_id bigint NOT NULL REFERENCES writebehind_partitions (id),
    batch text NOT NULL,
    birth text NOT NULL,
    incarnation text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('batch', 'fence', 'quarantined')),
    writes bigint NOT NULL,
    rows bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition_id, batch)
);
CREATE INDEX IF NOT EXISTS writebehind_batches_birth
    ON writebehind_batches (partition_id, birth) WHERE kind = 'batch';
CREATE INDEX IF NOT EXISTS writebehind_batches_age
    ON writebehind_batches (partition_id, applied_at) WHERE kind <> 'fence';

-- Incarnations of the cache from which nothing more may be applied. Kept for ever.
CREATE TABLE IF NOT EXISTS writebehind_closed (
    partition_id bigint NOT NULL REFERENCES writebehind_partitions (id),
    incarnation text NOT NULL,
    closed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition_id, incarnation)
);

-- The last sequence number that this database has of each lane (a producer within an incarnation).
CREATE TABLE IF NOT EXISTS writebehind_marks (
    partition_id bigint NOT NULL REFERENCES writebehind_partitions (id),
    producer text NOT NULL,
    incarnation text NOT NULL,
    seq bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (partition_id, producer, incarnation)
);

-- What the application's own keys were worth when they were captured last, in units of the column's scale.
CREATE TABLE IF NOT EXISTS writebehind_captured (
    partition_id bigint NOT NULL REFERENCES writebehind_partitions (id),
    key text NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (partition_id, key)
);

-- Writes that could not become part of their row, with the reason. value is what would have been written: of a
-- counter the amount, in units of the column's scale.
CREATE TABLE IF NOT EXISTS writebehind_dead_letters (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition_id bigint NOT NULL REFERENCES writebehind_partitions (id),
    mapping text NOT NULL,
    key text NOT NULL,
    operation text NOT NULL,
    value text NOT NULL,
    reason text NOT NULL,
    error text NOT NULL,
    sqlstate text NOT NULL,
    batch text NOT NULL,
    birth text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS writebehind_dead_letters_birth
    ON writebehind_dead_letters (partition_id, birth);

-- What a person should know of. detail is JSON.
CREATE TABLE IF NOT EXISTS writebehind_incidents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partition_id bigint NOT NULL REFERENCES writebehind_partitions (id),
    kind text NOT NULL,
    detail text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
