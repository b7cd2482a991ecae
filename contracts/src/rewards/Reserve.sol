// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {RewardErrors} from "../errors/RewardErrors.sol";
import {Quarter} from "../libraries/Quarter.sol";
import {MileVerseCoin} from "../tokens/MileVerseCoin.sol";

/// @title The reserved tranche of MVC, which funds the quarterly rewards and nothing else
/// @notice Gives 4,500,000 MVC for each quarter that is over, once, in order, to the quarterly rewards, until
/// it is empty; 960,000,000 MVC last for 213 quarters, and what is left then is given with the one after. It
/// has no owner and no other way out. Whoever gives it coin makes it last longer.
contract Reserve {
    using SafeERC20 for MileVerseCoin;

    /// @notice What a quarter gets: 0.5 % of the sale tranche.
    uint256 public constant POT = 4_500_000 * 1e18;

    /// @notice MVC.
    MileVerseCoin public immutable coin;

    /// @notice The only account that gets any.
    address public immutable rewards;

    /// @notice The oldest quarter for which nothing was given yet.
    uint64 public nextQuarter;

    /// @notice A quarter's coin went to the quarterly rewards.
    event Released(uint64 indexed quarter, uint256 amount, uint256 left);

    /// @param coin_ MVC; it may be deployed later, since it gives this contract its tranche.
    /// @param rewards_ The quarterly rewards; deployed later.
    constructor(MileVerseCoin coin_, address rewards_) {
        if (address(coin_) == address(0) || rewards_ == address(0)) {
            revert RewardErrors.WrongContract(address(0));
        }
        coin = coin_;
        rewards = rewards_;
        nextQuarter = SafeCast.toUint64(Quarter.containing(block.timestamp));
    }

    /// @notice Gives a quarter's coin.
    /// @return amount The pot, or what is left if that is less.
    function release(uint64 quarter) external returns (uint256 amount) {
        if (msg.sender != rewards) {
            revert RewardErrors.OnlyRewards(msg.sender);
        }
        if (quarter != nextQuarter) {
            revert RewardErrors.NotNext(quarter, nextQuarter);
        }
        if (quarter >= Quarter.containing(block.timestamp)) {
            revert RewardErrors.NotOver(quarter, Quarter.ends(quarter));
        }
        nextQuarter = quarter + 1;
        uint256 held = coin.balanceOf(address(this));
        amount = held < POT ? held : POT;
        emit Released(quarter, amount, held - amount);
        if (amount != 0) {
            coin.safeTransfer(rewards, amount);
        }
    }
}
