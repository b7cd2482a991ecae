//! `IRewards`: what holders of the coin are paid each quarter. `docs/rewards.md` explains it.
//!
//! Quarters are named by `4 x year + (0 to 3)` ([`Quarter`](crate::quarter::Quarter)), amounts are
//! MVC in its smallest unit.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

alloy::sol! {
    /// The quarterly rewards.
    #[derive(Debug, PartialEq, Eq)]
    interface IRewards {
        /// Somebody put coin into the pool.
        event Funded(address indexed from, uint256 amount);
        /// The share of a closed quarter came from Ethereum; `pot` of it is for the holders here.
        event ShareCame(uint64 indexed quarter, uint256 share, uint256 pot);
        /// The quarter is over. `holders` will be visited for it; they share `pot`, which with a source
        /// is 0 until its share has come.
        event QuarterClosed(uint64 indexed quarter, uint64 holders, uint256 eligible, uint256 pot);
        /// `amount` went to `account`: what it earned for `quarter` and what it had carried.
        event RewardPaid(address indexed account, uint64 indexed quarter, uint256 amount);
        /// All holders were visited: `paid` to them, `carried` for them, the rest went back to the pool.
        event QuarterPaid(uint64 indexed quarter, uint256 paid, uint256 carried, uint256 remainder);
        /// From the next close on, `account` does not earn; until then it does.
        event Excluded(address indexed account);
        /// From the next close on, `account` earns.
        event Readmitted(address indexed account);

        /// `source` is the contract on Ethereum that pots come from; zero if they come out of the pool.
        struct Rules { uint256 pot; uint256 leastPayment; uint32 holdersPerBlock; address source; }
        /// `balance == reserved + carried + available`: for quarters being paid, for holders whose
        /// amount is too small yet, and for quarters to come.
        struct Pool { uint256 balance; uint256 reserved; uint256 carried; uint256 available; }
        /// `quarter` is under way and ends at `endsAtMs`; `paying` is the oldest one that is closed
        /// and not paid to everybody yet (`quarter`, if there is none), `visited` of its `holders`
        /// were visited. `nextPot` is what the pool has for the quarter under way as of now, and
        /// `funded` whether that is the whole pot. With a source, `nextPot` is what the last share that
        /// came would give for what earns now, `funded` whether no closed quarter waits for its share,
        /// and `awaitsShare` whether `paying` does.
        struct Standing {
            uint64 quarter; uint64 endsAtMs; uint64 paying; uint64 visited; uint64 holders;
            uint256 nextPot; bool funded; bool awaitsShare;
        }
        /// Of a closed quarter. `paid + carried + remainder == pot` once `paidHeight` is not zero;
        /// `released` came from what earlier quarters had carried. `holders` have a number, `credited`
        /// of them were paid and `waiting` of them carry. `nextFunded`: whether, at the close, the
        /// pool had the whole pot of the quarter after. With a source, `share` came from Ethereum for
        /// the `locked` coin that the bridge held there at the close, both 0 before; the pot is 0 before,
        /// too, and `nextFunded` is true: Ethereum's own report says it.
        struct Report {
            uint64 quarter; uint64 closedHeight; uint64 closedAtMs; uint64 paidHeight;
            uint256 pot; uint256 eligible; uint256 paid; uint256 carried; uint256 released; uint256 remainder;
            uint64 holders; uint64 credited; uint64 waiting; bool nextFunded;
            uint256 share; uint256 locked;
        }
        /// `number` is 0 for who never held any. `holding` is balance and stake as of now.
        struct Holder { uint64 number; uint256 holding; uint256 balance; uint256 stake; uint256 carried; bool earns; }

        function rules() external view returns (Rules memory);
        function pool() external view returns (Pool memory);
        function solvent() external view returns (bool);
        function standing() external view returns (Standing memory);
        /// Refuses for a quarter that is not closed, or was before this chain.
        function report(uint64 quarter) external view returns (Report memory);
        function holder(address account) external view returns (Holder memory);
        /// What `account` earned for `quarter`, paid or carried; of the last eight quarters paid.
        function earned(address account, uint64 quarter) external view returns (uint256 amount);
        /// What `account` would earn if the quarter under way closed now: its holding, all holdings
        /// that earn, and the pot.
        function preview(address account) external view returns (uint256 amount, uint256 holding, uint256 eligible, uint256 pot);
        function excluded() external view returns (address[] memory);

        /// Adds the value to the pool.
        function fund() external payable;
        /// The bridge's governor, after announcing it there (`IValves.schedule`).
        function exclude(address account) external;
        function readmit(address account) external;
    }
}
