-- Signed requests (RFC 9421): public keys of an API key, and whether it needs them.

-- required: every request with the key must be signed.
ALTER TABLE api_keys ADD COLUMN signatures TEXT NOT NULL DEFAULT 'optional'
    CHECK (signatures IN ('optional', 'required'));

CREATE TABLE signing_keys (
    key_id     TEXT NOT NULL REFERENCES api_keys (id),
    -- The partner's name of it: keyid.
    name       TEXT NOT NULL,
    -- Ed25519, 32 bytes in base64.
    public_key TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (key_id, name)
) STRICT;
CREATE TRIGGER signing_keys_fixed BEFORE UPDATE ON signing_keys
BEGIN SELECT RAISE(ABORT, 'a signing key does not change; add another'); END;

-- Nonces that were used, as long as a signature with them could be accepted. Of the public key, not
-- of its name: the same pair may be registered again, or for another API key.
CREATE TABLE signature_nonces (
    public_key TEXT NOT NULL,
    nonce      TEXT NOT NULL,
    ends_at    INTEGER NOT NULL,
    PRIMARY KEY (public_key, nonce)
) STRICT;
CREATE INDEX signature_nonces_by_end ON signature_nonces (ends_at);
