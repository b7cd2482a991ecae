-- A journal transaction may be about anything that has a name: a conversion, a top-up, an
-- operator's correction. Each says who posted it and why.
--
-- Both tables are made anew and filled; entries first, so that no foreign key is ever broken.

-- What a posting can mean.
CREATE TABLE journal_kinds (
    kind    TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
) STRICT;
INSERT INTO journal_kinds VALUES
    ('taken', 'the partner took the miles'),
    ('issued', 'the points were issued'),
    ('given_back', 'the partner gave the miles back'),
    ('held', 'points of a float were set aside for a conversion'),
    ('released', 'points set aside went back to the float'),
    ('topped_up', 'a partner bought points for its float'),
    ('corrected', 'two operators put something right');

CREATE TABLE new_journal_entries (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id TEXT NOT NULL REFERENCES new_journal_transactions (id) DEFERRABLE INITIALLY DEFERRED,
    account        TEXT NOT NULL,
    currency       TEXT NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount <> 0),
    FOREIGN KEY (account, currency) REFERENCES accounts (id, currency)
) STRICT;
CREATE TABLE new_journal_transactions (
    id        TEXT PRIMARY KEY,
    -- What it is about: `conv_…`, `top_…`, `act_…`.
    subject   TEXT NOT NULL,
    kind      TEXT NOT NULL REFERENCES journal_kinds (kind),
    posted_at INTEGER NOT NULL,
    -- Who posted it, and why if the kind does not say all.
    posted_by TEXT NOT NULL,
    note      TEXT,
    UNIQUE (subject, kind)
) STRICT;
INSERT INTO new_journal_entries SELECT id, transaction_id, account, currency, amount FROM journal_entries;
INSERT INTO new_journal_transactions
SELECT id, conversion_id, kind, posted_at, 'gateway', NULL FROM journal_transactions;
DROP TABLE journal_entries;
DROP TABLE journal_transactions;
ALTER TABLE new_journal_transactions RENAME TO journal_transactions;
ALTER TABLE new_journal_entries RENAME TO journal_entries;
CREATE INDEX journal_entries_by_transaction ON journal_entries (transaction_id);
CREATE INDEX journal_entries_by_account ON journal_entries (account);
CREATE INDEX journal_transactions_by_time ON journal_transactions (posted_at);

CREATE TRIGGER journal_entries_sealed BEFORE INSERT ON journal_entries
WHEN EXISTS (SELECT 1 FROM journal_transactions WHERE id = NEW.transaction_id)
BEGIN SELECT RAISE(ABORT, 'this journal transaction is sealed'); END;

CREATE TRIGGER journal_transactions_balanced BEFORE INSERT ON journal_transactions
WHEN NOT EXISTS (SELECT 1 FROM journal_entries WHERE transaction_id = NEW.id)
  OR EXISTS (SELECT 1 FROM journal_entries WHERE transaction_id = NEW.id
             GROUP BY currency HAVING SUM(amount) <> 0)
BEGIN SELECT RAISE(ABORT, 'this journal transaction does not balance'); END;

CREATE TRIGGER journal_entries_fixed BEFORE UPDATE ON journal_entries
BEGIN SELECT RAISE(ABORT, 'journal entries do not change'); END;
CREATE TRIGGER journal_entries_kept BEFORE DELETE ON journal_entries
BEGIN SELECT RAISE(ABORT, 'journal entries are kept'); END;
CREATE TRIGGER journal_transactions_fixed BEFORE UPDATE ON journal_transactions
BEGIN SELECT RAISE(ABORT, 'journal transactions do not change'); END;
CREATE TRIGGER journal_transactions_kept BEFORE DELETE ON journal_transactions
BEGIN SELECT RAISE(ABORT, 'journal transactions are kept'); END;
