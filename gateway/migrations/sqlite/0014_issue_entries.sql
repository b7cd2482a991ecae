-- Conversions that are issued together, by one signed transaction with an entry for each. The
-- transaction's own conversion_id is the first of them. One that issues for a single conversion has
-- no entries here. A version that does not know of entries leaves the others of a batch alone.
CREATE TABLE issue_entries (
    hash          TEXT NOT NULL REFERENCES issue_transactions (hash),
    -- The conversion's name on the chain.
    name          TEXT NOT NULL,
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    PRIMARY KEY (hash, name)
) STRICT;
CREATE INDEX issue_entries_by_conversion ON issue_entries (conversion_id);
CREATE TRIGGER issue_entries_fixed BEFORE UPDATE ON issue_entries
BEGIN SELECT RAISE(ABORT, 'a signed transaction does not change'); END;
CREATE TRIGGER issue_entries_kept BEFORE DELETE ON issue_entries
BEGIN SELECT RAISE(ABORT, 'signed transactions are kept'); END;
