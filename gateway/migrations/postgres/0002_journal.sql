-- The journal, in double entry. A positive amount is a debit, a negative one a credit.
--
-- Entries are written first, then the transaction that seals them: the seal is refused unless the
-- entries balance in each currency, no entry can join a sealed transaction, and entries without a
-- seal fail the deferred foreign key at commit. So no unbalanced transaction can ever be stored.
-- An advisory lock on the transaction's name, held until commit, keeps two sessions from writing
-- to one journal transaction behind each other's back.

CREATE TABLE accounts (
    id       TEXT PRIMARY KEY,
    currency TEXT NOT NULL,
    UNIQUE (id, currency)
);

CREATE TABLE journal_transactions (
    id            TEXT PRIMARY KEY,
    conversion_id TEXT NOT NULL REFERENCES conversions (id),
    kind          TEXT NOT NULL CHECK (kind IN ('taken', 'issued', 'given_back')),
    posted_at     BIGINT NOT NULL,
    UNIQUE (conversion_id, kind)
);

CREATE TABLE journal_entries (
    id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id TEXT NOT NULL REFERENCES journal_transactions (id) DEFERRABLE INITIALLY DEFERRED,
    account        TEXT NOT NULL,
    currency       TEXT NOT NULL,
    amount         BIGINT NOT NULL CHECK (amount <> 0),
    FOREIGN KEY (account, currency) REFERENCES accounts (id, currency)
);
CREATE INDEX journal_entries_by_transaction ON journal_entries (transaction_id);
CREATE INDEX journal_entries_by_account ON journal_entries (account);

CREATE FUNCTION journal_entries_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.transaction_id, 0));
    IF EXISTS (SELECT 1 FROM journal_transactions WHERE id = NEW.transaction_id) THEN
        RAISE EXCEPTION 'this journal transaction is sealed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER journal_entries_sealed BEFORE INSERT ON journal_entries
FOR EACH ROW EXECUTE FUNCTION journal_entries_sealed();

CREATE FUNCTION journal_transactions_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.id, 0));
    IF NOT EXISTS (SELECT 1 FROM journal_entries WHERE transaction_id = NEW.id)
       OR EXISTS (SELECT 1 FROM journal_entries WHERE transaction_id = NEW.id
                  GROUP BY currency HAVING SUM(amount) <> 0) THEN
        RAISE EXCEPTION 'this journal transaction does not balance'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER journal_transactions_balanced BEFORE INSERT ON journal_transactions
FOR EACH ROW EXECUTE FUNCTION journal_transactions_balanced();

CREATE TRIGGER journal_entries_fixed BEFORE UPDATE ON journal_entries
FOR EACH ROW EXECUTE FUNCTION refuse('journal entries do not change');
CREATE TRIGGER journal_entries_kept BEFORE DELETE ON journal_entries
FOR EACH ROW EXECUTE FUNCTION refuse('journal entries are kept');
CREATE TRIGGER journal_entries_not_emptied BEFORE TRUNCATE ON journal_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse('journal entries are kept');
CREATE TRIGGER journal_transactions_fixed BEFORE UPDATE ON journal_transactions
FOR EACH ROW EXECUTE FUNCTION refuse('journal transactions do not change');
CREATE TRIGGER journal_transactions_kept BEFORE DELETE ON journal_transactions
FOR EACH ROW EXECUTE FUNCTION refuse('journal transactions are kept');
CREATE TRIGGER accounts_fixed BEFORE UPDATE ON accounts
FOR EACH ROW EXECUTE FUNCTION refuse('accounts do not change');
CREATE TRIGGER accounts_kept BEFORE DELETE ON accounts
FOR EACH ROW EXECUTE FUNCTION refuse('accounts are kept');
