-- Prepaid points. The journal says how they came and went; these rows hold the sum, so that two
-- conversions that come at once cannot spend the same points.

CREATE TABLE floats (
    partner         TEXT PRIMARY KEY REFERENCES partners (name),
    -- Can be converted, and set aside for conversions that are on their way.
    available       INTEGER NOT NULL DEFAULT 0 CHECK (available >= 0),
    held            INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    -- Below the threshold a top-up of this many micro-points is begun; none if zero.
    threshold       INTEGER NOT NULL DEFAULT 0 CHECK (threshold >= 0),
    top_up          INTEGER NOT NULL DEFAULT 0 CHECK (top_up >= 0),
    top_up_basis    TEXT NOT NULL DEFAULT 'market' CHECK (top_up_basis IN ('market', 'average'))
) STRICT;

-- What a conversion drew from its float; zero for partners that settle afterwards.
ALTER TABLE conversions ADD COLUMN held_micro_points INTEGER NOT NULL DEFAULT 0 CHECK (held_micro_points >= 0);

-- The market price of a point in ether: wei for one MVP, from its moment until the next one.
CREATE TABLE prices (
    at            INTEGER PRIMARY KEY,
    wei_per_point INTEGER NOT NULL CHECK (wei_per_point > 0),
    source        TEXT NOT NULL
) STRICT;
CREATE TRIGGER prices_fixed BEFORE UPDATE ON prices
BEGIN SELECT RAISE(ABORT, 'prices do not change'); END;
CREATE TRIGGER prices_kept BEFORE DELETE ON prices
BEGIN SELECT RAISE(ABORT, 'prices are kept'); END;

CREATE TABLE top_ups (
    id               TEXT PRIMARY KEY,
    partner          TEXT NOT NULL REFERENCES floats (partner),
    micro_points     INTEGER NOT NULL CHECK (micro_points > 0),
    basis            TEXT NOT NULL CHECK (basis IN ('market', 'average')),
    wei_per_point    INTEGER NOT NULL CHECK (wei_per_point > 0),
    -- Billionths of an ether. No two top-ups ask for the same amount, so a payment names its top-up.
    gwei             INTEGER NOT NULL UNIQUE CHECK (gwei > 0),
    pay_to           TEXT NOT NULL,
    state            TEXT NOT NULL CHECK (state IN ('awaiting_payment', 'paid', 'expired')),
    automatic        INTEGER NOT NULL CHECK (automatic IN (0, 1)),
    -- The payment: one transaction pays one top-up.
    transaction_hash TEXT UNIQUE,
    expires_at       INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX top_ups_by_partner ON top_ups (partner, id);
-- One automatic top-up at a time.
CREATE UNIQUE INDEX top_ups_automatic ON top_ups (partner) WHERE automatic = 1 AND state = 'awaiting_payment';
CREATE TRIGGER top_ups_fixed
BEFORE UPDATE OF id, partner, micro_points, basis, wei_per_point, gwei, pay_to, automatic ON top_ups
BEGIN SELECT RAISE(ABORT, 'the terms of a top-up do not change'); END;
CREATE TRIGGER top_ups_paid BEFORE UPDATE ON top_ups WHEN OLD.state = 'paid'
BEGIN SELECT RAISE(ABORT, 'a paid top-up does not change'); END;
CREATE TRIGGER top_ups_kept BEFORE DELETE ON top_ups
BEGIN SELECT RAISE(ABORT, 'top-ups are kept'); END;
