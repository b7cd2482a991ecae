-- The gateway's database. Amounts are integers: whole miles, micro-points (1 MVP = 1,000,000).
-- Times are milliseconds since 1970. Nothing here holds a password, a token or an API key.

-- Which chain this database belongs to.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE quotes (
    id                    TEXT PRIMARY KEY,
    partner               TEXT NOT NULL,
    programme             TEXT NOT NULL,
    member_id             TEXT NOT NULL,
    miles                 INTEGER NOT NULL CHECK (miles > 0),
    micro_points_per_mile INTEGER NOT NULL CHECK (micro_points_per_mile > 0),
    micro_points          INTEGER NOT NULL CHECK (micro_points > 0),
    created_at            INTEGER NOT NULL,
    expires_at            INTEGER NOT NULL,
    -- A quote is used once.
    used_by               TEXT UNIQUE REFERENCES conversions (id) DEFERRABLE INITIALLY DEFERRED
) STRICT;

CREATE TABLE conversions (
    id                    TEXT PRIMARY KEY,
    partner               TEXT NOT NULL,
    quote_id              TEXT NOT NULL UNIQUE REFERENCES quotes (id),
    programme             TEXT NOT NULL,
    member_id             TEXT NOT NULL,
    receiver              TEXT NOT NULL,
    miles                 INTEGER NOT NULL CHECK (miles > 0),
    micro_points_per_mile INTEGER NOT NULL CHECK (micro_points_per_mile > 0),
    micro_points          INTEGER NOT NULL CHECK (micro_points = miles * micro_points_per_mile),
    state                 TEXT NOT NULL REFERENCES states (state),
    -- Our name for the debit. Written, with everything the debit says, before the call.
    debit_reference       TEXT NOT NULL UNIQUE,
    debit_sent_at         INTEGER,
    partner_reference     TEXT,
    -- How often in a row the partner said "not found" after its visibility window had passed.
    absent_reads          INTEGER NOT NULL DEFAULT 0,
    issue_hash            TEXT,
    issue_block           INTEGER,
    reason_code           TEXT,
    reason                TEXT,
    -- Steps tried in this state, and when the next is due.
    attempts              INTEGER NOT NULL DEFAULT 0,
    due_at                INTEGER NOT NULL,
    created_at            INTEGER NOT NULL,
    updated_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX conversions_by_partner ON conversions (partner, id);
CREATE INDEX conversions_due ON conversions (due_at) WHERE state NOT IN ('completed', 'refused', 'reversed', 'attention');

CREATE TABLE states (
    state   TEXT PRIMARY KEY,
    -- Nothing more will happen by itself.
    settled INTEGER NOT NULL CHECK (settled IN (0, 1))
) STRICT;
INSERT INTO states VALUES
    ('created', 0), ('debiting', 0), ('debit_unknown', 0), ('debited', 0), ('issuing', 0),
    ('reversing', 0), ('completed', 1), ('refused', 1), ('reversed', 1), ('attention', 1);

-- The only ways from one state to another. A trigger holds every writer to it.
CREATE TABLE transitions (
    from_state TEXT NOT NULL REFERENCES states (state),
    to_state   TEXT NOT NULL REFERENCES states (state),
    PRIMARY KEY (from_state, to_state)
) STRICT;
INSERT INTO transitions VALUES
    ('created', 'debiting'),        -- intent and payload are committed; the call comes next
    ('created', 'refused'),         -- nothing was sent
    ('debiting', 'debited'),
    ('debiting', 'refused'),
    ('debiting', 'debit_unknown'),
    ('debit_unknown', 'debited'),
    ('debit_unknown', 'refused'),
    ('debit_unknown', 'reversing'),
    ('debit_unknown', 'attention'),
    ('debited', 'issuing'),         -- the signed transaction is stored; broadcasting comes next
    ('debited', 'attention'),
    ('issuing', 'completed'),
    ('issuing', 'reversing'),       -- the chain refused the issue for good
    ('issuing', 'attention'),
    ('reversing', 'reversed'),
    ('reversing', 'attention');

CREATE TRIGGER conversions_transition BEFORE UPDATE OF state ON conversions
WHEN NEW.state <> OLD.state AND NOT EXISTS (
    SELECT 1 FROM transitions WHERE from_state = OLD.state AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'a conversion cannot go from this state to that'); END;

CREATE TRIGGER conversions_begin BEFORE INSERT ON conversions WHEN NEW.state <> 'created'
BEGIN SELECT RAISE(ABORT, 'a conversion begins as created'); END;

-- What was agreed does not change.
CREATE TRIGGER conversions_fixed
BEFORE UPDATE OF id, partner, quote_id, programme, member_id, receiver, miles,
    micro_points_per_mile, micro_points, debit_reference ON conversions
BEGIN SELECT RAISE(ABORT, 'the terms of a conversion do not change'); END;
CREATE TRIGGER conversions_kept BEFORE DELETE ON conversions
BEGIN SELECT RAISE(ABORT, 'conversions are kept'); END;

-- Every change of state, for ever.
CREATE TABLE conversion_events (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    from_state    TEXT,
    to_state      TEXT NOT NULL,
    note          TEXT,
    at            INTEGER NOT NULL
) STRICT;
CREATE INDEX conversion_events_by_conversion ON conversion_events (conversion_id);
CREATE TRIGGER conversion_events_fixed BEFORE UPDATE ON conversion_events
BEGIN SELECT RAISE(ABORT, 'events do not change'); END;
CREATE TRIGGER conversion_events_kept BEFORE DELETE ON conversion_events
BEGIN SELECT RAISE(ABORT, 'events are kept'); END;

-- Signed transactions, stored before they are broadcast. The nonce is taken by being stored.
CREATE TABLE issue_transactions (
    issuer        TEXT NOT NULL,
    nonce         INTEGER NOT NULL CHECK (nonce >= 0),
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    hash          TEXT NOT NULL UNIQUE,
    raw           BLOB NOT NULL,
    -- pending; mined (it issued); reverted (the chain ran and refused it);
    -- dead (its nonce went to another transaction)
    outcome       TEXT NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'mined', 'reverted', 'dead')),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (issuer, nonce)
) STRICT;
CREATE INDEX issue_transactions_by_conversion ON issue_transactions (conversion_id, nonce);
CREATE TRIGGER issue_transactions_fixed
BEFORE UPDATE OF issuer, nonce, conversion_id, hash, raw ON issue_transactions
BEGIN SELECT RAISE(ABORT, 'a signed transaction does not change'); END;
CREATE TRIGGER issue_transactions_kept BEFORE DELETE ON issue_transactions
BEGIN SELECT RAISE(ABORT, 'signed transactions are kept'); END;

-- Idempotency keys and the answers they got.
CREATE TABLE idempotency_keys (
    partner     TEXT NOT NULL,
    key         TEXT NOT NULL,
    operation   TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    -- The run of the gateway that works on it; empty when nobody does.
    owner       TEXT NOT NULL,
    -- What the request made, from the moment it made it.
    resource_id TEXT,
    status      INTEGER,
    body        BLOB,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (partner, key),
    CHECK ((status IS NULL) = (body IS NULL))
) STRICT;
CREATE TRIGGER idempotency_keys_answered BEFORE UPDATE ON idempotency_keys WHEN OLD.status IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'an answer once given does not change'); END;
CREATE TRIGGER idempotency_keys_kept BEFORE DELETE ON idempotency_keys
WHEN OLD.status IS NOT NULL OR OLD.resource_id IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'keys that did something are kept'); END;
