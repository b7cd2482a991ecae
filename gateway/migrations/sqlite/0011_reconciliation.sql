-- What partners and the chain say, to be set beside the journal.

-- A partner's statement of one UTC day, as it came. A corrected one takes its place.
CREATE TABLE partner_statements (
    id          TEXT PRIMARY KEY,
    programme   TEXT NOT NULL,
    -- Counted from 1970.
    day         INTEGER NOT NULL,
    sha256      TEXT NOT NULL,
    lines       INTEGER NOT NULL CHECK (lines >= 0),
    current     INTEGER NOT NULL CHECK (current IN (0, 1)),
    received_at INTEGER NOT NULL,
    received_by TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX partner_statements_current ON partner_statements (programme, day) WHERE current = 1;
CREATE TRIGGER partner_statements_fixed
BEFORE UPDATE OF id, programme, day, sha256, lines, received_at, received_by ON partner_statements
BEGIN SELECT RAISE(ABORT, 'a statement does not change; send another'); END;
CREATE TRIGGER partner_statements_kept BEFORE DELETE ON partner_statements
BEGIN SELECT RAISE(ABORT, 'statements are kept'); END;

CREATE TABLE statement_lines (
    statement_id      TEXT NOT NULL REFERENCES partner_statements (id),
    line              INTEGER NOT NULL,
    -- Our name for the debit.
    reference         TEXT NOT NULL,
    partner_reference TEXT NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('debit', 'reversal')),
    member            TEXT NOT NULL,
    miles             INTEGER NOT NULL CHECK (miles > 0),
    at                INTEGER NOT NULL,
    PRIMARY KEY (statement_id, line)
) STRICT;
CREATE INDEX statement_lines_by_reference ON statement_lines (reference);
CREATE TRIGGER statement_lines_fixed BEFORE UPDATE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'a statement does not change; send another'); END;
CREATE TRIGGER statement_lines_kept BEFORE DELETE ON statement_lines
BEGIN SELECT RAISE(ABORT, 'statements are kept'); END;

-- What the chain issued, by the name it issued under; read from its events, block after block.
CREATE TABLE chain_issues (
    name             TEXT PRIMARY KEY,
    transaction_hash TEXT NOT NULL,
    block            INTEGER NOT NULL,
    -- A decimal: the chain's integers are longer than the database's.
    micro_points     TEXT NOT NULL,
    -- Whose, if one of our signed transactions did it.
    conversion_id    TEXT REFERENCES conversions (id)
) STRICT;
CREATE INDEX chain_issues_by_conversion ON chain_issues (conversion_id);
CREATE TRIGGER chain_issues_fixed BEFORE UPDATE ON chain_issues
BEGIN SELECT RAISE(ABORT, 'what the chain issued does not change'); END;
CREATE TRIGGER chain_issues_kept BEFORE DELETE ON chain_issues
BEGIN SELECT RAISE(ABORT, 'what the chain issued is kept'); END;

-- Up to which block it was read.
CREATE TABLE chain_read (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    block INTEGER NOT NULL
) STRICT;
INSERT INTO chain_read VALUES (1, 0);
CREATE TRIGGER chain_read_forward BEFORE UPDATE ON chain_read WHEN NEW.block < OLD.block
BEGIN SELECT RAISE(ABORT, 'the chain is read forward'); END;

CREATE TABLE reconciliations (
    id           TEXT PRIMARY KEY,
    -- The UTC day, counted from 1970.
    day          INTEGER NOT NULL,
    -- 1 for the day's own run, of which there is one; 0 for one that somebody asked for.
    daily        INTEGER NOT NULL CHECK (daily IN (0, 1)),
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'done')),
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    finished_at  INTEGER,
    agrees       INTEGER CHECK (agrees IN (0, 1)),
    differences  INTEGER,
    -- JSON: the totals.
    totals       TEXT,
    CHECK ((state = 'done') = (finished_at IS NOT NULL AND agrees IS NOT NULL
        AND differences IS NOT NULL AND totals IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX reconciliations_slot ON reconciliations (day) WHERE daily = 1;
CREATE UNIQUE INDEX reconciliations_waiting ON reconciliations (day) WHERE daily = 0 AND state = 'waiting';
CREATE TRIGGER reconciliations_done BEFORE UPDATE ON reconciliations WHEN OLD.state = 'done'
BEGIN SELECT RAISE(ABORT, 'a report does not change; run another'); END;
CREATE TRIGGER reconciliations_kept BEFORE DELETE ON reconciliations
BEGIN SELECT RAISE(ABORT, 'reports are kept'); END;

CREATE TABLE differences (
    reconciliation_id TEXT NOT NULL REFERENCES reconciliations (id),
    number            INTEGER NOT NULL,
    kind              TEXT NOT NULL,
    programme         TEXT,
    subject           TEXT NOT NULL,
    facts             TEXT NOT NULL,
    PRIMARY KEY (reconciliation_id, number)
) STRICT;
CREATE TRIGGER differences_fixed BEFORE UPDATE ON differences
BEGIN SELECT RAISE(ABORT, 'a report does not change; run another'); END;
CREATE TRIGGER differences_kept BEFORE DELETE ON differences
BEGIN SELECT RAISE(ABORT, 'reports are kept'); END;
