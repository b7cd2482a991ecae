-- Fees, the caller's own reference, cancelling and disputing.

ALTER TABLE quotes ADD COLUMN fee_micro_points BIGINT NOT NULL DEFAULT 0 CHECK (fee_micro_points >= 0);
-- member: the fee is kept back of the points. partner: it comes on top of what the partner owes.
ALTER TABLE quotes ADD COLUMN fee_payer TEXT NOT NULL DEFAULT 'member' CHECK (fee_payer IN ('member', 'partner'));
ALTER TABLE conversions ADD COLUMN fee_micro_points BIGINT NOT NULL DEFAULT 0 CHECK (fee_micro_points >= 0);
ALTER TABLE conversions ADD COLUMN fee_payer TEXT NOT NULL DEFAULT 'member' CHECK (fee_payer IN ('member', 'partner'));

-- What the caller calls the conversion; no two of its conversions have the same.
ALTER TABLE conversions ADD COLUMN reference TEXT;
CREATE UNIQUE INDEX conversions_by_reference ON conversions (partner, reference) WHERE reference IS NOT NULL;

DROP TRIGGER conversions_fixed ON conversions;
CREATE TRIGGER conversions_fixed BEFORE UPDATE OF id, partner, quote_id, programme, member_id, receiver, miles,
    micro_points_per_mile, micro_points, debit_reference, held_micro_points, fee_micro_points,
    fee_payer, reference ON conversions
FOR EACH ROW EXECUTE FUNCTION refuse('the terms of a conversion do not change');

INSERT INTO states VALUES
    ('disputed', 0),  -- the partner disputes it: the miles go back
    ('returned', 1);  -- the miles are back; the points are a claim on the partner
INSERT INTO transitions VALUES
    ('debited', 'reversing'),       -- cancelled before anything was signed
    ('completed', 'disputed'),
    ('disputed', 'returned'),
    ('disputed', 'completed');      -- the partner's own system refuses to give the miles back
INSERT INTO journal_kinds VALUES
    ('returned', 'a disputed conversion: the miles were given back, the points are a claim on the partner');
