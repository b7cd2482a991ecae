-- Where the native chain's pool says what an MVC is worth in points, what an MVC costs in ether is recorded: wei for
-- one MVC, from its moment until the next one. Together they are the price of a point.

CREATE TABLE coin_prices (
    at            BIGINT PRIMARY KEY,
    wei_per_coin  BIGINT NOT NULL CHECK (wei_per_coin > 0),
    source        TEXT NOT NULL
);
CREATE TRIGGER coin_prices_fixed BEFORE UPDATE ON coin_prices
FOR EACH ROW EXECUTE FUNCTION refuse('prices do not change');
CREATE TRIGGER coin_prices_kept BEFORE DELETE ON coin_prices
FOR EACH ROW EXECUTE FUNCTION refuse('prices are kept');
