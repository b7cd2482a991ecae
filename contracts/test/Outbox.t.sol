// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Outbox} from "../src/libraries/Outbox.sol";
import {Test} from "./kit/Test.sol";
import {Tree} from "./kit/Tree.sol";

contract OutboxTest is Test {
    function test_hashesAsDrawn() public {
        bytes32 c = keccak256("commitment");
        vm.assertEq(Outbox.leaf(7, c), keccak256(abi.encodePacked(hex"00", uint64(7), c)), "leaf");
        vm.assertEq(Outbox.node(c, bytes32(0)), keccak256(abi.encodePacked(hex"01", c, bytes32(0))), "node");
        vm.assertEq(Outbox.root(9, c), keccak256(abi.encodePacked(hex"02", uint64(9), c)), "root");
    }

    function test_everyLeafOfEverySmallTreeProves() public {
        for (uint64 size = 1; size <= 33; ++size) {
            (bytes32[] memory commitments, bytes32[] memory hashes, bytes32 tree) = _tree(size);
            for (uint64 i = 0; i < size; ++i) {
                vm.assertTrue(this.verify(tree, size, i, commitments[i], Tree.path(hashes, i)), "leaf proves");
            }
        }
    }

    function test_oneLeafNeedsNoPath() public {
        bytes32 c = keccak256("only");
        vm.assertTrue(this.verify(Outbox.leaf(0, c), 1, 0, c, new bytes32[](0)), "the leaf is the tree");
        vm.assertFalse(this.verify(Outbox.leaf(0, c), 1, 0, c, new bytes32[](1)), "over-long");
    }

    function test_largestIndexDoesNotOverflow() public {
        bytes32[] memory path = new bytes32[](64);
        vm.assertFalse(
            this.verify(bytes32(0), type(uint64).max, type(uint64).max - 1, bytes32(0), path), "last leaf"
        );
        vm.assertFalse(
            this.verify(bytes32(0), type(uint64).max, type(uint64).max, bytes32(0), path), "beyond it"
        );
    }

    function testFuzz_nothingElseProves(uint256 seed) public {
        uint64 size = uint64(bound(uint256(keccak256(abi.encode(seed, "size"))), 1, 150));
        uint64 index = uint64(bound(uint256(keccak256(abi.encode(seed, "index"))), 0, size - 1));
        uint64 other = uint64(bound(uint256(keccak256(abi.encode(seed, "other"))), 0, size - 1));
        (bytes32[] memory commitments, bytes32[] memory hashes, bytes32 tree) = _tree(size);
        bytes32[] memory path = Tree.path(hashes, index);
        bytes32 c = commitments[index];
        vm.assertTrue(this.verify(tree, size, index, c, path), "the true one proves");
        if (other != index) {
            vm.assertFalse(this.verify(tree, size, other, c, path), "other index");
            vm.assertFalse(this.verify(tree, size, index, commitments[other], path), "other commitment");
        }
        vm.assertFalse(this.verify(tree, 0, index, c, path), "empty tree");
        vm.assertFalse(this.verify(tree, size, size, c, path), "index out of range");
        vm.assertFalse(this.verify(tree, size, type(uint64).max, c, path), "index far out of range");
        vm.assertFalse(this.verify(keccak256(abi.encode(tree)), size, index, c, path), "other tree");
        vm.assertFalse(this.verify(tree, size, index, c, _resized(path, path.length + 1)), "over-long");
        if (path.length > 0) {
            vm.assertFalse(this.verify(tree, size, index, c, _resized(path, path.length - 1)), "truncated");
            path[seed % path.length] ^= bytes32(uint256(1) << (seed >> 248));
            vm.assertFalse(this.verify(tree, size, index, c, path), "changed");
        }
    }

    /// @dev For one index and size there is one length; a tree node is never taken for a leaf.
    function testFuzz_innerNodeIsNoLeaf(uint256 seed) public {
        uint64 size = uint64(bound(seed, 2, 64));
        (, bytes32[] memory hashes, bytes32 tree) = _tree(size);
        bytes32[] memory path = Tree.path(hashes, 0);
        // The left child of the root, passed off as a commitment with the one path element left.
        bytes32[] memory top = new bytes32[](1);
        top[0] = path[path.length - 1];
        uint256 half = 1;
        while (half * 2 < size) half *= 2;
        bytes32 left = Tree.hash(hashes, 0, half);
        vm.assertEq(Outbox.node(left, top[0]), tree, "it is the left child");
        vm.assertFalse(this.verify(tree, 2, 0, left, top), "a node is not a leaf");
    }

    /// @dev Calldata in, as the bridge has it.
    function verify(bytes32 tree, uint64 size, uint64 index, bytes32 commitment, bytes32[] calldata path)
        external
        pure
        returns (bool)
    {
        return Outbox.verify(tree, size, index, commitment, path);
    }

    function _tree(uint64 size)
        private
        pure
        returns (bytes32[] memory commitments, bytes32[] memory hashes, bytes32 tree)
    {
        commitments = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            commitments[i] = keccak256(abi.encode(i));
        }
        hashes = Tree.leaves(commitments);
        tree = Tree.hash(hashes, 0, size);
    }

    function _resized(bytes32[] memory path, uint256 length) private pure returns (bytes32[] memory out) {
        out = new bytes32[](length);
        for (uint256 i = 0; i < length && i < path.length; ++i) {
            out[i] = path[i];
        }
    }
}
