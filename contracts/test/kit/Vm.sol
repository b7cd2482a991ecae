// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice The words of forge that these tests use.
interface Vm {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    function addr(uint256 secret) external returns (address);
    function assertEq(bool left, bool right, string calldata why) external;
    function assertEq(uint256 left, uint256 right, string calldata why) external;
    function assertEq(address left, address right, string calldata why) external;
    function assertEq(bytes32 left, bytes32 right, string calldata why) external;
    function assertEq(bytes calldata left, bytes calldata right, string calldata why) external;
    function assertEq(string calldata left, string calldata right, string calldata why) external;
    function assertNotEq(bytes32 left, bytes32 right, string calldata why) external;
    function assertLe(uint256 left, uint256 right, string calldata why) external;
    function assertTrue(bool condition, string calldata why) external;
    function assertFalse(bool condition, string calldata why) external;
    function assume(bool condition) external;
    function accesses(address target) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function chainId(uint256 id) external;
    function clearMockedCalls() external;
    function computeCreateAddress(address deployer, uint256 nonce) external returns (address);
    function cool(address target) external;
    function deal(address account, uint256 balance) external;
    function envOr(string calldata name, bool value) external returns (bool);
    function etch(address target, bytes calldata code) external;
    function expectCall(address callee, bytes calldata data, uint64 count) external;
    function expectEmit(bool topic1, bool topic2, bool topic3, bool data, address emitter) external;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectRevert(bytes calldata reason) external;
    function getNonce(address account) external returns (uint64);
    function getRecordedLogs() external returns (Log[] memory);
    function lastCallGas() external returns (Gas memory);
    function load(address target, bytes32 slot) external returns (bytes32);
    function mockCall(address callee, bytes calldata data, bytes calldata answer) external;
    function mockCallRevert(address callee, bytes calldata data, bytes calldata reason) external;
    function parseJsonBytes(string calldata json, string calldata key) external returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external returns (bytes32);
    function parseJsonUint(string calldata json, string calldata key) external returns (uint256);
    function pauseGasMetering() external;
    function prank(address sender) external;
    function readFile(string calldata path) external returns (string memory);
    function record() external;
    function recordLogs() external;
    function resumeGasMetering() external;
    function revertToState(uint256 id) external returns (bool);
    function sign(uint256 secret, bytes32 digest) external returns (uint8 v, bytes32 r, bytes32 s);
    function snapshotState() external returns (uint256 id);
    function startPrank(address sender) external;
    function stopPrank() external;
    function store(address target, bytes32 slot, bytes32 value) external;
    function toString(uint256 value) external returns (string memory);
    function warp(uint256 timestamp) external;
    function writeFile(string calldata path, string calldata data) external;
}
