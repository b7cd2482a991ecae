// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Varint} from "../src/libraries/Varint.sol";
import {Signer} from "./kit/Signer.sol";
import {Test} from "./kit/Test.sol";

contract VarintTest is Test {
    function test_knownEncodings() public {
        vm.assertEq(_encode(0), hex"00", "0");
        vm.assertEq(_encode(1), hex"01", "1");
        vm.assertEq(_encode(127), hex"7f", "127");
        vm.assertEq(_encode(128), hex"8001", "128");
        vm.assertEq(_encode(300), hex"ac02", "300");
        vm.assertEq(_encode(16_383), hex"ff7f", "16383");
        vm.assertEq(_encode(16_384), hex"808001", "16384");
        vm.assertEq(_encode(type(uint64).max), hex"ffffffffffffffffff01", "largest");
    }

    function testFuzz_readsBackAndIsShortest(uint64 value, uint8 shift) public {
        value >>= shift % 64;
        bytes memory out = _encode(value);
        uint256 back = 0;
        for (uint256 i = 0; i < out.length; ++i) {
            back |= uint256(uint8(out[i]) & 0x7f) << (7 * i);
            vm.assertEq(uint8(out[i]) >> 7 == 1, i + 1 < out.length, "only the last byte ends it");
        }
        vm.assertEq(back, value, "reads back");
        vm.assertEq(out, Signer.varint(value), "as the plain one");
        vm.assertLe(out.length, Varint.MAX_LENGTH, "no longer than it may be");
        vm.assertTrue(out.length == 1 || out[out.length - 1] != 0, "no empty last byte");
    }

    function _encode(uint64 value) private pure returns (bytes memory out) {
        out = new bytes(Varint.MAX_LENGTH);
        uint256 start;
        assembly ("memory-safe") {
            start := add(out, 32)
        }
        uint256 length = Varint.write(start, value) - start;
        assembly ("memory-safe") {
            mstore(out, length)
        }
    }
}
