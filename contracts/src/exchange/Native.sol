// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice What the exchange needs of the points module beyond ERC-20 (`docs/points.md`).
interface IPoints is IERC20 {
    /// @notice A transfer that says what it is for.
    function transferWithMemo(address to, uint256 amount, bytes32 memo) external returns (bool);
    /// @notice What a transfer costs its payer on top of the amount.
    function transferFee(address from, address to, uint256 amount) external view returns (uint256);
}

/// @title Fixed addresses of the native chain
/// @notice Modules count from `0x4d56…0001`; contracts that a genesis file places count from `0x4d56…0101`.
library Native {
    /// @notice MVP: 6 decimals.
    address internal constant POINTS = 0x4d56000000000000000000000000000000000001;
    /// @notice MVC as an ERC-20: 18 decimals. An account's balance there is its native balance.
    address internal constant COIN = 0x4D56000000000000000000000000000000000002;
    /// @notice Makes pools.
    address internal constant FACTORY = 0x4d56000000000000000000000000000000000101;
    /// @notice The pool of MVP and MVC.
    address internal constant POOL = 0x4D56000000000000000000000000000000000102;
    /// @notice The platform's price of the coin.
    address internal constant ORACLE = 0x4d56000000000000000000000000000000000103;
}
