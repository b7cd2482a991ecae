// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {TokenErrors} from "../errors/TokenErrors.sol";
import {Quarter} from "../libraries/Quarter.sol";

/// @title MVC: the coin people hold
/// @notice 3,000,000,000 coins, 18 decimals, made once, here. Nobody can make or take any later. The coin
/// remembers what each account held when a quarter closed: whoever moves coin for the first time in a quarter
/// writes down what it held before. Who does not move writes nothing.
///
///     _accounts      account => balance (128 bits) | end of the quarter of its last change << 128
///     _checkpoints   account => end of a quarter => what `_accounts` held before the first change in that
///                    quarter; not written for an account's very first change, when it held nothing
///
/// @dev Balances are kept here and not in `ERC20`, so that the quarter shares the balance's word: whether a
/// checkpoint is due costs no read of its own, and no calendar as long as the quarter lasts. Quarters are known
/// by the second at which they end. `_update` is where `ERC20` moves everything; its own balances and supply
/// stay empty. The supply is below 2^92.
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

    /// @dev Where the quarter's end is in a word; the balance is below it.
    uint256 private constant END = 128;
    uint256 private constant BALANCE = type(uint128).max;

    /// @dev One word, behind a pointer: its place is computed once for reading and writing.
    struct Account {
        uint256 word;
    }

    mapping(address account => Account) private _accounts;
    mapping(address account => mapping(uint256 end => uint256)) private _checkpoints;

    /// @param allocation Who holds the supply at first. Must add up to it exactly.
    constructor(Share[] memory allocation) ERC20("MileVerse Coin", "MVC") ERC20Permit("MileVerse Coin") {
        if (allocation.length == 0 || allocation.length > MAX_SHARES) {
            revert TokenErrors.AllocationSize(allocation.length);
        }
        uint256 sum;
        for (uint256 i = 0; i < allocation.length; ++i) {
            if (allocation[i].account == address(0)) {
                revert TokenErrors.AllocationAccountZero(i);
            }
            sum += allocation[i].amount;
        }
        // Before anything is stored: a larger share would not fit its word.
        if (sum != SUPPLY) {
            revert TokenErrors.AllocationSum(SUPPLY, sum);
        }
        for (uint256 i = 0; i < allocation.length; ++i) {
            _mint(allocation[i].account, allocation[i].amount);
        }
    }

    /// @notice What an account holds.
    function balanceOf(address account) public view override returns (uint256) {
        return _accounts[account].word & BALANCE;
    }

    /// @notice All there is; it never changes.
    function totalSupply() public pure override returns (uint256) {
        return SUPPLY;
    }

    /// @notice The quarter under way: 4 x year + (0 to 3), Asia/Seoul.
    function currentQuarter() public view returns (uint256) {
        return Quarter.containing(block.timestamp);
    }

    /// @notice What an account held when a quarter closed, before the first transaction after its end.
    /// Refuses for a quarter that is not over. Reads one word for each later quarter in which the account
    /// moved, and one more.
    function balanceAtClose(address account, uint256 quarter) external view returns (uint256) {
        uint256 current = currentQuarter();
        if (quarter >= current) {
            revert TokenErrors.QuarterNotOver(quarter, current);
        }
        uint256 close = Quarter.ends(quarter);
        // From the present back to the oldest change after the close.
        uint256 word = _accounts[account].word;
        for (uint256 end = word >> END; end > close; end = word >> END) {
            word = _checkpoints[account][end];
        }
        return word & BALANCE;
    }

    /// @dev Moves coin. Only the constructor makes any, and nothing destroys it.
    function _update(address from, address to, uint256 value) internal override {
        Account storage sender = _accounts[from];
        uint256 word = sender.word;
        if (from != address(0) && word & BALANCE < value) {
            revert ERC20InsufficientBalance(from, word & BALANCE, value);
        }
        // To oneself, or nothing: nobody's balance changes, and nothing is written.
        if (from != to && value != 0) {
            unchecked {
                // The sender has it, and all balances together are the supply.
                if (from != address(0)) {
                    sender.word = _inThisQuarter(from, word) - value;
                }
                Account storage receiver = _accounts[to];
                receiver.word = _inThisQuarter(to, receiver.word) + value;
            }
        }
        emit Transfer(from, to, value);
    }

    /// @dev An account's word before a change now. Before the quarter's first, writes down what it was.
    function _inThisQuarter(address account, uint256 word) private returns (uint256) {
        if (block.timestamp < word >> END) {
            return word;
        }
        uint256 end = Quarter.ends(currentQuarter());
        if (word != 0) {
            _checkpoints[account][end] = word;
        }
        return word & BALANCE | end << END;
    }
}
