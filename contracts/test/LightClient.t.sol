// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BlsErrors} from "../src/errors/BlsErrors.sol";
import {LightClientErrors} from "../src/errors/LightClientErrors.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {LightClient} from "../src/light-client/LightClient.sol";
import {Signer} from "./kit/Signer.sol";
import {Test} from "./kit/Test.sol";

/// @dev Forges each part of a certificate, one at a time.
contract LightClientTest is Test {
    uint64 private constant CHAIN = 46_226;
    uint256 private constant SECRET = 0x5ec4e7;

    LightClient private client;

    /// @dev Each fits three of the pairing's inputs, so a refusal can name the precompile.
    bytes private constant OFF_CURVE = abi.encode(0, 1, 0, 1);
    /// @dev On the curve (x = 4), outside the subgroup.
    bytes private constant OFF_SUBGROUP = abi.encodePacked(
        uint256(0),
        uint256(4),
        bytes16(0),
        hex"0a989badd40d6212b33cffc3f3763e9bc760f988c9926b26da9dd85e928483446346b8ed00e1de5d5ea93e354abe706c"
    );

    function setUp() public {
        client = new LightClient(Signer.key(SECRET), CHAIN, 0, 0);
    }

    function test_acceptsACertificate() public {
        client.verify(_certified());
        vm.assertEq(client.groupKey(), Signer.key(SECRET), "key");
        vm.assertEq(client.nativeChainId(), CHAIN, "chain");
        vm.assertEq(client.keyVersion(), 0, "the first key");
        vm.assertEq(client.firstEpoch(), 0, "from the beginning");
    }

    /// @dev A later key signs nothing of the epochs before its own.
    function test_aKeySignsFromItsFirstEpochOn() public {
        LightClient later = new LightClient(Signer.key(SECRET), CHAIN, 4, 3);
        vm.assertEq(later.keyVersion(), 4, "number");
        vm.assertEq(later.firstEpoch(), 3, "first epoch");
        ILightClient.HeaderProof memory header = _certified();
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.EpochBeforeKey.selector, 2, 3));
        later.verify(header);
        header = _header();
        header.epoch = 3;
        later.verify(Signer.certify(SECRET, CHAIN, header));
    }

    function testFuzz_acceptsAnyNumbers(uint64 epoch, uint64 view_, uint64 parentView, uint64 size)
        public
        view
    {
        ILightClient.HeaderProof memory header = _header();
        (header.epoch, header.view_, header.parentView) = (epoch, view_, parentView);
        header.outboxSize = size == 0 ? 1 : size;
        client.verify(Signer.certify(SECRET, CHAIN, header));
    }

    /// @dev Computed by another implementation of the curve, from docs/protocol.md alone.
    function test_acceptsAForeignVector() public {
        LightClient other = new LightClient(
            hex"00000000000000000000000000000000172432bb1b5ea68b1d39976123198ed7d25e208593c89d346093152bf4440765d822c26b27b7dffe02e34d725a5d607200000000000000000000000000000000195feb2ba5d2c99373b36261e96d24aeb4e4608a9629fa2d2f2c9ddfb1843b28cf5575e1a406e895db60c0973625ee1200000000000000000000000000000000147426433d08bd94daa0917d3b05e5daf5f44f3bdece3255c577cd7e4071dc7becca0b647d979e959bcee96c27fa8efb000000000000000000000000000000000b9c23ab88008a94e6e87185de63382f23f8dd151ef775ec9b9c6ef4ac37f0528147e84d9182d4de4dd7a182f0039b05",
            CHAIN,
            0,
            0
        );
        ILightClient.HeaderProof memory header = ILightClient.HeaderProof({
            epoch: 3,
            view_: 16_384,
            parentView: 127,
            restHash: keccak256("rest of the header"),
            outboxSize: 300,
            outboxTree: keccak256("tree"),
            signature: hex"0000000000000000000000000000000001bbe8917ad1382497987e0292a6bcb9bbb505a66ac379cf1e832b045ebafce91c09507946fca39553a386e632157da0"
            hex"000000000000000000000000000000001562a3f6a8f99cffef304d1626d0b31017113e20c9fc2a6f0eb9c8dd5ebb1a0eb269fbd0f051146be4385df014b463f5"
        });
        other.verify(header);
        header.view_ = 16_385;
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        other.verify(header);
    }

    /// @dev Made by the chain's own consensus code: see fixtures/vectors.
    function test_acceptsTheChainsOwnVector() public {
        string memory path = "../fixtures/vectors/certificate.json";
        string memory json = vm.readFile(path);
        LightClient other = new LightClient(
            vm.parseJsonBytes(json, ".groupKey"), uint64(vm.parseJsonUint(json, ".chainId")), 0, 0
        );
        ILightClient.HeaderProof memory header = ILightClient.HeaderProof({
            epoch: uint64(vm.parseJsonUint(json, ".epoch")),
            view_: uint64(vm.parseJsonUint(json, ".view")),
            parentView: uint64(vm.parseJsonUint(json, ".parentView")),
            restHash: vm.parseJsonBytes32(json, ".restHash"),
            outboxSize: uint64(vm.parseJsonUint(json, ".outboxSize")),
            outboxTree: vm.parseJsonBytes32(json, ".outboxTree"),
            signature: vm.parseJsonBytes(json, ".signature")
        });
        other.verify(header);
        ++header.parentView;
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        other.verify(header);
    }

    function test_forgedSignature() public {
        ILightClient.HeaderProof memory header = _certified();
        // A true signature, of another message.
        header.signature = Signer.sign(SECRET, "another message");
        _refused(header);
        // A point off the curve, one outside the subgroup, and a coordinate that is no field element.
        bytes memory broken = abi.encodeWithSelector(BlsErrors.PrecompileFailed.selector, Bls.PAIRING);
        header.signature = OFF_CURVE;
        vm.expectRevert(broken);
        client.verify(header);
        header.signature = OFF_SUBGROUP;
        vm.expectRevert(broken);
        client.verify(header);
        header = _certified();
        header.signature[0] = 0x01;
        vm.expectRevert(broken);
        client.verify(header);
    }

    /// @dev Any one turned bit of the signature.
    function testFuzz_forgedSignatureBit(uint256 place) public {
        ILightClient.HeaderProof memory header = _certified();
        header.signature = flipped(header.signature, place % 128);
        vm.expectRevert();
        client.verify(header);
    }

    function test_forgedIdentityPoint() public {
        ILightClient.HeaderProof memory header = _certified();
        header.signature = new bytes(128);
        vm.expectRevert(LightClientErrors.SignatureIdentity.selector);
        client.verify(header);
    }

    function test_forgedSignatureLength() public {
        ILightClient.HeaderProof memory header = _certified();
        bytes memory good = header.signature;
        header.signature = cut(good, 127);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.SignatureLength.selector, 127));
        client.verify(header);
        header.signature = bytes.concat(good, hex"00");
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.SignatureLength.selector, 129));
        client.verify(header);
        header.signature = "";
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.SignatureLength.selector, 0));
        client.verify(header);
    }

    function test_forgedOtherKey() public {
        _refused(Signer.certify(SECRET + 1, CHAIN, _header()));
    }

    function test_forgedOtherChainId() public {
        _refused(Signer.certify(SECRET, CHAIN + 1, _header()));
    }

    function test_forgedEpoch() public {
        ILightClient.HeaderProof memory header = _certified();
        ++header.epoch;
        _refused(header);
    }

    function test_forgedView() public {
        ILightClient.HeaderProof memory header = _certified();
        ++header.view_;
        _refused(header);
    }

    function test_forgedParentView() public {
        ILightClient.HeaderProof memory header = _certified();
        --header.parentView;
        _refused(header);
    }

    /// @dev A number with a bit beyond its 64 is refused, not cut.
    function test_forgedNumbersBeyondTheirWidth() public {
        bytes memory good = abi.encodeCall(client.verify, (_certified()));
        (bool accepted,) = address(client).staticcall(good);
        vm.assertTrue(accepted, "as it is");
        // Places of the four numbers, after the selector and the offset of the struct.
        uint256[4] memory places = [uint256(0), 1, 2, 4];
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory wide = bytes.concat(good);
            wide[4 + 32 + 32 * places[i] + 23] = 0x01;
            (bool good_, bytes memory why) = address(client).staticcall(wide);
            vm.assertFalse(good_, "refused");
            vm.assertEq(why, abi.encodeWithSelector(LightClientErrors.NumberTooWide.selector), "for that");
        }
    }

    function test_forgedRestHash() public {
        ILightClient.HeaderProof memory header = _certified();
        header.restHash ^= bytes32(uint256(1));
        _refused(header);
    }

    function test_forgedOutboxSize() public {
        ILightClient.HeaderProof memory header = _certified();
        ++header.outboxSize;
        _refused(header);
    }

    function test_forgedOutboxTree() public {
        ILightClient.HeaderProof memory header = _certified();
        header.outboxTree ^= bytes32(uint256(1));
        _refused(header);
    }

    /// @dev The boundary between two varints moved: 0x81 0x01 may not be read as 0x81, 0x01.
    function testFuzz_forgedNumbersNeverCollide(uint64 epoch, uint64 view_, uint64 parentView) public {
        ILightClient.HeaderProof memory header = _certified();
        vm.assume(epoch != header.epoch || view_ != header.view_ || parentView != header.parentView);
        (header.epoch, header.view_, header.parentView) = (epoch, view_, parentView);
        _refused(header);
    }

    /// @dev DESIGN, bridge table: "zero root / key / signature accepted".
    function test_Nomad_zerosAreRefusedBeforeAnyPrecompile() public {
        address[4] memory precompiles = [Bls.SHA256, Bls.MAP_FP_TO_G1, Bls.G1_ADD, Bls.PAIRING];
        for (uint256 i = 0; i < precompiles.length; ++i) {
            vm.expectCall(precompiles[i], "", 0);
        }
        ILightClient.HeaderProof memory header = _header();
        header.signature = abi.encode(1, 2, 3, 4);
        header.restHash = 0;
        vm.expectRevert(LightClientErrors.RestHashZero.selector);
        client.verify(header);

        header = _header();
        header.signature = abi.encode(1, 2, 3, 4);
        header.outboxSize = 0;
        vm.expectRevert(LightClientErrors.OutboxEmpty.selector);
        client.verify(header);

        header = _header();
        header.signature = abi.encode(1, 2, 3, 4);
        header.outboxTree = 0;
        vm.expectRevert(LightClientErrors.OutboxTreeZero.selector);
        client.verify(header);

        header = _header();
        header.signature = new bytes(128);
        vm.expectRevert(LightClientErrors.SignatureIdentity.selector);
        client.verify(header);

        vm.expectRevert(LightClientErrors.KeyIdentity.selector);
        new LightClient(new bytes(256), CHAIN, 0, 0);
    }

    function test_keysOfOtherFormsAreRefused() public {
        bytes memory key = Signer.key(SECRET);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.KeyLength.selector, 255));
        new LightClient(cut(key, 255), CHAIN, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.KeyLength.selector, 257));
        new LightClient(bytes.concat(key, hex"00"), CHAIN, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.KeyLength.selector, 0));
        new LightClient("", CHAIN, 0, 0);
        bytes memory broken = abi.encodeWithSelector(BlsErrors.PrecompileFailed.selector, Bls.PAIRING);
        vm.expectRevert(broken);
        new LightClient(flipped(key, 255), CHAIN, 0, 0);
        // On the curve (x = 2), outside the subgroup.
        vm.expectRevert(broken);
        new LightClient(
            abi.encodePacked(
                uint256(0),
                uint256(2),
                uint256(0),
                uint256(0),
                bytes16(0),
                hex"18c6b864ae17dc9da64203ffefb966306425a7bc6aeb7c75247438372716284a4173830420cd476ba1a365b95bfcec38",
                bytes16(0),
                hex"172e93db764a8400a7d5071b6b6f5de0da2f0f4a063119abca014006b7c40a2cfe291a1924e65db0d6d0fcfbf3bf3d5c"
            ),
            CHAIN,
            0,
            0
        );
    }

    function test_chainIdMustNameAnotherChain() public {
        bytes memory key = Signer.key(SECRET);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.ChainIdInvalid.selector, 0));
        new LightClient(key, 0, 0, 0);
        vm.chainId(CHAIN);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.ChainIdInvalid.selector, CHAIN));
        new LightClient(key, CHAIN, 0, 0);
    }

    function test_aContradictionIsNamed() public {
        (ILightClient.HeaderProof memory a, ILightClient.HeaderProof memory b) = _contradiction();
        (bytes32 first, bytes32 second) = client.contradiction(a, b);
        vm.assertEq(first, _digest(a), "first");
        vm.assertEq(second, _digest(b), "second");
    }

    /// @dev Same digest under two parents is one block, not two.
    function test_oneBlockIsNoContradiction() public {
        ILightClient.HeaderProof memory a = _certified();
        vm.expectRevert(LightClientErrors.NotMisbehaviour.selector);
        client.contradiction(a, a);
        ILightClient.HeaderProof memory b = _header();
        --b.parentView;
        b = Signer.certify(SECRET, CHAIN, b);
        vm.expectRevert(LightClientErrors.NotMisbehaviour.selector);
        client.contradiction(a, b);
    }

    function test_otherViewsAreNoContradiction() public {
        ILightClient.HeaderProof memory a = _certified();
        ILightClient.HeaderProof memory b = _header();
        ++b.view_;
        b.restHash = keccak256("b");
        b = Signer.certify(SECRET, CHAIN, b);
        vm.expectRevert(LightClientErrors.NotMisbehaviour.selector);
        client.contradiction(a, b);
        b = _header();
        ++b.epoch;
        b.restHash = keccak256("b");
        b = Signer.certify(SECRET, CHAIN, b);
        vm.expectRevert(LightClientErrors.NotMisbehaviour.selector);
        client.contradiction(a, b);
    }

    function test_aForgeryContradictsNothing() public {
        (ILightClient.HeaderProof memory a, ILightClient.HeaderProof memory b) = _contradiction();
        b.signature = a.signature;
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        client.contradiction(a, b);
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        client.contradiction(b, a);
    }

    /// @dev There is no storage at all.
    function test_nothingIsWritten() public {
        (ILightClient.HeaderProof memory a, ILightClient.HeaderProof memory b) = _contradiction();
        vm.record();
        client.verify(a);
        client.contradiction(a, b);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(address(client));
        vm.assertEq(reads.length, 0, "nothing is read");
        vm.assertEq(writes.length, 0, "nothing is written");
    }

    function _digest(ILightClient.HeaderProof memory header) private pure returns (bytes32) {
        bytes32 root = keccak256(abi.encodePacked(uint8(2), header.outboxSize, header.outboxTree));
        return keccak256(abi.encode(root, header.restHash));
    }

    function _header() private pure returns (ILightClient.HeaderProof memory) {
        return ILightClient.HeaderProof({
            epoch: 2,
            view_: 300,
            parentView: 299,
            restHash: keccak256("rest"),
            outboxSize: 5,
            outboxTree: keccak256("tree"),
            signature: ""
        });
    }

    function _certified() private view returns (ILightClient.HeaderProof memory) {
        return Signer.certify(SECRET, CHAIN, _header());
    }

    function _contradiction()
        private
        view
        returns (ILightClient.HeaderProof memory a, ILightClient.HeaderProof memory b)
    {
        a = _certified();
        b = _header();
        b.restHash = keccak256("another rest");
        b = Signer.certify(SECRET, CHAIN, b);
    }

    function _refused(ILightClient.HeaderProof memory header) private {
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        client.verify(header);
    }
}
