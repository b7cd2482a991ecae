// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Checkpoints} from "@openzeppelin/contracts/utils/structs/Checkpoints.sol";
import {EnumerableSet} from "@openzeppelin/contracts/utils/structs/EnumerableSet.sol";
import {RewardErrors} from "../errors/RewardErrors.sol";
import {IBridge} from "../interfaces/IBridge.sol";
import {IQuarterlyRewards} from "../interfaces/IQuarterlyRewards.sol";
import {Quarter} from "../libraries/Quarter.sol";
import {MileVerseCoin} from "../tokens/MileVerseCoin.sol";
import {Reserve} from "./Reserve.sol";

/// @title Quarterly rewards on Ethereum: everyone who holds MVC earns a share of each quarter's pot
///
///     quarter over   open(quarter)     takes the pot from the reserve; fixes how much coin is eligible
///     any time       claim(...)        floor(pot x balance at the close / eligible), to the account, once
///     any time       forward(quarter)  the share of what the bridge held crosses to the native chain, for
///                                      those who hold it there
///
/// @notice Anybody makes each of these calls, for anybody. Claims never expire. Nobody can move coin out of
/// here in any other way. Reward coin that nobody has claimed earns nothing itself.
///
/// @dev After every call: balance >= owed + available, and for each quarter paid + share <= pot; a call that
/// would break either has no effect. What calls out are MVC, the reserve and the bridge: known code that
/// calls nothing back.
contract QuarterlyRewards is IQuarterlyRewards, AccessManaged {
    using SafeERC20 for MileVerseCoin;
    using Checkpoints for Checkpoints.Trace224;
    using EnumerableSet for EnumerableSet.AddressSet;

    /// @notice The most accounts on the list.
    uint256 public constant MAX_EXCLUDED = 64;

    /// @notice The most accounts, or quarters, of one call.
    uint256 public constant MAX_BATCH = 256;

    /// @notice The least a pot has. A quarter is opened when there is that much, so that the native chain's
    /// share of it is never nothing; it waits for one.
    uint256 public constant LEAST_POT = 1e18;

    /// @notice How long a share may take to the native chain, in seconds. It is sent again if it took longer.
    uint64 public constant LIFETIME_SECONDS = 7 days;

    /// @dev An outbound packet whose coin came back (`IBridge.outbound`).
    bytes32 private constant REFUNDED = bytes32(uint256(1));

    /// @dev First two bytes of the native chain's system modules.
    uint160 private constant MODULES = 0x4d56;
    /// @dev Last two bytes of its rewards module.
    uint160 private constant MODULE = 0x0006;

    /// @dev What is stored of an open quarter. Amounts are below 2^92.
    struct Record {
        uint128 pot;
        uint128 eligible;
        uint128 paid;
        uint128 share;
        uint128 locked;
        uint64 claims;
        uint64 sequence;
        uint64 openedAt;
        bool nextFunded;
    }

    /// @notice MVC.
    MileVerseCoin public immutable coin;

    /// @notice Where pots come from.
    Reserve public immutable reserve;

    /// @notice The bridge to the native chain.
    IBridge public immutable bridge;

    /// @inheritdoc IQuarterlyRewards
    uint64 public nextQuarter;

    /// @notice What is promised to claims that were not made, and to shares that were never sent.
    uint256 public owed;

    /// @notice What is here for quarters to come.
    uint256 public available;

    mapping(uint64 quarter => Record) private _records;

    /// @dev One bit a quarter.
    mapping(address account => mapping(uint64 word => uint256)) private _claimed;

    EnumerableSet.AddressSet private _list;

    /// @dev Quarter from whose close on => 1 excluded, 0 earns again.
    mapping(address account => Checkpoints.Trace224) private _exclusions;

    /// @param coin_ MVC.
    /// @param reserve_ Must have been made for this contract.
    /// @param bridge_ The bridge, of the same coin.
    /// @param authority_ Whose governor changes the list.
    /// @param excluded_ Who never earns: treasuries, lock-ups, exchange pools. At most 64.
    constructor(
        MileVerseCoin coin_,
        Reserve reserve_,
        IBridge bridge_,
        address authority_,
        address[] memory excluded_
    ) AccessManaged(authority_) {
        if (authority_.code.length == 0) {
            revert AccessManagedInvalidAuthority(authority_);
        }
        if (reserve_.rewards() != address(this) || address(reserve_.coin()) != address(coin_)) {
            revert RewardErrors.WrongContract(address(reserve_));
        }
        // It knows the coin, or this reverts.
        bridge_.totals(address(coin_));
        coin = coin_;
        reserve = reserve_;
        bridge = bridge_;
        uint64 first = SafeCast.toUint64(coin_.currentQuarter());
        if (reserve_.nextQuarter() != first) {
            revert RewardErrors.NotNext(first, reserve_.nextQuarter());
        }
        nextQuarter = first;
        for (uint256 i = 0; i < excluded_.length; ++i) {
            _exclude(excluded_[i]);
        }
    }

    /// @inheritdoc IQuarterlyRewards
    function open(uint64 quarter) external {
        if (quarter != nextQuarter) {
            revert RewardErrors.NotNext(quarter, nextQuarter);
        }
        if (quarter >= coin.currentQuarter()) {
            revert RewardErrors.NotOver(quarter, Quarter.ends(quarter));
        }
        nextQuarter = quarter + 1;
        uint256 here = available + reserve.release(quarter);
        uint256 eligible = coin.SUPPLY() - coin.balanceAtClose(address(this), quarter)
            - coin.balanceAtClose(address(reserve), quarter);
        for (uint256 i = 0; i < _list.length(); ++i) {
            eligible -= coin.balanceAtClose(_list.at(i), quarter);
        }
        uint256 locked = coin.balanceAtClose(address(bridge), quarter);
        uint256 pot = eligible == 0 ? 0 : Math.min(here, reserve.POT());
        if (eligible != 0 && pot < LEAST_POT) {
            revert RewardErrors.NothingToShare(quarter);
        }
        uint256 share = pot == 0 ? 0 : pot * locked / eligible;
        available = here - pot;
        owed += pot;
        bool nextFunded = _isFunded();
        _records[quarter] = Record({
            pot: SafeCast.toUint128(pot),
            eligible: SafeCast.toUint128(eligible),
            paid: 0,
            share: SafeCast.toUint128(share),
            locked: SafeCast.toUint128(locked),
            claims: 0,
            sequence: 0,
            openedAt: SafeCast.toUint64(block.timestamp),
            nextFunded: nextFunded
        });
        emit QuarterOpened(quarter, pot, eligible, share, nextFunded);
        _check(quarter);
    }

    /// @inheritdoc IQuarterlyRewards
    function claim(address account, uint64 quarter) external returns (uint256 amount) {
        (uint256 earned_, bool isClaimed) = earned(account, quarter);
        if (isClaimed) {
            revert RewardErrors.ClaimedAlready(account, quarter);
        }
        if (!_earns(account, quarter)) {
            revert RewardErrors.NeverEarns(account, quarter);
        }
        if (earned_ == 0) {
            revert RewardErrors.NothingEarned(account, quarter);
        }
        _pay(account, quarter, earned_);
        _check(quarter);
        return earned_;
    }

    /// @inheritdoc IQuarterlyRewards
    function claimBatch(address[] calldata accounts, uint64 quarter) external returns (uint256 amount) {
        _requireBatch(accounts.length);
        for (uint256 i = 0; i < accounts.length; ++i) {
            amount += _tryPay(accounts[i], quarter);
        }
        _check(quarter);
    }

    /// @inheritdoc IQuarterlyRewards
    function claimQuarters(address account, uint64[] calldata quarters) external returns (uint256 amount) {
        _requireBatch(quarters.length);
        for (uint256 i = 0; i < quarters.length; ++i) {
            amount += _tryPay(account, quarters[i]);
            _check(quarters[i]);
        }
    }

    /// @inheritdoc IQuarterlyRewards
    function forward(uint64 quarter) external returns (uint64 sequence) {
        Record storage record = _open(quarter);
        uint256 share = record.share;
        if (share == 0) {
            revert RewardErrors.NothingToForward(quarter);
        }
        uint64 before = record.sequence;
        if (before == 0) {
            owed -= share;
        } else if (bridge.outbound(before) != REFUNDED) {
            revert RewardErrors.ForwardedAlready(quarter, before);
        }
        // A packet is received there or refunded here, never both; so one of all that are sent arrives.
        coin.forceApprove(address(bridge), share);
        sequence = bridge.send(
            address(coin),
            receiverOf(quarter, record.locked),
            share,
            SafeCast.toUint64(block.timestamp + LIFETIME_SECONDS)
        );
        record.sequence = sequence;
        emit Forwarded(quarter, sequence, share);
        _check(quarter);
    }

    /// @inheritdoc IQuarterlyRewards
    function fund(uint256 amount) external {
        if (amount == 0) {
            revert RewardErrors.AmountZero();
        }
        available += amount;
        emit Funded(msg.sender, amount);
        coin.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IQuarterlyRewards
    function exclude(address account) external restricted {
        _requireAllOpen();
        _exclude(account);
    }

    /// @inheritdoc IQuarterlyRewards
    function readmit(address account) external restricted {
        _requireAllOpen();
        if (!_list.remove(account)) {
            revert RewardErrors.NotExcluded(account);
        }
        _exclusions[account].push(SafeCast.toUint32(nextQuarter), 0);
        emit Readmitted(account, nextQuarter);
    }

    /// @inheritdoc IQuarterlyRewards
    function excluded() external view returns (address[] memory) {
        return _list.values();
    }

    /// @inheritdoc IQuarterlyRewards
    function earned(address account, uint64 quarter) public view returns (uint256 amount, bool isClaimed) {
        Record storage record = _open(quarter);
        isClaimed = _claimed[account][quarter >> 8] >> (quarter & 255) & 1 == 1;
        if (_earns(account, quarter) && record.pot != 0) {
            amount = record.pot * coin.balanceAtClose(account, quarter) / record.eligible;
        }
    }

    /// @inheritdoc IQuarterlyRewards
    function preview(address account)
        external
        view
        returns (uint256 amount, uint256 holding, uint256 eligible, uint256 pot)
    {
        holding = coin.balanceOf(account);
        eligible = coin.SUPPLY() - coin.balanceOf(address(this)) - coin.balanceOf(address(reserve));
        for (uint256 i = 0; i < _list.length(); ++i) {
            eligible -= coin.balanceOf(_list.at(i));
        }
        pot = _nextPot();
        if (eligible != 0 && _earns(account, SafeCast.toUint64(coin.currentQuarter()))) {
            amount = pot * holding / eligible;
        }
    }

    /// @inheritdoc IQuarterlyRewards
    function report(uint64 quarter) external view returns (Report memory) {
        Record storage record = _open(quarter);
        uint64 sequence = record.sequence;
        return Report({
            quarter: quarter,
            openedAt: record.openedAt,
            pot: record.pot,
            eligible: record.eligible,
            paid: record.paid,
            claims: record.claims,
            share: record.share,
            locked: record.locked,
            sequence: sequence,
            refunded: sequence != 0 && bridge.outbound(sequence) == REFUNDED,
            unclaimed: uint256(record.pot) - record.paid - record.share,
            nextFunded: record.nextFunded
        });
    }

    /// @inheritdoc IQuarterlyRewards
    function standing() external view returns (Standing memory) {
        uint64 current = SafeCast.toUint64(coin.currentQuarter());
        return Standing({
            quarter: current,
            endsAt: SafeCast.toUint64(Quarter.ends(current)),
            next: nextQuarter,
            nextPot: _nextPot(),
            funded: _isFunded(),
            available: available,
            owed: owed,
            reserve: coin.balanceOf(address(reserve))
        });
    }

    /// @inheritdoc IQuarterlyRewards
    function solvent() public view returns (bool) {
        return coin.balanceOf(address(this)) >= owed + available;
    }

    /// @inheritdoc IQuarterlyRewards
    function receiverOf(uint64 quarter, uint256 locked) public pure returns (address) {
        return address(
            MODULES << 144 | uint160(SafeCast.toUint96(locked)) << 48 | uint160(SafeCast.toUint32(quarter))
                << 16 | MODULE
        );
    }

    /// @dev Pays an account that has something to get; passes over every other.
    function _tryPay(address account, uint64 quarter) private returns (uint256) {
        (uint256 amount, bool isClaimed) = earned(account, quarter);
        if (isClaimed || amount == 0) {
            return 0;
        }
        _pay(account, quarter, amount);
        return amount;
    }

    function _pay(address account, uint64 quarter, uint256 amount) private {
        _claimed[account][quarter >> 8] |= uint256(1) << (quarter & 255);
        Record storage record = _records[quarter];
        record.paid += SafeCast.toUint128(amount);
        ++record.claims;
        owed -= amount;
        emit Claimed(quarter, account, amount);
        coin.safeTransfer(account, amount);
    }

    /// @dev The list counts from the close of the quarter under way on, because all before it are open.
    function _exclude(address account) private {
        if (_isOwn(account)) {
            revert RewardErrors.NeverEarns(account, nextQuarter);
        }
        if (!_list.add(account)) {
            revert RewardErrors.ExcludedAlready(account);
        }
        if (_list.length() > MAX_EXCLUDED) {
            revert RewardErrors.ListFull();
        }
        _exclusions[account].push(SafeCast.toUint32(nextQuarter), 1);
        emit Excluded(account, nextQuarter);
    }

    function _requireAllOpen() private view {
        if (nextQuarter != coin.currentQuarter()) {
            revert RewardErrors.OpenFirst(nextQuarter);
        }
    }

    function _requireBatch(uint256 size) private pure {
        if (size == 0 || size > MAX_BATCH) {
            revert RewardErrors.BatchSize(size);
        }
    }

    function _open(uint64 quarter) private view returns (Record storage record) {
        record = _records[quarter];
        if (record.openedAt == 0) {
            revert RewardErrors.NotOpen(quarter);
        }
    }

    /// @dev Whether an account is paid here for a quarter.
    function _earns(address account, uint64 quarter) private view returns (bool) {
        return !_isOwn(account) && _exclusions[account].upperLookupRecent(SafeCast.toUint32(quarter)) == 0;
    }

    /// @dev Whose coin is nobody's here: the pots' own, and what the native chain pays for.
    function _isOwn(address account) private view returns (bool) {
        return account == address(0) || account == address(this) || account == address(reserve)
            || account == address(bridge);
    }

    /// @dev What the next quarter to be opened has, as of now.
    function _nextPot() private view returns (uint256) {
        uint256 pot = reserve.POT();
        return Math.min(pot, available + Math.min(pot, coin.balanceOf(address(reserve))));
    }

    function _isFunded() private view returns (bool) {
        return _nextPot() == reserve.POT();
    }

    /// @dev No more is given than there is.
    function _check(uint64 quarter) private view {
        Record storage record = _records[quarter];
        if (uint256(record.paid) + record.share > record.pot || !solvent()) {
            revert RewardErrors.Unbalanced(quarter);
        }
    }
}
