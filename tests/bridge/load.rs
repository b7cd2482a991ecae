//! Members who send, and what became of each of their transfers, as the chains themselves tell: the
//! test asks honest endpoints of its own.

use super::{
    ledger::{Refusal, why},
    net::{ETHEREUM, NATIVE, Net, PACE, now_s, wait},
};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    providers::Provider as _,
    rpc::types::{Filter, Log},
    signers::local::PrivateKeySigner,
    sol_types::{SolCall as _, SolEvent as _},
};
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints},
    address,
    packet::{ACKNOWLEDGED, Action, Packet, REFUNDED, Transfer},
    rpc::OutboxPacket,
};
use mileverse_wallet::{
    rpc::{Chain, Endpoint},
    transaction::{Fees, Unsigned, sign},
};
use rand::{Rng as _, rngs::StdRng};
use std::collections::BTreeMap;

const GWEI: u128 = 1_000_000_000;
/// Enough for the dearest call, a swap that is sent on over the bridge.
const GAS: u64 = 800_000;
/// Points that each member is given, in their smallest unit: 100,000.
pub const POINTS_EACH: U256 = U256::from_limbs([100_000_000_000, 0, 0, 0]);
pub const BOTH: [Chain; 2] = [Chain::Native, Chain::Ethereum];

/// What an account signed.
pub struct Signed {
    raw: Bytes,
    pub hash: B256,
    pub to: Address,
    pub input: Bytes,
    /// Why the native chain refused it, once that was looked at: old states are not kept for long.
    pub refused: Option<Refusal>,
}

/// One account on one chain. Everything it signs is kept: a block that is taken back takes its
/// transactions along, and they are given to the node again.
pub struct Account {
    chain: Chain,
    key: PrivateKeySigner,
    signed: Vec<Signed>,
    /// How many of them were found in blocks of the native chain.
    found: usize,
}

impl Account {
    /// An account that has sent nothing yet.
    pub const fn new(chain: Chain, key: PrivateKeySigner) -> Self {
        Self {
            chain,
            key,
            signed: Vec::new(),
            found: 0,
        }
    }

    /// Signs a call and gives it to the node.
    pub async fn submit(
        &mut self,
        endpoint: &Endpoint,
        to: Address,
        value: U256,
        input: Vec<u8>,
    ) -> B256 {
        let (chain_id, fees) = match self.chain {
            Chain::Native => (NATIVE, Fees::Legacy { price: 0 }),
            Chain::Ethereum => {
                let fees = Fees::Dynamic {
                    max: 50 * GWEI,
                    tip: GWEI,
                };
                (ETHEREUM, fees)
            }
        };
        let unsigned = Unsigned {
            chain_id,
            nonce: self.signed.len() as u64,
            gas_limit: GAS,
            fees,
            to,
            value,
            input: input.into(),
        };
        let signed = sign(&self.key, &unsigned).unwrap();
        let sent = endpoint.provider().send_raw_transaction(&signed.raw).await;
        let _ = sent.unwrap();
        self.signed.push(Signed {
            raw: signed.raw,
            hash: signed.hash,
            to,
            input: unsigned.input,
            refused: None,
        });
        signed.hash
    }

    pub const fn chain(&self) -> Chain {
        self.chain
    }

    pub const fn address(&self) -> Address {
        self.key.address()
    }

    /// Everything that it signed, in the order of its nonces.
    pub fn signed(&self) -> &[Signed] {
        &self.signed
    }

    /// Looks at what came into blocks of the native chain since it looked last: why something reverted
    /// can be asked as long as the node keeps the state before it.
    async fn look(&mut self, endpoint: &Endpoint) {
        while let Some(signed) = self.signed.get_mut(self.found) {
            let receipt = endpoint.provider().get_transaction_receipt(signed.hash);
            let Some(receipt) = receipt.await.unwrap() else {
                return;
            };
            if !receipt.status() {
                signed.refused = Some(why(endpoint, signed.hash).await);
            }
            self.found += 1;
        }
    }

    /// Gives again to the node what is in no block.
    async fn insist(&self, endpoint: &Endpoint) {
        let next = endpoint
            .provider()
            .get_transaction_count(self.key.address())
            .await
            .unwrap();
        for signed in self.signed.iter().skip(usize::try_from(next).unwrap()) {
            // That the node knows it already is well.
            let _ = endpoint.provider().send_raw_transaction(&signed.raw).await;
        }
    }
}

/// All members.
pub struct Load<'a> {
    pub net: &'a Net,
    accounts: Vec<Account>,
    /// Transfers handed in.
    pub sent: usize,
    /// Swaps across the chains handed in.
    pub swaps: usize,
    /// Swaps on the native chain handed in.
    pub trades: usize,
    /// Some of the points go to the sender's own account on Ethereum, so that they can come back.
    pub feeds: bool,
    /// Whether every fourth sender wants an acknowledgement.
    pub asks: bool,
}

/// What is sent: from where, and which token.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Kind {
    pub from: Chain,
    /// The token's home; MVP's is the native chain, MVC's is Ethereum.
    pub home: Chain,
}

impl Kind {
    /// Who receives it. Nothing else ever comes to these accounts.
    pub fn receiver(self) -> Address {
        let byte = match (self.from, self.home) {
            (Chain::Native, Chain::Native) => 0xa1,
            (Chain::Native, Chain::Ethereum) => 0xa2,
            (Chain::Ethereum, Chain::Native) => 0xa3,
            (Chain::Ethereum, Chain::Ethereum) => 0xa4,
        };
        Address::repeat_byte(byte)
    }
}

impl<'a> Load<'a> {
    /// Gives the members points on the native chain, and the bridge their allowance on Ethereum.
    pub async fn prepare(net: &'a Net, keys: &[PrivateKeySigner]) -> Self {
        let accounts = BOTH
            .into_iter()
            .flat_map(|chain| keys.iter().map(move |key| Account::new(chain, key.clone())));
        let mut load = Self {
            net,
            accounts: accounts.collect(),
            sent: 0,
            swaps: 0,
            trades: 0,
            feeds: true,
            asks: false,
        };
        let mut issuer = Account::new(Chain::Native, net.issuer.clone());
        let mut last = B256::ZERO;
        for (number, key) in keys.iter().enumerate() {
            let issue = IPoints::issueCall {
                to: key.address(),
                amount: POINTS_EACH,
                conversionId: B256::with_last_byte(u8::try_from(number).unwrap() + 1),
            };
            let input = issue.abi_encode();
            last = issuer
                .submit(&net.native, address::POINTS, U256::ZERO, input)
                .await;
        }
        confirmed(&net.native, last).await;
        for account in &mut load.accounts {
            if account.chain == Chain::Ethereum {
                let approve = ICoin::approveCall {
                    spender: net.contracts.bridge,
                    amount: U256::MAX,
                };
                let input = approve.abi_encode();
                last = account
                    .submit(&net.ethereum, net.contracts.coin, U256::ZERO, input)
                    .await;
            }
        }
        confirmed(&net.ethereum, last).await;
        load
    }

    /// Somebody sends something, with much time or with little.
    pub async fn send(&mut self, dice: &mut StdRng) {
        let kind = Kind {
            from: BOTH[dice.random_range(0..2)],
            home: BOTH[dice.random_range(0..2)],
        };
        let time = match dice.random_ratio(1, 6) {
            true => dice.random_range(2..8),
            false => 6 * 3_600,
        };
        let amount = U256::from(dice.random_range(1..1_000u64));
        let member = dice.random_range(0..self.members());
        self.transfer(kind, member, amount, time).await;
    }

    /// One transfer, to be received within so many seconds. What a member does not have (points on
    /// Ethereum before any arrived) it sends in the other token.
    pub async fn transfer(
        &mut self,
        mut kind: Kind,
        member: usize,
        amount: U256,
        seconds: u64,
    ) -> B256 {
        let place = self.place(kind.from, member);
        let account = &self.accounts[place];
        if (kind.from, kind.home) == (Chain::Ethereum, Chain::Native) {
            let held = self.net.held(kind.from, kind.home, account.address()).await;
            if held < amount {
                kind.home = Chain::Ethereum;
            }
        }
        let token = self.net.token(kind.from, kind.home);
        let value = match (kind.from, kind.home) {
            (Chain::Native, Chain::Ethereum) => amount,
            _ => U256::ZERO,
        };
        let own = self.feeds
            && (kind.from, kind.home) == (Chain::Native, Chain::Native)
            && self.sent.is_multiple_of(3);
        let receiver = match own {
            true => account.key.address(),
            false => kind.receiver(),
        };
        let now = self.now().await;
        let deadline = now + seconds;
        let call = if self.asks && self.sent.is_multiple_of(4) {
            IBridge::sendAcknowledgedCall {
                token,
                receiver,
                amount,
                deadline,
            }
            .abi_encode()
        } else {
            IBridge::sendCall {
                token,
                receiver,
                amount,
                deadline,
            }
            .abi_encode()
        };
        let (endpoint, bridge) = self.net.side(kind.from);
        let hash = self.accounts[place]
            .submit(endpoint, bridge, value, call)
            .await;
        self.sent += 1;
        hash
    }

    /// Any call of a member's.
    pub async fn call(
        &mut self,
        chain: Chain,
        member: usize,
        to: Address,
        value: U256,
        input: Vec<u8>,
    ) -> B256 {
        let place = self.place(chain, member);
        let endpoint = self.net.side(chain).0;
        self.accounts[place]
            .submit(endpoint, to, value, input)
            .await
    }

    /// How many members there are.
    pub const fn members(&self) -> usize {
        self.accounts.len() / 2
    }

    /// Every account: those on the native chain, then those on Ethereum.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// A member's address, the same on both chains.
    pub fn address(&self, member: usize) -> Address {
        self.accounts[member].address()
    }

    const fn place(&self, chain: Chain, member: usize) -> usize {
        match chain {
            Chain::Native => member,
            Chain::Ethereum => self.members() + member,
        }
    }

    /// The latest of all clocks.
    pub async fn now(&self) -> u64 {
        head_time(&self.net.native)
            .await
            .max(head_time(&self.net.ethereum).await)
            .max(now_s())
    }

    /// Gives again to the nodes what is in no block, which a block taken back causes.
    pub async fn insist(&mut self) {
        for account in &mut self.accounts {
            let endpoint = self.net.side(account.chain).0;
            account.insist(endpoint).await;
            if account.chain == Chain::Native {
                account.look(endpoint).await;
            }
        }
    }

    /// Waits until all that was handed in is in blocks, on Ethereum in final ones.
    pub async fn all_sent(&mut self) {
        self.insist().await;
        for account in &mut self.accounts {
            let endpoint = self.net.side(account.chain).0;
            wait("a member's transactions", async || {
                account.insist(endpoint).await;
                let count = endpoint
                    .provider()
                    .get_transaction_count(account.key.address());
                let count = match account.chain {
                    Chain::Native => count.latest(),
                    Chain::Ethereum => count.finalized(),
                };
                (count.await.unwrap() == account.signed.len() as u64).then_some(())
            })
            .await;
            if account.chain == Chain::Native {
                account.look(endpoint).await;
            }
        }
    }
}

async fn head_time(endpoint: &Endpoint) -> u64 {
    let block = endpoint
        .provider()
        .get_block_by_number(BlockNumberOrTag::Latest)
        .await;
    block.unwrap().unwrap().header.timestamp
}

/// Waits for a transaction that must succeed.
pub async fn confirmed(endpoint: &Endpoint, hash: B256) {
    let receipt = wait("a transaction", async || {
        let receipt = endpoint.provider().get_transaction_receipt(hash).await;
        receipt.unwrap()
    })
    .await;
    assert!(receipt.status(), "{hash} reverted");
}

/// What became of everything that was sent.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// Transfers that were received, by kind.
    pub received: BTreeMap<Kind, Vec<Transfer>>,
    /// Transfers that were received as something else: they carried a swap.
    pub swapped: Vec<Transfer>,
    /// Transfers that expired and were refunded, with a swap or without.
    pub refunded: Vec<Transfer>,
    /// How many of those received are acknowledged at their source.
    pub acknowledged: usize,
}

/// Waits until every packet of both chains has its end, for ever.
pub async fn settled(net: &Net) {
    let mut from = [1u64, 1];
    wait("the end of every packet", async || {
        // The end of one packet may be another one, home; that one has none behind it. So twice.
        for place in [0, 1, 0, 1] {
            let chain = BOTH[place];
            let (source, bridge) = net.side(chain);
            let (destination, other) = net.side(chain.other());
            let next = IBridge::nextSequenceCall {};
            let next = source.view(bridge, &next).await.unwrap();
            while from[place] < next {
                let call = IBridge::receiptCall {
                    sequence: from[place],
                };
                let receipt = match chain.other() {
                    Chain::Native => destination.view(other, &call).await,
                    Chain::Ethereum => destination.view_finalized(other, &call).await,
                };
                if receipt.unwrap() == 0 {
                    return None;
                }
                from[place] += 1;
            }
        }
        Some(())
    })
    .await;
}

/// Checks that every transfer has exactly one end, and that the books of both sides agree.
pub async fn audit(net: &Net) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for chain in BOTH {
        let (source, bridge) = net.side(chain);
        let (destination, other) = net.side(chain.other());
        let received = events(destination, other, IBridge::PacketReceived::SIGNATURE_HASH).await;
        let expired = events(destination, other, IBridge::PacketExpired::SIGNATURE_HASH).await;
        let refunded = events(source, bridge, IBridge::PacketRefunded::SIGNATURE_HASH).await;
        let told = events(source, bridge, IBridge::PacketAcknowledged::SIGNATURE_HASH).await;
        let times = |events: &BTreeMap<u64, usize>, sequence: u64| {
            events.get(&sequence).copied().unwrap_or(0)
        };
        for packet in packets(net, chain).await {
            let sequence = packet.id().sequence;
            let call = IBridge::receiptCall { sequence };
            let receipt = destination.view(other, &call).await.unwrap();
            let call = IBridge::outboundCall { sequence };
            let stored = source.view(bridge, &call).await.unwrap();
            let ends = (
                times(&received, sequence),
                times(&expired, sequence),
                times(&refunded, sequence),
            );
            let what = format!("{}:{sequence} {packet:?}", chain.word());
            match (&packet, receipt) {
                (Packet::Transfer(transfer), 1) => {
                    assert_eq!(ends, (1, 0, 0), "{what}");
                    let asks = usize::from(packet.asks());
                    assert_eq!(times(&told, sequence), asks, "{what}");
                    outcomes.acknowledged += asks;
                    let expected = match asks {
                        0 => packet.commitment(),
                        _ => ACKNOWLEDGED,
                    };
                    assert_eq!(stored, expected, "{what}");
                    match transfer.action {
                        Some(Action::Swap { .. }) => outcomes.swapped.push(transfer.clone()),
                        None => outcomes
                            .received
                            .entry(kind_of(transfer))
                            .or_default()
                            .push(transfer.clone()),
                    }
                }
                (Packet::Transfer(transfer), 2) => {
                    assert_eq!(ends, (0, 1, 1), "{what}");
                    assert_eq!(times(&told, sequence), 0, "{what}");
                    assert_eq!(stored, REFUNDED, "{what}");
                    outcomes.refunded.push(transfer.clone());
                }
                (_, 1) => assert_eq!(ends, (1, 0, 0), "{what}"),
                _ => panic!("{what} has receipt {receipt}"),
            }
        }
    }
    books(net, &outcomes).await;
    outcomes
}

/// From where it was sent, and what.
pub fn kind_of(transfer: &Transfer) -> Kind {
    let chain = |id| match id {
        NATIVE => Chain::Native,
        _ => Chain::Ethereum,
    };
    Kind {
        from: chain(transfer.id.source),
        home: chain(transfer.token.home),
    }
}

async fn books(net: &Net, outcomes: &Outcomes) {
    for (home, here, there) in [
        (Chain::Native, address::POINTS, net.contracts.points),
        (Chain::Ethereum, net.contracts.coin, address::COIN),
    ] {
        let (at_home, bridge) = net.side(home);
        let (away, other) = net.side(home.other());
        let call = IBridge::totalsCall { token: here };
        let a = at_home.view(bridge, &call).await.unwrap();
        let call = IBridge::totalsCall { token: there };
        let b = away.view(other, &call).await.unwrap();
        // Nothing is in flight any more.
        assert_eq!(a.sent, a.refunded + b.received, "{home}");
        assert_eq!(b.sent, b.refunded + a.received, "{home}");
        let locked = a.sent - a.received - a.refunded;
        assert_eq!(locked, b.received + b.refunded - b.sent, "{home}");
        let held = ICoin::balanceOfCall { account: bridge };
        assert_eq!(at_home.view(here, &held).await.unwrap(), locked, "{home}");
        let minted = ICoin::totalSupplyCall {};
        assert_eq!(away.view(there, &minted).await.unwrap(), locked, "{home}");
        for (endpoint, bridge, token) in [(at_home, bridge, here), (away, other, there)] {
            let call = IBridge::solventCall { token };
            assert!(endpoint.view(bridge, &call).await.unwrap(), "{token}");
        }
        let refunded = |home: Chain, from: Chain| {
            let ours = outcomes.refunded.iter().filter(|transfer| {
                let id = match home {
                    Chain::Native => NATIVE,
                    Chain::Ethereum => ETHEREUM,
                };
                let source = match from {
                    Chain::Native => NATIVE,
                    Chain::Ethereum => ETHEREUM,
                };
                let token = &transfer.token;
                (token.home, token.contract) == (id, here) && transfer.id.source == source
            });
            ours.fold(U256::ZERO, |sum, transfer| sum + transfer.amount)
        };
        assert_eq!(a.refunded, refunded(home, home), "{home}");
        assert_eq!(b.refunded, refunded(home, home.other()), "{home}");
        // Each receiver has what was received for it, to the last unit.
        for (from, endpoint, token) in [(home, away, there), (home.other(), at_home, here)] {
            let kind = Kind { from, home };
            let account = kind.receiver();
            let sum = outcomes
                .received
                .get(&kind)
                .into_iter()
                .flatten()
                .filter(|transfer| transfer.receiver == account)
                .fold(U256::ZERO, |sum, transfer| sum + transfer.amount);
            let call = ICoin::balanceOfCall { account };
            assert_eq!(endpoint.view(token, &call).await.unwrap(), sum, "{kind:?}");
        }
    }
}

/// How often each sequence has this event in the chain as it stands.
async fn events(endpoint: &Endpoint, bridge: Address, topic: B256) -> BTreeMap<u64, usize> {
    let mut found = BTreeMap::new();
    let filter = Filter::new().address(bridge).event_signature(topic);
    for log in logs(endpoint, filter).await {
        *found.entry(numbered(&log)).or_default() += 1;
    }
    found
}

/// The number of a packet that an event names first.
pub fn numbered(log: &Log) -> u64 {
    u64::try_from(U256::from_be_bytes(log.topics()[1].0)).unwrap()
}

/// All events of a chain as it stands, oldest first.
pub async fn logs(endpoint: &Endpoint, filter: Filter) -> Vec<Log> {
    let head = endpoint.provider().get_block_number().await.unwrap();
    let mut found = Vec::new();
    for from in (0..=head).step_by(5_000) {
        let part = filter.clone().from_block(from);
        let part = part.to_block((from + 4_999).min(head));
        found.extend(endpoint.provider().get_logs(&part).await.unwrap());
    }
    found
}

/// Every packet that a chain sent, as it tells itself.
pub async fn packets(net: &Net, chain: Chain) -> Vec<Packet> {
    let (endpoint, bridge) = net.side(chain);
    let next = endpoint
        .view(bridge, &IBridge::nextSequenceCall {})
        .await
        .unwrap();
    let mut packets = Vec::new();
    match chain {
        Chain::Native => {
            while (packets.len() as u64) + 1 < next {
                let from = packets.len() as u64;
                let page: Vec<OutboxPacket> = endpoint
                    .method("mileverse_packets", (from, 256u64))
                    .await
                    .unwrap();
                assert!(!page.is_empty(), "the outbox ends at {from}");
                packets.extend(
                    page.iter()
                        .map(|leaf| Packet::decode(&leaf.packet).unwrap()),
                );
            }
        }
        Chain::Ethereum => {
            let filter = Filter::new()
                .address(bridge)
                .event_signature(IBridge::PacketSent::SIGNATURE_HASH)
                .from_block(0);
            for log in endpoint.provider().get_logs(&filter).await.unwrap() {
                let event = IBridge::PacketSent::decode_log(&log.inner).unwrap();
                packets.push(Packet::decode(&event.packet).unwrap());
            }
        }
    }
    assert_eq!(packets.len() as u64 + 1, next, "{chain}");
    packets
}

/// Waits until the relayer itself says that nothing is left to do.
pub async fn relayer_is_done(net: &Net) {
    wait("the relayer's own end", async || {
        let status = net.relayer_told(&["status"]);
        let directions = status["routes"][0]["directions"]
            .as_array()
            .unwrap()
            .clone();
        let open = |direction: &serde_json::Value| {
            let counts = &direction["counts"];
            counts["waiting"].as_u64().unwrap() + counts["landed"].as_u64().unwrap()
        };
        let open: u64 = directions.iter().map(open).sum();
        tokio::time::sleep(PACE).await;
        (open == 0 && directions.len() == 2).then_some(())
    })
    .await;
}
