// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {OracleErrors} from "../errors/ExchangeErrors.sol";
import {IPool} from "../interfaces/IPool.sol";
import {Curve} from "./Curve.sol";
import {Native} from "./Native.sol";

/// @title What the coin is worth: the platform's price
/// @notice One point is one won, so the chain's own pool says what an MVC is worth in won. Partners' three-month
/// average, fee caps and quotes come from here. A price that should not be relied on is refused, with
/// the reason; there is no older or other price behind it.
/// @dev No state, no constructor.
contract Oracle {
    /// @notice The short window, against which the price of the moment is held.
    uint256 public constant SHORT_WINDOW = 30 minutes;
    /// @notice The partners' window: three months.
    uint256 public constant LONG_WINDOW = 90 days;
    /// @notice Micro-points that the pool must have held, in the harmonic mean over the window: 10,000,000
    /// points.
    uint256 public constant LEAST_DEPTH = 10_000_000 * 1e6;
    /// @notice How far the price of the moment may be from the short average, in parts of 10,000 of it.
    uint256 public constant MAX_DEVIATION_BP = 500;

    /// @notice Units of one coin.
    uint256 private constant COIN_UNIT = 1e18;

    /// @notice Micro-points for one MVC: the mean over each second of `window`, rounded down. Refused when
    /// the pool is too young for the window (or for the short one), was too thin over either, or when the
    /// price of the moment is too far from the short average.
    function coinPrice(uint256 window) external view returns (uint256 price) {
        IPool pool = IPool(Native.POOL);
        uint256 short = _deepAverage(pool, SHORT_WINDOW);
        uint256 spot = _micro(pool.spot());
        uint256 distance = spot > short ? spot - short : short - spot;
        if (distance * Curve.BP > short * MAX_DEVIATION_BP) {
            revert OracleErrors.PriceTooFar(spot, short);
        }
        return window == SHORT_WINDOW ? short : _deepAverage(pool, window);
    }

    function _deepAverage(IPool pool, uint256 window) private view returns (uint256) {
        (uint256 price, uint256 depth) = pool.average(window);
        if (depth < LEAST_DEPTH) {
            revert OracleErrors.PriceTooThin(depth, LEAST_DEPTH);
        }
        return _micro(price);
    }

    /// @dev From units for a unit, times 2^96, to micro-points for a coin.
    function _micro(uint256 price) private pure returns (uint256) {
        return Math.mulDiv(price, COIN_UNIT, Curve.PRICE_ONE);
    }
}
