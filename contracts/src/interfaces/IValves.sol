// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title What can be stopped at the bridge, by whom, and how much may cross
/// @notice Amounts are in the unit in which the token crosses, the one that packets have. A limit of
/// 2^96 - 1 is none. Functions for the guardian only stop; what opens is the governor's, behind the
/// authority's delay.
interface IValves {
    /// @notice A way across.
    enum Direction {
        Send,
        Receive
    }

    /// @notice What one token may do. Hours and days are block time divided by 3,600 and 86,400.
    struct Limits {
        uint96 sendPerHour;
        uint96 sendPerDay;
        uint96 receivePerHour;
        uint96 receivePerDay;
        uint96 largeFrom; // transfers here of as much or more wait first
        uint32 holdSeconds; // so long
    }

    /// @notice What is left of a token's limits in this hour and day.
    struct Room {
        uint256 sendInHour;
        uint256 sendInDay;
        uint256 receiveInHour;
        uint256 receiveInDay;
    }

    /// @notice A direction is stopped, or open again.
    event DirectionPaused(Direction indexed direction);
    event DirectionResumed(Direction indexed direction);
    /// @notice A token is stopped, or goes on.
    event TokenPaused(address indexed token);
    event TokenResumed(address indexed token);
    /// @notice A token's limits are new.
    event LimitsSet(address indexed token, Limits limits);
    /// @notice A token of this chain may cross from now on, in units of 10^-decimals.
    event TokenRegistered(address indexed token, uint8 decimals);
    /// @notice A large transfer was proven in time. Until then a guardian may stop it.
    event PacketHeld(uint64 indexed sequence, bytes32 indexed commitment, uint64 until);

    /// @notice Guardian: nothing leaves any more, or nothing comes in.
    function pauseDirection(Direction direction) external;
    /// @notice Governor: it goes on.
    function resumeDirection(Direction direction) external;
    /// @notice Guardian: this token neither leaves nor comes in.
    function pauseToken(address token) external;
    /// @notice Governor: it goes on.
    function resumeToken(address token) external;
    /// @notice Guardian: a transfer that waits never takes effect; it is refunded at its source.
    function stop(bytes calldata packet) external;
    /// @notice Governor: new limits for a token of this bridge.
    function setLimits(address token, Limits calldata limits) external;
    /// @notice Governor: an ERC-20 of this chain may cross from now on.
    /// @param decimals Decimals with which it crosses: at most its own. Finer amounts are refused.
    function register(address token, uint8 decimals, Limits calldata limits) external;

    /// @notice Anybody: a large transfer whose delay is over takes effect.
    function release(bytes calldata packet) external;

    /// @notice Whether a direction is stopped.
    function directionPaused(Direction direction) external view returns (bool);
    /// @notice Whether a token is stopped.
    function tokenPaused(address token) external view returns (bool);
    /// @notice A token's limits.
    function limits(address token) external view returns (Limits memory);
    /// @notice What is left of them now.
    function room(address token) external view returns (Room memory);
    /// @notice How many of a token's smallest units are one unit as it crosses.
    function unit(address token) external view returns (uint256);
    /// @notice A transfer that waits: its commitment, and when it may be released; zero if none does.
    function held(uint64 sequence) external view returns (bytes32 commitment, uint64 until);
    /// @notice Sequences of transfers that wait, in no order: `limit` of them from `from` on, and how
    /// many there are.
    function heldSequences(uint256 from, uint256 limit)
        external
        view
        returns (uint256 count, uint64[] memory sequences);
}
