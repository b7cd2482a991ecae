-- What partners and the chain say, to be set beside the journal.

-- A partner's statement of one UTC day, as it came. A corrected one takes its place.
CREATE TABLE partner_statements (
    id          TEXT PRIMARY KEY,
    programme   TEXT NOT NULL,
    -- Counted from 1970.
    day         BIGINT NOT NULL,
    sha256      TEXT NOT NULL,
    lines       BIGINT NOT NULL CHECK (lines >= 0),
    current     BIGINT NOT NULL CHECK (current IN (0, 1)),
    received_at BIGINT NOT NULL,
    received_by TEXT NOT NULL
);
CREATE UNIQUE INDEX partner_statements_current ON partner_statements (programme, day) WHERE current = 1;
CREATE TRIGGER partner_statements_fixed BEFORE UPDATE OF id, programme, day, sha256, lines, received_at, received_by ON partner_statements
FOR EACH ROW EXECUTE FUNCTION refuse('a statement does not change; send another');
CREATE TRIGGER partner_statements_kept BEFORE DELETE ON partner_statements
FOR EACH ROW EXECUTE FUNCTION refuse('statements are kept');

CREATE TABLE statement_lines (
    statement_id      TEXT NOT NULL REFERENCES partner_statements (id),
    line              BIGINT NOT NULL,
    -- Our name for the debit.
    reference         TEXT NOT NULL,
    partner_reference TEXT NOT NULL,
    kind              TEXT NOT NULL CHECK (kind IN ('debit', 'reversal')),
    member            TEXT NOT NULL,
    miles             BIGINT NOT NULL CHECK (miles > 0),
    at                BIGINT NOT NULL,
    PRIMARY KEY (statement_id, line)
);
CREATE INDEX statement_lines_by_reference ON statement_lines (reference);
CREATE TRIGGER statement_lines_fixed BEFORE UPDATE ON statement_lines
FOR EACH ROW EXECUTE FUNCTION refuse('a statement does not change; send another');
CREATE TRIGGER statement_lines_kept BEFORE DELETE ON statement_lines
FOR EACH ROW EXECUTE FUNCTION refuse('statements are kept');

-- What the chain issued, by the name it issued under; read from its events, block after block.
CREATE TABLE chain_issues (
    name             TEXT PRIMARY KEY,
    transaction_hash TEXT NOT NULL,
    block            BIGINT NOT NULL,
    -- A decimal: the chain's integers are longer than the database's.
    micro_points     TEXT NOT NULL,
    -- Whose, if one of our signed transactions did it.
    conversion_id    TEXT REFERENCES conversions (id)
);
CREATE INDEX chain_issues_by_conversion ON chain_issues (conversion_id);
CREATE TRIGGER chain_issues_fixed BEFORE UPDATE ON chain_issues
FOR EACH ROW EXECUTE FUNCTION refuse('what the chain issued does not change');
CREATE TRIGGER chain_issues_kept BEFORE DELETE ON chain_issues
FOR EACH ROW EXECUTE FUNCTION refuse('what the chain issued is kept');

-- Up to which block it was read.
CREATE TABLE chain_read (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    block BIGINT NOT NULL
);
INSERT INTO chain_read VALUES (1, 0);
CREATE TRIGGER chain_read_forward BEFORE UPDATE ON chain_read
FOR EACH ROW WHEN (NEW.block < OLD.block) EXECUTE FUNCTION refuse('the chain is read forward');

CREATE TABLE reconciliations (
    id           TEXT PRIMARY KEY,
    -- The UTC day, counted from 1970.
    day          BIGINT NOT NULL,
    -- 1 for the day's own run, of which there is one; 0 for one that somebody asked for.
    daily        BIGINT NOT NULL CHECK (daily IN (0, 1)),
    state        TEXT NOT NULL CHECK (state IN ('waiting', 'done')),
    requested_by TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    finished_at  BIGINT,
    agrees       BIGINT CHECK (agrees IN (0, 1)),
    differences  BIGINT,
    -- JSON: the totals.
    totals       TEXT,
    CHECK ((state = 'done') = (finished_at IS NOT NULL AND agrees IS NOT NULL
        AND differences IS NOT NULL AND totals IS NOT NULL))
);
CREATE UNIQUE INDEX reconciliations_slot ON reconciliations (day) WHERE daily = 1;
CREATE UNIQUE INDEX reconciliations_waiting ON reconciliations (day) WHERE daily = 0 AND state = 'waiting';
CREATE TRIGGER reconciliations_done BEFORE UPDATE ON reconciliations
FOR EACH ROW WHEN (OLD.state = 'done') EXECUTE FUNCTION refuse('a report does not change; run another');
CREATE TRIGGER reconciliations_kept BEFORE DELETE ON reconciliations
FOR EACH ROW EXECUTE FUNCTION refuse('reports are kept');

CREATE TABLE differences (
    reconciliation_id TEXT NOT NULL REFERENCES reconciliations (id),
    number            BIGINT NOT NULL,
    kind              TEXT NOT NULL,
    programme         TEXT,
    subject           TEXT NOT NULL,
    facts             TEXT NOT NULL,
    PRIMARY KEY (reconciliation_id, number)
);
CREATE TRIGGER differences_fixed BEFORE UPDATE ON differences
FOR EACH ROW EXECUTE FUNCTION refuse('a report does not change; run another');
CREATE TRIGGER differences_kept BEFORE DELETE ON differences
FOR EACH ROW EXECUTE FUNCTION refuse('reports are kept');
