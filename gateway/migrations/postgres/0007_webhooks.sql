-- What partners are told, and how far telling them has come.

-- One row for each thing that happened, written by the transaction in which it happened. The body
-- is what is sent, byte for byte, however often. It holds no personal data.
CREATE TABLE events (
    id      TEXT PRIMARY KEY,
    partner TEXT NOT NULL,
    kind    TEXT NOT NULL,
    -- What it is about: `conv_…`, `top_…`, `whk_…`.
    subject TEXT NOT NULL,
    body    TEXT NOT NULL,
    at      BIGINT NOT NULL
);
CREATE INDEX events_by_partner ON events (partner, id);
CREATE TRIGGER events_fixed BEFORE UPDATE ON events
FOR EACH ROW EXECUTE FUNCTION refuse('events do not change');

-- Where a partner is told. Secrets are not here: they follow from the master key, the endpoint and
-- the version.
CREATE TABLE webhook_endpoints (
    id                    TEXT PRIMARY KEY,
    partner               TEXT NOT NULL,
    url                   TEXT NOT NULL,
    -- Kinds of events, separated by spaces; empty for all.
    kinds                 TEXT NOT NULL,
    description           TEXT NOT NULL,
    status                TEXT NOT NULL CHECK (status IN ('enabled', 'disabled', 'deleted')),
    disabled_because      TEXT,
    -- The first failure since the last success.
    failing_since         BIGINT,
    secret_version        BIGINT NOT NULL DEFAULT 1 CHECK (secret_version > 0),
    -- Until then the version before signs too.
    previous_secret_until BIGINT NOT NULL DEFAULT 0,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_by_partner ON webhook_endpoints (partner, id);

-- One event to one endpoint.
CREATE TABLE webhook_deliveries (
    endpoint_id  TEXT NOT NULL REFERENCES webhook_endpoints (id),
    event_id     TEXT NOT NULL REFERENCES events (id),
    state        TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts     BIGINT NOT NULL DEFAULT 0,
    -- Of the last attempt: the HTTP status, or why there was none, and when.
    status       BIGINT,
    error        TEXT,
    attempted_at BIGINT,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (endpoint_id, event_id)
);
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (event_id);
