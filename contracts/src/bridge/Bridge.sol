// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {BridgeErrors} from "../errors/BridgeErrors.sol";
import {ValveErrors} from "../errors/ValveErrors.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {ILightClient} from "../interfaces/ILightClient.sol";
import {IValves} from "../interfaces/IValves.sol";
import {Outbox} from "../libraries/Outbox.sol";
import {Packet} from "../libraries/Packet.sol";
import {LightClientFactory} from "../light-client/LightClientFactory.sol";
import {WrappedPoints} from "../tokens/WrappedPoints.sol";
import {Books} from "./Books.sol";
import {Valves} from "./Valves.sol";

/// @title The Ethereum end of the bridge
///
/// `Books` and `Valves` have the storage.
///
/// @notice MVC and whatever the governor registered are at home here and held, MVP is at home on the native
/// chain and minted and burned here. Amounts in packets and books are units: a token that was registered
/// with fewer decimals than its own crosses in multiples of 10^difference. No account can move, make or take what crosses: the authority's roles can stop, limit and
/// delay (see `Valves`), and the native chain's group key changes only by a rotation packet under the
/// key before. A batch with one bad packet reverts whole; packets settled before are passed over.
contract Bridge is Books, Valves, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice The most packets one call may carry.
    uint256 public constant MAX_ITEMS = 128;

    /// @notice How far ahead of this chain's clock a deadline may lie, in seconds.
    uint64 public constant MAX_LIFETIME_SECONDS = 30 days;

    /// @notice The points' contract at home: a module of the native chain.
    address public constant POINTS_HOME = 0x4d56000000000000000000000000000000000001;

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
    /// @param authority_ Who may turn the valves, for ever.
    /// @param coinLimits MVC's first limits.
    /// @param pointsLimits MVP's first limits.
    constructor(
        bytes memory key,
        uint64 nativeChainId,
        IERC20 coin_,
        uint256 genesisCoins_,
        address authority_,
        Limits memory coinLimits,
        Limits memory pointsLimits
    ) AccessManaged(authority_) {
        if (authority_.code.length == 0) {
            revert AccessManagedInvalidAuthority(authority_);
        }
        if (address(coin_).code.length == 0) {
            revert BridgeErrors.TokenWithoutCode(address(coin_));
        }
        chainId = SafeCast.toUint64(block.chainid);
        peerChainId = nativeChainId;
        clients = new LightClientFactory();
        lightClient = clients.create(key, nativeChainId, 0, 0);
        coin = coin_;
        points = new WrappedPoints(address(this));
        _enlist(address(coin_), 0, coinLimits);
        _enlist(address(points), 0, pointsLimits);
        genesisCoins = genesisCoins_;
        if (genesisCoins_ != 0) {
            // The native chain's books begin with as much received.
            _totals[address(coin_)].sent = genesisCoins_;
            _lock(address(coin_), genesisCoins_);
        }
    }

    /// @inheritdoc IBridge
    /// @dev `amount` is in the token's smallest unit. MVP is burned from the caller; every other token
    /// needs an allowance for this contract.
    function send(address token, address receiver, uint256 amount, uint64 deadline)
        external
        payable
        nonReentrant
        returns (uint64 sequence)
    {
        if (msg.value != 0) {
            revert BridgeErrors.ValueRefused(msg.value);
        }
        return _send(token, receiver, amount, deadline, 0, false);
    }

    /// @inheritdoc IBridge
    function sendAcknowledged(address token, address receiver, uint256 amount, uint64 deadline)
        external
        nonReentrant
        returns (uint64 sequence)
    {
        return _send(token, receiver, amount, deadline, 0, true);
    }

    /// @inheritdoc IBridge
    function sendSwap(address token, address receiver, uint256 amount, uint64 deadline, uint256 least)
        external
        nonReentrant
        returns (uint64 sequence)
    {
        return _sendSwap(token, receiver, amount, deadline, least, false);
    }

    /// @inheritdoc IBridge
    function sendSwapAcknowledged(
        address token,
        address receiver,
        uint256 amount,
        uint64 deadline,
        uint256 least
    ) external nonReentrant returns (uint64 sequence) {
        return _sendSwap(token, receiver, amount, deadline, least, true);
    }

    /// @inheritdoc IBridge
    function deliver(ILightClient.HeaderProof calldata header, OutboxItem[] calldata items)
        external
        nonReentrant
    {
        if (items.length == 0 || items.length > MAX_ITEMS) {
            revert BridgeErrors.BatchSize(items.length);
        }
        _requireReceiving();
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

    /// @inheritdoc IValves
    function release(bytes calldata packet) external nonReentrant {
        _requireReceiving();
        bytes32 commitment = keccak256(packet);
        Packet.Header memory start = Packet.header(packet);
        _releaseHeld(packet, start, commitment);
    }

    /// @inheritdoc IValves
    function stop(bytes calldata packet) external restricted nonReentrant {
        Packet.Header memory start = Packet.header(packet);
        bytes32 commitment = keccak256(packet);
        uint64 until = _heldUntil(start.sequence, commitment);
        if (block.timestamp >= until) {
            revert ValveErrors.HoldOver(start.sequence, until);
        }
        _unhold(start.sequence);
        _expire(packet, start.sequence, commitment);
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
        if (!_isKnown(token)) {
            revert BridgeErrors.TokenUnknown(token);
        }
        return _totals[token];
    }

    /// @notice What this side holds of a token at home here, in units: sent - received - refunded.
    function locked(address token) public view returns (uint256) {
        if (!_isKnown(token) || token == address(points)) {
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
    /// @dev Anybody may give tokens to this address unasked, so it may hold more than is locked.
    function solvent(address token) external view returns (bool) {
        if (token == address(points)) {
            return points.totalSupply() == minted(token);
        }
        return IERC20(token).balanceOf(address(this)) >= locked(token) * unit(token);
    }

    function _sendSwap(
        address token,
        address receiver,
        uint256 amount,
        uint64 deadline,
        uint256 least,
        bool acknowledge
    ) private returns (uint64) {
        if (token != address(coin) && token != address(points)) {
            revert BridgeErrors.NotSwappable(token);
        }
        if (least == 0) {
            revert BridgeErrors.LeastZero();
        }
        return _send(token, receiver, amount, deadline, least, acknowledge);
    }

    /// @dev What leaves: a transfer, or, with a `least`, one that is to be swapped where it arrives.
    function _send(
        address token,
        address receiver,
        uint256 amount,
        uint64 deadline,
        uint256 least,
        bool acknowledge
    ) private returns (uint64 sequence) {
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
        // One word, read once; no call in between can take the sequence, for every entrance is shut.
        bool isStopped;
        bool isPaused;
        (isStopped, isPaused, sequence) = (frozen, _sendPaused, nextSequence);
        if (isStopped) {
            revert BridgeErrors.BridgeStopped();
        }
        if (isPaused) {
            revert ValveErrors.DirectionStopped(false);
        }
        uint256 units = _admitOut(token, amount);
        _lock(token, amount);
        _totals[token].sent += units;
        (uint64 home, address contract_) = _homeOf(token);
        Packet.Transfer memory transfer = Packet.Transfer({
            source: chainId,
            destination: peerChainId,
            sequence: sequence,
            deadline: deadline,
            home: home,
            token: contract_,
            sender: msg.sender,
            receiver: receiver,
            amount: units,
            acknowledge: acknowledge
        });
        _commit(sequence, least == 0 ? Packet.encode(transfer) : Packet.encodeSwap(transfer, least));
    }

    function _requireReceiving() private view {
        if (frozen) {
            revert BridgeErrors.BridgeStopped();
        }
        if (_receivePaused) {
            revert ValveErrors.DirectionStopped(true);
        }
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
        uint256 outcome = _outcome(start.sequence);
        if (outcome == HELD) {
            _releaseHeld(packet, start, commitment);
            return;
        }
        if (outcome != 0) {
            return;
        }
        if (start.kind == Packet.EXPIRY) {
            _refund(packet, start, commitment);
            return;
        }
        if (start.kind == Packet.ACKNOWLEDGEMENT) {
            (Packet.Transfer memory sent, bytes32 inner) = _end(packet, start, commitment, ACKNOWLEDGED);
            emit PacketAcknowledged(sent.sequence, inner);
            return;
        }
        if (start.kind == Packet.ROTATION) {
            _rotate(packet, start, commitment, epoch);
            return;
        }
        Packet.Transfer memory transfer = Packet.transfer(packet, start);
        address token = _tokenOf(transfer);
        if (block.timestamp > transfer.deadline || !_canReceive(token, transfer)) {
            _expire(packet, start.sequence, commitment);
            return;
        }
        uint256 unit_ = _requireUnpaused(token);
        (bool fits, uint256 holdSeconds) = _admitIn(token, transfer.amount);
        if (!fits) {
            _expire(packet, start.sequence, commitment);
        } else if (holdSeconds != 0) {
            _hold(start.sequence, commitment, holdSeconds);
        } else {
            _receive(packet, transfer, commitment, token, unit_);
        }
    }

    /// @dev A transfer that waited: proven in time, so its deadline no longer counts.
    function _releaseHeld(bytes calldata packet, Packet.Header memory start, bytes32 commitment) private {
        uint64 until = _heldUntil(start.sequence, commitment);
        if (block.timestamp < until) {
            revert ValveErrors.TransferHeld(start.sequence, until);
        }
        Packet.Transfer memory transfer = Packet.transfer(packet, start);
        address token = _tokenOf(transfer);
        uint256 unit_ = _requireUnpaused(token);
        _unhold(start.sequence);
        if (_canReceive(token, transfer)) {
            _receive(packet, transfer, commitment, token, unit_);
        } else {
            _expire(packet, start.sequence, commitment);
        }
    }

    /// @dev A token that refuses its receiver is rejected. Nobody can feign that by too little gas: what
    /// is left of a call that ran out (a 63rd of it) pays for the news home only if the token had two
    /// million and more.
    function _receive(
        bytes calldata packet,
        Packet.Transfer memory transfer,
        bytes32 commitment,
        address token,
        uint256 unit_
    ) private {
        _setOutcome(transfer.sequence, RECEIVED);
        _totals[token].received += transfer.amount;
        if (_release(token, transfer.receiver, transfer.amount * unit_)) {
            emit PacketReceived(transfer.sequence, commitment);
            if (transfer.acknowledge) {
                _sendNews(Packet.ACKNOWLEDGEMENT, packet);
            }
        } else {
            _totals[token].received -= transfer.amount;
            _expire(packet, transfer.sequence, commitment);
        }
    }

    /// @dev A transfer never takes effect; the news goes home, and refunds it there.
    function _expire(bytes calldata packet, uint64 sequence, bytes32 commitment) private {
        _setOutcome(sequence, EXPIRED);
        emit PacketExpired(sequence, commitment);
        _sendNews(Packet.EXPIRY, packet);
    }

    /// @dev What became of a packet, told to the side that it came from.
    function _sendNews(uint8 kind, bytes calldata packet) private {
        uint64 next = nextSequence;
        _commit(next, Packet.encodeNews(kind, chainId, peerChainId, next, packet));
    }

    /// @dev News of a packet from here, which has had none: its commitment makes room for a mark, so that there
    /// can be no other. Should the native chain ever report both, what comes second is refused for ever.
    function _end(bytes calldata packet, Packet.Header memory start, bytes32 commitment, bytes32 mark)
        private
        returns (Packet.Transfer memory transfer, bytes32 innerCommitment)
    {
        bytes calldata inner;
        (transfer, inner) = Packet.inside(packet, start);
        innerCommitment = keccak256(inner);
        if (outbound[transfer.sequence] != innerCommitment) {
            revert BridgeErrors.NotOutstanding(transfer.sequence);
        }
        _setOutcome(start.sequence, RECEIVED);
        outbound[transfer.sequence] = mark;
        emit PacketReceived(start.sequence, commitment);
    }

    /// @dev News that a packet from here expired: its tokens return to its sender, once.
    function _refund(bytes calldata packet, Packet.Header memory start, bytes32 commitment) private {
        (Packet.Transfer memory transfer, bytes32 innerCommitment) = _end(packet, start, commitment, REFUNDED);
        // What was sent from here is of a token of this bridge.
        address token = _tokenOf(transfer);
        uint256 unit_ = _requireUnpaused(token);
        if (!_isHeld(token, transfer.amount)) {
            revert BridgeErrors.LockedTooLittle(token, transfer.amount, locked(token));
        }
        _totals[token].refunded += transfer.amount;
        emit PacketRefunded(transfer.sequence, innerCommitment);
        if (!_release(token, transfer.sender, transfer.amount * unit_)) {
            revert SafeERC20.SafeERC20FailedOperation(token);
        }
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
        _setOutcome(start.sequence, RECEIVED);
        ILightClient client = clients.create(key, peerChainId, version, firstEpoch);
        lightClient = client;
        emit PacketReceived(start.sequence, commitment);
        emit KeyRotated(version, firstEpoch, client);
    }

    /// @dev Takes tokens from the caller: held if at home here, burned otherwise.
    function _lock(address token, uint256 amount) private {
        if (token == address(points)) {
            points.burn(msg.sender, amount);
            return;
        }
        IERC20 held_ = IERC20(token);
        uint256 before = held_.balanceOf(address(this));
        held_.safeTransferFrom(msg.sender, address(this), amount);
        uint256 moved = held_.balanceOf(address(this)) - before;
        if (moved != amount) {
            revert BridgeErrors.AmountMoved(amount, moved);
        }
    }

    /// @dev Whether a transfer can take effect, now or ever. What cannot goes home at once: it must not
    /// wait for its deadline, and must not hold up the packets beside it.
    function _canReceive(address token, Packet.Transfer memory transfer) private view returns (bool) {
        address receiver = transfer.receiver;
        if (token == address(0) || transfer.amount > MAX_AMOUNT) {
            return false;
        }
        // Nobody's, or where the token would be lost.
        if (receiver == address(0) || receiver == address(this) || receiver == token) {
            return false;
        }
        return _isHeld(token, transfer.amount);
    }

    /// @dev A token at home here leaves only from what the books say is locked.
    function _isHeld(address token, uint256 amount) private view returns (bool) {
        return token == address(points) || amount <= locked(token);
    }

    /// @dev Gives tokens: from what is held if at home here, minted otherwise. Answers whether the token
    /// did it.
    function _release(address token, address account, uint256 amount) private returns (bool) {
        if (token == address(points)) {
            points.mint(account, amount);
            return true;
        }
        return IERC20(token).trySafeTransfer(account, amount);
    }

    /// @dev How a packet names a token of this bridge.
    function _homeOf(address token) private view returns (uint64 home, address contract_) {
        return token == address(points) ? (peerChainId, POINTS_HOME) : (chainId, token);
    }

    /// @dev The token here that a packet names; zero if it is none of this bridge's.
    function _tokenOf(Packet.Transfer memory transfer) private view returns (address) {
        if (transfer.home == peerChainId && transfer.token == POINTS_HOME) {
            return address(points);
        }
        bool isHere = transfer.home == chainId && transfer.token != address(points);
        return isHere && _isKnown(transfer.token) ? transfer.token : address(0);
    }
}
