// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Bridge} from "../../src/bridge/Bridge.sol";

/// @notice Keeps one unit of each transfer for itself.
contract FeeToken is ERC20("Fee", "FEE") {
    constructor(address owner) {
        _mint(owner, 1e30);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) {
            super._update(to, address(this), 1);
        }
    }
}

/// @notice Says no without reverting.
contract FalseToken is ERC20("False", "FALSE") {
    constructor(address owner) {
        _mint(owner, 1e30);
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @notice Says yes and moves nothing.
contract LyingToken is ERC20("Lying", "LIE") {
    constructor(address owner) {
        _mint(owner, 1e30);
    }

    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return true;
    }
}

/// @notice Lets some accounts neither give nor take.
contract BlockingToken is ERC20("Blocking", "BLOCK") {
    mapping(address account => bool) public blocked;

    constructor(address owner) {
        _mint(owner, 1e36);
    }

    function set(address account, bool isBlocked) external {
        blocked[account] = isBlocked;
    }

    function _update(address from, address to, uint256 value) internal override {
        require(!blocked[from] && !blocked[to], "blocked");
        super._update(from, to, value);
    }
}

/// @notice Transfers without an answer, as some old tokens do; six decimals.
contract SilentToken {
    uint8 public constant decimals = 6;
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    constructor(address owner) {
        balanceOf[owner] = 1e30;
    }

    function approve(address spender, uint256 value) external {
        allowance[msg.sender][spender] = value;
    }

    function transfer(address to, uint256 value) external {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
    }

    function transferFrom(address from, address to, uint256 value) external {
        allowance[from][msg.sender] -= value;
        balanceOf[from] -= value;
        balanceOf[to] += value;
    }
}

/// @notice Calls the bridge again from inside a transfer.
contract ReentrantToken is ERC20("Again", "AGAIN") {
    Bridge public bridge;
    bytes public again;
    bytes public answer;
    bool public good;

    constructor(address owner) {
        _mint(owner, 1e30);
    }

    function arm(Bridge bridge_, bytes calldata again_) external {
        bridge = bridge_;
        again = again_;
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (again.length != 0) {
            (good, answer) = address(bridge).call(again);
        }
    }
}

/// @notice A receiver that would notice being called.
contract Noisy {
    uint256 public calls;

    fallback() external {
        ++calls;
    }
}
