// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title A pool of two tokens, from which anybody trades one for the other
/// @notice Amounts are in the tokens' smallest units. A deadline is the last second at which a call is good.
/// What a call takes in comes from its caller: by allowance, or, if it is the native chain's coin, sent
/// along as value; of value sent along for "at most" the rest goes back to the caller at once.
interface IPool {
    /// @notice Somebody traded.
    event Swapped(
        address indexed sender,
        address indexed receiver,
        address indexed tokenIn,
        uint256 amountIn,
        uint256 amountOut
    );
    /// @notice Somebody provided; shares were made.
    event Provided(
        address indexed sender, address indexed receiver, uint256 amount0, uint256 amount1, uint256 shares
    );
    /// @notice Somebody took back; shares were destroyed.
    event Withdrawn(
        address indexed sender, address indexed receiver, uint256 amount0, uint256 amount1, uint256 shares
    );
    /// @notice Points were paid to a shop with the other token. A `Swapped` is in the same transaction.
    event Paid(address indexed payer, address indexed shop, bytes32 indexed memo, uint256 points);
    /// @notice The reserves after each change.
    event Reserves(uint256 reserve0, uint256 reserve1);

    /// @notice Gives exactly `amountIn` of `tokenIn`, receives at least `leastOut` of the other token.
    function exactIn(address tokenIn, uint256 amountIn, uint256 leastOut, address receiver, uint256 deadline)
        external
        payable
        returns (uint256 amountOut);

    /// @notice Receives exactly `amountOut` of the other token, gives at most `mostIn` of `tokenIn`.
    function exactOut(address tokenIn, uint256 amountOut, uint256 mostIn, address receiver, uint256 deadline)
        external
        payable
        returns (uint256 amountIn);

    /// @notice `exactIn` with the allowance for it: an EIP-2612 permit for `amountIn` until `deadline`.
    function exactInWithPermit(
        address tokenIn,
        uint256 amountIn,
        uint256 leastOut,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 amountOut);

    /// @notice `exactOut` with the allowance for it: an EIP-2612 permit for `mostIn` until `deadline`. What is not
    /// taken of it stays allowed, to the caller's own trades in this pool and to nobody else's.
    function exactOutWithPermit(
        address tokenIn,
        uint256 amountOut,
        uint256 mostIn,
        address receiver,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 amountIn);

    /// @notice Pays a shop exactly `points` with at most `mostIn` of the other token. The shop sees a plain
    /// transfer of points with `memo`.
    function payExactPoints(address shop, uint256 points, uint256 mostIn, bytes32 memo, uint256 deadline)
        external
        payable
        returns (uint256 amountIn);

    /// @notice Provides both tokens in the proportion of the reserves, at most so much of each. The first
    /// provider chooses the proportion, and leaves `LOCKED_SHARES` behind for ever.
    function provide(uint256 most0, uint256 most1, uint256 leastShares, address receiver, uint256 deadline)
        external
        payable
        returns (uint256 amount0, uint256 amount1, uint256 shares);

    /// @notice Destroys the caller's shares and takes their part of both reserves, at least so much of each.
    function withdraw(uint256 shares, uint256 least0, uint256 least1, address receiver, uint256 deadline)
        external
        returns (uint256 amount0, uint256 amount1);

    /// @notice The token with the lower address. On the chain's own pool: points.
    function token0() external view returns (address);
    /// @notice The token with the higher address. On the chain's own pool: the coin.
    function token1() external view returns (address);
    /// @notice What the pool holds by its own books. Tokens that were only sent to it do not count.
    function reserves() external view returns (uint256 reserve0, uint256 reserve1);
    /// @notice What `exactIn` would give now, and the part of `amountIn` that goes to the providers.
    function quoteExactIn(address tokenIn, uint256 amountIn)
        external
        view
        returns (uint256 amountOut, uint256 fee);
    /// @notice What `exactOut` would take now, and the part of it that goes to the providers.
    function quoteExactOut(address tokenIn, uint256 amountOut)
        external
        view
        returns (uint256 amountIn, uint256 fee);
    /// @notice What `provide` would take and make now.
    function quoteProvide(uint256 most0, uint256 most1)
        external
        view
        returns (uint256 amount0, uint256 amount1, uint256 shares);
    /// @notice What `withdraw` would give now.
    function quoteWithdraw(uint256 shares) external view returns (uint256 amount0, uint256 amount1);

    /// @notice Units of token 0 for one unit of token 1 now, times 2^96. A trade moves it: never rely on it
    /// alone.
    function spot() external view returns (uint256 price);
    /// @notice The mean of the price that counted in each second of the window that ends now, rounded down,
    /// and the harmonic mean of reserve 0 over it. What counts follows `spot` by 1 % a second at most
    /// (`Observations`). A window is 1 second to 100 days, and not longer than `watched`.
    function average(uint256 window) external view returns (uint256 price, uint256 depth);
    /// @notice How many seconds back averages reach.
    function watched() external view returns (uint256);

    /// @notice Gas that must still be left where the transaction ends, by what noting the price took in the pool's
    /// last call in it. A contract that does more after a trade asks for it at its own end, and reverts with less: else
    /// what it does then may use up what another second needs for the note, and an estimate would be too low.
    function keptGas() external view returns (uint256);
}
