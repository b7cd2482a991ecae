// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Quarterly rewards on Ethereum
/// @notice docs/rewards.md explains them. Quarters are 4 x year + (0 to 3), amounts MVC in its smallest unit.
interface IQuarterlyRewards {
    /// @notice Of an open quarter. `paid + share + unclaimed == pot`; `unclaimed` is what holders can still
    /// claim, with what rounding left. `share` belongs to the `locked` coin that the bridge held at the close;
    /// it crosses as the packet `sequence` (0: not sent yet), which `refunded` says came back and can be sent
    /// again. `nextFunded`: whether the whole pot of the quarter after was there when this one was opened.
    struct Report {
        uint64 quarter;
        uint64 openedAt;
        uint256 pot;
        uint256 eligible;
        uint256 paid;
        uint64 claims;
        uint256 share;
        uint256 locked;
        uint64 sequence;
        bool refunded;
        uint256 unclaimed;
        bool nextFunded;
    }

    /// @notice `quarter` is under way and ends at the second `endsAt`. `next` is opened next: `quarter` itself
    /// if all that are over are open. `nextPot` is what it will have as of now, and `funded` whether that is
    /// the whole pot. `available` and `owed` are here, for quarters to come and for claims and shares;
    /// `reserve` is what the reserve still has.
    struct Standing {
        uint64 quarter;
        uint64 endsAt;
        uint64 next;
        uint256 nextPot;
        bool funded;
        uint256 available;
        uint256 owed;
        uint256 reserve;
    }

    /// @notice A quarter's pot is here and may be claimed. `nextFunded` announces a quarter ahead whether the
    /// next will have the whole pot.
    event QuarterOpened(
        uint64 indexed quarter, uint256 pot, uint256 eligible, uint256 share, bool nextFunded
    );
    /// @notice An account was paid for a quarter.
    event Claimed(uint64 indexed quarter, address indexed account, uint256 amount);
    /// @notice The bridge's share of a quarter left for the native chain.
    event Forwarded(uint64 indexed quarter, uint64 indexed sequence, uint256 amount);
    /// @notice Somebody gave coin for quarters to come.
    event Funded(address indexed from, uint256 amount);
    /// @notice From the close of `quarter` on, the account does not earn.
    event Excluded(address indexed account, uint64 quarter);
    /// @notice From the close of `quarter` on, the account earns again.
    event Readmitted(address indexed account, uint64 quarter);

    /// @notice Opens a quarter that is over: takes its pot from the reserve and fixes what is eligible. In
    /// order, each once. Refuses while there is less than 1 MVC for it.
    function open(uint64 quarter) external;

    /// @notice Pays an account for a quarter. Refuses if there is nothing to pay.
    function claim(address account, uint64 quarter) external returns (uint256 amount);

    /// @notice Pays many accounts for one quarter: 1 to 256. Passes over those with nothing to get.
    /// @return amount Paid in all.
    function claimBatch(address[] calldata accounts, uint64 quarter) external returns (uint256 amount);

    /// @notice Pays an account for many open quarters: 1 to 256. Passes over those with nothing to get.
    /// @return amount Paid in all.
    function claimQuarters(address account, uint64[] calldata quarters) external returns (uint256 amount);

    /// @notice Sends the share of what the bridge held at a quarter's close to the native chain. Once; again
    /// only if the packet came back. If the bridge refuses (a pause, a limit), try later.
    function forward(uint64 quarter) external returns (uint64 sequence);

    /// @notice Gives coin for quarters to come, for when the reserve has less than a pot. Needs an allowance.
    /// Coin that is simply transferred here belongs to nobody.
    function fund(uint256 amount) external;

    /// @notice The governor, after the delay: an account earns nothing from the close of the quarter under way
    /// on. Refuses while a quarter that is over is not open.
    function exclude(address account) external;

    /// @notice The governor, after the delay: an account earns again from the close of the quarter under way
    /// on. Refuses while a quarter that is over is not open.
    function readmit(address account) external;

    /// @notice The oldest quarter that is not open.
    function nextQuarter() external view returns (uint64);
    /// @notice Accounts that do not earn. The zero address, this contract and the reserve never do; what the
    /// bridge holds earns on the native chain.
    function excluded() external view returns (address[] memory);
    /// @notice What an account earned for an open quarter, and whether it was paid.
    function earned(address account, uint64 quarter) external view returns (uint256 amount, bool isClaimed);
    /// @notice What an account would earn if the quarter under way closed now and were the next to be opened:
    /// its balance, all that earns, and the pot.
    function preview(address account)
        external
        view
        returns (uint256 amount, uint256 holding, uint256 eligible, uint256 pot);
    /// @notice An open quarter.
    function report(uint64 quarter) external view returns (Report memory);
    /// @notice Where things are now.
    function standing() external view returns (Standing memory);
    /// @notice Whether all that is promised is here.
    function solvent() external view returns (bool);
    /// @notice The native rewards module's account for a quarter's share:
    /// 0x4d56 | locked (12 bytes) | quarter (4 bytes) | 0x0006.
    function receiverOf(uint64 quarter, uint256 locked) external pure returns (address);
}
