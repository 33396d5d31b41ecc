-- The tables of the games, and their rows for the audit; times in microseconds since 1970.

-- name: create_scores
CREATE TABLE scores (game text, player text, points bigint NOT NULL, PRIMARY KEY (game, player))

-- name: create_profiles
CREATE TABLE profiles (
    player text PRIMARY KEY,
    name text,
    plan text NOT NULL DEFAULT 'free',
    games bigint NOT NULL DEFAULT 0,
    last_seen timestamptz
)

-- name: create_clicks
-- Nothing is unique here: a click that was appended twice would stay, and be found.
CREATE TABLE clicks (id BIGINT NOT NULL, "user" TEXT NOT NULL, move TEXT NOT NULL, "at" TIMESTAMPTZ NOT NULL)

-- name: read_scores
SELECT game, player, points FROM scores

-- name: read_profiles
SELECT player, name, plan, games, (extract(epoch FROM last_seen) * 1000000)::bigint FROM profiles

-- name: read_clicks
SELECT id, "user", move, epoch_us("at") FROM clicks

-- name: count_batches
-- Each was one INSERT.
SELECT count(*) FROM writebehind_batches WHERE kind = 'batch' AND rows > 0
