-- Conversions that are not at their end: few, however many there ever were. Whoever looks for them says the same
-- condition, word for word.

CREATE INDEX conversions_open ON conversions (state, id)
    WHERE state NOT IN ('completed', 'refused', 'returned', 'reversed');
