-- Routes between native chains. A route's other end is Ethereum, known by its bridge contract (20
-- bytes), or a peer, known by the hash of its genesis (32 bytes); packets to a peer go `to_peer`.
ALTER TABLE route RENAME COLUMN ethereum_chain TO far_chain;
ALTER TABLE route RENAME COLUMN ethereum_bridge TO far_mark;

ALTER TABLE position DROP CONSTRAINT position_direction_check,
    ADD CONSTRAINT position_direction_check CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native'));
ALTER TABLE packet DROP CONSTRAINT packet_direction_check,
    ADD CONSTRAINT packet_direction_check CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native'));
ALTER TABLE signed DROP CONSTRAINT signed_direction_check,
    ADD CONSTRAINT signed_direction_check CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native'));
ALTER TABLE health DROP CONSTRAINT health_direction_check,
    ADD CONSTRAINT health_direction_check CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native'));
ALTER TABLE tally DROP CONSTRAINT tally_direction_check,
    ADD CONSTRAINT tally_direction_check CHECK (direction IN ('to_ethereum', 'to_peer', 'to_native'));
