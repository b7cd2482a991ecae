// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {TokenErrors} from "../errors/TokenErrors.sol";

/// @title MVC: the coin people hold
/// @notice 3,000,000,000 coins, 18 decimals, made once, here. Nobody can make or take any later.
contract MileVerseCoin is ERC20, ERC20Permit {
    /// @notice A part of the supply and who holds it.
    struct Share {
        address account;
        uint256 amount;
    }

    /// @notice All there ever is, in the smallest unit.
    uint256 public constant SUPPLY = 3_000_000_000 * 1e18;

    /// @notice The most shares one allocation may have.
    uint256 public constant MAX_SHARES = 64;

    /// @param allocation Who holds the supply at first. Must add up to it exactly.
    constructor(Share[] memory allocation) ERC20("MileVerse Coin", "MVC") ERC20Permit("MileVerse Coin") {
        if (allocation.length == 0 || allocation.length > MAX_SHARES) {
            revert TokenErrors.AllocationSize(allocation.length);
        }
        for (uint256 i = 0; i < allocation.length; ++i) {
            if (allocation[i].account == address(0)) {
                revert TokenErrors.AllocationAccountZero(i);
            }
            _mint(allocation[i].account, allocation[i].amount);
        }
        if (totalSupply() != SUPPLY) {
            revert TokenErrors.AllocationSum(SUPPLY, totalSupply());
        }
    }
}
