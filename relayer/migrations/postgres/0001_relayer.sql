-- What the relayer remembers. Everything here can be found again on the two chains; losing this
-- database costs time, never a packet. Numbers of the chains fit 63 bits or are refused.
-- `migrations/sqlite` has the same tables in the words of SQLite.

-- The routes: one native chain and one bridge contract each.
CREATE TABLE route (
    id              BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name            TEXT   NOT NULL UNIQUE,
    native_chain    BIGINT NOT NULL,
    native_genesis  BYTEA  NOT NULL,
    ethereum_chain  BIGINT NOT NULL,
    ethereum_bridge BYTEA  NOT NULL
);

-- How far each direction has looked. Everything before `next` stands in `packet`.
--   to_ethereum: next = index in the native outbox; the blocks are unused
--   to_native:   next = sequence; search_block = first block not searched yet;
--                packet_block = block of the last packet found
CREATE TABLE position (
    route        BIGINT NOT NULL REFERENCES route (id),
    direction    TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    next         BIGINT NOT NULL,
    search_block BIGINT NOT NULL,
    packet_block BIGINT NOT NULL,
    PRIMARY KEY (route, direction)
);

-- Every packet seen. `waiting`: no receipt yet; `landed`: a receipt that is not final yet;
-- `done`: a receipt for ever (its bytes are dropped). `landed_block` is a block of the destination
-- that is not older than the receipt's. Times are milliseconds since 1970 by the relayer's clock.
CREATE TABLE packet (
    route         BIGINT NOT NULL REFERENCES route (id),
    direction     TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    sequence      BIGINT NOT NULL CHECK (sequence > 0),
    place         BIGINT NOT NULL, -- outbox index, or Ethereum block
    commitment    BYTEA  NOT NULL,
    bytes         BYTEA,
    size          BIGINT NOT NULL, -- of the bytes; tells the kinds apart
    state         TEXT   NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'landed', 'done')),
    outcome       BIGINT NOT NULL DEFAULT 0 CHECK (outcome BETWEEN 0 AND 2),
    attempts      BIGINT NOT NULL DEFAULT 0,
    not_before_ms BIGINT NOT NULL DEFAULT 0,
    reason        TEXT,
    found_ms      BIGINT NOT NULL,
    landed_ms     BIGINT NOT NULL DEFAULT 0,
    landed_block  BIGINT NOT NULL DEFAULT 0,
    done_ms       BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (route, direction, sequence)
);

CREATE INDEX packet_open ON packet (route, direction, state, sequence) WHERE state != 'done';
CREATE INDEX packet_landed ON packet (route, direction, landed_ms);

-- Signed transactions, stored before they are broadcast, kept until their nonce is used up for
-- ever. Several with one nonce are one transaction at rising fees.
CREATE TABLE signed (
    number       BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    hash         BYTEA  NOT NULL UNIQUE,
    route        BIGINT NOT NULL REFERENCES route (id),
    direction    TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    account      BYTEA  NOT NULL,
    nonce        BIGINT NOT NULL,
    raw          BYTEA  NOT NULL,
    input        BYTEA  NOT NULL,
    gas_limit    BIGINT NOT NULL,
    max_fee      TEXT   NOT NULL,
    tip          TEXT   NOT NULL,
    packets      TEXT   NOT NULL, -- JSON list of sequences
    created_ms   BIGINT NOT NULL,
    broadcast_ms BIGINT NOT NULL,
    outcome      TEXT   CHECK (outcome IN ('included', 'reverted', 'gone'))
);

CREATE INDEX signed_nonce ON signed (route, direction, account, nonce);

-- How each direction is doing, for `mileverse relayer status`.
CREATE TABLE health (
    route     BIGINT NOT NULL REFERENCES route (id),
    direction TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    ok_ms     BIGINT NOT NULL DEFAULT 0,
    error     TEXT,
    error_ms  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (route, direction)
);
