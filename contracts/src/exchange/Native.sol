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

/// @notice What the exchange needs of the bridge module: the native end of the bridge (`docs/protocol.md`).
interface INativeBridge {
    /// @notice A packet from Ethereum and the storage proof of its commitment.
    struct StorageItem {
        bytes packet;
        bytes[] storageProof;
    }

    /// @notice A packet whose tokens the router holds until it has said how the swap ended.
    struct Opened {
        uint64 sequence;
        address token;
        uint256 amount;
        address receiver;
        uint256 least;
    }

    /// @notice Settles packets that a checkpoint of Ethereum proves. Opens those that are to be swapped, for
    /// the router alone.
    function deliver(uint64 ethereumBlock, bytes[] calldata accountProof, StorageItem[] calldata items)
        external;
    /// @notice A large transfer whose delay is over takes effect, or is opened.
    function release(bytes calldata packet) external;
    /// @notice All that is opened and not settled, in the order of opening.
    function opened() external view returns (Opened[] memory);
    /// @notice Router: the swap of a packet is done, or its tokens are given back and go home.
    function settle(uint64 sequence, bool done) external;
    /// @notice Sends the caller's tokens to Ethereum; `sender` has the refund.
    function sendFor(address token, address receiver, uint256 amount, uint64 deadline, address sender)
        external
        payable
        returns (uint64 sequence);
}

/// @title Fixed addresses of the native chain
/// @notice Modules count from `0x4d56…0001`; contracts that a genesis file places count from `0x4d56…0101`.
library Native {
    /// @notice MVP: 6 decimals.
    address internal constant POINTS = 0x4d56000000000000000000000000000000000001;
    /// @notice MVC as an ERC-20: 18 decimals. An account's balance there is its native balance.
    address internal constant COIN = 0x4D56000000000000000000000000000000000002;
    /// @notice The native end of the bridge.
    address internal constant BRIDGE = 0x4d56000000000000000000000000000000000003;
    /// @notice Makes pools.
    address internal constant FACTORY = 0x4d56000000000000000000000000000000000101;
    /// @notice The pool of MVP and MVC.
    address internal constant POOL = 0x4D56000000000000000000000000000000000102;
    /// @notice The platform's price of the coin.
    address internal constant ORACLE = 0x4d56000000000000000000000000000000000103;
    /// @notice Swaps what comes over the bridge, and sends what was swapped.
    address internal constant ROUTER = 0x4d56000000000000000000000000000000000104;
}
