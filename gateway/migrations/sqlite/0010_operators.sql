-- People who run the gateway, the cases that wait for them, and what they do about them. Whatever
-- moves anything is proposed by one operator and approved by another.

CREATE TABLE operators (
    name         TEXT PRIMARY KEY,
    -- viewer: reads. operator: proposes. approver: approves. admin: manages operators.
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
    -- SHA-256 of the operator's key.
    digest       TEXT NOT NULL UNIQUE,
    status       TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE TRIGGER operators_kept BEFORE DELETE ON operators
BEGIN SELECT RAISE(ABORT, 'operators are kept; suspend them'); END;
-- A person keeps a role: one that could change it could propose and then approve.
CREATE TRIGGER operators_fixed BEFORE UPDATE OF name, role, created_at ON operators
BEGIN SELECT RAISE(ABORT, 'the role of an operator does not change; make another operator'); END;

-- What was done, by whom, for ever. Each row's hash covers the row before it:
-- SHA-256 over seq, at, actor, verb, subject, detail and the hash before, each after its length.
CREATE TABLE audit_log (
    seq           INTEGER PRIMARY KEY CHECK (seq > 0),
    at            INTEGER NOT NULL,
    actor         TEXT NOT NULL,
    verb          TEXT NOT NULL,
    subject       TEXT NOT NULL,
    detail        TEXT NOT NULL,
    previous_hash TEXT NOT NULL UNIQUE,
    hash          TEXT NOT NULL UNIQUE
) STRICT;
CREATE TRIGGER audit_log_fixed BEFORE UPDATE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log does not change'); END;
CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is kept'); END;
CREATE TRIGGER audit_log_chained BEFORE INSERT ON audit_log
WHEN NEW.previous_hash <> (SELECT hash FROM audit_head) OR NEW.seq <> (SELECT seq FROM audit_head)
BEGIN SELECT RAISE(ABORT, 'the audit log goes on where it ended'); END;

-- The end of the log. Taking its row keeps two writers from going on from the same place.
CREATE TABLE audit_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    seq  INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
INSERT INTO audit_head VALUES (1, 0, '');
CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head WHEN NEW.seq < OLD.seq
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_head_kept BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'the audit log is kept'); END;

-- What waits for an operator.
CREATE TABLE cases (
    id         TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,
    -- Which programme's, if it is one's.
    programme  TEXT,
    -- What it is about: `conv_…`, a partner's reference, a name on the chain, a day.
    subject    TEXT NOT NULL,
    -- What was seen, in a sentence.
    facts      TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('open', 'closed')),
    opened_at  INTEGER NOT NULL,
    closed_at  INTEGER,
    -- How it ended, and who ended it: two operators, or the gateway when the facts agree again.
    resolution TEXT,
    closed_by  TEXT,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL AND resolution IS NOT NULL AND closed_by IS NOT NULL))
) STRICT;
CREATE INDEX cases_by_subject ON cases (subject);
CREATE UNIQUE INDEX cases_open ON cases (kind, subject) WHERE state = 'open';
CREATE TRIGGER cases_fixed BEFORE UPDATE OF id, kind, programme, subject, facts, opened_at ON cases
BEGIN SELECT RAISE(ABORT, 'what a case is about does not change'); END;
CREATE TRIGGER cases_closed BEFORE UPDATE ON cases WHEN OLD.state = 'closed'
BEGIN SELECT RAISE(ABORT, 'a closed case does not change'); END;
CREATE TRIGGER cases_kept BEFORE DELETE ON cases
BEGIN SELECT RAISE(ABORT, 'cases are kept'); END;

-- What an operator proposes to do about a case, and what another decided.
CREATE TABLE actions (
    id          TEXT PRIMARY KEY,
    case_id     TEXT NOT NULL REFERENCES cases (id),
    verb        TEXT NOT NULL CHECK (verb IN ('resolve_failed', 'resolve_succeeded', 'repeat', 'counter_entry', 'close')),
    -- Why, and where it can be seen.
    evidence    TEXT NOT NULL,
    -- JSON: what the verb needs more.
    details     TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('proposed', 'approved', 'rejected', 'withdrawn')),
    proposed_by TEXT NOT NULL REFERENCES operators (name),
    proposed_at INTEGER NOT NULL,
    decided_by  TEXT REFERENCES operators (name),
    decided_at  INTEGER,
    note        TEXT,
    -- Four eyes.
    CHECK (state NOT IN ('approved', 'rejected') OR decided_by <> proposed_by),
    CHECK ((state = 'proposed') = (decided_by IS NULL)),
    CHECK ((decided_by IS NULL) = (decided_at IS NULL))
) STRICT;
CREATE INDEX actions_by_case ON actions (case_id);
CREATE UNIQUE INDEX actions_open ON actions (case_id) WHERE state = 'proposed';
CREATE TRIGGER actions_fixed
BEFORE UPDATE OF id, case_id, verb, evidence, details, proposed_by, proposed_at ON actions
BEGIN SELECT RAISE(ABORT, 'a proposal does not change; withdraw it'); END;
CREATE TRIGGER actions_decided BEFORE UPDATE ON actions WHEN OLD.state <> 'proposed'
BEGIN SELECT RAISE(ABORT, 'a decision does not change'); END;
CREATE TRIGGER actions_kept BEFORE DELETE ON actions
BEGIN SELECT RAISE(ABORT, 'actions are kept'); END;

-- Where two operators may send a conversion that waits for them.
INSERT INTO transitions VALUES
    ('attention', 'refused'),        -- no miles were taken
    ('attention', 'reversed'),       -- the miles are back
    ('attention', 'debited'),        -- the miles are taken: issue
    ('attention', 'completed'),      -- the points exist
    ('attention', 'debit_unknown'),  -- ask the partner again
    ('attention', 'reversing'),      -- ask for the miles back again
    ('attention', 'issuing');        -- look at the chain again

INSERT INTO cases (id, kind, programme, subject, facts, state, opened_at)
SELECT 'case_' || substr(id, 6), 'attention', programme, id,
    COALESCE(reason_code || ': ' || reason, 'no reason is stored'), 'open', updated_at
FROM conversions WHERE state = 'attention';
