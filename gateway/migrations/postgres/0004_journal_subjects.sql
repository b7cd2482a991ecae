-- A journal transaction may be about anything that has a name: a conversion, a top-up, an
-- operator's correction. Each says who posted it and why.

-- What a posting can mean.
CREATE TABLE journal_kinds (
    kind    TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
);
INSERT INTO journal_kinds VALUES
    ('taken', 'the partner took the miles'),
    ('issued', 'the points were issued'),
    ('given_back', 'the partner gave the miles back'),
    ('held', 'points of a float were set aside for a conversion'),
    ('released', 'points set aside went back to the float'),
    ('topped_up', 'a partner bought points for its float'),
    ('corrected', 'two operators put something right');

ALTER TABLE journal_transactions DROP CONSTRAINT journal_transactions_kind_check;
ALTER TABLE journal_transactions DROP CONSTRAINT journal_transactions_conversion_id_fkey;
-- What it is about: `conv_…`, `top_…`, `act_…`.
ALTER TABLE journal_transactions RENAME COLUMN conversion_id TO subject;
ALTER TABLE journal_transactions ADD FOREIGN KEY (kind) REFERENCES journal_kinds (kind);
-- Who posted it, and why if the kind does not say all.
ALTER TABLE journal_transactions ADD COLUMN posted_by TEXT NOT NULL DEFAULT 'gateway';
ALTER TABLE journal_transactions ALTER COLUMN posted_by DROP DEFAULT;
ALTER TABLE journal_transactions ADD COLUMN note TEXT;
CREATE INDEX journal_transactions_by_time ON journal_transactions (posted_at);
