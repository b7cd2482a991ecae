-- Work that is due, and who does it.

-- Runs of the gateway that are alive: each says so again and again. Who is silent for longer than
-- the configured time is taken for dead, and its work is taken over.
CREATE TABLE replicas (
    run     TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL
) STRICT;

-- One row for each thing that is still to be done; gone once it is done. A row is claimed by a
-- run for a time. The primary key makes a slot unique: the same work is never queued twice.
CREATE TABLE jobs (
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    due_at      INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    owner       TEXT NOT NULL DEFAULT '',
    owned_until INTEGER NOT NULL DEFAULT 0,
    last_error  TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;
CREATE INDEX jobs_due ON jobs (due_at);

INSERT INTO jobs (kind, name, due_at, created_at)
SELECT 'conversion', id, due_at, created_at FROM conversions
WHERE state NOT IN ('completed', 'refused', 'reversed', 'attention');
DROP INDEX conversions_due;
ALTER TABLE conversions DROP COLUMN due_at;

-- The next nonce of each issuer's key. Taking one locks the row, so no two replicas take the same.
CREATE TABLE issuers (
    address    TEXT PRIMARY KEY,
    next_nonce INTEGER NOT NULL CHECK (next_nonce >= 0)
) STRICT;
INSERT INTO issuers SELECT issuer, MAX(nonce) + 1 FROM issue_transactions GROUP BY issuer;
CREATE TRIGGER issuers_forward BEFORE UPDATE ON issuers WHEN NEW.next_nonce <= OLD.next_nonce
BEGIN SELECT RAISE(ABORT, 'nonces only go forward'); END;
