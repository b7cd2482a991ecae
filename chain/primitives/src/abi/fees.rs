//! `IFees`: who else pays for gas. `docs/fees.md` explains it.
//!
//! Amounts are MVC in its smallest unit, times are seconds since 1970 of block time, days are UTC
//! days of it.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

alloy::sol! {
    /// Deposits of contracts' operators, and the free gas of stake.
    #[derive(Debug, PartialEq, Eq)]
    interface IFees {
        /// Who pays for calls to `callee` from now on.
        event OperatorSet(address indexed callee, address indexed operator);
        event Deposited(address indexed callee, address indexed operator, uint256 amount);
        /// `terms` hold from `since` on.
        event TermsSet(address indexed callee, address indexed operator, Terms terms, uint64 since);
        /// `amount` may be withdrawn from `ready` on; until it is withdrawn it goes on paying.
        event WithdrawalAnnounced(address indexed callee, address indexed operator, uint256 amount, uint64 ready);
        event Withdrawn(address indexed callee, address indexed operator, uint256 amount);
        /// The chain took `amount` out of the deposit for `gas` that a transaction of `user` used; the
        /// last event of that transaction's receipt.
        event Sponsored(address indexed callee, address indexed operator, address indexed user, uint256 amount, uint64 gas);
        /// `gas` of a transaction of `user` was free; the last event of its receipt.
        event FreeGasUsed(address indexed user, uint64 gas);

        /// What of the base fee of calls to a contract its operator pays, in basis points, and the most
        /// that this may come to in coin: for one transaction, for one user in a day, in a day.
        struct Terms { uint16 shareBp; uint128 perTransaction; uint128 perUserDay; uint128 perDay; }
        /// `next` hold from `nextSince` on, which is 0 if nothing is to change.
        struct Sponsor {
            uint256 deposit; uint256 leaving; uint64 leavingReady;
            Terms terms; Terms next; uint64 nextSince; uint256 spentToday;
        }
        struct Rules { uint256 basePrice; uint64 noticeSeconds; uint64 freeGasPerCoin; uint64 freeGasEpochs; uint16 freeGasBp; }
        /// Of the window under way, which ends with the block before height `refillsAt`.
        struct Quota { uint64 gas; uint64 used; uint64 left; uint64 refillsAt; }

        function rules() external view returns (Rules memory);
        /// All deposits together.
        function totalDeposits() external view returns (uint256);
        function solvent() external view returns (bool);
        /// Zero if `callee` has none. `claimed`: only the operator itself can name another.
        function operatorOf(address callee) external view returns (address operator, bool claimed);
        function sponsor(address callee, address operator) external view returns (Sponsor memory);
        /// What `callee`'s operator pays for one gas of a transaction of `user`, and the most that it pays
        /// for one transaction now.
        function offer(address callee, address user) external view returns (uint256 price, uint256 most);
        function quota(address account) external view returns (Quota memory);

        /// Makes the caller the operator of the contract that it created with `nonce` (CREATE). Works once.
        function claim(address callee, uint64 nonce) external;
        /// By `callee` itself as long as it is not claimed, and by its operator.
        function setOperator(address callee, address operator) external;
        /// Adds the value to the caller's own deposit for `callee`, which pays while the caller is operator.
        function deposit(address callee) external payable;
        /// Sets the caller's terms for `callee`. What is lower than before holds after the notice.
        function setTerms(address callee, Terms calldata terms) external;
        /// Announces that `amount` in all leaves the caller's deposit after the notice; 0 takes it back.
        function announceWithdrawal(address callee, uint256 amount) external;
        /// Pays out what was announced and is still there.
        function withdraw(address callee) external;
    }
}
