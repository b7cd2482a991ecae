// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {BridgeErrors} from "../errors/BridgeErrors.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {ILightClient} from "../interfaces/ILightClient.sol";
import {Outbox} from "../libraries/Outbox.sol";
import {Packet} from "../libraries/Packet.sol";
import {LightClientFactory} from "../light-client/LightClientFactory.sol";
import {WrappedPoints} from "../tokens/WrappedPoints.sol";

/// @title The Ethereum end of the bridge
///
///     slot 0   outbound      sequence => commitment; the native chain proves this slot
///     slot 1   receipts      inbound sequence / 128 => 128 outcomes of two bits, lowest first:
///                            0 none, 1 received, 2 expired
///     slot 2   totals        token => sent, received, refunded
///     slot 3   nextSequence (64 bits) | light client (160) << 64 | frozen (8) << 224
///
/// @notice Two tokens, fixed for ever: MVC is at home here and held, MVP is at home on the native
/// chain and minted and burned here. No account has a right that another has not. The one thing that
/// changes is the native chain's group key, and only by a rotation packet under the key before. A batch with one bad packet reverts whole; packets settled before
/// are passed over.
contract Bridge is IBridge, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @dev The mark that replaces a stored commitment once its packet is refunded.
    bytes32 private constant REFUNDED = bytes32(uint256(1));
    uint256 private constant RECEIVED = 1;
    uint256 private constant EXPIRED = 2;

    /// @notice The most packets one call may carry.
    uint256 public constant MAX_ITEMS = 128;

    /// @notice How far ahead of this chain's clock a deadline may lie, in seconds.
    uint64 public constant MAX_LIFETIME_SECONDS = 30 days;

    /// @notice The most that one transfer may bring. No sum of such amounts leaves 256 bits.
    uint256 public constant MAX_AMOUNT = type(uint128).max;

    /// @notice The points' contract at home: a module of the native chain.
    address public constant POINTS_HOME = 0x4d56000000000000000000000000000000000001;

    /// @inheritdoc IBridge
    mapping(uint64 sequence => bytes32) public outbound;

    /// @dev Packed, because neighbours in one batch then share the cost of their slot.
    mapping(uint64 word => uint256) private _receipts;

    mapping(address token => Totals) private _totals;

    /// @inheritdoc IBridge
    uint64 public nextSequence = 1;

    /// @inheritdoc IBridge
    ILightClient public lightClient;

    /// @inheritdoc IBridge
    bool public frozen;

    /// @notice Makes the client of each new key.
    LightClientFactory public immutable clients;

    /// @inheritdoc IBridge
    uint64 public immutable chainId;

    /// @inheritdoc IBridge
    uint64 public immutable peerChainId;

    /// @notice MVC, at home here.
    IERC20 public immutable coin;

    /// @notice MVC locked here from the start, against what the native chain minted in its block 0.
    uint256 public immutable genesisCoins;

    /// @notice MVP as it exists here. This contract made it and is its only maker.
    WrappedPoints public immutable points;

    /// @param key The native chain's first group key: 256 bytes, G2, uncompressed.
    /// @param nativeChainId The native chain.
    /// @param coin_ MVC.
    /// @param genesisCoins_ What the native chain mints in its block 0. Taken from the deployer, who
    /// must have allowed it to the address that this contract gets.
    constructor(bytes memory key, uint64 nativeChainId, IERC20 coin_, uint256 genesisCoins_) {
        if (address(coin_).code.length == 0) {
            revert BridgeErrors.TokenWithoutCode(address(coin_));
        }
        chainId = SafeCast.toUint64(block.chainid);
        peerChainId = nativeChainId;
        clients = new LightClientFactory();
        lightClient = clients.create(key, nativeChainId, 0, 0);
        coin = coin_;
        points = new WrappedPoints(address(this));
        genesisCoins = genesisCoins_;
        if (genesisCoins_ != 0) {
            // The native chain's books begin with as much received.
            _totals[address(coin_)].sent = genesisCoins_;
            _lock(address(coin_), genesisCoins_);
        }
    }

    /// @inheritdoc IBridge
    /// @dev MVC needs an allowance for this contract; MVP is burned from the caller without one.
    function send(address token, address receiver, uint256 amount, uint64 deadline)
        external
        payable
        nonReentrant
        returns (uint64 sequence)
    {
        if (msg.value != 0) {
            revert BridgeErrors.ValueRefused(msg.value);
        }
        if (receiver == address(0)) {
            revert BridgeErrors.ReceiverZero();
        }
        if (amount == 0) {
            revert BridgeErrors.AmountZero();
        }
        uint256 latest = block.timestamp + MAX_LIFETIME_SECONDS;
        if (deadline <= block.timestamp || deadline > latest) {
            revert BridgeErrors.DeadlineOutOfRange(
                deadline, SafeCast.toUint64(block.timestamp + 1), SafeCast.toUint64(latest)
            );
        }
        if (frozen) {
            revert BridgeErrors.BridgeStopped();
        }
        (uint64 home, address contract_) = _homeOf(token);
        _lock(token, amount);
        _totals[token].sent += amount;
        sequence = _commit(
            Packet.encode(
                Packet.Transfer({
                    source: chainId,
                    destination: peerChainId,
                    sequence: nextSequence,
                    deadline: deadline,
                    home: home,
                    token: contract_,
                    sender: msg.sender,
                    receiver: receiver,
                    amount: amount
                })
            )
        );
    }

    /// @inheritdoc IBridge
    function deliver(ILightClient.HeaderProof calldata header, OutboxItem[] calldata items)
        external
        nonReentrant
    {
        if (items.length == 0 || items.length > MAX_ITEMS) {
            revert BridgeErrors.BatchSize(items.length);
        }
        if (frozen) {
            revert BridgeErrors.BridgeStopped();
        }
        lightClient.verify(header);
        for (uint256 i = 0; i < items.length; ++i) {
            OutboxItem calldata item = items[i];
            bytes32 commitment = keccak256(item.packet);
            if (!Outbox.verify(header.outboxTree, header.outboxSize, item.index, commitment, item.path)) {
                revert BridgeErrors.PathInvalid(item.index);
            }
            _settle(item.packet, commitment, header.epoch);
        }
    }

    /// @inheritdoc IBridge
    function freeze(ILightClient.HeaderProof calldata first, ILightClient.HeaderProof calldata second)
        external
        nonReentrant
    {
        if (frozen) {
            revert BridgeErrors.BridgeStopped();
        }
        (bytes32 firstDigest, bytes32 secondDigest) = lightClient.contradiction(first, second);
        frozen = true;
        emit Frozen(first.epoch, first.view_, firstDigest, secondDigest);
    }

    /// @inheritdoc IBridge
    function keyInForce() external view returns (uint64 keyVersion, uint64 firstEpoch) {
        return (lightClient.keyVersion(), lightClient.firstEpoch());
    }

    /// @inheritdoc IBridge
    function totals(address token) external view returns (Totals memory) {
        _homeOf(token);
        return _totals[token];
    }

    /// @inheritdoc IBridge
    function receipt(uint64 sequence) public view returns (uint8) {
        return uint8(_receipts[sequence >> 7] >> _shift(sequence) & 3);
    }

    /// @notice What this side holds of a token at home here: sent - received - refunded.
    function locked(address token) public view returns (uint256) {
        if (token != address(coin)) {
            revert BridgeErrors.TokenUnknown(token);
        }
        Totals storage sums = _totals[token];
        return sums.sent - sums.received - sums.refunded;
    }

    /// @notice What exists here of a token at home on the other side: received + refunded - sent.
    function minted(address token) public view returns (uint256) {
        if (token != address(points)) {
            revert BridgeErrors.TokenUnknown(token);
        }
        Totals storage sums = _totals[token];
        return sums.received + sums.refunded - sums.sent;
    }

    /// @notice Whether the books of a token agree with what is really here.
    /// @dev Anybody may give MVC to this address unasked, so it may hold more than is locked.
    function solvent(address token) external view returns (bool) {
        if (token == address(coin)) {
            return coin.balanceOf(address(this)) >= locked(token);
        }
        return points.totalSupply() == minted(token);
    }

    /// @dev The outcome of one packet, proven by a certificate of `epoch`; the order is the protocol's.
    function _settle(bytes calldata packet, bytes32 commitment, uint64 epoch) private {
        Packet.Header memory start = Packet.header(packet);
        if (start.source != peerChainId) {
            revert BridgeErrors.SourceChain(start.source);
        }
        if (start.destination != chainId) {
            revert BridgeErrors.DestinationChain(start.destination);
        }
        if (receipt(start.sequence) != 0) {
            return;
        }
        if (start.kind == Packet.EXPIRY) {
            _refund(packet, start, commitment);
            return;
        }
        if (start.kind == Packet.ROTATION) {
            _rotate(packet, start, commitment, epoch);
            return;
        }
        Packet.Transfer memory transfer = Packet.transfer(packet, start);
        address token = _tokenOf(transfer);
        if (block.timestamp <= transfer.deadline && _canReceive(token, transfer)) {
            _setReceipt(start.sequence, RECEIVED);
            _totals[token].received += transfer.amount;
            emit PacketReceived(start.sequence, commitment);
            _release(token, transfer.receiver, transfer.amount);
        } else {
            _setReceipt(start.sequence, EXPIRED);
            emit PacketExpired(start.sequence, commitment);
            _commit(Packet.encodeExpiry(chainId, peerChainId, nextSequence, packet));
        }
    }

    /// @dev News that a packet from here expired: its tokens return to its sender, once.
    function _refund(bytes calldata packet, Packet.Header memory start, bytes32 commitment) private {
        (Packet.Transfer memory transfer, bytes calldata inner) = Packet.expired(packet, start);
        bytes32 innerCommitment = keccak256(inner);
        if (outbound[transfer.sequence] != innerCommitment) {
            revert BridgeErrors.NotOutstanding(transfer.sequence);
        }
        _setReceipt(start.sequence, RECEIVED);
        outbound[transfer.sequence] = REFUNDED;
        // What was sent from here is of a token of this bridge.
        address token = _tokenOf(transfer);
        if (!_isHeld(token, transfer.amount)) {
            revert BridgeErrors.LockedTooLittle(token, transfer.amount, locked(token));
        }
        _totals[token].refunded += transfer.amount;
        emit PacketReceived(start.sequence, commitment);
        emit PacketRefunded(transfer.sequence, innerCommitment);
        _release(token, transfer.sender, transfer.amount);
    }

    /// @dev The native chain's delegates have a new key. The old one stops counting at once; what it
    /// proved and nobody delivered yet, any certificate of the new one proves as well.
    function _rotate(bytes calldata packet, Packet.Header memory start, bytes32 commitment, uint64 epoch)
        private
    {
        (uint64 version, uint64 firstEpoch, bytes calldata key) = Packet.rotation(packet, start);
        uint64 inForce = lightClient.keyVersion();
        if (version <= inForce) {
            revert BridgeErrors.RotationStale(version, inForce);
        }
        if (firstEpoch <= epoch) {
            revert BridgeErrors.RotationTooEarly(firstEpoch, epoch);
        }
        _setReceipt(start.sequence, RECEIVED);
        ILightClient client = clients.create(key, peerChainId, version, firstEpoch);
        lightClient = client;
        emit PacketReceived(start.sequence, commitment);
        emit KeyRotated(version, firstEpoch, client);
    }

    /// @dev Once: only where `receipt` is still 0.
    function _setReceipt(uint64 sequence, uint256 outcome) private {
        _receipts[sequence >> 7] |= outcome << _shift(sequence);
    }

    /// @dev Where an outcome's two bits are in its word.
    function _shift(uint64 sequence) private pure returns (uint256) {
        return (sequence & 127) << 1;
    }

    /// @dev Stores a packet from here under its sequence, and tells relayers its bytes.
    function _commit(bytes memory packet) private returns (uint64 sequence) {
        sequence = nextSequence;
        nextSequence = sequence + 1;
        bytes32 commitment = keccak256(packet);
        outbound[sequence] = commitment;
        emit PacketSent(sequence, commitment, packet);
    }

    /// @dev Takes tokens from the caller: held if at home here, burned otherwise.
    function _lock(address token, uint256 amount) private {
        if (token != address(coin)) {
            points.burn(msg.sender, amount);
            return;
        }
        uint256 before = coin.balanceOf(address(this));
        coin.safeTransferFrom(msg.sender, address(this), amount);
        uint256 moved = coin.balanceOf(address(this)) - before;
        if (moved != amount) {
            revert BridgeErrors.AmountMoved(amount, moved);
        }
    }

    /// @dev Whether a transfer can take effect, now or ever. What cannot goes home at once: it must not
    /// wait for its deadline, and must not hold up the packets beside it.
    function _canReceive(address token, Packet.Transfer memory transfer) private view returns (bool) {
        if (token == address(0) || transfer.receiver == address(0) || transfer.amount > MAX_AMOUNT) {
            return false;
        }
        return _isHeld(token, transfer.amount);
    }

    /// @dev A token at home here leaves only from what the books say is locked.
    function _isHeld(address token, uint256 amount) private view returns (bool) {
        return token != address(coin) || amount <= locked(token);
    }

    /// @dev Gives tokens: from what is held if at home here, minted otherwise.
    function _release(address token, address account, uint256 amount) private {
        if (token == address(coin)) {
            coin.safeTransfer(account, amount);
        } else {
            points.mint(account, amount);
        }
    }

    /// @dev How a packet names a token of this bridge.
    function _homeOf(address token) private view returns (uint64 home, address contract_) {
        if (token == address(coin)) {
            return (chainId, token);
        }
        if (token == address(points)) {
            return (peerChainId, POINTS_HOME);
        }
        revert BridgeErrors.TokenUnknown(token);
    }

    /// @dev The token here that a packet names; zero if it is none of this bridge's.
    function _tokenOf(Packet.Transfer memory transfer) private view returns (address) {
        if (transfer.home == chainId && transfer.token == address(coin)) {
            return address(coin);
        }
        if (transfer.home == peerChainId && transfer.token == POINTS_HOME) {
            return address(points);
        }
        return address(0);
    }
}
