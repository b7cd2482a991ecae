//! Staking and election: who may confirm blocks, for whom people vote, what that earns and costs.
//! `IStaking` at `0x4d56…0004`; `docs/staking.md` explains the rules.
//!
//! ```txt
//! slot
//! 0-4  Totals                                    staked, unbonding, unpaid rewards, pool, fees of this epoch
//! 5    uint64 | uint64 << 64                     candidates ever, candidates listed
//! 6    mapping(uint64 => uint64)                 the list: candidate by index, from 0
//! 7    mapping(address => uint64)                candidate by owner
//! 8    mapping(bytes32 => uint64)                candidate by consensus key, for ever
//! 9    mapping(uint64 => Candidate)              candidates, by number from 1:
//!                                                  +0   owner | commission << 160 | flags << 176 (1 listed, 2 jailed, 4 tombstoned)
//!                                                  +1   consensus key
//!                                                  +2   network address: ip (16 bytes) ‖ port (2) ‖ zeros ‖ 4 or 6
//!                                                  +3   votes | own votes << 128
//!                                                  +4   epoch | votes that joined in it << 128
//!                                                  +5   ratio: earned by one vote, x 2^96
//!                                                  +6   carry, x 2^96
//!                                                  +7   epochs: registered, jailed until, commission may rise; place in the list from 1
//!                                                  +8   slash: epoch of the infraction, epoch proven, basis points, height proven
//!                                                  +9   votes not brought home after a slash | what is left of them << 128
//!                                                  +10  reporter of the slash
//!                                                  +16  profile (`profile`)
//! 10   mapping(address => Account)               voters:
//!                                                  +0   free stake | rewards << 128
//!                                                  +1   lengths: delegations, unbondings, liabilities
//!                                                  +2   mapping(index => Delegation): candidate, epoch joined | active << 128;
//!                                                       joining | dust << 128; ratio
//!                                                  +3   mapping(index => ready epoch | amount << 128)
//!                                                  +4   mapping(index => candidate, epoch left | amount << 128)
//! 11   mapping(candidate => mapping(epoch => History))   ratio at the epoch's end; delegations that start there
//! 12   mapping(epoch % 256 => Elected)           epoch, count; +1 mapping(index => key; candidate; network address)
//! 13   mapping(epoch % 256 => Committee)         epoch, size, succeeded, results due; +1 order of turns, one byte each;
//!                                                  +2 mapping(position => key; candidate; turns due, kept, valid, invalid;
//!                                                  votes | reward << 128; score)
//! 14   mapping(bytes32 => word)                  directory: network address by key, written at epochs' ends
//! 15   mapping(index => Result)                  ring of attested heights: digest; height; who attested, one bit each
//! 16   mapping(bytes32 => mapping(height => 1))  false results reported, by key
//! ```
//!
//! Numbers side by side in a word begin with the lowest 64 bits, amounts are 128 bits.
//!
//! The module holds real coin: `balance == staked + unbonding + unpaid rewards + pool + fees`, after
//! every block (fees of the block under way are counted at its end; coin that a contract forced
//! upon the module by destroying itself counts as fees at the epoch's end). A block after which
//! this is not so at an epoch's end has no outcome.
//!
//! | file | idea |
//! |---|---|
//! | `register` | becoming a candidate, changing it, leaving, unjailing |
//! | `call` | voters' calls |
//! | `account` | a voter's account: votes, unbondings, liabilities |
//! | `rewards` | the accumulator (F1) |
//! | `evidence` | double proposals, false results |
//! | `block`, `result` | turns and attestations of every block |
//! | `epoch`, `score`, `election` | an epoch's end |
//! | `committee` | the elected, committees, records |
//! | `delegates` | who the delegates are, for other modules |
//! | `counted` | whose the stake is, for other modules |
//! | `candidate`, `profile`, `totals`, `word` | storage |
//! | `view` | pages for a voting page |
//! | `genesis` | block 0 |
//!
//! Limits: [`MAX_INPUT`] bytes of calldata; lists as `account` and `profile` say; candidates as the
//! genesis says, at most 1,000.

mod account;
pub(crate) mod block;
mod call;
mod candidate;
mod committee;
pub(crate) mod counted;
pub(crate) mod delegates;
mod election;
mod epoch;
mod evidence;
pub(crate) mod genesis;
mod profile;
pub(crate) mod read;
mod refusal;
mod register;
mod result;
mod rewards;
mod score;
mod signature;
mod totals;
mod view;
pub(crate) mod word;

use super::{
    Config, decode,
    host::{Fault, Host},
    slot::Slot,
};
use alloy::{primitives::B256, sol_types::SolCall};
use mileverse_primitives::{
    abi::IStaking::{self, IStakingCalls as Call},
    address::STAKING,
    staking::StakingRules,
};

/// Longest calldata: two headers and their signatures are shorter, so is a split of thirty.
pub(crate) const MAX_INPUT: usize = 8 * 1024;

const TOTALS: Slot = Slot::at(STAKING, 0);
const COUNTS: Slot = Slot::at(STAKING, 5);
const LISTED: Slot = Slot::at(STAKING, 6);
const OWNERS: Slot = Slot::at(STAKING, 7);
const KEYS: Slot = Slot::at(STAKING, 8);
const CANDIDATES: Slot = Slot::at(STAKING, 9);
const ACCOUNTS: Slot = Slot::at(STAKING, 10);
const HISTORY: Slot = Slot::at(STAKING, 11);
const ELECTED: Slot = Slot::at(STAKING, 12);
const COMMITTEES: Slot = Slot::at(STAKING, 13);
const DIRECTORY: Slot = Slot::at(STAKING, 14);
const RESULTS: Slot = Slot::at(STAKING, 15);
const REPORTED: Slot = Slot::at(STAKING, 16);

/// What the logic knows besides the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    rules: &'a StakingRules,
    epoch_blocks: u64,
    least_seats: usize,
    genesis_hash: B256,
    /// The current epoch.
    now: u64,
}

impl<'a> Context<'a> {
    /// The context of a block.
    pub(crate) fn new(config: &'a Config, height: u64) -> Self {
        let mut context = Self {
            rules: &config.staking,
            epoch_blocks: config.epoch_blocks.max(1),
            least_seats: StakingRules::least_seats(config.members.len()),
            genesis_hash: config.genesis_hash,
            now: 0,
        };
        context.now = context.epoch_of(height);
        context
    }

    fn of(host: &Host<'a>) -> Self {
        Self::new(host.config(), host.height())
    }

    const fn epoch_of(&self, height: u64) -> u64 {
        height / self.epoch_blocks
    }

    const fn is_last(&self, height: u64) -> bool {
        height % self.epoch_blocks == self.epoch_blocks - 1
    }

    /// First and last height of an epoch.
    const fn heights(&self, epoch: u64) -> (u64, u64) {
        let first = epoch.saturating_mul(self.epoch_blocks);
        (first, first.saturating_add(self.epoch_blocks - 1))
    }

    /// Attested heights of an epoch that leave two intervals for their attestations to come.
    fn results_due(&self, epoch: u64) -> u64 {
        let interval = self.rules.attestation_interval.max(1);
        let (first, last) = self.heights(epoch);
        let until = last.saturating_sub(interval.saturating_mul(2));
        if until < first {
            return 0;
        }
        let before = first.saturating_sub(1) / interval;
        (until / interval).saturating_sub(before)
    }
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let call = decode::<Call>(data)?;
    if !matches!(call, Call::register(_) | Call::stake(_)) {
        host.not_payable()?;
    }
    let context = Context::of(host);
    Ok(match call {
        Call::rules(_) => IStaking::rulesCall::abi_encode_returns(&view::rules(&context)),
        Call::totals(_) => IStaking::totalsCall::abi_encode_returns(&view::totals(host)?),
        Call::solvent(_) => IStaking::solventCall::abi_encode_returns(&totals::is_solvent(host)?),
        Call::currentEpoch(_) => {
            let (first, last) = context.heights(context.now);
            IStaking::currentEpochCall::abi_encode_returns(&IStaking::currentEpochReturn {
                epoch: context.now,
                firstHeight: first,
                lastHeight: last,
            })
        }
        Call::candidateCount(_) => {
            let (_, listed) = candidate::counts(host)?;
            let listed = u32::try_from(listed).map_err(|_| word::broken())?;
            IStaking::candidateCountCall::abi_encode_returns(&listed)
        }
        Call::candidates(call) => {
            let page = view::candidates(host, &context, call.offset, call.limit)?;
            IStaking::candidatesCall::abi_encode_returns(&page)
        }
        Call::candidate(call) => {
            let candidate = view::candidate(host, &context, call.owner)?;
            IStaking::candidateCall::abi_encode_returns(&candidate)
        }
        Call::candidateOf(call) => {
            let owner = view::candidate_of(host, call.consensusKey)?;
            IStaking::candidateOfCall::abi_encode_returns(&owner)
        }
        Call::account(call) => {
            let account = view::account(host, &context, call.voter)?;
            IStaking::accountCall::abi_encode_returns(&account)
        }
        Call::delegations(call) => {
            let page = view::delegations(host, &context, &call)?;
            IStaking::delegationsCall::abi_encode_returns(&page)
        }
        Call::unbondings(call) => {
            let page = view::unbondings(host, &context, &call)?;
            IStaking::unbondingsCall::abi_encode_returns(&page)
        }
        Call::pendingRewards(call) => {
            let rewards = view::pending_rewards(host, &context, call.voter)?;
            IStaking::pendingRewardsCall::abi_encode_returns(&rewards)
        }
        Call::elected(call) => {
            IStaking::electedCall::abi_encode_returns(&view::elected(host, &call)?)
        }
        Call::committee(call) => {
            IStaking::committeeCall::abi_encode_returns(&view::committee(host, call.epoch)?)
        }
        Call::turns(call) => IStaking::turnsCall::abi_encode_returns(&view::turns(host, &call)?),
        Call::records(call) => {
            IStaking::recordsCall::abi_encode_returns(&view::records(host, &call)?)
        }
        change => {
            host.may_change()?;
            apply(host, change)?
        }
    })
}

/// Calls that change something.
fn apply(host: &mut Host<'_>, call: Call) -> Result<Vec<u8>, Fault> {
    match call {
        Call::register(call) => register::register(host, &call)?,
        Call::update(call) => register::update(host, &call)?,
        Call::retire(call) => register::retire(host, call.candidate)?,
        Call::unjail(_) => register::unjail(host)?,
        Call::stake(_) => call::stake(host)?,
        Call::vote(call) => call::vote(host, &call)?,
        Call::voteFor(call) => call::vote_for(host, call.candidate, call.amount)?,
        Call::unvote(call) => call::unvote(host, call.candidate, call.amount)?,
        Call::r#move(call) => call::move_votes(host, &call)?,
        Call::collect(call) => call::collect(host, call.voter)?,
        Call::submitDoubleProposal(call) => evidence::double_proposal(host, &call)?,
        Call::submitFalseAttestation(call) => evidence::false_attestation(host, &call)?,
        Call::unstake(call) => {
            let ready = call::unstake(host, call.amount)?;
            return Ok(IStaking::unstakeCall::abi_encode_returns(&ready));
        }
        Call::withdraw(_) => {
            let amount = call::withdraw(host)?;
            return Ok(IStaking::withdrawCall::abi_encode_returns(&amount));
        }
        Call::claim(_) => {
            let amount = call::claim(host)?;
            return Ok(IStaking::claimCall::abi_encode_returns(&amount));
        }
        // The views were answered before.
        _ => return Err(word::broken()),
    }
    Ok(Vec::new())
}
