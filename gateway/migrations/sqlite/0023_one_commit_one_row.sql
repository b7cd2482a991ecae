-- What is decided in one commit is written to the row once; its events still tell of each state.

-- A conversion's intent to debit is stored with it.
DROP TRIGGER conversions_begin;
CREATE TRIGGER conversions_begin BEFORE INSERT ON conversions
WHEN NOT (NEW.state = 'created' OR (NEW.state = 'debiting' AND NEW.debit_sent_at IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'a conversion begins as created, or as debiting with its intent'); END;

INSERT INTO transitions VALUES
    ('debiting', 'issuing');        -- by way of debited: the partner's answer is stored with the signed issue
