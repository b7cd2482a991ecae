-- Routes between native chains. A route's other end is Ethereum, known by its bridge contract (20
-- bytes), or a peer, known by the hash of its genesis (32 bytes); packets to a peer go `to_peer`.
-- SQLite changes a CHECK only by making the table anew.
ALTER TABLE route RENAME COLUMN ethereum_chain TO far_chain;
ALTER TABLE route RENAME COLUMN ethereum_bridge TO far_mark;

CREATE TABLE new_position (
    route        BIGINT NOT NULL REFERENCES route (id),
    direction    TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native')),
    next         BIGINT NOT NULL,
    search_block BIGINT NOT NULL,
    packet_block BIGINT NOT NULL,
    PRIMARY KEY (route, direction)
);
INSERT INTO new_position SELECT * FROM position;
DROP TABLE position;
ALTER TABLE new_position RENAME TO position;

CREATE TABLE new_packet (
    route         BIGINT NOT NULL REFERENCES route (id),
    direction     TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native')),
    sequence      BIGINT NOT NULL CHECK (sequence > 0),
    place         BIGINT NOT NULL, -- outbox index, or Ethereum block
    commitment    BLOB   NOT NULL,
    bytes         BLOB,
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
INSERT INTO new_packet SELECT * FROM packet;
DROP TABLE packet;
ALTER TABLE new_packet RENAME TO packet;

CREATE TABLE new_signed (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    hash         BLOB   NOT NULL UNIQUE,
    route        BIGINT NOT NULL REFERENCES route (id),
    direction    TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native')),
    account      BLOB   NOT NULL,
    nonce        BIGINT NOT NULL,
    raw          BLOB   NOT NULL,
    input        BLOB   NOT NULL,
    gas_limit    BIGINT NOT NULL,
    max_fee      TEXT   NOT NULL,
    tip          TEXT   NOT NULL,
    packets      TEXT   NOT NULL, -- JSON list of sequences
    created_ms   BIGINT NOT NULL,
    broadcast_ms BIGINT NOT NULL,
    outcome      TEXT   CHECK (outcome IN ('included', 'reverted', 'gone'))
);
INSERT INTO new_signed SELECT * FROM signed;
DROP TABLE signed;
ALTER TABLE new_signed RENAME TO signed;

CREATE TABLE new_health (
    route     BIGINT NOT NULL REFERENCES route (id),
    direction TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native')),
    ok_ms     BIGINT NOT NULL DEFAULT 0,
    error     TEXT,
    error_ms  BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (route, direction)
);
INSERT INTO new_health SELECT * FROM health;
DROP TABLE health;
ALTER TABLE new_health RENAME TO health;

CREATE TABLE new_tally (
    route     BIGINT NOT NULL REFERENCES route (id),
    direction TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native')),
    received  BIGINT NOT NULL,
    expired   BIGINT NOT NULL,
    PRIMARY KEY (route, direction)
);
INSERT INTO new_tally SELECT * FROM tally;
DROP TABLE tally;
ALTER TABLE new_tally RENAME TO tally;

CREATE INDEX packet_open ON packet (route, direction, state, sequence) WHERE state != 'done';
CREATE INDEX packet_landed ON packet (route, direction, landed_ms);
CREATE INDEX signed_nonce ON signed (route, direction, account, nonce);
