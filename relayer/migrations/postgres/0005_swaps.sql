-- Hashed-timelock swaps on both chains of a route. Their transactions and their health have lanes of
-- their own beside the three directions.
ALTER TABLE signed RENAME COLUMN direction TO lane;
ALTER TABLE signed DROP CONSTRAINT signed_direction_check, ADD CONSTRAINT signed_lane_check CHECK
    (lane IN ('to_ethereum', 'to_peer', 'to_native', 'swaps_native', 'swaps_ethereum'));
ALTER TABLE health RENAME COLUMN direction TO lane;
ALTER TABLE health DROP CONSTRAINT health_direction_check, ADD CONSTRAINT health_lane_check CHECK
    (lane IN ('to_ethereum', 'to_peer', 'to_native', 'swaps_native', 'swaps_ethereum'));

-- Swaps that were open when they were found. `settling`: the newest block says that it ended, and that
-- block is not final yet; `done`: ended for ever, kept for 30 days and then dropped. `number` is never
-- used again: signed transactions name a swap by it. Deadlines are seconds since 1970 by the chain's
-- blocks, times milliseconds by the relayer's clock.
CREATE TABLE swap (
    number        BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    route         BIGINT NOT NULL REFERENCES route (id),
    chain         TEXT   NOT NULL CHECK (chain IN ('native', 'ethereum')),
    id            BYTEA  NOT NULL,
    token         BYTEA  NOT NULL,
    amount        BYTEA  NOT NULL, -- 32 bytes, the most significant first
    opener        BYTEA  NOT NULL,
    claimer       BYTEA  NOT NULL,
    lock          BYTEA  NOT NULL,
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
    lock     BYTEA  NOT NULL,
    secret   BYTEA  NOT NULL,
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
