// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {LightClientErrors} from "../errors/LightClientErrors.sol";
import {ILightClient} from "../interfaces/ILightClient.sol";
import {Bls} from "../libraries/Bls.sol";
import {Outbox} from "../libraries/Outbox.sol";
import {Varint} from "../libraries/Varint.sol";

/// @title Checks that a block of the native chain is final
///
///     message   = varint(27) ‖ namespace ‖ "_FINALIZE" ‖ varint(epoch) ‖ varint(view)
///                 ‖ varint(parent view) ‖ digest
///     namespace = "mileverse/" ‖ native chain id as 8 bytes
///     digest    = keccak256(outbox root ‖ restHash)
///
/// @notice One signature under one group key stands for two thirds of the delegates, whoever they
/// are. This client stands for one key, which is part of its code as the chain id is: it has no
/// storage, so nothing can change it. A new key is a new client, and only the bridge's fixed handler
/// of a rotation packet, signed for under the old key, puts one in the place of another.
contract LightClient is ILightClient {
    /// @dev The suite of the chain's consensus: signatures in G1.
    bytes private constant DST = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

    /// @inheritdoc ILightClient
    uint64 public immutable nativeChainId;

    /// @inheritdoc ILightClient
    uint64 public immutable keyVersion;

    /// @inheritdoc ILightClient
    uint64 public immutable firstEpoch;

    /// @dev The message up to the epoch: 28 bytes.
    bytes28 private immutable PREFIX;

    /// @dev The group key's eight words.
    bytes32 private immutable KEY_0;
    bytes32 private immutable KEY_1;
    bytes32 private immutable KEY_2;
    bytes32 private immutable KEY_3;
    bytes32 private immutable KEY_4;
    bytes32 private immutable KEY_5;
    bytes32 private immutable KEY_6;
    bytes32 private immutable KEY_7;

    /// @param key The group key: 256 bytes, G2, uncompressed.
    /// @param chainId_ The native chain's id; its signatures are bound to it.
    /// @param keyVersion_ Number of the key; the chain begins with number 0.
    /// @param firstEpoch_ First epoch that the key signs.
    constructor(bytes memory key, uint64 chainId_, uint64 keyVersion_, uint64 firstEpoch_) {
        if (chainId_ == 0 || chainId_ == block.chainid) {
            revert LightClientErrors.ChainIdInvalid(chainId_);
        }
        if (key.length != Bls.G2_LENGTH) {
            revert LightClientErrors.KeyLength(key.length);
        }
        bytes32[8] memory words = abi.decode(key, (bytes32[8]));
        bytes32 any = words[0] | words[1] | words[2] | words[3] | words[4] | words[5] | words[6] | words[7];
        if (any == 0) {
            revert LightClientErrors.KeyIdentity();
        }
        if (!Bls.inSubgroup(words)) {
            revert LightClientErrors.KeyInvalid();
        }
        nativeChainId = chainId_;
        keyVersion = keyVersion_;
        firstEpoch = firstEpoch_;
        PREFIX = bytes28(abi.encodePacked(uint8(27), "mileverse/", chainId_, "_FINALIZE"));
        KEY_0 = words[0];
        KEY_1 = words[1];
        KEY_2 = words[2];
        KEY_3 = words[3];
        KEY_4 = words[4];
        KEY_5 = words[5];
        KEY_6 = words[6];
        KEY_7 = words[7];
    }

    /// @inheritdoc ILightClient
    function verify(HeaderProof calldata header) external view {
        _verify(header);
    }

    /// @inheritdoc ILightClient
    function contradiction(HeaderProof calldata first, HeaderProof calldata second)
        external
        view
        returns (bytes32 firstDigest, bytes32 secondDigest)
    {
        if (first.epoch != second.epoch || first.view_ != second.view_) {
            revert LightClientErrors.NotMisbehaviour();
        }
        firstDigest = _verify(first);
        secondDigest = _verify(second);
        if (firstDigest == secondDigest) {
            revert LightClientErrors.NotMisbehaviour();
        }
    }

    /// @inheritdoc ILightClient
    function groupKey() external view returns (bytes memory) {
        return abi.encode(_key());
    }

    /// @dev Returns the block's digest. Everything that needs no curve is refused before the curve.
    function _verify(HeaderProof calldata header) private view returns (bytes32 digest) {
        if (header.epoch < firstEpoch) {
            revert LightClientErrors.EpochBeforeKey(header.epoch, firstEpoch);
        }
        if (header.restHash == 0) {
            revert LightClientErrors.RestHashZero();
        }
        if (header.outboxSize == 0) {
            revert LightClientErrors.OutboxEmpty();
        }
        if (header.outboxTree == 0) {
            revert LightClientErrors.OutboxTreeZero();
        }
        bytes calldata signature = header.signature;
        if (signature.length != Bls.G1_LENGTH) {
            revert LightClientErrors.SignatureLength(signature.length);
        }
        if (Bls.isIdentity(signature)) {
            revert LightClientErrors.SignatureIdentity();
        }
        digest = Outbox.digest(Outbox.root(header.outboxSize, header.outboxTree), header.restHash);
        if (!Bls.verify(_key(), _message(header, digest), DST, signature)) {
            revert LightClientErrors.CertificateInvalid();
        }
    }

    /// @dev What the delegates sign: at most 28 + 3 * 10 + 32 bytes.
    function _message(HeaderProof calldata header, bytes32 digest) private view returns (bytes memory out) {
        bytes32 prefix = PREFIX;
        uint256 start;
        assembly ("memory-safe") {
            out := mload(0x40)
            start := add(out, 0x20)
            mstore(start, prefix)
        }
        uint256 end = Varint.write(start + 28, header.epoch);
        end = Varint.write(end, header.view_);
        end = Varint.write(end, header.parentView);
        assembly ("memory-safe") {
            mstore(end, digest)
            end := add(end, 0x20)
            mstore(out, sub(end, start))
            mstore(0x40, end)
        }
    }

    function _key() private view returns (bytes32[8] memory) {
        return [KEY_0, KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7];
    }
}
