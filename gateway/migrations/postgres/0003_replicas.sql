-- Work that is due, and who does it.

-- Runs of the gateway that are alive: each says so again and again. Who is silent for longer than
-- the configured time is taken for dead, and its work is taken over.
CREATE TABLE replicas (
    run     TEXT PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- One row for each thing that is still to be done; gone once it is done. A row is claimed by a
-- run for a time (FOR UPDATE SKIP LOCKED). The primary key makes a slot unique: the same work is
-- never queued twice.
CREATE TABLE jobs (
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    due_at      BIGINT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    owner       TEXT NOT NULL DEFAULT '',
    owned_until BIGINT NOT NULL DEFAULT 0,
    last_error  TEXT,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX jobs_due ON jobs (due_at);

-- The next nonce of each issuer's key. Taking one locks the row, so no two replicas take the same.
CREATE TABLE issuers (
    address    TEXT PRIMARY KEY,
    next_nonce BIGINT NOT NULL CHECK (next_nonce >= 0)
);
CREATE TRIGGER issuers_forward BEFORE UPDATE ON issuers
FOR EACH ROW WHEN (NEW.next_nonce <= OLD.next_nonce) EXECUTE FUNCTION refuse('nonces only go forward');
