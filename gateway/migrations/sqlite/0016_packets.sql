-- The packets of both chains by who sent them, out of final blocks: what the page lists. Derived from
-- the chains alone; both tables may be emptied together, and are filled again.

CREATE TABLE packet_cursors (
    chain         TEXT NOT NULL PRIMARY KEY CHECK (chain IN ('native', 'ethereum')),
    -- The first block that was not looked at, and the number of the next packet.
    next_block    INTEGER NOT NULL CHECK (next_block >= 0),
    next_sequence INTEGER NOT NULL CHECK (next_sequence > 0)
);

CREATE TABLE packets (
    chain    TEXT NOT NULL CHECK (chain IN ('native', 'ethereum')),
    sequence INTEGER NOT NULL CHECK (sequence > 0),
    -- 0x and 40 small digits; null for what the bridges tell each other.
    sender   TEXT,
    block    INTEGER NOT NULL CHECK (block >= 0),
    -- Seconds since 1970.
    time     INTEGER NOT NULL CHECK (time >= 0),
    hash     TEXT NOT NULL,
    -- The packet's canonical bytes in hex.
    packet   TEXT NOT NULL,
    PRIMARY KEY (chain, sequence)
);
CREATE INDEX packets_by_sender ON packets (sender, chain, block);
CREATE INDEX packets_by_block ON packets (chain, block);
