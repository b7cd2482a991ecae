//! A member's access to the two chains: balances, transfers, the bridge. The command line and the
//! journey of `mileverse up` both go through here.
//!
//! [`Client`] is one account's view of one chain (or nobody's, to look only). [`Chains`] holds one
//! client for each chain and answers what needs both. Addresses come from the native chain
//! (`mileverse_chain`), and the Ethereum endpoint must be of the network named there.
//!
//! Limits: one transaction at a time for each client; a call ends within
//! [`TIMEOUT`](crate::rpc::TIMEOUT); waiting for a block ends within [`Patience`].

mod across;
mod bridge;
mod delivery;
mod history;
mod packet;
mod pay;
mod peers;
mod send;
mod swap;
mod timelock;
mod trace;

pub use bridge::{BridgeSent, Totals};
pub use delivery::{Delivery, outbound_slot};
pub use history::{Beyond, Entry, HISTORY_RANGE, History, Kind, MAX_ENTRIES, Touched};
pub use packet::{
    PacketName, PacketReference, PacketState, PacketStatus, ReferenceError, SwapStatus,
};
pub use pay::{MemoError, Paid, Payment, PaymentPlan, parse_memo};
pub use peers::{PeerSend, PeerSent, Peers, Points};
pub use send::{Fare, PaidBy, Patience, Sent, is_known};
pub use swap::{MAX_SLIPPAGE_BP, Quote, Step, Swapped, Wish};
pub(crate) use timelock::{Bounds, By, brings, other_token, search};
pub use timelock::{
    Half, MARGIN_SECONDS, Opened, Opening, SHOW_SECONDS, TimelockError, Trade, deadline_of_answer,
    may_answer, may_claim, may_refund, may_show,
};
pub use trace::{Posted, Seen, Stage, Trace};

use crate::{
    review::{Consent, Places},
    rpc::{Chain, Endpoint, RpcError},
    transaction::SignError,
    units::{Amount, Token},
};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256},
    providers::Provider,
    signers::local::PrivateKeySigner,
};
use mileverse_primitives::{
    abi::{ICoin, IRewards},
    address,
    exchange::HASHED_TIMELOCK,
    rpc,
};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::Mutex;

/// Why something did not happen, or why it is not known whether it did.
#[derive(Debug, Error)]
pub enum ClientError {
    /// An endpoint.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The endpoint serves another network.
    #[error(
        "the Ethereum node at {url} is of chain {actual}, and the native chain's bridge ends on chain {expected}; use a node of that network"
    )]
    WrongNetwork {
        /// The endpoint.
        url: String,
        /// What the native chain names.
        expected: u64,
        /// What answered.
        actual: u64,
    },
    /// A client that may only look.
    #[error("this needs a key; name a keystore file with --keystore")]
    NoKey,
    /// This token is not on this chain.
    #[error("{token} does not exist on {chain}")]
    NoSuchToken {
        /// The token.
        token: Token,
        /// The chain.
        chain: Chain,
    },
    /// Not enough to send.
    #[error("{account} has {balance} on {chain}, which is less than {needed}; nothing was sent")]
    Balance {
        /// Whose.
        account: Address,
        /// Where.
        chain: Chain,
        /// What there is.
        balance: Amount,
        /// What was asked.
        needed: Amount,
    },
    /// Not enough ether or coin for gas.
    #[error(
        "{account} has {balance} on {chain}, and gas and value may cost {needed}; give it more, nothing was sent"
    )]
    Gas {
        /// Where.
        chain: Chain,
        /// Whose.
        account: Address,
        /// What there is.
        balance: Amount,
        /// Most that the transaction may cost.
        needed: Amount,
    },
    /// Somebody pays for such calls, but not for this one.
    #[error(
        "{account} has no coin for gas, and what the operator of this contract pays for it now ends at {most}, less than the {needed} that gas and value may cost; try again after midnight UTC, or bring coin over the bridge"
    )]
    Sponsor {
        /// Whose.
        account: Address,
        /// Most that the operator pays for one transaction of the account now.
        most: Amount,
        /// Most that the transaction may cost.
        needed: Amount,
    },
    /// Tokens must go somewhere.
    #[error("the receiver is the zero address; name an account")]
    ZeroReceiver,
    /// Sending nothing.
    #[error("the amount is zero; give an amount above zero")]
    ZeroAmount,
    /// A deadline that the bridge refuses.
    #[error("the deadline must lie 1 minute to 30 days ahead, {0} minutes do not")]
    Deadline(u64),
    /// Another transaction of the account waits.
    #[error(
        "another transaction of {account} is not confirmed yet on {chain}; wait for it, then try again"
    )]
    Busy {
        /// Whose.
        account: Address,
        /// Where.
        chain: Chain,
    },
    /// In a block, and refused there.
    #[error("{chain} refused transaction {hash} in block {block}; nothing moved")]
    Failed {
        /// Where.
        chain: Chain,
        /// Which.
        hash: B256,
        /// The block that holds it.
        block: u64,
    },
    /// Sent, and not heard of. It may still happen.
    #[error(
        "transaction {hash} was sent to {chain} and is not confirmed yet; it may still happen, so look it up before sending again"
    )]
    Unknown {
        /// Where.
        chain: Chain,
        /// Which.
        hash: B256,
    },
    /// The bridge sent no packet, although the transaction succeeded.
    #[error("transaction {hash} on {chain} sent no packet")]
    NoPacket {
        /// Where.
        chain: Chain,
        /// Which.
        hash: B256,
    },
    /// No transaction of this hash on either chain.
    #[error(
        "neither chain knows a confirmed transaction {0}; check the hash, or wait until it is confirmed"
    )]
    TransactionUnknown(B256),
    /// Never sent.
    #[error("{chain} has not sent a packet {sequence}; its next one will be {next}")]
    PacketUnknown {
        /// The source.
        chain: Chain,
        /// The number asked for.
        sequence: u64,
        /// The next that will be given.
        next: u64,
    },
    /// The other side cannot check it yet.
    #[error(
        "{} does not know {chain}'s block {block} yet (now {known}); wait a moment, then try again", chain.other()
    )]
    NotProven {
        /// The source.
        chain: Chain,
        /// The block that sent it.
        block: u64,
        /// What the destination can check.
        known: u64,
    },
    /// A chain with which this one exchanges nothing.
    #[error("chain {peer} is no peer of chain {chain}; {}", known_peers(known))]
    NoPeer {
        /// The chain that was asked.
        chain: u64,
        /// Who is no peer of it.
        peer: u64,
        /// Who is.
        known: Vec<u64>,
    },
    /// A packet between other chains than these two.
    #[error(
        "packet {packet} is not between the chains at --native-rpc ({native}) and --peer-rpc ({peer})"
    )]
    OtherPeers {
        /// Which.
        packet: PacketName,
        /// The one chain.
        native: u64,
        /// The other.
        peer: u64,
    },
    /// A block whose certificate is not there yet.
    #[error(
        "chain {chain} shows no certificate for block {block} yet (now {known}); wait a moment, then try again"
    )]
    NotCertified {
        /// The source.
        chain: u64,
        /// The block that sent it.
        block: u64,
        /// The newest with a certificate.
        known: u64,
    },
    /// Nothing is left to be done.
    #[error("packet {0} is {1} already; there is nothing to deliver")]
    Settled(PacketName, PacketState),
    /// A packet that has not come to its end.
    #[error(
        "packet {packet} is neither received nor refunded yet; nothing is lost, and `mileverse wallet bridge status {packet}` says what it waits for"
    )]
    UnderWay {
        /// Which.
        packet: PacketReference,
    },
    /// The native chain alone has a pool.
    #[error(
        "points and coin are swapped on the native chain only; swap from there, or to there, with --from and --to"
    )]
    NoPool,
    /// A transfer of coin says nothing beside its amount.
    #[error("a payment of coin carries no memo; leave it out, or pay points")]
    CoinMemo,
    /// A limit so wide that it is none.
    #[error("a slippage of {0} basis points is too much; give at most {MAX_SLIPPAGE_BP}")]
    Slippage(u16),
    /// A signature that is not the owner's, or of something else.
    #[error("the permit is not signed by the account, or for something else; sign it again")]
    Permit,
    /// Whoever was asked said no.
    #[error("it was not confirmed; nothing was signed")]
    Declined,
    /// The signature.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A hashed-timelock swap.
    #[error(transparent)]
    Timelock(#[from] TimelockError),
}

fn known_peers(known: &[u64]) -> String {
    if known.is_empty() {
        return "it has none; its governor registers peers".to_owned();
    }
    let known: Vec<_> = known.iter().map(u64::to_string).collect();
    format!("its peers are {}", known.join(", "))
}

/// Newest block of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its time, seconds since 1970.
    pub timestamp: u64,
}

/// One account's view of one chain.
#[derive(Clone, Debug)]
pub struct Client {
    endpoint: Endpoint,
    chain_id: u64,
    bridge: Address,
    points: Address,
    coin: Address,
    /// What pays quarterly rewards here.
    rewards: Option<Address>,
    /// Hashed-timelock swaps here.
    timelock: Option<Address>,
    signer: Option<PrivateKeySigner>,
    patience: Patience,
    /// Asked before anything is signed; without it nobody is.
    consent: Option<Arc<dyn Consent>>,
    /// Held from the choice of a nonce until the transaction is in a block.
    sending: Arc<Mutex<()>>,
}

impl Client {
    /// The native chain at `url`, and what it says of itself.
    pub async fn native(
        url: &str,
        signer: Option<PrivateKeySigner>,
    ) -> Result<(Self, rpc::Chain), ClientError> {
        let endpoint = Endpoint::new(Chain::Native, url)?;
        let facts = endpoint.facts().await?;
        let client = Self {
            endpoint,
            chain_id: facts.chain_id,
            bridge: address::BRIDGE,
            points: address::POINTS,
            coin: address::COIN,
            rewards: Some(address::REWARDS),
            timelock: Some(HASHED_TIMELOCK),
            signer,
            patience: Patience::NATIVE,
            consent: None,
            sending: Arc::default(),
        };
        Ok((client, facts))
    }

    /// Ethereum at `url`, which must be the network that the native chain names.
    pub async fn ethereum(
        url: &str,
        facts: &rpc::Chain,
        signer: Option<PrivateKeySigner>,
    ) -> Result<Self, ClientError> {
        let endpoint = Endpoint::new(Chain::Ethereum, url)?;
        let side = facts.ethereum;
        let actual = endpoint
            .provider()
            .get_chain_id()
            .await
            .map_err(|fault| endpoint.fault(fault))?;
        if actual != side.chain_id {
            return Err(ClientError::WrongNetwork {
                url: url.to_owned(),
                expected: side.chain_id,
                actual,
            });
        }
        Ok(Self {
            endpoint,
            chain_id: side.chain_id,
            bridge: side.bridge,
            points: side.points,
            coin: side.coin,
            rewards: None,
            timelock: side.hashed_timelock,
            signer,
            patience: Patience::ETHEREUM,
            consent: None,
            sending: Arc::default(),
        })
    }

    /// The same access with another key, or none.
    pub fn with_signer(&self, signer: Option<PrivateKeySigner>) -> Self {
        Self {
            signer,
            sending: Arc::default(),
            ..self.clone()
        }
    }

    /// The same client, which asks before it signs.
    #[must_use]
    pub fn with_consent(mut self, consent: Option<Arc<dyn Consent>>) -> Self {
        self.consent = consent;
        self
    }

    /// The same client of Ethereum, to which what this contract pays is a quarterly reward.
    #[must_use]
    pub fn with_rewards(mut self, contract: Option<Address>) -> Self {
        self.rewards = contract;
        self
    }

    /// The contract on Ethereum that the native chain's quarterly rewards come from, asked of the native chain;
    /// none if it pays out of its own pool.
    pub async fn rewards_source(&self) -> Result<Option<Address>, ClientError> {
        let rules = IRewards::rulesCall {};
        let rules = self.endpoint.view(address::REWARDS, &rules).await?;
        Ok(Some(rules.source).filter(|source| !source.is_zero()))
    }

    /// By which addresses its calls are read.
    pub const fn places(&self) -> Places {
        Places {
            chain: self.endpoint.chain(),
            points: self.points,
            coin: self.coin,
            bridge: self.bridge,
            timelock: self.timelock,
        }
    }

    /// Which chain.
    pub const fn chain(&self) -> Chain {
        self.endpoint.chain()
    }

    /// Its EIP-155 id.
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// The endpoint.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The account, if there is a key.
    pub fn account(&self) -> Option<Address> {
        self.signer.as_ref().map(PrivateKeySigner::address)
    }

    /// The bridge on this chain.
    pub const fn bridge_address(&self) -> Address {
        self.bridge
    }

    /// The contract or module that is a token here.
    pub fn token_address(&self, token: Token) -> Result<Address, ClientError> {
        match token {
            Token::Mvp => Ok(self.points),
            Token::Mvc => Ok(self.coin),
            Token::Eth => Err(ClientError::NoSuchToken {
                token,
                chain: self.chain(),
            }),
        }
    }

    /// What an account has here. Ether exists on Ethereum only.
    pub async fn balance(&self, account: Address, token: Token) -> Result<Amount, ClientError> {
        let units = if token == Token::Eth && self.chain() == Chain::Ethereum {
            self.endpoint
                .provider()
                .get_balance(account)
                .latest()
                .await
                .map_err(|fault| self.endpoint.fault(fault))?
        } else {
            let to = self.token_address(token)?;
            self.endpoint
                .view(to, &ICoin::balanceOfCall { account })
                .await?
        };
        Ok(Amount::from_units(token, units))
    }

    /// All of a token that exists here.
    pub async fn supply(&self, token: Token) -> Result<Amount, ClientError> {
        let to = self.token_address(token)?;
        let units = self.endpoint.view(to, &ICoin::totalSupplyCall {}).await?;
        Ok(Amount::from_units(token, units))
    }

    /// The newest block.
    pub async fn head(&self) -> Result<Head, ClientError> {
        let block = self
            .endpoint
            .provider()
            .get_block_by_number(BlockNumberOrTag::Latest)
            .await
            .map_err(|fault| self.endpoint.fault(fault))?
            .ok_or_else(|| self.endpoint.nonsense("no newest block"))?;
        Ok(Head {
            number: block.header.number,
            timestamp: block.header.timestamp,
        })
    }

    fn signer(&self) -> Result<&PrivateKeySigner, ClientError> {
        self.signer.as_ref().ok_or(ClientError::NoKey)
    }
}

/// Both chains.
#[derive(Clone, Debug)]
pub struct Chains {
    /// What the native chain says of itself.
    pub facts: rpc::Chain,
    /// The native chain.
    pub native: Client,
    /// Ethereum.
    pub ethereum: Client,
}

impl Chains {
    /// Connects to both; the same key signs on both.
    pub async fn connect(
        native_url: &str,
        ethereum_url: &str,
        signer: Option<PrivateKeySigner>,
    ) -> Result<Self, ClientError> {
        let (native, facts) = Client::native(native_url, signer.clone()).await?;
        let source = native.rewards_source().await?;
        let ethereum = Client::ethereum(ethereum_url, &facts, signer).await?;
        let ethereum = ethereum.with_rewards(source);
        Ok(Self {
            facts,
            native,
            ethereum,
        })
    }

    /// The same clients, which ask before they sign.
    #[must_use]
    pub fn with_consent(mut self, consent: Option<Arc<dyn Consent>>) -> Self {
        self.native = self.native.with_consent(consent.clone());
        self.ethereum = self.ethereum.with_consent(consent);
        self
    }

    /// The client of one chain.
    pub const fn on(&self, chain: Chain) -> &Client {
        match chain {
            Chain::Native => &self.native,
            Chain::Ethereum => &self.ethereum,
        }
    }

    /// The node's own word on where the native chain is.
    pub async fn native_status(&self) -> Result<rpc::Status, ClientError> {
        Ok(self.native.endpoint.method("mileverse_status", ()).await?)
    }
}
