//! `IStaking`: candidates, votes, rewards, evidence, and the views that a voting page needs.
//! `docs/staking.md` explains the rules.
//!
//! Every list is paged: `offset` from 0, `limit` of at most 100; a page past the end is empty.
//! A candidate is named by its owner's account.

#![allow(
    missing_docs,
    reason = "sol! expands to undocumented items; the Solidity carries the docs"
)]

alloy::sol! {
    /// Staking and election.
    #[derive(Debug, PartialEq, Eq)]
    interface IStaking {
        event CandidateRegistered(address indexed candidate, bytes32 indexed consensusKey);
        event CandidateUpdated(address indexed candidate, bytes32 indexed consensusKey, string networkAddress, uint16 commissionBp);
        event CandidateRetired(address indexed candidate);
        event Unjailed(address indexed candidate);
        event Staked(address indexed voter, uint256 amount);
        /// `amount` is what the voter votes for the candidate from now on.
        event Voted(address indexed voter, address indexed candidate, uint256 amount);
        event Unstaked(address indexed voter, uint256 amount, uint64 readyEpoch);
        event Withdrawn(address indexed voter, uint256 amount);
        event Claimed(address indexed voter, uint256 amount);
        /// A double proposal was proven; `taken` went from its votes to the reward pool at once.
        event Slashed(address indexed candidate, address indexed reporter, uint64 epoch, uint256 taken);
        /// Coins that a voter had moved away from a slashed candidate were taken.
        event Collected(address indexed voter, address indexed candidate, uint256 amount);
        /// An attestation of another digest than the final one was proven.
        event FalseResult(address indexed candidate, address indexed reporter, uint64 height);

        struct Vote { address candidate; uint256 amount; }
        struct Profile { string name; string website; }
        struct Candidate {
            address owner;
            bytes32 consensusKey;
            string networkAddress;
            uint16 commissionBp;
            /// All votes, and the owner's among them.
            uint256 votes;
            uint256 ownStake;
            /// Votes that earn from the next epoch on.
            uint256 joining;
            bool listed;
            bool jailed;
            uint64 jailedUntil;
            /// Slashed: out for good.
            bool tombstoned;
            uint64 registeredEpoch;
            /// Whether the next election could elect it.
            bool eligible;
            Profile profile;
        }
        struct Delegation { address candidate; uint256 amount; uint256 joining; uint256 pendingRewards; }
        struct Unbonding { uint256 amount; uint64 readyEpoch; }
        struct Account {
            /// Staked and voted for nobody.
            uint256 free;
            uint256 voted;
            uint256 unbonding;
            /// Can be claimed now.
            uint256 rewards;
            uint32 delegations;
            uint32 unbondings;
        }
        struct Seat { address candidate; bytes32 consensusKey; string networkAddress; }
        struct TurnOf { uint32 turn; address candidate; bytes32 consensusKey; }
        struct Record {
            address candidate;
            bytes32 consensusKey;
            uint64 turnsDue;
            uint64 turnsKept;
            uint64 resultsDue;
            uint64 validResults;
            uint64 invalidResults;
            /// Set when the epoch ends.
            uint256 votes;
            uint256 score;
            uint256 reward;
        }
        struct Totals {
            uint256 staked;
            uint256 unbonding;
            uint256 unpaidRewards;
            uint256 pool;
            uint256 fees;
            /// The module's real coin balance.
            uint256 balance;
        }
        struct Weight { uint16 weightBp; uint16 growthBp; uint16 alphaBp; }
        struct Rules {
            uint64 epochBlocks;
            uint32 seats;
            uint32 leastSeats;
            uint32 maxCandidates;
            uint256 leastOwnStake;
            uint64 unbondingEpochs;
            uint64 jailEpochs;
            uint16 recordFloorBp;
            uint16 doubleSignSlashBp;
            uint16 reporterShareBp;
            uint16 maxCommissionBp;
            uint16 commissionRiseBp;
            uint64 commissionRiseEpochs;
            uint256 rewardPerEpoch;
            uint64 attestationInterval;
            Weight stake;
            Weight turns;
            Weight results;
            Weight invalid;
        }

        /// Makes the caller a candidate; the value is staked and voted for itself. `possession`
        /// is a signature by the consensus key over the caller's address (64 bytes).
        function register(bytes32 consensusKey, bytes calldata possession, string calldata networkAddress, uint16 commissionBp, Profile calldata profile) external payable;
        /// Changes the caller's candidacy. The possession may be empty if the key stays.
        function update(bytes32 consensusKey, bytes calldata possession, string calldata networkAddress, uint16 commissionBp, Profile calldata profile) external;
        /// Takes a candidate off the list: by its owner, or by anyone if it is under-bonded or tombstoned.
        function retire(address candidate) external;
        /// Ends the caller's jail, once its time is over.
        function unjail() external;

        /// Adds the value to the caller's free stake.
        function stake() external payable;
        /// Sets the caller's whole split: what is not named here is voted for nobody.
        function vote(Vote[] calldata votes) external;
        /// Votes `amount` more of the caller's free stake for a candidate.
        function voteFor(address candidate, uint256 amount) external;
        /// Takes `amount` back into the free stake.
        function unvote(address candidate, uint256 amount) external;
        /// Takes `amount` from one candidate to another.
        function move(address from, address to, uint256 amount) external;
        /// Begins to unbond `amount` of the free stake.
        function unstake(uint256 amount) external returns (uint64 readyEpoch);
        /// Pays out what has unbonded.
        function withdraw() external returns (uint256 amount);
        /// Pays out the caller's rewards.
        function claim() external returns (uint256 amount);
        /// Brings anyone's account up to date: takes what it owes for slashed candidates.
        function collect(address voter) external;

        /// Two headers (`Header::encode`) signed by one leader for one epoch and view.
        function submitDoubleProposal(bytes calldata headerA, bytes calldata signatureA, bytes calldata headerB, bytes calldata signatureB) external;
        /// An attestation whose digest is not the final one of its height.
        function submitFalseAttestation(uint64 epoch, uint64 height, bytes32 digest, bytes32 delegate, bytes calldata signature) external;

        function rules() external view returns (Rules memory);
        function totals() external view returns (Totals memory);
        /// Whether the balance covers everything that is owed.
        function solvent() external view returns (bool);
        /// The current epoch, and its first and last height.
        function currentEpoch() external view returns (uint64 epoch, uint64 firstHeight, uint64 lastHeight);
        function candidateCount() external view returns (uint32);
        /// Listed candidates by rank: those that an election could elect first, then by votes, then by age.
        function candidates(uint32 offset, uint32 limit) external view returns (Candidate[] memory);
        function candidate(address owner) external view returns (Candidate memory);
        /// Owner of the candidate that has or had this key; zero if none.
        function candidateOf(bytes32 consensusKey) external view returns (address owner);
        function account(address voter) external view returns (Account memory);
        function delegations(address voter, uint32 offset, uint32 limit) external view returns (Delegation[] memory);
        function unbondings(address voter, uint32 offset, uint32 limit) external view returns (Unbonding[] memory);
        function pendingRewards(address voter) external view returns (uint256);
        /// Who was elected for an epoch, ascending by key.
        function elected(uint64 epoch, uint32 offset, uint32 limit) external view returns (Seat[] memory);
        /// How large an epoch's committee is, and whether its ceremony succeeded.
        function committee(uint64 epoch) external view returns (uint32 size, bool succeeded);
        /// The committee of an epoch in the order of turns: view v is led by turn v modulo size.
        function turns(uint64 epoch, uint32 offset, uint32 limit) external view returns (TurnOf[] memory);
        /// Records of an epoch's delegates, ascending by key.
        function records(uint64 epoch, uint32 offset, uint32 limit) external view returns (Record[] memory);
    }
}
