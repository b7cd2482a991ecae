//! Hashed-timelock swaps: opening a half of a trade, claiming it, refunding it, and finding both.
//!
//! | file | |
//! |---|---|
//! | `rules` | when each of them may be done: pure functions |
//! | `find` | halves by id, lock or account, on one chain or both |
//!
//! [`crate::timelock`] is what a chain tells of swaps; `docs/swap.md` ("Without the bridge") is for people.
//!
//! A secret that nobody has seen goes into a transaction by [`Client::timelock_show`] only. The endpoint sees
//! it first, when gas is estimated: it must be one's own or trusted, as for everything here.

mod find;
mod rules;

pub(crate) use find::{Bounds, By, search};
pub use find::{Half, Trade};
pub use rules::{
    MARGIN_SECONDS, SHOW_SECONDS, TimelockError, deadline_of_answer, may_answer, may_claim,
    may_refund, may_show,
};
pub(crate) use rules::{brings, other_token};

use super::{
    Client, ClientError, Sent, Step,
    send::{Last, sent},
};
use crate::{
    clock,
    permit::parts,
    rpc::Chain,
    timelock::{State, Terms, lock_of, state},
    transaction::SignError,
    units::{Amount, Token},
};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    sol_types::{SolCall as _, SolEvent as _},
};
use mileverse_primitives::{abi::IPoints, exchange::HashedTimelock};
use serde::Serialize;

/// Gas that an opening uses at most; only to see whether coin for it is left beside what is locked.
const OPEN_GAS: u64 = 300_000;

/// A half that is to be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opening {
    /// What is locked.
    pub amount: Amount,
    /// Who is paid for the secret.
    pub claimer: Address,
    /// SHA-256 of the secret.
    pub lock: B256,
    /// Last second at which it may be claimed, since 1970.
    pub deadline: u64,
}

/// A half that was opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    /// Its terms, as the contract has them.
    pub terms: Terms,
    /// Its name.
    pub id: B256,
    /// The points' own fee that it cost beside its amount.
    pub fee: Amount,
    /// The transaction.
    pub transaction: Sent,
}

impl Client {
    /// The same client, for which hashed-timelock swaps are at this contract.
    #[must_use]
    pub const fn with_timelock(mut self, contract: Option<Address>) -> Self {
        self.timelock = contract;
        self
    }

    /// The contract of hashed-timelock swaps on this chain.
    pub fn timelock_contract(&self) -> Result<Address, ClientError> {
        let none = TimelockError::NoContract(self.chain());
        Ok(self.timelock.ok_or(none)?)
    }

    /// The terms of an opening by `account`.
    pub fn timelock_terms(
        &self,
        account: Address,
        opening: &Opening,
    ) -> Result<Terms, ClientError> {
        Ok(Terms {
            token: self.token_address(opening.amount.token())?,
            amount: opening.amount.units(),
            opener: account,
            claimer: opening.claimer,
            lock: opening.lock,
            deadline: opening.deadline,
        })
    }

    /// The name of a swap with these terms here.
    pub fn timelock_id(&self, terms: &Terms) -> Result<B256, ClientError> {
        Ok(terms.id(self.chain_id, self.timelock_contract()?))
    }

    /// What became of a swap, as of the newest block.
    pub async fn timelock_state(&self, id: B256) -> Result<State, ClientError> {
        let contract = self.timelock_contract()?;
        Ok(state(&self.endpoint, contract, id, BlockNumberOrTag::Latest).await?)
    }

    /// Refuses an opening by `account` that cannot succeed; the points' own fee that it costs beside its
    /// amount. Nothing is signed.
    pub async fn timelock_check(
        &self,
        account: Address,
        opening: &Opening,
    ) -> Result<Amount, ClientError> {
        let contract = self.timelock_contract()?;
        let amount = opening.amount;
        if opening.claimer.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if amount.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        let token = self.token_address(amount.token())?;
        let mut fee = Amount::from_units(Token::Mvp, U256::ZERO);
        let mut needed = amount;
        if (self.chain(), amount.token()) == (Chain::Native, Token::Mvp) {
            let asked = IPoints::transferFeeCall {
                from: account,
                to: contract,
                amount: amount.units(),
            };
            let units = self.endpoint.view(token, &asked).await?;
            fee = Amount::from_units(Token::Mvp, units);
            let sum = amount.units().saturating_add(units);
            needed = Amount::from_units(Token::Mvp, sum);
        }
        self.check_balance(account, needed).await?;
        if (self.chain(), amount.token()) == (Chain::Native, Token::Mvc) {
            // Gas is paid with the same coin that is locked.
            let fees = self.fees(contract, &[]).await?;
            self.check_gas(account, contract, amount.units(), OPEN_GAS, fees)
                .await?;
        }
        Ok(fee)
    }

    /// Opens a half and waits for its block: points on the native chain in one transaction with a permit,
    /// other tokens after an allowance of exactly the amount, where it is needed.
    ///
    /// It does not look at another half; [`may_answer`] is for that.
    pub async fn timelock_open(&self, opening: &Opening) -> Result<Opened, ClientError> {
        let account = self.signer()?.address();
        let fee = self.timelock_check(account, opening).await?;
        let terms = self.timelock_terms(account, opening)?;
        let steps = self.timelock_steps(&terms, opening.amount).await?;
        let receipt = self.execute_all(steps).await?;
        let (id, contract) = (self.timelock_id(&terms)?, self.timelock_contract()?);
        let is_told = receipt
            .logs()
            .iter()
            .filter(|log| log.address() == contract)
            .filter_map(|log| HashedTimelock::SwapOpened::decode_log(&log.inner).ok())
            .any(|event| event.id == id && Terms::from(event.data.terms) == terms);
        if !is_told {
            return Err(self.endpoint.nonsense("a swap without its event").into());
        }
        Ok(Opened {
            terms,
            id,
            fee,
            transaction: sent(&receipt),
        })
    }

    /// The transactions of an opening by whoever has the key here.
    async fn timelock_steps(
        &self,
        terms: &Terms,
        amount: Amount,
    ) -> Result<Vec<Step>, ClientError> {
        let (signer, contract) = (self.signer()?, self.timelock_contract()?);
        let Terms {
            token,
            opener,
            claimer,
            lock,
            deadline,
            ..
        } = *terms;
        let open = |input: Vec<u8>| Step {
            kind: "open",
            to: contract,
            value: U256::ZERO,
            input: input.into(),
        };
        // As good as the swap: it allows nobody else anything.
        if let Some(permit) = self.permit(opener, contract, amount, deadline).await? {
            let signature = permit.sign(signer).map_err(SignError::from)?;
            let (v, r, s) = parts(&signature);
            let call = HashedTimelock::openWithPermitCall {
                token,
                amount: terms.amount,
                claimer,
                lock,
                deadline,
                permitDeadline: U256::from(permit.deadline),
                v,
                r,
                s,
            };
            return Ok(vec![open(call.abi_encode())]);
        }
        let allow = self.allowance(opener, token, contract, terms.amount);
        let mut steps: Vec<Step> = allow.await?.into_iter().collect();
        let call = HashedTimelock::openCall {
            token,
            amount: terms.amount,
            claimer,
            lock,
            deadline,
        };
        steps.push(open(call.abi_encode()));
        Ok(steps)
    }

    /// Claims a half with a secret that **nobody has seen**, which everybody sees then; pays its claimer. At
    /// least [`SHOW_SECONDS`] before its deadline, also when it is signed.
    pub async fn timelock_show(&self, terms: &Terms, secret: B256) -> Result<Sent, ClientError> {
        let id = self.timelock_id(terms)?;
        let deadline = terms.deadline;
        let now = self.timelock_now().await?;
        may_show(id, deadline, now)?;
        let otherwise = TimelockError::TooNear { id, deadline };
        let last = rules::last_to_show(deadline);
        self.timelock_settle(terms, secret, last, now, otherwise)
            .await
    }

    /// Claims a half with a secret that everybody knows; pays its claimer, whoever signs. In time for the next
    /// block. A secret that nobody has seen belongs to [`Self::timelock_show`].
    pub async fn timelock_claim(&self, terms: &Terms, secret: B256) -> Result<Sent, ClientError> {
        let id = self.timelock_id(terms)?;
        let deadline = terms.deadline;
        let now = self.timelock_now().await?;
        may_claim(self.chain(), id, deadline, now)?;
        let otherwise = TimelockError::Late { id, deadline };
        let last = deadline.saturating_sub(rules::block_seconds(self.chain()));
        self.timelock_settle(terms, secret, last, now, otherwise)
            .await
    }

    async fn timelock_settle(
        &self,
        terms: &Terms,
        secret: B256,
        last: u64,
        now: u64,
        otherwise: TimelockError,
    ) -> Result<Sent, ClientError> {
        let contract = self.timelock_contract()?;
        if lock_of(secret) != terms.lock {
            return Err(TimelockError::SecretWrong(terms.lock).into());
        }
        self.timelock_must_be_open(terms).await?;
        let call = HashedTimelock::claimCall {
            terms: terms.abi(),
            secret,
        };
        // The chain's clock may be before this machine's.
        let ahead = now.saturating_sub(clock::now());
        let last = Last {
            second: last.saturating_sub(ahead),
            otherwise,
        };
        let input = call.abi_encode().into();
        let receipt = self
            .execute_until(contract, U256::ZERO, input, Some(last))
            .await?;
        Ok(sent(&receipt))
    }

    /// Refunds a half to its opener, whoever signs; after its deadline.
    pub async fn timelock_refund(&self, terms: &Terms) -> Result<Sent, ClientError> {
        let (id, contract) = (self.timelock_id(terms)?, self.timelock_contract()?);
        self.timelock_must_be_open(terms).await?;
        may_refund(id, terms.deadline, self.head().await?.timestamp)?;
        let call = HashedTimelock::refundCall { terms: terms.abi() };
        let receipt = self
            .execute(contract, U256::ZERO, call.abi_encode().into())
            .await?;
        Ok(sent(&receipt))
    }

    async fn timelock_must_be_open(&self, terms: &Terms) -> Result<(), ClientError> {
        let id = self.timelock_id(terms)?;
        let (chain, state) = (self.chain(), self.timelock_state(id).await?);
        if state == State::Open {
            return Ok(());
        }
        Err(TimelockError::NotOpen { id, chain, state }.into())
    }

    /// The later of this machine's clock and the chain's, seconds since 1970: a node that lags behind does not
    /// make a deadline look far.
    pub async fn timelock_now(&self) -> Result<u64, ClientError> {
        Ok(self.head().await?.timestamp.max(clock::now()))
    }

    /// Whether the opening of a half can no more be taken back; if it can, the newest final block.
    pub async fn timelock_finality(&self, half: &Half) -> Result<Result<(), u64>, ClientError> {
        if self.chain() == Chain::Native {
            return Ok(Ok(()));
        }
        let known = self.finalized().await?;
        if known < half.block {
            return Ok(Err(known));
        }
        // The events that named the block may have been of one that was taken back since.
        let contract = self.timelock_contract()?;
        let at = BlockNumberOrTag::Finalized;
        match state(&self.endpoint, contract, half.id, at).await? {
            State::None => Ok(Err(known)),
            State::Open | State::Claimed | State::Refunded => Ok(Ok(())),
        }
    }

    /// Waits until no transaction of the account is on its way: what it did is known then.
    pub async fn timelock_quiet(&self) -> Result<(), ClientError> {
        self.nonce(self.signer()?.address()).await.map(|_| ())
    }
}
