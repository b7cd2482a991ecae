// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INativeBridge, Native} from "../../src/exchange/Native.sol";
import {CoinModel, PointsModel} from "./ExchangeWorld.sol";
import {Vm} from "./Vm.sol";

/// @notice Moves an account's coin as a module does, without a call to whoever has it then. Unlike forge's
/// `deal`, it is undone with the call that did it.
library Coins {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function move(address from, address to, uint256 amount) internal {
        require(from.balance >= amount, "the coin balance is below this amount");
        // A contract of one instruction, made by the payer with the amount: it ends in favour of `to`.
        bytes memory code = abi.encodePacked(uint8(0x73), to, uint8(0xff));
        // Forge keeps a prank that no call used: between here and the creation gas must not run out.
        if (gasleft() < 100_000) {
            assembly {
                revert(0, 0) // as if it had run out
            }
        }
        vm.prank(from);
        address made;
        assembly ("memory-safe") {
            made := create(amount, add(code, 32), mload(code))
        }
        require(made != address(0), "not moved");
    }
}

/// @notice The coin's face, undone where a call is undone.
contract ExactCoin is CoinModel {
    function _move(address from, address to, uint256 amount) internal override returns (bool) {
        Coins.move(from, to, amount);
        return true;
    }
}

/// @notice The bridge module as the router sees it: what is announced is proven. It keeps the protocol's order
/// of outcomes, opens swaps for the router alone, and checks what the router says.
contract BridgeModel {
    struct Sent {
        address token;
        address receiver;
        uint256 amount;
        uint64 deadline;
        address sender;
    }

    error RouterNeeded(uint64 sequence);

    PointsModel private constant POINTS = PointsModel(Native.POINTS);
    uint256 private constant HOLD = 6 hours;

    /// @notice 0 none, 1 received, 2 expired.
    mapping(uint64 sequence => uint8) public receipt;
    mapping(bytes32 commitment => bool) private _announced;
    mapping(uint64 sequence => uint256) private _heldUntil;
    /// @notice What has come in, by token.
    mapping(address token => uint256) public received;
    INativeBridge.Opened[] private _opened;
    /// @dev What the router had before anything was opened, by token.
    mapping(address token => uint256) private _before;
    mapping(uint64 sequence => bytes) private _packets;
    mapping(uint64 sequence => bool) public refunded;
    /// @dev Packets that expired here, in order: what goes home.
    bytes[] private _expired;
    Sent[] private _sent;
    /// @notice A transfer of as much or more waits; zero for never.
    uint256 public largeFrom;
    /// @notice A limit that is reached: nothing leaves any more.
    bool public shut;

    /// @dev A leader's checkpoint proves it from now on.
    function announce(bytes memory packet) external {
        _announced[keccak256(packet)] = true;
    }

    function setLargeFrom(uint256 amount) external {
        largeFrom = amount;
    }

    function setShut(bool shut_) external {
        shut = shut_;
    }

    function deliver(uint64 number, bytes[] calldata account, INativeBridge.StorageItem[] calldata items)
        external
    {
        require(number != 0 && account.length != 0, "no such checkpoint");
        require(items.length != 0, "no packets");
        for (uint256 i = 0; i < items.length; ++i) {
            require(_announced[keccak256(items[i].packet)], "not proven");
            _deliver(items[i].packet);
        }
    }

    function release(bytes calldata packet) external {
        uint64 sequence = _sequence(packet);
        require(_heldUntil[sequence] != 0 && _announced[keccak256(packet)], "not held");
        _deliver(packet);
    }

    /// @dev News that what left from here expired over there.
    function refund(uint64 sequence) external {
        require(!refunded[sequence], "refunded");
        refunded[sequence] = true;
        Sent storage back = _sent[sequence - 1];
        _move(back.token, address(this), back.sender, back.amount);
    }

    function opened() external view returns (INativeBridge.Opened[] memory) {
        return _opened;
    }

    function settle(uint64 sequence, bool done) external {
        require(msg.sender == Native.ROUTER, "only the router");
        uint256 place = _opened.length;
        uint256 rest = 0;
        INativeBridge.Opened memory one;
        for (uint256 i = 0; i < _opened.length; ++i) {
            if (_opened[i].sequence == sequence) (place, one) = (i, _opened[i]);
        }
        require(place < _opened.length, "not opened");
        for (uint256 i = 0; i < _opened.length; ++i) {
            if (i != place && _opened[i].token == one.token) rest += _opened[i].amount;
        }
        _opened[place] = _opened[_opened.length - 1];
        _opened.pop();
        if (done) {
            require(_balance(one.token) == _before[one.token] + rest, "the tokens are not gone");
            receipt[sequence] = 1;
        } else {
            _move(one.token, Native.ROUTER, address(this), one.amount);
            received[one.token] -= one.amount;
            _expire(sequence, _packets[sequence]);
        }
    }

    function sendFor(address token, address receiver, uint256 amount, uint64 deadline, address sender)
        external
        payable
        returns (uint64)
    {
        require(!shut, "the limit of this hour is reached");
        require(receiver != address(0) && amount != 0 && deadline > block.timestamp, "refused");
        require(sender != address(0) && sender != Native.ROUTER, "no such sender");
        require(msg.value == (token == Native.COIN ? amount : 0), "another value");
        if (token == Native.POINTS) POINTS.carry(msg.sender, address(this), amount);
        _sent.push(Sent(token, receiver, amount, deadline, sender));
        return uint64(_sent.length);
    }

    function sent(uint64 sequence) external view returns (Sent memory) {
        return _sent[sequence - 1];
    }

    function sentCount() external view returns (uint64) {
        return uint64(_sent.length);
    }

    function expired() external view returns (bytes[] memory) {
        return _expired;
    }

    function _deliver(bytes calldata packet) private {
        uint64 sequence = _sequence(packet);
        if (receipt[sequence] != 0) return;
        uint64 deadline = uint64(bytes8(packet[26:34]));
        address token = uint64(bytes8(packet[34:42])) == 31_337 ? Native.COIN : Native.POINTS;
        address receiver = address(bytes20(packet[82:102]));
        uint256 amount = uint256(bytes32(packet[102:134]));
        uint256 until = _heldUntil[sequence];
        bool isLate = until == 0 && block.timestamp > deadline;
        // Nobody's, modules, and the router itself.
        bool isBlocked = receiver == address(0) || uint160(receiver) >> 8 == uint160(Native.POINTS) >> 8
            || receiver == Native.ROUTER;
        if (isLate || isBlocked) {
            _expire(sequence, packet);
            return;
        }
        if (until == 0 && largeFrom != 0 && amount >= largeFrom) {
            _heldUntil[sequence] = block.timestamp + HOLD;
            return;
        }
        require(block.timestamp >= until, "held");
        bool isSwap = packet[1] == 0x04;
        if (isSwap && msg.sender != Native.ROUTER) revert RouterNeeded(sequence);
        delete _heldUntil[sequence];
        received[token] += amount;
        if (!isSwap) {
            receipt[sequence] = 1;
            _move(token, address(this), receiver, amount);
            return;
        }
        if (_opened.length == 0) {
            (_before[Native.COIN], _before[Native.POINTS]) = (_balance(Native.COIN), _balance(Native.POINTS));
        }
        _move(token, address(this), Native.ROUTER, amount);
        _packets[sequence] = packet;
        uint256 least = uint256(bytes32(packet[135:167]));
        _opened.push(INativeBridge.Opened(sequence, token, amount, receiver, least));
    }

    function _expire(uint64 sequence, bytes memory packet) private {
        receipt[sequence] = 2;
        delete _heldUntil[sequence];
        _expired.push(packet);
    }

    /// @dev Coin that is not made yet is held here, like points.
    function _move(address token, address from, address to, uint256 amount) private {
        if (token == Native.POINTS) POINTS.carry(from, to, amount);
        else Coins.move(from, to, amount);
    }

    function _balance(address token) private view returns (uint256) {
        return token == Native.POINTS ? POINTS.balanceOf(Native.ROUTER) : Native.ROUTER.balance;
    }

    function _sequence(bytes calldata packet) private pure returns (uint64) {
        return uint64(bytes8(packet[18:26]));
    }
}

/// @notice A bridge that costs nothing and always has the same packet open: what remains is the router's own
/// gas, and the pool's.
contract FlatBridge {
    address private immutable TOKEN;
    uint256 private immutable AMOUNT;
    address private immutable RECEIVER;

    constructor(address token, uint256 amount, address receiver) {
        (TOKEN, AMOUNT, RECEIVER) = (token, amount, receiver);
    }

    function deliver(uint64, bytes[] calldata, INativeBridge.StorageItem[] calldata) external {}

    function settle(uint64, bool) external {}

    function opened() external view returns (INativeBridge.Opened[] memory out) {
        out = new INativeBridge.Opened[](1);
        out[0] = INativeBridge.Opened(1, TOKEN, AMOUNT, RECEIVER, 1);
    }

    function sendFor(address, address, uint256, uint64, address) external payable returns (uint64) {
        return 1;
    }
}

/// @notice A coin that, unlike the module, calls whom it pays: what the router would meet on a chain that
/// did. Whoever is called may do what it likes.
contract CallingCoin is ExactCoin {
    function transfer(address to, uint256 amount) external override returns (bool) {
        _move(msg.sender, to, amount);
        if (to.code.length != 0 && uint160(to) >> 16 != uint160(Native.POINTS) >> 16) {
            (bool good,) = to.call("paid");
            require(good, "the receiver refuses");
        }
        return true;
    }
}

/// @notice A receiver that, when it is paid, makes one call of its choice, and then may refuse.
contract HostileReceiver {
    address private _target;
    bytes private _call;
    bool private _refuses;
    bool private _burns;
    bool public good;
    bytes public answer;
    uint256 public calls;
    /// @notice What it was called with.
    uint256 public gas;

    function arm(address target, bytes calldata call, bool refuses, bool burns) external {
        (_target, _call, _refuses, _burns) = (target, call, refuses, burns);
    }

    receive() external payable {}

    fallback() external {
        gas = gasleft();
        ++calls;
        if (_call.length != 0) (good, answer) = _target.call(_call);
        if (_burns) while (gasleft() > 3_000) {} // all it gets
        require(!_refuses, "not me");
    }
}
