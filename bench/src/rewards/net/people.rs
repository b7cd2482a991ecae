//! Who holds coin and who sends it.
//!
//! *Senders* have keys, and coin from block 0. They give the holders theirs, one transfer each; then
//! they send among themselves, each as much as it receives or somewhat more, so that only rewards
//! change what holders have.

use crate::{
    error::Error,
    load::{self, Lists, Signed, signer},
    net::Rpc,
    progress::Progress,
    rewards::{holder, holding, share},
};
use alloy::{consensus::TxEip1559, primitives::TxKind, signers::local::PrivateKeySigner};
use mileverse_primitives::{
    Address, U256,
    abi::IRewards,
    address::ALL,
    genesis::Genesis,
    rewards::RewardRules,
    staking::{Allocation, coins},
};

/// Accounts that send: enough for every block to have many.
const SENDERS: u64 = 4_000;
/// What is left to a sender when it has given, at least.
const KEPT: u64 = 1_000;
/// Fee cap of a transfer.
const GAS_PRICE: u128 = 1_000_000_000;
/// Gas of a transfer.
const GAS: u64 = 21_000;
/// Accounts asked for in one request.
const ASKED: usize = 1_000;

/// The accounts of a measurement.
pub struct People {
    holders: u64,
    senders: Vec<PrivateKeySigner>,
    /// Of every sender, since all do the same.
    nonce: u64,
}

impl People {
    /// `holders` accounts without keys, and those who send.
    pub fn new(holders: u64) -> Result<Self, Error> {
        let senders = (0..SENDERS.min(holders.max(2)))
            .map(|number| signer("a sender across a quarter's end", number))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            holders,
            senders,
            nonce: 0,
        })
    }

    /// Who might make points; nobody does.
    pub fn issuer(&self) -> Address {
        self.senders
            .first()
            .map(PrivateKeySigner::address)
            .unwrap_or_default()
    }

    fn count(&self) -> u64 {
        self.senders.len() as u64
    }

    /// The holders that a sender gives their coin.
    fn given_by(&self, sender: u64) -> impl Iterator<Item = u64> + use<> {
        let step = usize::try_from(self.count()).unwrap_or(usize::MAX).max(1);
        (sender..self.holders).step_by(step)
    }

    /// What block 0 gives the senders, and the rules of rewards.
    pub fn enter(&self, genesis: &mut Genesis, per_block: u64) {
        genesis.allocations = self
            .senders
            .iter()
            .zip(0u64..)
            .map(|(sender, number)| Allocation {
                address: sender.address(),
                amount: self.given_by(number).fold(coins(KEPT), |sum, holder| {
                    sum.saturating_add(holding(holder, self.holders))
                }),
            })
            .collect();
        genesis.rewards = RewardRules {
            pool: coins(4_500_000),
            holders_per_block: u32::try_from(per_block).unwrap_or(u32::MAX),
            ..RewardRules::default()
        };
    }

    /// Every holder's coin; senders that have fewer to give than others send themselves nothing, so
    /// that all have the same nonce afterwards.
    pub fn gifts(&mut self, validators: usize) -> Result<Lists, Error> {
        let rounds = self.holders.div_ceil(self.count().max(1));
        let signed = load::sign_all(self.senders.len(), |sender| {
            let from = self.sender(sender)?;
            let mut receivers = self.given_by(sender as u64);
            (0..rounds)
                .map(|nonce| {
                    let (to, value) = receivers.next().map_or_else(
                        || (from.address(), U256::ZERO),
                        |number| (holder(number), holding(number, self.holders)),
                    );
                    transfer(from, nonce, to, value)
                })
                .collect()
        })?;
        self.nonce = rounds;
        Ok(load::lists(signed, validators, usize::MAX))
    }

    /// `wanted` transfers among the senders.
    pub fn transfers(&mut self, validators: usize, wanted: u64) -> Result<Lists, Error> {
        let rounds = wanted.div_ceil(self.count().max(1));
        let first = self.nonce;
        let signed = load::sign_all(self.senders.len(), |sender| {
            let from = self.sender(sender)?;
            let next = sender.wrapping_add(1).checked_rem(self.senders.len());
            let to = self.sender(next.unwrap_or(0))?.address();
            (0..rounds)
                .map(|round| transfer(from, first.saturating_add(round), to, U256::ONE))
                .collect()
        })?;
        self.nonce = first.saturating_add(rounds);
        Ok(load::lists(signed, validators, usize::MAX))
    }

    fn sender(&self, number: usize) -> Result<&PrivateKeySigner, Error> {
        self.senders
            .get(number)
            .ok_or_else(|| Error::Setup("there is no such sender".into()))
    }

    /// Holds the report, every holder's coin and the sum of all coin against what they should be.
    pub async fn check(
        &self,
        client: &Rpc,
        genesis: &Genesis,
        report: &IRewards::Report,
        progress: &Progress,
    ) -> Result<bool, Error> {
        let all = genesis
            .coins()
            .map_err(|error| Error::Setup(error.to_string()))?;
        let rules = &genesis.rewards;
        let sum = report
            .paid
            .saturating_add(report.carried)
            .saturating_add(report.remainder);
        let mut conserved = sum == report.pot
            && report.pot == rules.pot
            && report.eligible == all.saturating_sub(rules.pool);
        let mut there = U256::ZERO;
        let numbers: Vec<u64> = (0..self.holders).collect();
        for some in numbers.chunks(ASKED) {
            let accounts: Vec<Address> = some.iter().map(|number| holder(*number)).collect();
            let found = client.balances(&accounts).await?;
            for (number, found) in some.iter().zip(found) {
                let had = holding(*number, self.holders);
                let paid = share(had, report.pot, report.eligible, rules.least_payment);
                conserved &= found == had.saturating_add(paid);
                there = there.saturating_add(found);
            }
            progress.say(format!(
                "{} of {} holders read back",
                some.last().map_or(0, |last| last.saturating_add(1)),
                self.holders
            ));
        }
        let owners = genesis.committee.members.iter().map(|member| member.owner);
        let others: Vec<Address> = self
            .senders
            .iter()
            .map(PrivateKeySigner::address)
            .chain(ALL)
            .chain(owners)
            .collect();
        for some in others.chunks(ASKED) {
            let found = client.balances(some).await?;
            there = found
                .into_iter()
                .fold(there, |sum, balance| sum.saturating_add(balance));
        }
        conserved &= there == all;
        Ok(conserved)
    }
}

fn transfer(
    from: &PrivateKeySigner,
    nonce: u64,
    to: Address,
    value: U256,
) -> Result<Signed, Error> {
    load::sign(
        from,
        TxEip1559 {
            nonce,
            to: TxKind::Call(to),
            value,
            gas_limit: GAS,
            max_fee_per_gas: GAS_PRICE,
            ..Default::default()
        },
    )
}
