-- Quarterly rewards of MVC: what is due of each quarter, what was signed for it, who was paid on
-- Ethereum, and who was told. A quarter is named by 4 x year + (0 to 3).

-- One row for each thing that a quarter needs: the slot is filled once, whoever wakes the gateway and
-- however often.
CREATE TABLE reward_slots (
    quarter INTEGER NOT NULL CHECK (quarter > 0),
    -- close: the native chain closed it. open, forward: on Ethereum. claim: custodial holders are paid
    -- there. pay: the native chain paid everybody. tell: members are told.
    slot    TEXT NOT NULL CHECK (slot IN ('close', 'open', 'forward', 'claim', 'pay', 'tell')),
    -- If it is not done by then it is late, and operators hear of it once.
    late_at INTEGER NOT NULL,
    alarmed INTEGER NOT NULL DEFAULT 0 CHECK (alarmed IN (0, 1)),
    -- tell: the last member who was looked at.
    reached TEXT NOT NULL DEFAULT '',
    done_at INTEGER,
    PRIMARY KEY (quarter, slot)
) STRICT;
CREATE TRIGGER reward_slots_fixed BEFORE UPDATE OF quarter, slot, late_at ON reward_slots
BEGIN SELECT RAISE(ABORT, 'when a slot is late does not change'); END;
CREATE TRIGGER reward_slots_done BEFORE UPDATE ON reward_slots
WHEN OLD.done_at IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'what is done stays done'); END;
CREATE TRIGGER reward_slots_kept BEFORE DELETE ON reward_slots
BEGIN SELECT RAISE(ABORT, 'slots are kept: they are filled once'); END;

-- Transactions for Ethereum, stored before they are broadcast. Attempts of one nonce do the same at a
-- higher price; the chain takes one of them.
CREATE TABLE reward_transactions (
    sender     TEXT NOT NULL,
    nonce      INTEGER NOT NULL CHECK (nonce >= 0),
    attempt    INTEGER NOT NULL CHECK (attempt >= 0),
    quarter    INTEGER NOT NULL,
    slot       TEXT NOT NULL CHECK (slot IN ('open', 'forward', 'claim')),
    hash       TEXT NOT NULL UNIQUE,
    raw        BLOB NOT NULL,
    -- pending: not known to be final. final: it succeeded. reverted: the chain ran and refused it.
    -- dead: its nonce went to another transaction.
    outcome    TEXT NOT NULL DEFAULT 'pending' CHECK (outcome IN ('pending', 'final', 'reverted', 'dead')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (sender, nonce, attempt)
) STRICT;
CREATE INDEX reward_transactions_pending ON reward_transactions (sender) WHERE outcome = 'pending';
CREATE TRIGGER reward_transactions_fixed
BEFORE UPDATE OF sender, nonce, attempt, quarter, slot, hash, raw, created_at ON reward_transactions
BEGIN SELECT RAISE(ABORT, 'a signed transaction does not change'); END;
CREATE TRIGGER reward_transactions_settled BEFORE UPDATE ON reward_transactions
WHEN OLD.outcome <> 'pending' AND NEW.outcome <> OLD.outcome
BEGIN SELECT RAISE(ABORT, 'what is final stays final'); END;
CREATE TRIGGER reward_transactions_kept BEFORE DELETE ON reward_transactions
BEGIN SELECT RAISE(ABORT, 'signed transactions are kept'); END;

-- Custodial holders who have what they earned on Ethereum, in a finalized block.
CREATE TABLE reward_claims (
    quarter INTEGER NOT NULL,
    holder  TEXT NOT NULL,
    -- In wei, a decimal: the chain's integers are longer than the database's. 0: it earned nothing.
    amount  TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (quarter, holder)
) STRICT;
CREATE TRIGGER reward_claims_fixed BEFORE UPDATE ON reward_claims
BEGIN SELECT RAISE(ABORT, 'what was paid does not change'); END;
CREATE TRIGGER reward_claims_kept BEFORE DELETE ON reward_claims
BEGIN SELECT RAISE(ABORT, 'what was paid is kept'); END;

-- Members who were told what they earned.
CREATE TABLE reward_told (
    quarter   INTEGER NOT NULL,
    member_id TEXT NOT NULL REFERENCES members (id),
    at        INTEGER NOT NULL,
    PRIMARY KEY (quarter, member_id)
) STRICT;
CREATE TRIGGER reward_told_fixed BEFORE UPDATE ON reward_told
BEGIN SELECT RAISE(ABORT, 'a member is told once'); END;
CREATE TRIGGER reward_told_kept BEFORE DELETE ON reward_told
BEGIN SELECT RAISE(ABORT, 'a member is told once'); END;

-- Where a member's points went.
CREATE INDEX conversions_by_member ON conversions (partner, programme, member_id);
