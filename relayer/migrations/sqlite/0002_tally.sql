-- How many packets of a direction are done, so that nobody has to count them all: they stay in `packet`
-- for ever.
CREATE TABLE tally (
    route     BIGINT NOT NULL REFERENCES route (id),
    direction TEXT   NOT NULL CHECK (direction IN ('to_ethereum', 'to_native')),
    received  BIGINT NOT NULL,
    expired   BIGINT NOT NULL,
    PRIMARY KEY (route, direction)
);

INSERT INTO tally (route, direction, received, expired)
SELECT route, direction, COUNT(CASE outcome WHEN 1 THEN 1 END), COUNT(CASE outcome WHEN 2 THEN 1 END)
FROM packet WHERE state = 'done' GROUP BY route, direction;
