// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILightClient} from "../../src/interfaces/ILightClient.sol";
import {Bls} from "../../src/libraries/Bls.sol";

/// @notice Stands for two thirds of the delegates: signs with one secret, by the precompiles.
library Signer {
    address private constant G1_MSM = address(0x0c);
    address private constant G2_MSM = address(0x0e);
    bytes private constant DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    bytes private constant G2 =
        hex"00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb80000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be";

    /// @notice The public key of a secret.
    function key(uint256 secret) internal view returns (bytes memory) {
        return _multiply(G2_MSM, G2, secret);
    }

    /// @notice The secret's signature over a message of the suite.
    function sign(uint256 secret, bytes memory message) internal view returns (bytes memory) {
        return _multiply(G1_MSM, Bls.hashToG1(message, DST), secret);
    }

    /// @notice Fills in the header's signature.
    function certify(uint256 secret, uint64 chainId, ILightClient.HeaderProof memory header)
        internal
        view
        returns (ILightClient.HeaderProof memory)
    {
        header.signature = sign(secret, signedMessage(chainId, header));
        return header;
    }

    /// @notice What the delegates sign.
    function signedMessage(uint64 chainId, ILightClient.HeaderProof memory header)
        internal
        pure
        returns (bytes memory)
    {
        return bytes.concat(
            abi.encodePacked(uint8(27), "mileverse/", chainId, "_FINALIZE"),
            varint(header.epoch),
            varint(header.view_),
            varint(header.parentView),
            keccak256(
                bytes.concat(
                    keccak256(abi.encodePacked(uint8(2), header.outboxSize, header.outboxTree)),
                    header.restHash
                )
            )
        );
    }

    /// @notice LEB128, plainly, so that it can judge the contracts' own.
    function varint(uint64 value) internal pure returns (bytes memory out) {
        while (value > 0x7f) {
            // forge-lint: disable-next-line(unsafe-typecast)
            out = bytes.concat(out, bytes1(uint8(value & 0x7f) | 0x80));
            value >>= 7;
        }
        // forge-lint: disable-next-line(unsafe-typecast)
        out = bytes.concat(out, bytes1(uint8(value)));
    }

    function _multiply(address precompile, bytes memory point, uint256 scalar)
        private
        view
        returns (bytes memory)
    {
        (bool good, bytes memory out) = precompile.staticcall(bytes.concat(point, bytes32(scalar)));
        require(good && out.length == point.length, "the curve precompiles are missing");
        return out;
    }
}
