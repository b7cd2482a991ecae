-- The kind of a packet, as its second byte has it: its length does not tell an expiry from an
-- acknowledgement, nor whether a sender wants one (0x80). Lengths of before tell all kinds there were.
ALTER TABLE packet ADD COLUMN kind BIGINT NOT NULL DEFAULT 0;
UPDATE packet SET kind = CASE size WHEN 134 THEN 1 WHEN 160 THEN 2 WHEN 193 THEN 2 WHEN 298 THEN 3
    WHEN 167 THEN 4 ELSE 0 END;
