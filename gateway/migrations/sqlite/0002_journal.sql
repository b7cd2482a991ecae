-- The journal, in double entry. A positive amount is a debit, a negative one a credit.
--
-- Entries are written first, then the transaction that seals them: the seal is refused unless the
-- entries balance in each currency, no entry can join a sealed transaction, and entries without a
-- seal fail the deferred foreign key at commit. So no unbalanced transaction can ever be stored.

CREATE TABLE accounts (
    id       TEXT PRIMARY KEY,
    currency TEXT NOT NULL,
    UNIQUE (id, currency)
) STRICT;

CREATE TABLE journal_entries (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    transaction_id TEXT NOT NULL REFERENCES journal_transactions (id) DEFERRABLE INITIALLY DEFERRED,
    account        TEXT NOT NULL,
    currency       TEXT NOT NULL,
    amount         INTEGER NOT NULL CHECK (amount <> 0),
    FOREIGN KEY (account, currency) REFERENCES accounts (id, currency)
) STRICT;
CREATE INDEX journal_entries_by_transaction ON journal_entries (transaction_id);
CREATE INDEX journal_entries_by_account ON journal_entries (account);

CREATE TABLE journal_transactions (
    id            TEXT PRIMARY KEY,
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    kind          TEXT NOT NULL CHECK (kind IN ('taken', 'issued', 'given_back')),
    posted_at     INTEGER NOT NULL,
    UNIQUE (conversion_id, kind)
) STRICT;

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
CREATE TRIGGER accounts_fixed BEFORE UPDATE ON accounts
BEGIN SELECT RAISE(ABORT, 'accounts do not change'); END;
CREATE TRIGGER accounts_kept BEFORE DELETE ON accounts
BEGIN SELECT RAISE(ABORT, 'accounts are kept'); END;
