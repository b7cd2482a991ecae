-- Hashed-timelock swaps on both chains of a route. Their transactions and their health have lanes of
-- their own beside the three directions. SQLite changes a CHECK only by making the table anew.
CREATE TABLE new_signed (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    hash         BLOB   NOT NULL UNIQUE,
    route        BIGINT NOT NULL REFERENCES route (id),
    lane         TEXT   NOT NULL CHECK (lane IN
                     ('to_ethereum', 'to_peer', 'to_native', 'swaps_native', 'swaps_ethereum')),
    account      BLOB   NOT NULL,
    nonce        BIGINT NOT NULL,
    raw          BLOB   NOT NULL,
    input        BLOB   NOT NULL,
    gas_limit    BIGINT NOT NULL,
    max_fee      TEXT   NOT NULL,
    tip          TEXT   NOT NULL,
    packets      TEXT   NOT NULL, -- JSON list of sequences, or of numbers of swaps
    created_ms   BIGINT NOT NULL,
    broadcast_ms BIGINT NOT NULL,
    outcome      TEXT   CHECK (outcome IN ('included', 'reverted', 'gone'))
);
INSERT INTO new_signed SELECT * FROM signed;
DROP TABLE signed;
ALTER TABLE new_signed RENAME TO signed;
CREATE INDEX signed_nonce ON signed (route, lane, account, nonce);

CREATE TABLE new_health (
    route     BIGINT NOT NULL REFERENCES route (id),
    lane      TEXT   NOT NULL CHECK (lane IN
                  ('to_ethereum', 'to_peer', 'to_native', 'swaps_native', 'swaps_ethereum')),
    ok_ms     BIGINT NOT NULL DEFAULT 0,
    error     TEXT,
    error_ms  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (route, lane)
);
INSERT INTO new_health SELECT * FROM health;
DROP TABLE health;
ALTER TABLE new_health RENAME TO health;

-- Swaps that were open when they were found. `settling`: the newest block says that it ended, and that
-- block is not final yet; `done`: ended for ever, kept for 30 days and then dropped. `number` is never
-- used again: signed transactions name a swap by it. Deadlines are seconds since 1970 by the chain's
-- blocks, times milliseconds by the relayer's clock.
CREATE TABLE swap (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    route         BIGINT NOT NULL REFERENCES route (id),
    chain         TEXT   NOT NULL CHECK (chain IN ('native', 'ethereum')),
    id            BLOB   NOT NULL,
    token         BLOB   NOT NULL,
    amount        BLOB   NOT NULL, -- 32 bytes, the most significant first
    opener        BLOB   NOT NULL,
    claimer       BLOB   NOT NULL,
    lock          BLOB   NOT NULL,
    deadline      BIGINT NOT NULL,
    block         BIGINT NOT NULL, -- that told of it
    state         TEXT   NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settling', 'done')),
    outcome       TEXT   CHECK (outcome IN ('claimed', 'refunded')),
    attempts      BIGINT NOT NULL DEFAULT 0,
    not_before_ms BIGINT NOT NULL DEFAULT 0,
    look_ms       BIGINT NOT NULL DEFAULT 0, -- when its state is asked next, whatever else happens
    reason        TEXT,
    found_ms      BIGINT NOT NULL,
    settled_block BIGINT NOT NULL DEFAULT 0, -- not older than what ended it
    settled_ms    BIGINT NOT NULL DEFAULT 0,
    done_ms       BIGINT NOT NULL DEFAULT 0,
    UNIQUE (route, chain, id)
);

CREATE INDEX swap_due ON swap (route, chain, state, deadline) WHERE state != 'done';
CREATE INDEX swap_look ON swap (route, chain, state, look_ms) WHERE state != 'done';
CREATE INDEX swap_lock ON swap (route, lock) WHERE state != 'done';
CREATE INDEX swap_settled ON swap (route, chain, settled_ms);

-- Secrets that a claim showed, by their locks. Dropped after 31 days if no open swap has the lock.
CREATE TABLE swap_secret (
    route    BIGINT NOT NULL REFERENCES route (id),
    lock     BLOB   NOT NULL,
    secret   BLOB   NOT NULL,
    found_ms BIGINT NOT NULL,
    PRIMARY KEY (route, lock)
);

-- How far each chain was searched: every block before `next` was read when it was final; those before
-- `sweep` were read once more in this round.
CREATE TABLE swap_position (
    route BIGINT NOT NULL REFERENCES route (id),
    chain TEXT   NOT NULL CHECK (chain IN ('native', 'ethereum')),
    next  BIGINT NOT NULL,
    sweep BIGINT NOT NULL,
    PRIMARY KEY (route, chain)
);

-- How many swaps are done, those that were dropped among them.
CREATE TABLE swap_tally (
    route    BIGINT NOT NULL REFERENCES route (id),
    chain    TEXT   NOT NULL CHECK (chain IN ('native', 'ethereum')),
    claimed  BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    PRIMARY KEY (route, chain)
);
