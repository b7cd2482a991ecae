-- Wallets that the gateway keeps for linked members, and points that are moved out of them.

-- One for a member. The private key is sealed as members' data is (0009), and is NULL once the wallet
-- is closed; nothing else knows it.
CREATE TABLE wallets (
    member_id   TEXT PRIMARY KEY REFERENCES members (id),
    partner     TEXT NOT NULL,
    address     TEXT NOT NULL UNIQUE,
    key_id      TEXT,
    wrapped_key BLOB,
    data        BLOB,
    -- Counts what was begun with the wallet, so that closing it sees whether something was meanwhile.
    uses        INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0),
    created_at  INTEGER NOT NULL,
    closed_at   INTEGER,
    CHECK ((closed_at IS NULL) = (key_id IS NOT NULL) AND (closed_at IS NULL) = (wrapped_key IS NOT NULL)
        AND (closed_at IS NULL) = (data IS NOT NULL))
) STRICT;
CREATE INDEX wallets_by_key ON wallets (key_id);
CREATE TRIGGER wallets_fixed BEFORE UPDATE OF member_id, partner, address, created_at ON wallets
BEGIN SELECT RAISE(ABORT, 'a wallet does not change'); END;
CREATE TRIGGER wallets_key_kept BEFORE UPDATE OF data ON wallets
WHEN NEW.closed_at IS NULL AND NEW.data IS NOT OLD.data
BEGIN SELECT RAISE(ABORT, 'a wallet keeps its key'); END;
CREATE TRIGGER wallets_closed BEFORE UPDATE ON wallets WHEN OLD.closed_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'a closed wallet stays closed'); END;
CREATE TRIGGER wallets_kept BEFORE DELETE ON wallets
BEGIN SELECT RAISE(ABORT, 'wallets are kept; close them'); END;

-- Points moved out of a wallet. A row is stored with its signed transaction and nonce, before anybody
-- else sees them; sending the same bytes again moves nothing twice.
CREATE TABLE withdrawals (
    id                TEXT PRIMARY KEY,
    partner           TEXT NOT NULL,
    member_id         TEXT NOT NULL REFERENCES wallets (member_id),
    wallet            TEXT NOT NULL REFERENCES wallets (address),
    receiver          TEXT NOT NULL,
    micro_points      INTEGER NOT NULL CHECK (micro_points > 0),
    -- The transfer's fee, as it was stated before.
    fee_micro_points  INTEGER NOT NULL CHECK (fee_micro_points >= 0),
    nonce             INTEGER NOT NULL CHECK (nonce >= 0),
    hash              TEXT NOT NULL UNIQUE,
    raw               BLOB NOT NULL,
    -- sending: it may be with the chain. completed: the points are the receiver's.
    -- failed: they never left, and by this transaction never will.
    state             TEXT NOT NULL CHECK (state IN ('sending', 'completed', 'failed')),
    -- All that the wallet paid, fees and gas included, as the chain told; NULL as long as it is not known.
    paid_micro_points INTEGER CHECK (paid_micro_points >= 0),
    block             INTEGER,
    reason_code       TEXT,
    reason            TEXT,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    UNIQUE (wallet, nonce),
    CHECK ((state = 'sending') = (paid_micro_points IS NULL))
) STRICT;
-- One at a time: of two for the last points, one is begun.
CREATE UNIQUE INDEX withdrawals_open ON withdrawals (wallet) WHERE state = 'sending';
CREATE INDEX withdrawals_by_partner ON withdrawals (partner, id);
CREATE INDEX withdrawals_by_member ON withdrawals (member_id, id);
CREATE TRIGGER withdrawals_begin BEFORE INSERT ON withdrawals WHEN NEW.state <> 'sending'
BEGIN SELECT RAISE(ABORT, 'a withdrawal begins as sending'); END;
CREATE TRIGGER withdrawals_settled BEFORE UPDATE ON withdrawals WHEN OLD.state <> 'sending'
BEGIN SELECT RAISE(ABORT, 'what is settled stays settled'); END;
CREATE TRIGGER withdrawals_fixed
BEFORE UPDATE OF id, partner, member_id, wallet, receiver, micro_points, fee_micro_points, nonce, hash,
    raw, created_at ON withdrawals
BEGIN SELECT RAISE(ABORT, 'the terms of a withdrawal do not change'); END;
CREATE TRIGGER withdrawals_kept BEFORE DELETE ON withdrawals
BEGIN SELECT RAISE(ABORT, 'withdrawals are kept'); END;

-- Micro-points withdrawn on a UTC day, by `member:{id}` and `partner:{name}`. What failed is taken off
-- again.
CREATE TABLE daily_withdrawals (
    day          INTEGER NOT NULL,
    name         TEXT NOT NULL,
    micro_points INTEGER NOT NULL CHECK (micro_points >= 0),
    PRIMARY KEY (day, name)
) STRICT;

INSERT INTO journal_kinds VALUES
    ('entrusted', 'points of a conversion came into a wallet that the gateway keeps'),
    ('withdrawn', 'points left a wallet that the gateway keeps');
