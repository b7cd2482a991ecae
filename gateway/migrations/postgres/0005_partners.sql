-- Partners, their keys, and how much of a day they used.

CREATE TABLE partners (
    name                TEXT PRIMARY KEY,
    -- prepaid: converts only as many points as its float holds. postpaid: settles afterwards.
    funding             TEXT NOT NULL CHECK (funding IN ('prepaid', 'postpaid')),
    status              TEXT NOT NULL CHECK (status IN ('active', 'suspended')),
    -- Networks that may call, as CIDR, separated by commas; empty allows all.
    networks            TEXT NOT NULL,
    requests_per_second BIGINT NOT NULL CHECK (requests_per_second BETWEEN 1 AND 10000),
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL
);
CREATE TRIGGER partners_kept BEFORE DELETE ON partners
FOR EACH ROW EXECUTE FUNCTION refuse('partners are kept; suspend them');

-- Keys of partners: only their SHA-256. A key is also an OAuth 2.0 client: its id is the client
-- id, the key the client secret.
CREATE TABLE api_keys (
    id           TEXT PRIMARY KEY,
    partner      TEXT NOT NULL REFERENCES partners (name),
    digest       TEXT NOT NULL UNIQUE,
    scopes       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- Refused from then on: revoked, or replaced by rotation after some overlap.
    expires_at   BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_keys_by_partner ON api_keys (partner);
CREATE TRIGGER api_keys_fixed BEFORE UPDATE OF id, partner, digest, scopes, created_at ON api_keys
FOR EACH ROW EXECUTE FUNCTION refuse('a key does not change; make a new one');

-- Access tokens that OAuth 2.0 clients got for their key: only their SHA-256.
CREATE TABLE access_tokens (
    digest     TEXT PRIMARY KEY,
    key_id     TEXT NOT NULL REFERENCES api_keys (id),
    scopes     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

-- Miles converted on a UTC day, by `member:{programme}:{id}` and `partner:{programme}:{name}`. Miles of
-- conversions that came to nothing are taken off again.
CREATE TABLE daily_miles (
    day   BIGINT NOT NULL,
    name  TEXT NOT NULL,
    miles BIGINT NOT NULL CHECK (miles >= 0),
    PRIMARY KEY (day, name)
);
