//! Who would pay for a transaction's gas: for the mempool, for estimates, for whoever asks.

use super::{BlockInput, Executor};
use crate::{
    call::CallRequest,
    error::BlockError,
    payer::{Ask, Bill, Helpers, Moment, Payer},
    refusal::Refusal,
    session::Session,
    state::StateReader,
    transaction::Transaction,
};
use alloy::{
    consensus::Transaction as _,
    primitives::{Address, U256},
};
use revm::context::TxEnv;

/// What a transaction costs its sender, and what others may pay of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fare {
    /// Micro-points that the sender has, if it pays with points.
    pub held: U256,
    /// Micro-points that the transaction may cost.
    pub cost: U256,
    /// Who else may pay with coin, in the order in which they do.
    pub help: Vec<Help>,
    /// Whether it is in no block unless one of those pays.
    pub needs_help: bool,
}

/// Somebody else who may pay for a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Help {
    /// What it draws on; it pays if all have room for what it takes, beside what is taken already.
    pub draws: Vec<Draw>,
    /// Gas of a stake, or coin of a deposit.
    pub takes: U256,
    /// Coin that the transaction then may cost its sender, its value included.
    pub coin: U256,
}

/// Something that is used up by transactions, of one sender or of many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Draw {
    /// Which.
    pub source: Source,
    /// What it has, as of a state.
    pub room: U256,
}

/// What pays for gas beside the sender's coin.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// The free gas of an account's stake.
    Stake(Address),
    /// The deposit of a contract's operator.
    Deposit(Address),
    /// What of it one user may have in a day.
    User {
        /// The contract.
        callee: Address,
        /// Who calls it.
        user: Address,
    },
}

/// Who pays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PaidBy {
    /// The sender, with coin.
    Sender,
    /// Nobody but for the tip: it is free gas of the sender's stake.
    Stake,
    /// The operator of the contract, its share.
    Operator,
}

/// What one gas of a call costs, and whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quote {
    /// The base fee, in the coin's smallest unit.
    pub base_price: u64,
    /// Who pays; `None` if nobody does, because the call offers too little.
    pub payer: Option<PaidBy>,
    /// What the sender pays for one gas, tip included.
    pub sender_price: u128,
    /// What the operator pays for one gas.
    pub operator_price: u64,
    /// Gas that the sender's stake has free in the window under way.
    pub free_gas: u64,
    /// What is left of it.
    pub free_gas_left: u64,
    /// What the contract's operator offers, whether it pays for this call or not.
    pub sponsorship: Option<Sponsorship>,
}

/// What an operator offers a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sponsorship {
    /// Who.
    pub operator: Address,
    /// What it pays for one gas.
    pub price: u64,
    /// Most that it pays for one transaction of this user now.
    pub most: u128,
}

impl Ask {
    fn of_call(request: &CallRequest, gas_limit: u64) -> Self {
        Self {
            sender: request.from,
            to: request.to,
            gas_limit,
            cap: request.gas_price,
            tip: request.priority_fee.unwrap_or(request.gas_price),
        }
    }
}

impl Executor {
    /// Who else may pay for a transaction that pays with coin, or why no block takes it.
    pub(super) async fn fare<R: StateReader>(
        &self,
        state: &R,
        block: impl FnOnce() -> BlockInput,
        transaction: &Transaction,
    ) -> Result<Result<Fare, Refusal>, BlockError> {
        let base = self.config.fees.base_price;
        if base == 0 {
            return Ok(Ok(Fare::default()));
        }
        let ask = Ask::of(transaction);
        let block = block();
        let mut session = Session::open(self.config.clone(), state, &block).await?;
        let helpers = self.helpers(&mut session, &block, &ask).await?;
        let room = self.config.fees.free_gas(block.gas_limit);
        if let Err(refusal) = Bill::draw(&self.config, &ask, &helpers, room) {
            return Ok(Err(refusal));
        }
        let (sender, gas) = (ask.sender, U256::from(ask.gas_limit));
        let value = transaction.envelope().value();
        let tip = Bill::alone(&self.config, &ask).tip();
        let cost = |base: u64| {
            let price = U256::from(tip).saturating_add(U256::from(base));
            gas.saturating_mul(price).saturating_add(value)
        };
        let mut help = Vec::new();
        let left = helpers.quota.left();
        if ask.gas_limit <= left && ask.gas_limit <= room {
            help.push(Help {
                draws: vec![Draw {
                    source: Source::Stake(sender),
                    room: U256::from(left),
                }],
                takes: gas,
                coin: cost(0),
            });
        }
        if let Some(offer) = helpers.offer {
            let own = base.saturating_sub(offer.price);
            let takes = offer.reserve(ask.gas_limit);
            if takes <= offer.most() && ask.cap >= own.into() {
                let callee = offer.purse.callee;
                let user = Source::User {
                    callee,
                    user: sender,
                };
                let draw = |source, room| Draw {
                    source,
                    room: U256::from(room),
                };
                help.push(Help {
                    draws: vec![
                        draw(Source::Deposit(callee), offer.shared),
                        draw(user, offer.user_left),
                    ],
                    takes: U256::from(takes),
                    coin: cost(own),
                });
            }
        }
        Ok(Ok(Fare {
            help,
            needs_help: ask.cap < base.into(),
            ..Fare::default()
        }))
    }

    /// Who would pay for a call on top of `state`, as if in `block`, if its gas limit were this.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn quote<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        request: &CallRequest,
        gas_limit: u64,
    ) -> Result<Quote, BlockError> {
        let ask = Ask::of_call(request, gas_limit);
        let mut session = Session::open(self.config.clone(), state, &block).await?;
        let helpers = self.helpers(&mut session, &block, &ask).await?;
        let room = self.config.fees.free_gas(block.gas_limit);
        let drawn = Bill::draw(&self.config, &ask, &helpers, room).ok();
        let alone = Bill::alone(&self.config, &ask);
        Ok(Quote {
            base_price: self.config.fees.base_price,
            payer: drawn.map(|bill| match bill.payer {
                Payer::Sender => PaidBy::Sender,
                Payer::Stake => PaidBy::Stake,
                Payer::Operator(_) => PaidBy::Operator,
            }),
            sender_price: drawn.unwrap_or(alone).price,
            operator_price: drawn.unwrap_or(alone).covered,
            free_gas: helpers.quota.gas,
            free_gas_left: helpers.quota.left(),
            sponsorship: helpers.offer.map(|offer| Sponsorship {
                operator: offer.purse.operator,
                price: offer.price,
                most: offer.most(),
            }),
        })
    }

    /// Most gas that somebody can pay for at the price that a call names; `None` if it names none.
    ///
    /// # Errors
    ///
    /// When the sender lacks the value that it sends, or the state cannot be read.
    pub async fn affordable<R: StateReader>(
        &self,
        state: &R,
        block: &BlockInput,
        request: &CallRequest,
    ) -> Result<Option<u64>, BlockError> {
        if request.gas_price == 0 {
            return Ok(None);
        }
        let account = crate::state::account(state, request.from).await?;
        let left = account
            .unwrap_or_default()
            .balance
            .checked_sub(request.value)
            .ok_or_else(|| BlockError::Invalid("insufficient funds for transfer".into()))?;
        // As much gas as a purse has for a price; a price of nothing needs no purse.
        let gas_of = |purse: U256, price: U256| -> u64 {
            purse
                .checked_div(price)
                .map_or(u64::MAX, |gas| gas.saturating_to())
        };
        let mut most = gas_of(left, U256::from(request.gas_price));
        let ask = Ask::of_call(request, 0);
        let base = self.config.fees.base_price;
        if base == 0 || request.block.base_fee.is_some() {
            return Ok(Some(most));
        }
        let mut session = Session::open(self.config.clone(), state, block).await?;
        let helpers = self.helpers(&mut session, block, &ask).await?;
        let tip = U256::from(Bill::alone(&self.config, &ask).tip());
        let room = self.config.fees.free_gas(block.gas_limit);
        let free = helpers.quota.left().min(room);
        most = most.max(free.min(gas_of(left, tip)));
        if let Some(offer) = helpers.offer {
            let own = base.saturating_sub(offer.price);
            if ask.cap >= own.into() {
                let paid = gas_of(U256::from(offer.most()), U256::from(offer.price));
                let own = U256::from(own).saturating_add(tip);
                most = most.max(paid.min(gas_of(left, own)));
            }
        }
        Ok(Some(most))
    }

    /// Lets a call meet the price that a transaction like it would, if it names one.
    pub(super) async fn help_call<R: StateReader>(
        &self,
        session: &mut Session<'_, R>,
        request: &CallRequest,
        transaction: &mut TxEnv,
    ) -> Result<(), BlockError> {
        // As geth: whoever names no price is not held against the base fee.
        if request.gas_price == 0 || request.block.base_fee.is_some() {
            return Ok(());
        }
        let base = self.config.fees.base_price;
        session.set_base_fee(base);
        if base == 0 {
            return Ok(());
        }
        let ask = Ask::of_call(request, transaction.gas_limit);
        let block = session.block_env();
        let at = Moment {
            height: block.number.saturating_to(),
            now: block.timestamp.saturating_to(),
        };
        let room = self.config.fees.free_gas(block.gas_limit);
        let config = self.config.clone();
        let helpers = session
            .work(|ledger| Helpers::load(ledger, &config, at, &ask))
            .await?;
        // What nobody pays for, the EVM refuses in its own words.
        if let Ok(bill) = Bill::draw(&self.config, &ask, &helpers, room) {
            session.set_base_fee(bill.base);
            bill.reprice(transaction);
        }
        Ok(())
    }

    async fn helpers<R: StateReader>(
        &self,
        session: &mut Session<'_, R>,
        block: &BlockInput,
        ask: &Ask,
    ) -> Result<Helpers, BlockError> {
        if self.config.fees.base_price == 0 {
            return Ok(Helpers::NONE);
        }
        let config = self.config.clone();
        let at = Moment {
            height: block.height,
            now: block.timestamp_ms / 1000,
        };
        session
            .work(|ledger| Helpers::load(ledger, &config, at, ask))
            .await
    }
}
