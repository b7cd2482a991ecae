-- Members that were linked once, with their consent. Personal data is sealed under a key of the
-- row's own, which is wrapped by a key that follows from the master key; all of it is NULL once
-- the member has left.

CREATE TABLE members (
    id           TEXT PRIMARY KEY,
    partner      TEXT NOT NULL,
    programme    TEXT NOT NULL,
    -- An HMAC of the partner's id of the member: finds it again, tells nothing.
    digest       TEXT,
    key_id       TEXT,
    wrapped_key  BLOB,
    data         BLOB,
    -- The text that the member agreed to, and when.
    consent      TEXT NOT NULL,
    consented_at INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('linked', 'relink', 'left')),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (partner, programme, digest),
    CHECK (status <> 'left' OR (digest IS NULL AND key_id IS NULL AND wrapped_key IS NULL AND data IS NULL))
) STRICT;
CREATE INDEX members_by_key ON members (key_id);
CREATE TRIGGER members_kept BEFORE DELETE ON members
BEGIN SELECT RAISE(ABORT, 'that a member agreed is kept; erase its data'); END;
