// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {TokenErrors} from "../errors/TokenErrors.sol";

/// @title MVP on Ethereum: points whose home is the native chain
/// @notice Each unit here is backed by one that the native bridge holds. 6 decimals, as at home.
contract WrappedPoints is ERC20, ERC20Permit {
    /// @notice The only account that makes and destroys points here.
    address public immutable bridge;

    modifier onlyBridge() {
        if (msg.sender != bridge) {
            revert TokenErrors.OnlyBridge(msg.sender);
        }
        _;
    }

    /// @param bridge_ The bridge, for ever.
    constructor(address bridge_) ERC20("MileVerse Points", "MVP") ERC20Permit("MileVerse Points") {
        if (bridge_ == address(0)) {
            revert TokenErrors.BridgeZero();
        }
        bridge = bridge_;
    }

    /// @notice Points have six decimals on every chain.
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    /// @notice Makes points that arrived from, or return to, the native chain's side of the bridge.
    function mint(address account, uint256 amount) external onlyBridge {
        _mint(account, amount);
    }

    /// @notice Destroys points that leave for home. The bridge only passes its own caller.
    function burn(address account, uint256 amount) external onlyBridge {
        _burn(account, amount);
    }
}
