// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BlsErrors} from "../src/errors/BlsErrors.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {Signer} from "./kit/Signer.sol";
import {Test} from "./kit/Test.sol";

contract BlsTest is Test {
    bytes private constant SUITE = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    /// @dev RFC 9380, appendix J.9.1.
    function test_hashesToTheCurveAsTheRfcDoes() public {
        bytes memory dst = "QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_";
        _assertPoint(
            Bls.hashToG1("", dst),
            hex"052926add2207b76ca4fa57a8734416c8dc95e24501772c814278700eed6d1e4e8cf62d9c09db0fac349612b759e79a1",
            hex"08ba738453bfed09cb546dbb0783dbb3a5f1f566ed67bb6be0e8c67e2e81a4cc68ee29813bb7994998f3eae0c9c6a265"
        );
        _assertPoint(
            Bls.hashToG1("abc", dst),
            hex"03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903",
            hex"0b9c15f3fe6e5cf4211f346271d7b01c8f3b28be689c8429c85b67af215533311f0b8dfaaa154fa6b88176c229f2885d"
        );
        bytes memory long = new bytes(512);
        for (uint256 i = 0; i < 512; ++i) {
            long[i] = "a";
        }
        _assertPoint(
            Bls.hashToG1(bytes.concat("a512_", long), dst),
            hex"082aabae8b7dedb0e78aeb619ad3bfd9277a2f77ba7fad20ef6aabdc6c31d19ba5a6d12283553294c1825c4b3ca2dcfe",
            hex"05b84ae5a942248eea39e1d91030458c40153f3b654ab7872d779ad1e942856a20c438e8d99bc8abfbf74729ce1f7ac8"
        );
    }

    /// @dev The chain's own suite, computed by another implementation.
    function test_hashesToTheCurveInTheChainsSuite() public {
        _assertPoint(
            Bls.hashToG1("abc", SUITE),
            hex"013964470939e806ca5ca96b348ab13af3f06a7d9dc4e8a0cf20d8a81a6d8f5a692c67424228d45d749e7832d27cea79",
            hex"12b4b387b66a6010e51eed2d8b2231e33b02d55b074298cd82f18d6c6a7d97159fbfc20065ccd0e23aa75cb7229f98ef"
        );
    }

    function testFuzz_onlyTheRightSignatureVerifies(uint128 secret, bytes memory message) public {
        vm.assume(secret != 0 && message.length < 300);
        bytes memory signature = Signer.sign(secret, message);
        bytes memory key = Signer.key(secret);
        vm.assertTrue(this.verify(key, message, signature), "its own");
        vm.assertFalse(this.verify(Signer.key(uint256(secret) + 1), message, signature), "other key");
        vm.assertFalse(this.verify(key, bytes.concat(message, hex"00"), signature), "other message");
        vm.assertFalse(this.verify(key, message, Signer.sign(uint256(secret) + 1, message)), "other secret");
    }

    /// @dev DESIGN, bridge table: "verifier or precompile swapped, short return data".
    function test_Wormhole_silentPrecompileIsRefused() public {
        bytes memory signature = Signer.sign(5, "m");
        bytes memory key = Signer.key(5);
        address[4] memory precompiles = [Bls.SHA256, Bls.MAP_FP_TO_G1, Bls.G1_ADD, Bls.PAIRING];
        for (uint256 i = 0; i < precompiles.length; ++i) {
            // Absent: the call succeeds and says nothing.
            vm.mockCall(precompiles[i], "", "");
            vm.expectRevert(abi.encodeWithSelector(BlsErrors.PrecompileFailed.selector, precompiles[i]));
            this.verify(key, "m", signature);
            // Short by one byte, and long by one.
            uint256 length = i == 0 || i == 3 ? 32 : 128;
            vm.mockCall(precompiles[i], "", new bytes(length - 1));
            vm.expectRevert(abi.encodeWithSelector(BlsErrors.PrecompileFailed.selector, precompiles[i]));
            this.verify(key, "m", signature);
            vm.mockCall(precompiles[i], "", new bytes(length + 1));
            vm.expectRevert(abi.encodeWithSelector(BlsErrors.PrecompileFailed.selector, precompiles[i]));
            this.verify(key, "m", signature);
            vm.clearMockedCalls();
        }
        vm.assertTrue(this.verify(key, "m", signature), "and with the real ones it verifies");
    }

    /// @dev The pairing's answer must be the number one, not merely something.
    function test_Wormhole_pairingAnswerMustBeOne() public {
        bytes memory signature = Signer.sign(5, "m");
        bytes memory key = Signer.key(5);
        vm.mockCall(Bls.PAIRING, "", abi.encode(2));
        vm.assertFalse(this.verify(key, "m", signature), "two is not one");
        vm.mockCall(Bls.PAIRING, "", abi.encode(0));
        vm.assertFalse(this.verify(key, "m", signature), "zero is not one");
    }

    /// @dev Calldata in, as the light client has it.
    function verify(bytes memory key, bytes memory message, bytes calldata signature)
        external
        view
        returns (bool)
    {
        (uint256 pairs, uint256 place) = Bls.room();
        assembly ("memory-safe") {
            mcopy(add(pairs, 0x200), add(key, 32), 256)
            mcopy(place, add(message, 32), mload(message))
        }
        return Bls.verify(pairs, message.length, signature);
    }

    function _assertPoint(bytes memory point, bytes memory x, bytes memory y) private {
        vm.assertEq(point, bytes.concat(new bytes(16), x, new bytes(16), y), "point");
    }
}
