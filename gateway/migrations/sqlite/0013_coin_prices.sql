-- Where the native chain's pool says what an MVC is worth in points, what an MVC costs in ether is recorded: wei for
-- one MVC, from its moment until the next one. Together they are the price of a point.

CREATE TABLE coin_prices (
    at            INTEGER PRIMARY KEY,
    wei_per_coin  INTEGER NOT NULL CHECK (wei_per_coin > 0),
    source        TEXT NOT NULL
) STRICT;
CREATE TRIGGER coin_prices_fixed BEFORE UPDATE ON coin_prices
BEGIN SELECT RAISE(ABORT, 'prices do not change'); END;
CREATE TRIGGER coin_prices_kept BEFORE DELETE ON coin_prices
BEGIN SELECT RAISE(ABORT, 'prices are kept'); END;
