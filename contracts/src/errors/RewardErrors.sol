// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why the reserve or the quarterly rewards refuse.
interface RewardErrors {
    /// @notice A contract that is not there yet, or not one of these.
    error WrongContract(address given);
    /// @notice Only the quarterly rewards take coin out of the reserve.
    error OnlyRewards(address caller);
    /// @notice Quarters are opened in order, each once; this one is next.
    error NotNext(uint64 quarter, uint64 next);
    /// @notice The quarter is not over; it ends at this second.
    error NotOver(uint64 quarter, uint256 end);
    /// @notice There is less than 1 MVC for it; it is opened when somebody has given that much (`fund`).
    error NothingToShare(uint64 quarter);
    /// @notice The quarter is not open; once it is over anybody opens it.
    error NotOpen(uint64 quarter);
    /// @notice Send an amount along.
    error AmountZero();
    /// @notice This account never earns here: it is excluded, or one of the system's own.
    error NeverEarns(address account, uint64 quarter);
    /// @notice The account was paid for this quarter.
    error ClaimedAlready(address account, uint64 quarter);
    /// @notice The account held nothing at that close, or so little that its share is less than one unit.
    error NothingEarned(address account, uint64 quarter);
    /// @notice A batch holds 1 to 256 entries.
    error BatchSize(uint256 size);
    /// @notice The bridge's share is on its way or has arrived, as this packet.
    error ForwardedAlready(uint64 quarter, uint64 sequence);
    /// @notice The bridge held nothing at that close.
    error NothingToForward(uint64 quarter);
    /// @notice A closed quarter comes first: a change of the list must not count for it.
    error OpenFirst(uint64 quarter);
    /// @notice The account is on the list already.
    error ExcludedAlready(address account);
    /// @notice The account is not on the list.
    error NotExcluded(address account);
    /// @notice The list holds 64 accounts already.
    error ListFull();
    /// @notice The books do not balance; nothing may be paid on them.
    error Unbalanced(uint64 quarter);
}
