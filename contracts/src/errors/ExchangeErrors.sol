// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why a pool, or the factory, refuses.
interface ExchangeErrors {
    /// @notice The token has no code on this chain.
    error TokenWithoutCode(address token);
    /// @notice The two tokens of a pool are the same.
    error TokenTwice(address token);
    /// @notice Not one of this pool's two tokens.
    error TokenUnknown(address token);
    /// @notice This pool does not hold points.
    error PointsUnknown();
    /// @notice Points charge this pool for its transfers; the genesis file must exempt it first.
    error PointsCharge(address pool);
    /// @notice There is such a pool already.
    error PoolExists(address pool);
    /// @notice The amount is zero, or so small that nothing would come of it.
    error AmountZero();
    /// @notice The receiver is zero, or the pool itself.
    error ReceiverInvalid(address receiver);
    /// @notice Coin was sent along with a call that takes none, or another amount than the call names.
    error ValueWrong(uint256 value, uint256 expected);
    /// @notice The token moved another amount than it was told to.
    error AmountMoved(address token, uint256 expected, uint256 actual);
    /// @notice The trade came after its last second.
    error DeadlineOver(uint256 deadline);
    /// @notice Less would arrive than is wanted at least.
    error TooLittleOut(uint256 amount, uint256 least);
    /// @notice More would be taken than is allowed at most.
    error TooMuchIn(uint256 amount, uint256 most);
    /// @notice Nobody has provided anything yet.
    error PoolEmpty();
    /// @notice The pool does not hold that much.
    error ReserveTooSmall(uint256 wanted, uint256 reserve);
    /// @notice The pool holds at most 2^112 - 1 of a token.
    error ReserveTooLarge(uint256 reserve);
    /// @notice The first provider must bring more than what is locked for ever.
    error FirstProvisionTooSmall(uint256 shares, uint256 least);
    /// @notice Too little gas is left: a change of the reserves needs room for noting the price, whether it is
    /// the first of its second or not.
    error GasTooLittle(uint256 left, uint256 needed);
    /// @notice What must never happen: a trade would have left the providers with less.
    error ProductFell();
}

/// @notice Why there is no price that one should rely on.
interface OracleErrors {
    /// @notice A window is one second to 100 days.
    error WindowOutOfRange(uint256 window);
    /// @notice Too young: the pool has been watched for fewer seconds than the window has.
    error PriceTooYoung(uint256 window, uint256 watched);
    /// @notice Too thin: over the window the pool held, in the harmonic mean, fewer micro-points.
    error PriceTooThin(uint256 depth, uint256 least);
    /// @notice Too far: the price of this moment is too far from its own average. Both in micro-points for
    /// one coin.
    error PriceTooFar(uint256 spot, uint256 average);
}
