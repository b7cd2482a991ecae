-- Which trace (W3C trace context) a conversion or an event belongs to, for who goes on with it later.
-- Nothing depends on it: where nothing is traced there are no rows.

CREATE TABLE traces (
    -- The id of the conversion or of the event.
    subject TEXT NOT NULL PRIMARY KEY,
    parent  TEXT NOT NULL CHECK (length(parent) BETWEEN 55 AND 128)
) STRICT, WITHOUT ROWID;
