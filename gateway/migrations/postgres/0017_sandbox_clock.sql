-- How far a sandbox's clock is ahead. A gateway that is no sandbox has no row, and gets none.

-- What was there before there were sandboxes is none.
INSERT INTO meta (name, value) SELECT 'purpose', 'production' WHERE EXISTS (SELECT 1 FROM meta);

CREATE TABLE sandbox_clock (
    one      BIGINT PRIMARY KEY CHECK (one = 1),
    -- At most ten years of 366 days.
    ahead_ms BIGINT NOT NULL CHECK (ahead_ms BETWEEN 0 AND 316224000000)
);
CREATE FUNCTION only_a_sandbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM meta WHERE name = 'purpose' AND value = 'sandbox') THEN
        RAISE EXCEPTION 'only a sandbox has a clock that can be moved'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sandbox_clock_only BEFORE INSERT ON sandbox_clock
FOR EACH ROW EXECUTE FUNCTION only_a_sandbox();
CREATE TRIGGER sandbox_clock_ahead BEFORE UPDATE ON sandbox_clock
FOR EACH ROW WHEN (NEW.ahead_ms < OLD.ahead_ms) EXECUTE FUNCTION refuse('the clock is never moved back');
CREATE TRIGGER sandbox_clock_kept BEFORE DELETE ON sandbox_clock
FOR EACH ROW EXECUTE FUNCTION refuse('the clock is never moved back');
CREATE TRIGGER meta_purpose_fixed BEFORE UPDATE ON meta
FOR EACH ROW WHEN (OLD.name = 'purpose') EXECUTE FUNCTION refuse('what a database is for does not change');
CREATE TRIGGER meta_purpose_kept BEFORE DELETE ON meta
FOR EACH ROW WHEN (OLD.name = 'purpose') EXECUTE FUNCTION refuse('what a database is for does not change');
