-- What the relayer remembers. Everything here can be found again on the two chains; losing this
-- file costs time, never a packet. Numbers of the chains fit SQLite's 63 bits or are refused.

-- The one network this file is for.
CREATE TABLE network (
    id              INTEGER PRIMARY KEY CHECK (id = 1),
    native_chain    INTEGER NOT NULL,
    native_genesis  BLOB    NOT NULL,
    ethereum_chain  INTEGER NOT NULL,
    ethereum_bridge BLOB    NOT NULL
);

-- How far each direction has looked. Everything before `next` stands in `packet`.
--   to_ethereum: next = index in the native outbox; the blocks are unused
--   to_native:   next = sequence; search_block = first block not searched yet;
--                packet_block = block of the last packet found
CREATE TABLE position (
    direction    TEXT    PRIMARY KEY CHECK (direction IN ('to_ethereum', 'to_native')),
    next         INTEGER NOT NULL,
    search_block INTEGER NOT NULL,
    packet_block INTEGER NOT NULL
);

-- Every packet seen. `waiting`: no receipt yet; `landed`: a receipt that is not final yet;
-- `done`: a receipt for ever (its bytes are dropped).
CREATE TABLE packet (
    direction     TEXT    NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    sequence      INTEGER NOT NULL CHECK (sequence > 0),
    place         INTEGER NOT NULL, -- outbox index, or Ethereum block
    commitment    BLOB    NOT NULL,
    bytes         BLOB,
    state         TEXT    NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'landed', 'done')),
    outcome       INTEGER NOT NULL DEFAULT 0 CHECK (outcome BETWEEN 0 AND 2),
    attempts      INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    reason        TEXT,
    PRIMARY KEY (direction, sequence)
) WITHOUT ROWID;

CREATE INDEX packet_open ON packet (direction, state, sequence) WHERE state != 'done';

-- Signed transactions, stored before they are broadcast, kept until their nonce is used up for
-- ever. Several with one nonce are one transaction at rising fees.
CREATE TABLE signed (
    hash         BLOB    PRIMARY KEY,
    direction    TEXT    NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    nonce        INTEGER NOT NULL,
    raw          BLOB    NOT NULL,
    input        BLOB    NOT NULL,
    gas_limit    INTEGER NOT NULL,
    max_fee      TEXT    NOT NULL,
    tip          TEXT    NOT NULL,
    packets      TEXT    NOT NULL, -- JSON list of sequences
    created_ms   INTEGER NOT NULL,
    broadcast_ms INTEGER NOT NULL,
    outcome      TEXT    CHECK (outcome IN ('included', 'reverted', 'gone'))
);

CREATE INDEX signed_nonce ON signed (direction, nonce);

-- How each direction is doing, for `mileverse relayer status`.
CREATE TABLE health (
    direction TEXT PRIMARY KEY CHECK (direction IN ('to_ethereum', 'to_native')),
    ok_ms     INTEGER NOT NULL DEFAULT 0,
    error     TEXT,
    error_ms  INTEGER NOT NULL DEFAULT 0
);
