//! Sending: look at the balance, estimate, sign, broadcast, wait for the block.
//!
//! Until the bytes are broadcast, nothing moves and every error says so. Afterwards a lost answer
//! is not a failure: the same bytes are broadcast again and the receipt is asked for until
//! [`Patience`] ends, and then the error names the hash to look up.

use super::{Client, ClientError, TimelockError};
use crate::{
    clock,
    review::Review,
    rpc::{Chain, RpcError, request},
    transaction::{Fees, Signed, Unsigned, gas_limit, sign},
    units::{Amount, Token},
};
use alloy::{
    network::ReceiptResponse,
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
    rpc::types::{TransactionReceipt, TransactionRequest},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IPoints,
    fees::Carried,
    rpc::{GasPayer, GasQuote},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Most gas that one transaction of a member may use.
const GAS_CAP: u64 = 10_000_000;

/// How long to wait for a block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// Between two looks.
    pub poll: Duration,
    /// Between two broadcasts of the same bytes.
    pub rebroadcast: Duration,
    /// In all.
    pub total: Duration,
}

impl Patience {
    /// Blocks come several times a second.
    pub const NATIVE: Self = Self {
        poll: Duration::from_millis(100),
        rebroadcast: Duration::from_secs(3),
        total: Duration::from_secs(60),
    };
    /// Blocks come every 12 seconds.
    pub const ETHEREUM: Self = Self {
        poll: Duration::from_millis(250),
        rebroadcast: Duration::from_secs(15),
        total: Duration::from_secs(300),
    };
}

/// Who pays for a transaction's gas.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PaidBy {
    /// Nobody with coin or ether: it is free, or is paid with points.
    Nobody,
    /// The account.
    Sender,
    /// The operator of the contract that is called, all of it or its share.
    Operator,
    /// Nobody: it is free gas of the account's stake.
    Stake,
}

impl PaidBy {
    const fn helper(payer: GasPayer) -> Option<Self> {
        match payer {
            GasPayer::Operator => Some(Self::Operator),
            GasPayer::Stake => Some(Self::Stake),
            GasPayer::Sender | GasPayer::Nobody => None,
        }
    }
}

/// What gas costs the account, and who pays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fare {
    /// What it offers.
    pub fees: Fees,
    /// Who pays.
    pub paid_by: PaidBy,
}

/// A confirmed transaction.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Its hash.
    pub hash: B256,
    /// The block that holds it.
    pub block: u64,
    /// Gas used.
    pub gas_used: u64,
}

/// Until when a transaction may be signed.
#[derive(Debug)]
pub(super) struct Last {
    /// The last second, by this machine's clock.
    pub(super) second: u64,
    /// What is said afterwards.
    pub(super) otherwise: TimelockError,
}

impl Client {
    /// How long this client waits.
    pub const fn patience(&self) -> Patience {
        self.patience
    }

    /// The same client with another patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Sends points (MVP), coins (MVC) or, on Ethereum, ether to somebody on the same chain.
    pub async fn transfer(&self, to: Address, amount: Amount) -> Result<Sent, ClientError> {
        self.check(to, amount).await?;
        let token = amount.token();
        // The native coin goes by its ERC-20 face: that leaves an event, which plain value does not.
        let receipt = if token == Token::Eth {
            self.execute(to, amount.units(), Bytes::new()).await?
        } else {
            let call = IPoints::transferCall {
                to,
                amount: amount.units(),
            };
            let token = self.token_address(token)?;
            self.execute(token, U256::ZERO, call.abi_encode().into())
                .await?
        };
        Ok(sent(&receipt))
    }

    /// Refuses what cannot succeed, before anything is signed.
    pub(super) async fn check(&self, to: Address, amount: Amount) -> Result<(), ClientError> {
        if to.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if amount.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        self.check_balance(self.signer()?.address(), amount).await
    }

    /// Refuses what an account does not have.
    pub(super) async fn check_balance(
        &self,
        account: Address,
        amount: Amount,
    ) -> Result<(), ClientError> {
        let balance = self.balance(account, amount.token()).await?;
        if balance.units() < amount.units() {
            return Err(ClientError::Balance {
                account,
                chain: self.chain(),
                balance,
                needed: amount,
            });
        }
        Ok(())
    }

    /// One transaction, from its estimate to its receipt. A receipt that comes back is a success.
    pub async fn execute(
        &self,
        to: Address,
        value: U256,
        input: Bytes,
    ) -> Result<TransactionReceipt, ClientError> {
        self.execute_until(to, value, input, None).await
    }

    /// The same; nothing is signed any more after `last`.
    pub(super) async fn execute_until(
        &self,
        to: Address,
        value: U256,
        input: Bytes,
        last: Option<Last>,
    ) -> Result<TransactionReceipt, ClientError> {
        let signer = self.signer()?;
        let account = signer.address();
        let _alone = self.sending.lock().await;
        let nonce = self.nonce(account).await?;
        let provider = self.endpoint.provider();
        let estimate = provider
            .estimate_gas(request(account, to, value, input.clone()))
            .latest()
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        let gas_limit = gas_limit(estimate, GAS_CAP).ok_or_else(|| RpcError::Refused {
            chain: self.chain(),
            message: format!("{estimate} gas is more than a transaction may use"),
        })?;
        let fees = self.fees(to, &input).await?;
        let fees = self
            .check_gas(account, to, value, gas_limit, fees)
            .await?
            .fees;
        let unsigned = Unsigned {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            fees,
            to,
            value,
            input,
        };
        let review = Review {
            places: self.places(),
            account,
            transaction: &unsigned,
        };
        if self
            .consent
            .as_ref()
            .is_some_and(|one| !one.agrees(&review))
        {
            return Err(ClientError::Declined);
        }
        // Whoever was asked may have taken long, or an earlier transaction may have.
        if let Some(last) = last
            && clock::now() > last.second
        {
            return Err(last.otherwise.into());
        }
        let signed = sign(signer, &unsigned)?;
        let receipt = self.settle(&signed).await?;
        if !receipt.status() {
            return Err(ClientError::Failed {
                chain: self.chain(),
                hash: signed.hash,
                block: receipt.block_number.unwrap_or_default(),
            });
        }
        Ok(receipt)
    }

    /// The next nonce, once no earlier transaction of the account waits any more.
    pub(super) async fn nonce(&self, account: Address) -> Result<u64, ClientError> {
        let provider = self.endpoint.provider();
        let end = Instant::now() + self.patience.total;
        loop {
            let fault = |fault| self.endpoint.fault(fault);
            let confirmed = provider
                .get_transaction_count(account)
                .latest()
                .await
                .map_err(fault)?;
            let pending = provider
                .get_transaction_count(account)
                .pending()
                .await
                .map_err(fault)?;
            if pending <= confirmed {
                return Ok(confirmed);
            }
            if Instant::now() >= end {
                return Err(ClientError::Busy {
                    account,
                    chain: self.chain(),
                });
            }
            sleep(self.patience.poll).await;
        }
    }

    /// What gas costs. On the native chain calls that need no coin are sent without a price, which is
    /// how they say so; for others the node is asked.
    pub(super) async fn fees(&self, to: Address, input: &[u8]) -> Result<Fees, ClientError> {
        match self.chain() {
            Chain::Native if Carried::of(to, input).is_some() => Ok(Fees::Legacy { price: 0 }),
            Chain::Native => {
                let price = self.endpoint.provider().get_gas_price().await;
                Ok(Fees::Legacy {
                    price: price.map_err(|fault| self.endpoint.fault(fault))?,
                })
            }
            Chain::Ethereum => {
                let estimate = self
                    .endpoint
                    .provider()
                    .estimate_eip1559_fees()
                    .await
                    .map_err(|fault| self.endpoint.fault(fault))?;
                Ok(Fees::Dynamic {
                    max: estimate.max_fee_per_gas,
                    tip: estimate.max_priority_fee_per_gas,
                })
            }
        }
    }

    /// Refuses what the account cannot pay for; what its gas costs it, and who pays the rest.
    pub(super) async fn check_gas(
        &self,
        account: Address,
        to: Address,
        value: U256,
        gas_limit: u64,
        fees: Fees,
    ) -> Result<Fare, ClientError> {
        let own = |paid_by| Ok(Fare { fees, paid_by });
        if fees.most() == 0 {
            return own(PaidBy::Nobody);
        }
        let token = match self.chain() {
            Chain::Native => Token::Mvc,
            Chain::Ethereum => Token::Eth,
        };
        let balance = self.balance(account, token).await?;
        let cost = |price: U256| {
            U256::from(gas_limit)
                .saturating_mul(price)
                .saturating_add(value)
        };
        let needed = cost(U256::from(fees.most()));
        let quote = self.gas_quote(account, to, gas_limit, fees).await;
        if let Some(quote) = &quote
            && let Some(paid_by) = PaidBy::helper(quote.payer)
            && balance.units() >= cost(quote.sender_price)
        {
            // Who cannot pay the whole price offers no more than its part: some wallets look at that.
            let price = match u128::try_from(quote.sender_price) {
                Ok(part) if balance.units() < needed => part,
                _ => fees.most(),
            };
            let fees = Fees::Legacy { price };
            return Ok(Fare { fees, paid_by });
        }
        if balance.units() < needed {
            let offer = quote.and_then(|quote| Some((quote.base_price, quote.sponsorship?)));
            let (chain, needed) = (self.chain(), Amount::from_units(token, needed));
            return Err(match offer {
                Some((base, offer)) if offer.price >= base => ClientError::Sponsor {
                    account,
                    most: Amount::from_units(token, offer.most),
                    needed,
                },
                _ => ClientError::Gas {
                    chain,
                    account,
                    balance,
                    needed,
                },
            });
        }
        own(PaidBy::Sender)
    }

    /// Who would pay for a transaction's gas; see `docs/fees.md`. None where nobody is told of help: then the
    /// sender pays, or is refused with the sentence that says so.
    async fn gas_quote(
        &self,
        account: Address,
        to: Address,
        gas_limit: u64,
        fees: Fees,
    ) -> Option<GasQuote> {
        if self.chain() != Chain::Native {
            return None;
        }
        let asked = TransactionRequest {
            from: Some(account),
            to: Some(to.into()),
            gas: Some(gas_limit),
            gas_price: Some(fees.most()),
            ..TransactionRequest::default()
        };
        self.endpoint
            .method("mileverse_gasQuote", (asked,))
            .await
            .ok()
    }

    /// Broadcasts until the receipt is there or patience ends.
    async fn settle(&self, signed: &Signed) -> Result<TransactionReceipt, ClientError> {
        let unknown = || ClientError::Unknown {
            chain: self.chain(),
            hash: signed.hash,
        };
        let end = Instant::now() + self.patience.total;
        let mut accepted = false;
        let mut next_broadcast = Instant::now();
        loop {
            if Instant::now() >= next_broadcast {
                match self.broadcast(signed).await {
                    Ok(()) => accepted = true,
                    // Refused at the very first attempt: the node has it not, nobody has.
                    Err(error @ RpcError::Refused { .. }) if !accepted => return Err(error.into()),
                    // Whether it arrived is unknown; the receipt will tell.
                    Err(_) => accepted = true,
                }
                next_broadcast = Instant::now() + self.patience.rebroadcast;
            }
            let receipt = self
                .endpoint
                .provider()
                .get_transaction_receipt(signed.hash)
                .await;
            if let Ok(Some(receipt)) = receipt {
                return Ok(receipt);
            }
            if Instant::now() >= end {
                return Err(unknown());
            }
            sleep(self.patience.poll).await;
        }
    }

    async fn broadcast(&self, signed: &Signed) -> Result<(), RpcError> {
        match self
            .endpoint
            .provider()
            .send_raw_transaction(&signed.raw)
            .await
        {
            Ok(_) => Ok(()),
            Err(fault) => match self.endpoint.fault(fault) {
                RpcError::Refused { message, .. } if is_known(&message) => Ok(()),
                other => Err(other),
            },
        }
    }
}

/// Whether a node's refusal says that it has these very bytes, or had them.
pub fn is_known(message: &str) -> bool {
    let message = message.to_lowercase();
    [
        "already known",
        "already imported",
        "already exists",
        "nonce too low",
    ]
    .iter()
    .any(|known| message.contains(known))
}

pub(super) fn sent(receipt: &TransactionReceipt) -> Sent {
    Sent {
        hash: receipt.transaction_hash(),
        block: receipt.block_number.unwrap_or_default(),
        gas_used: receipt.gas_used,
    }
}
