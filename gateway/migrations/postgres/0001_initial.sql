-- The gateway's database. Amounts are integers: whole miles, micro-points (1 MVP = 1,000,000).
-- Times are milliseconds since 1970. Nothing here holds a password, a token or an API key.
-- The tables are those of `migrations/sqlite`; only the dialect differs.

-- Refuses whatever it is put before, with the sentence it is given.
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$;

-- Which chain this database belongs to.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE quotes (
    id                    TEXT PRIMARY KEY,
    partner               TEXT NOT NULL,
    programme             TEXT NOT NULL,
    member_id             TEXT NOT NULL,
    miles                 BIGINT NOT NULL CHECK (miles > 0),
    micro_points_per_mile BIGINT NOT NULL CHECK (micro_points_per_mile > 0),
    micro_points          BIGINT NOT NULL CHECK (micro_points > 0),
    created_at            BIGINT NOT NULL,
    expires_at            BIGINT NOT NULL,
    -- A quote is used once.
    used_by               TEXT UNIQUE
);

CREATE TABLE states (
    state   TEXT PRIMARY KEY,
    -- Nothing more will happen by itself.
    settled BIGINT NOT NULL CHECK (settled IN (0, 1))
);
INSERT INTO states VALUES
    ('created', 0), ('debiting', 0), ('debit_unknown', 0), ('debited', 0), ('issuing', 0),
    ('reversing', 0), ('completed', 1), ('refused', 1), ('reversed', 1), ('attention', 1);

CREATE TABLE conversions (
    id                    TEXT PRIMARY KEY,
    partner               TEXT NOT NULL,
    quote_id              TEXT NOT NULL UNIQUE REFERENCES quotes (id),
    programme             TEXT NOT NULL,
    member_id             TEXT NOT NULL,
    receiver              TEXT NOT NULL,
    miles                 BIGINT NOT NULL CHECK (miles > 0),
    micro_points_per_mile BIGINT NOT NULL CHECK (micro_points_per_mile > 0),
    micro_points          BIGINT NOT NULL CHECK (micro_points = miles * micro_points_per_mile),
    state                 TEXT NOT NULL REFERENCES states (state),
    -- Our name for the debit. Written, with everything the debit says, before the call.
    debit_reference       TEXT NOT NULL UNIQUE,
    debit_sent_at         BIGINT,
    partner_reference     TEXT,
    -- How often in a row the partner said "not found" after its visibility window had passed.
    absent_reads          BIGINT NOT NULL DEFAULT 0,
    issue_hash            TEXT,
    issue_block           BIGINT,
    reason_code           TEXT,
    reason                TEXT,
    -- Steps tried in this state.
    attempts              BIGINT NOT NULL DEFAULT 0,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL
);
CREATE INDEX conversions_by_partner ON conversions (partner, id);
ALTER TABLE quotes ADD FOREIGN KEY (used_by) REFERENCES conversions (id) DEFERRABLE INITIALLY DEFERRED;

-- The only ways from one state to another. A trigger holds every writer to it.
CREATE TABLE transitions (
    from_state TEXT NOT NULL REFERENCES states (state),
    to_state   TEXT NOT NULL REFERENCES states (state),
    PRIMARY KEY (from_state, to_state)
);
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

CREATE FUNCTION conversions_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM transitions
                   WHERE from_state = OLD.state AND to_state = NEW.state) THEN
        RAISE EXCEPTION 'a conversion cannot go from % to %', OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER conversions_transition BEFORE UPDATE OF state ON conversions
FOR EACH ROW WHEN (NEW.state IS DISTINCT FROM OLD.state) EXECUTE FUNCTION conversions_transition();

CREATE TRIGGER conversions_begin BEFORE INSERT ON conversions
FOR EACH ROW WHEN (NEW.state <> 'created') EXECUTE FUNCTION refuse('a conversion begins as created');

-- What was agreed does not change.
CREATE TRIGGER conversions_fixed
BEFORE UPDATE OF id, partner, quote_id, programme, member_id, receiver, miles,
    micro_points_per_mile, micro_points, debit_reference ON conversions
FOR EACH ROW EXECUTE FUNCTION refuse('the terms of a conversion do not change');
CREATE TRIGGER conversions_kept BEFORE DELETE ON conversions
FOR EACH ROW EXECUTE FUNCTION refuse('conversions are kept');

-- Every change of state, for ever.
CREATE TABLE conversion_events (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    from_state    TEXT,
    to_state      TEXT NOT NULL,
    note          TEXT,
    at            BIGINT NOT NULL
);
CREATE INDEX conversion_events_by_conversion ON conversion_events (conversion_id);
CREATE TRIGGER conversion_events_fixed BEFORE UPDATE ON conversion_events
FOR EACH ROW EXECUTE FUNCTION refuse('events do not change');
CREATE TRIGGER conversion_events_kept BEFORE DELETE ON conversion_events
FOR EACH ROW EXECUTE FUNCTION refuse('events are kept');

-- Signed transactions, stored before they are broadcast. The nonce is taken by being stored.
CREATE TABLE issue_transactions (
    issuer        TEXT NOT NULL,
    nonce         BIGINT NOT NULL CHECK (nonce >= 0),
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    hash          TEXT NOT NULL UNIQUE,
    raw           BYTEA NOT NULL,
    -- pending; mined (it issued); reverted (the chain ran and refused it);
    -- dead (its nonce went to another transaction)
    outcome       TEXT NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'mined', 'reverted', 'dead')),
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (issuer, nonce)
);
CREATE INDEX issue_transactions_by_conversion ON issue_transactions (conversion_id, nonce);
CREATE TRIGGER issue_transactions_fixed
BEFORE UPDATE OF issuer, nonce, conversion_id, hash, raw ON issue_transactions
FOR EACH ROW EXECUTE FUNCTION refuse('a signed transaction does not change');
CREATE TRIGGER issue_transactions_kept BEFORE DELETE ON issue_transactions
FOR EACH ROW EXECUTE FUNCTION refuse('signed transactions are kept');

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
    status      BIGINT,
    body        BYTEA,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (partner, key),
    CHECK ((status IS NULL) = (body IS NULL))
);
CREATE TRIGGER idempotency_keys_answered BEFORE UPDATE ON idempotency_keys
FOR EACH ROW WHEN (OLD.status IS NOT NULL)
EXECUTE FUNCTION refuse('an answer once given does not change');
CREATE TRIGGER idempotency_keys_kept BEFORE DELETE ON idempotency_keys
FOR EACH ROW WHEN (OLD.status IS NOT NULL OR OLD.resource_id IS NOT NULL)
EXECUTE FUNCTION refuse('keys that did something are kept');
