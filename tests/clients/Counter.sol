// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;
contract Counter {
    uint256 public count;
    event Counted(uint256 value);
    function add(uint256 by) external { count += by; emit Counted(count); }
    function fail() external pure { revert("no more"); }
}
