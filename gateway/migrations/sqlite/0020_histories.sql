-- Who has entries in which block of both chains, out of final blocks: where the page looks for an account's
-- history. Derived from the chains alone; both tables may be emptied together, and are filled again.

CREATE TABLE history_cursors (
    chain       TEXT NOT NULL PRIMARY KEY CHECK (chain IN ('native', 'ethereum')),
    -- The first block that was read, and the first that was not yet.
    first_block INTEGER NOT NULL CHECK (first_block >= 0),
    next_block  INTEGER NOT NULL CHECK (next_block >= first_block)
);

CREATE TABLE history_blocks (
    chain   TEXT NOT NULL CHECK (chain IN ('native', 'ethereum')),
    -- 20 bytes.
    account BLOB NOT NULL CHECK (length(account) = 20),
    block   INTEGER NOT NULL CHECK (block >= 0),
    PRIMARY KEY (chain, account, block)
) WITHOUT ROWID;
