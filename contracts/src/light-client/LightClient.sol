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
        return abi.encode(KEY_0, KEY_1, KEY_2, KEY_3, KEY_4, KEY_5, KEY_6, KEY_7);
    }

    /// @dev Returns the block's digest. Everything that needs no curve is refused before the curve.
    function _verify(HeaderProof calldata header) private view returns (bytes32 digest) {
        uint256 epoch;
        uint256 view_;
        uint256 parentView;
        uint256 outboxSize;
        assembly ("memory-safe") {
            epoch := calldataload(header)
            view_ := calldataload(add(header, 0x20))
            parentView := calldataload(add(header, 0x40))
            outboxSize := calldataload(add(header, 0x80))
        }
        if (epoch | view_ | parentView | outboxSize > type(uint64).max) {
            revert LightClientErrors.NumberTooWide();
        }
        if (epoch < firstEpoch) {
            // Checked above: it fits in 64 bits.
            // forge-lint: disable-next-line(unsafe-typecast)
            revert LightClientErrors.EpochBeforeKey(uint64(epoch), firstEpoch);
        }
        if (header.restHash == 0) {
            revert LightClientErrors.RestHashZero();
        }
        if (outboxSize == 0) {
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
        digest = Outbox.digest(Outbox.root(outboxSize, header.outboxTree), header.restHash);
        if (!_isSigned(epoch, view_, parentView, digest, signature)) {
            revert LightClientErrors.CertificateInvalid();
        }
    }

    function _isSigned(
        uint256 epoch,
        uint256 view_,
        uint256 parentView,
        bytes32 digest,
        bytes calldata signature
    ) private view returns (bool) {
        (uint256 pairs, uint256 message) = Bls.room();
        unchecked {
            // Places in memory: nothing can overflow.
            _writeKey(pairs + Bls.KEY_AT);
            uint256 end = _writeMessage(message, epoch, view_, parentView, digest);
            return Bls.verify(pairs, end - message, signature);
        }
    }

    /// @dev What the delegates sign: at most 28 + 3 * 10 + 32 bytes.
    function _writeMessage(uint256 start, uint256 epoch, uint256 view_, uint256 parentView, bytes32 digest)
        private
        view
        returns (uint256 end)
    {
        bytes32 prefix = PREFIX;
        assembly ("memory-safe") {
            mstore(start, prefix)
            end := add(start, 28)
        }
        end = Varint.write(end, epoch);
        end = Varint.write(end, view_);
        end = Varint.write(end, parentView);
        assembly ("memory-safe") {
            mstore(end, digest)
            end := add(end, 0x20)
        }
    }

    /// @dev Writes the key's 256 bytes at `place`.
    function _writeKey(uint256 place) private view {
        (bytes32 a, bytes32 b, bytes32 c, bytes32 d) = (KEY_0, KEY_1, KEY_2, KEY_3);
        (bytes32 e, bytes32 f, bytes32 g, bytes32 h) = (KEY_4, KEY_5, KEY_6, KEY_7);
        assembly ("memory-safe") {
            mstore(place, a)
            mstore(add(place, 0x20), b)
            mstore(add(place, 0x40), c)
            mstore(add(place, 0x60), d)
            mstore(add(place, 0x80), e)
            mstore(add(place, 0xa0), f)
            mstore(add(place, 0xc0), g)
            mstore(add(place, 0xe0), h)
        }
    }
}
