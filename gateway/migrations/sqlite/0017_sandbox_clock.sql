-- How far a sandbox's clock is ahead. A gateway that is no sandbox has no row, and gets none.

-- What was there before there were sandboxes is none.
INSERT INTO meta (name, value) SELECT 'purpose', 'production' WHERE EXISTS (SELECT 1 FROM meta);

CREATE TABLE sandbox_clock (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    -- At most ten years of 366 days.
    ahead_ms INTEGER NOT NULL CHECK (ahead_ms BETWEEN 0 AND 316224000000)
) STRICT;
CREATE TRIGGER sandbox_clock_only BEFORE INSERT ON sandbox_clock
WHEN NOT EXISTS (SELECT 1 FROM meta WHERE name = 'purpose' AND value = 'sandbox')
BEGIN SELECT RAISE(ABORT, 'only a sandbox has a clock that can be moved'); END;
CREATE TRIGGER sandbox_clock_ahead BEFORE UPDATE ON sandbox_clock
WHEN NEW.ahead_ms < OLD.ahead_ms
BEGIN SELECT RAISE(ABORT, 'the clock is never moved back'); END;
CREATE TRIGGER sandbox_clock_kept BEFORE DELETE ON sandbox_clock
BEGIN SELECT RAISE(ABORT, 'the clock is never moved back'); END;
CREATE TRIGGER meta_purpose_fixed BEFORE UPDATE ON meta WHEN OLD.name = 'purpose'
BEGIN SELECT RAISE(ABORT, 'what a database is for does not change'); END;
CREATE TRIGGER meta_purpose_kept BEFORE DELETE ON meta WHEN OLD.name = 'purpose'
BEGIN SELECT RAISE(ABORT, 'what a database is for does not change'); END;
