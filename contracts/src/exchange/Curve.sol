// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Constant product: the arithmetic of a pool, without its state
/// @notice `x * y` of the reserves never falls. Every division rounds in the pool's favour.
///
///     out = floor( in' * reserveOut / (reserveIn * 10,000 + in') )     in' = in * 9,970
///     in  = ceil ( reserveIn * out * 10,000 / ((reserveOut - out) * 9,970) )
///
/// Reserves and amounts are below 2^112 and parts of 10,000 below 2^14, so no product exceeds 2^239.
library Curve {
    /// @notice What a trade pays to the providers: 0.30 % of what it brings, in parts of 10,000.
    uint256 internal constant FEE_BP = 30;
    /// @notice The whole.
    uint256 internal constant BP = 10_000;
    /// @notice Fraction bits of a price.
    uint256 internal constant PRICE_BITS = 96;
    /// @notice A price of one unit for one unit.
    uint256 internal constant PRICE_ONE = 2 ** PRICE_BITS;
    /// @notice Prices stop here, so that 2^36 seconds of them fit in 216 bits.
    uint256 internal constant MAX_PRICE = (1 << 180) - 1;
    /// @notice Numerator of `thinness`.
    uint256 internal constant THINNESS_ONE = 1 << 128;

    /// @notice What comes out for `amountIn`, fee taken. Both reserves are above zero.
    function outFor(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) internal pure returns (uint256) {
        uint256 net = amountIn * (BP - FEE_BP);
        return net * reserveOut / (reserveIn * BP + net);
    }

    /// @notice What must go in for `amountOut`, which is below `reserveOut`; fee included.
    function inFor(uint256 amountOut, uint256 reserveIn, uint256 reserveOut) internal pure returns (uint256) {
        return Math.ceilDiv(reserveIn * amountOut * BP, (reserveOut - amountOut) * (BP - FEE_BP));
    }

    /// @notice The providers' part of `amountIn`, rounded up.
    function fee(uint256 amountIn) internal pure returns (uint256) {
        return Math.ceilDiv(amountIn * FEE_BP, BP);
    }

    /// @notice Units of token 0 for one unit of token 1, times 2^96, rounded down, at most `MAX_PRICE`.
    function price(uint256 reserve0, uint256 reserve1) internal pure returns (uint256) {
        return Math.min((reserve0 << PRICE_BITS) / reserve1, MAX_PRICE);
    }

    /// @notice The inverse of the depth: 2^128 / reserve 0, rounded down. Its mean over time is the inverse
    /// of the harmonic mean of the depth, which a moment of plenty cannot raise.
    function thinness(uint256 reserve0) internal pure returns (uint256) {
        return THINNESS_ONE / reserve0;
    }
}
