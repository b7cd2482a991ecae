//! What everybody must have at the end: computed from what members signed, from what became of each
//! packet, and from the pool's own arithmetic, and compared with every balance to the last unit.
//!
//! ```txt
//! pool        each trade again, in the chain's order, by the formula of `docs/swap.md`
//! signed      each transaction: taken, and then its packet says what was asked for; or refused, and why
//! packets     received in time, or expired because it was late or because the price had moved
//! balances    of members, receivers, pool, router and the receiver of fees, on both chains
//! ```

use super::{
    load::{Account, BOTH, Load, Outcomes, POINTS_EACH, Signed, kind_of, logs, numbered},
    net::{COINS_EACH, ETHEREUM, NATIVE, Net, wait},
};

use alloy::{
    primitives::{Address, B256, Bytes, FixedBytes, Log as Event, U256},
    providers::Provider as _,
    rpc::types::{Filter, TransactionReceipt},
    sol_types::{SolCall as _, SolError as _, SolEvent as _},
};
use mileverse_bindings::Bridge;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints},
    address::POINTS,
    exchange::{POOL, Pool, ROUTER, SwapRouter},
    packet::{Action, Packet, PacketId, Transfer},
};
use mileverse_wallet::rpc::{Chain, Endpoint, reason};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What became of the swaps, and of what was refused where it was sent.
#[derive(Debug, Default)]
pub struct Told {
    /// Swaps that were received: at least the least, in time.
    pub received: usize,
    /// Refunded whole: the price had moved.
    pub price_moved: usize,
    /// Refunded whole: not there in time.
    pub late: usize,
    /// Swaps that were refused where they were signed; nothing moved.
    pub refused: BTreeMap<Refusal, usize>,
    /// Transfers likewise.
    pub transfers_refused: BTreeMap<Refusal, usize>,
    /// Trades on the native chain; none is refused.
    pub trades: usize,
}

/// Why a transaction reverted. Everything else is a fault of the test or of the system.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Refusal {
    /// Its block came after the deadline that it names.
    DeadlineOver,
    /// The pool gave less than the least.
    TooLittleOut,
    /// The points that it wanted to send had come to Ethereum in a block that was taken back, or were
    /// sent by another transaction before.
    PointsGone,
}

impl Refusal {
    /// By the words or the error that a contract gave.
    fn read(text: &str) -> Option<Self> {
        let known = [
            ("DeadlineOutOfRange", Self::DeadlineOver),
            ("DeadlineOver", Self::DeadlineOver),
            ("the deadline must lie after", Self::DeadlineOver),
            ("TooLittleOut", Self::TooLittleOut),
            ("ERC20InsufficientBalance", Self::PointsGone),
        ];
        let found = known.iter().find(|(part, _)| text.contains(part));
        found.map(|(_, refusal)| *refusal)
    }
}

/// A balance: whose, where, and the token's home.
type Key = (Address, Chain, Chain);

/// What came and what went.
#[derive(Default)]
struct Sheet(BTreeMap<Key, (U256, U256)>);

impl Sheet {
    fn give(&mut self, account: Address, chain: Chain, home: Chain, amount: U256) {
        self.0.entry((account, chain, home)).or_default().0 += amount;
    }

    fn take(&mut self, account: Address, chain: Chain, home: Chain, amount: U256) {
        self.0.entry((account, chain, home)).or_default().1 += amount;
    }

    /// Compares every line with the chains.
    async fn check(&self, net: &Net) {
        for ((account, chain, home), (came, went)) in &self.0 {
            let held = net.held(*chain, *home, *account).await;
            assert_eq!(
                held + went,
                *came,
                "{account} on {chain}, token at home on {home}"
            );
        }
    }

    /// The sum of all lines of one token on one chain.
    fn sum(&self, chain: Chain, home: Chain) -> U256 {
        let lines = self
            .0
            .iter()
            .filter(|((_, at, of), _)| (*at, *of) == (chain, home));
        lines.fold(U256::ZERO, |sum, (_, (came, went))| sum + came - went)
    }
}

/// What the pool did, trade by trade.
#[derive(Default)]
struct Pooled {
    reserves: [U256; 2],
    /// What came out for each packet that carried a swap.
    swapped: BTreeMap<u64, SwapRouter::Swapped>,
    /// Packets whose swap the pool refused: for its price.
    refused: BTreeSet<u64>,
}

/// The formula of `docs/swap.md`.
fn out_for(amount: U256, reserve_in: U256, reserve_out: U256) -> U256 {
    let paid = amount * U256::from(9_970);
    paid * reserve_out / (reserve_in * U256::from(10_000) + paid)
}

impl Pooled {
    /// Reads all that pool and router told, and does each trade again.
    async fn replay(net: &Net, outcomes: &Outcomes) -> Self {
        let refunded: BTreeMap<_, _> = outcomes
            .refunded
            .iter()
            .map(|transfer| (transfer.id, transfer))
            .collect();
        let mut pooled = Self::default();
        let mut last: Option<Pool::Swapped> = None;
        for log in logs(&net.native, Filter::new().address(vec![POOL, ROUTER])).await {
            let event: &Event = &log.inner;
            if let Ok(told) = Pool::Provided::decode_log(event) {
                pooled.reserves[0] += told.amount0;
                pooled.reserves[1] += told.amount1;
            } else if let Ok(told) = Pool::Swapped::decode_log(event) {
                let out = pooled.quote(told.tokenIn, told.amountIn);
                assert_eq!(told.amountOut, out, "a trade of {told:?}");
                let (given, taken) = sides(told.tokenIn);
                pooled.reserves[given] += told.amountIn;
                pooled.reserves[taken] -= told.amountOut;
                last = Some(told.data);
            } else if let Ok(told) = Pool::Reserves::decode_log(event) {
                assert_eq!([told.reserve0, told.reserve1], pooled.reserves);
            } else if let Ok(told) = SwapRouter::Swapped::decode_log(event) {
                let trade = last.take().unwrap();
                assert_eq!(
                    (
                        trade.sender,
                        trade.receiver,
                        trade.amountIn,
                        trade.amountOut
                    ),
                    (ROUTER, told.receiver, told.amountIn, told.amountOut),
                );
                let twice = pooled.swapped.insert(told.sequence, told.data);
                assert!(twice.is_none(), "{twice:?} was swapped twice");
            } else if let Ok(told) = SwapRouter::SwapRefused::decode_log(event) {
                let id = PacketId {
                    source: ETHEREUM,
                    destination: NATIVE,
                    sequence: told.sequence,
                };
                let transfer = refunded[&id];
                assert_eq!(
                    told.reason,
                    FixedBytes(Pool::TooLittleOut::SELECTOR),
                    "{id:?}"
                );
                let Some(Action::Swap { least }) = transfer.action else {
                    panic!("{transfer:?} asks for no swap");
                };
                let (token, _) = tokens(net, transfer);
                assert!(pooled.quote(token, transfer.amount) < least, "{transfer:?}");
                assert!(
                    pooled.refused.insert(told.sequence),
                    "{id:?} was refused twice"
                );
            }
        }
        let call = Pool::reservesCall {};
        let now = net.native.view(POOL, &call).await.unwrap();
        assert_eq!([now.reserve0, now.reserve1], pooled.reserves);
        pooled
    }

    fn quote(&self, token_in: Address, amount: U256) -> U256 {
        let (given, taken) = sides(token_in);
        out_for(amount, self.reserves[given], self.reserves[taken])
    }
}

/// A plain transfer over the bridge, whether its sender wants an acknowledgement or not.
fn sends(input: &[u8]) -> Option<IBridge::sendCall> {
    let asking = || {
        let call = IBridge::sendAcknowledgedCall::abi_decode(input).ok()?;
        Some(IBridge::sendCall {
            token: call.token,
            receiver: call.receiver,
            amount: call.amount,
            deadline: call.deadline,
        })
    };
    IBridge::sendCall::abi_decode(input).ok().or_else(asking)
}

/// Which reserve grows with a trade, and which one shrinks.
fn sides(token_in: Address) -> (usize, usize) {
    if token_in == POINTS { (0, 1) } else { (1, 0) }
}

/// Of a transfer with a swap: the token on the native chain that goes into the pool, and the home of the
/// one that comes out.
fn tokens(net: &Net, transfer: &Transfer) -> (Address, Chain) {
    let home = kind_of(transfer).home;
    (net.token(Chain::Native, home), home.other())
}

/// Checks everything above.
pub async fn audit(load: &Load<'_>, outcomes: &Outcomes) -> Told {
    let net = load.net;
    let pooled = Pooled::replay(net, outcomes).await;
    let mut book = Book {
        net,
        outcomes,
        pooled: &pooled,
        sheet: Sheet::default(),
        packets: BTreeSet::new(),
        crossed: BTreeSet::new(),
        told: Told::default(),
        gas: U256::ZERO,
    };
    for member in 0..load.members() {
        let account = load.address(member);
        book.sheet
            .give(account, Chain::Native, Chain::Native, POINTS_EACH);
        for chain in BOTH {
            book.sheet.give(account, chain, Chain::Ethereum, COINS_EACH);
        }
    }
    for account in load.accounts() {
        for signed in account.signed() {
            book.signed(account, signed).await;
        }
    }
    book.ends().await;
    book.close(load).await
}

struct Book<'a> {
    net: &'a Net,
    outcomes: &'a Outcomes,
    pooled: &'a Pooled,
    sheet: Sheet,
    /// Packets whose transactions were looked at.
    packets: BTreeSet<PacketId>,
    /// Those of them that are what came of a swap on this side.
    crossed: BTreeSet<PacketId>,
    told: Told,
    /// Points that were paid for gas.
    gas: U256,
}

impl Book<'_> {
    /// One transaction: what it took and gave at once.
    async fn signed(&mut self, account: &Account, signed: &Signed) {
        let (chain, sender) = (account.chain(), account.address());
        let (endpoint, bridge) = self.net.side(chain);
        let receipt = wait("a receipt", async || {
            let receipt = endpoint.provider().get_transaction_receipt(signed.hash);
            receipt.await.unwrap()
        })
        .await;
        let input = &signed.input;
        let sends = sends(input);
        let swaps = Bridge::sendSwapCall::abi_decode(input).ok();
        let crosses = SwapRouter::swapAndSendCall::abi_decode(input).ok();
        let trades = Pool::exactInCall::abi_decode(input).ok();
        self.pay_gas(chain, sender, signed, &receipt, sends.as_ref());
        if !receipt.status() {
            let is_swap = swaps.is_some() || crosses.is_some();
            assert!(is_swap || sends.is_some(), "{} reverted", signed.hash);
            let why = match (chain, signed.refused) {
                (Chain::Native, found) => found.unwrap(),
                (Chain::Ethereum, _) => why(endpoint, signed.hash).await,
            };
            let counts = match is_swap {
                true => &mut self.told.refused,
                false => &mut self.told.transfers_refused,
            };
            *counts.entry(why).or_default() += 1;
            return;
        }
        if let Some(call) = sends {
            assert_eq!(signed.to, bridge);
            let transfer = self.packet(&receipt, bridge);
            let asked = (call.receiver, call.amount, call.deadline, None);
            self.compare(&transfer, chain, call.token, sender, asked);
            self.sheet
                .take(sender, chain, kind_of(&transfer).home, call.amount);
        } else if let Some(call) = swaps {
            let transfer = self.packet(&receipt, bridge);
            let action = Action::Swap { least: call.least };
            let asked = (call.receiver, call.amount, call.deadline, Some(action));
            self.compare(&transfer, chain, call.token, sender, asked);
            self.sheet
                .take(sender, chain, kind_of(&transfer).home, call.amount);
        } else if let Some(call) = crosses {
            let transfer = self.packet(&receipt, bridge);
            self.crossed.insert(transfer.id);
            let swapped = told::<SwapRouter::SwappedAndSent>(&receipt, ROUTER);
            assert_eq!(swapped.sequence, transfer.id.sequence);
            assert_eq!(
                (swapped.tokenIn, swapped.amountIn),
                (call.tokenIn, call.amountIn)
            );
            assert!(swapped.amountOut >= call.leastOut, "{swapped:?}");
            let block = time(endpoint, receipt.block_number.unwrap()).await;
            assert!(block <= call.swapDeadline, "{swapped:?} at {block}");
            let home = kind_of(&transfer).home;
            let out = self.net.token(chain, home);
            let asked = (call.receiver, swapped.amountOut, call.packetDeadline, None);
            self.compare(&transfer, chain, out, sender, asked);
            self.sheet.take(sender, chain, home.other(), call.amountIn);
        } else if let Some(call) = trades {
            let trade = told::<Pool::Swapped>(&receipt, POOL);
            let home = match call.tokenIn {
                POINTS => Chain::Native,
                _ => Chain::Ethereum,
            };
            self.sheet.take(sender, chain, home, call.amountIn);
            self.sheet
                .give(sender, chain, home.other(), trade.amountOut);
            self.told.trades += 1;
        } else if let Ok(call) = Pool::provideCall::abi_decode(input) {
            self.sheet.take(sender, chain, Chain::Native, call.most0);
            self.sheet.take(sender, chain, Chain::Ethereum, call.most1);
        } else {
            assert!(ICoin::approveCall::abi_decode(input).is_ok());
        }
    }

    /// Where gas has no price, the lane's transactions still owe a micro-point for each gas.
    fn pay_gas(
        &mut self,
        chain: Chain,
        sender: Address,
        signed: &Signed,
        receipt: &TransactionReceipt,
        sends: Option<&IBridge::sendCall>,
    ) {
        let in_lane = signed.to == POINTS || sends.is_some_and(|call| call.token == POINTS);
        if chain == Chain::Native && in_lane {
            let owed = U256::from(receipt.gas_used);
            self.sheet.take(sender, chain, Chain::Native, owed);
            self.gas += owed;
        }
    }

    /// The one transfer that a transaction sent.
    fn packet(&mut self, receipt: &TransactionReceipt, bridge: Address) -> Transfer {
        let sent = told::<IBridge::PacketSent>(receipt, bridge);
        let Packet::Transfer(transfer) = Packet::decode(&sent.packet).unwrap() else {
            panic!("{sent:?} is no transfer");
        };
        assert!(
            self.packets.insert(transfer.id),
            "{:?} was sent twice",
            transfer.id
        );
        transfer
    }

    /// The packet says what was asked for.
    fn compare(
        &self,
        transfer: &Transfer,
        chain: Chain,
        token: Address,
        sender: Address,
        (receiver, amount, deadline, action): (Address, U256, u64, Option<Action>),
    ) {
        let kind = kind_of(transfer);
        assert_eq!(
            (kind.from, self.net.token(chain, kind.home)),
            (chain, token),
            "{transfer:?}"
        );
        let packet = (transfer.sender, transfer.receiver, transfer.amount);
        assert_eq!(packet, (sender, receiver, amount), "{transfer:?}");
        assert_eq!((transfer.deadline, transfer.action), (deadline, action));
    }

    /// What came of the packets, each at its end.
    async fn ends(&mut self) {
        let Outcomes {
            received,
            swapped,
            refunded,
            acknowledged: _,
        } = self.outcomes;
        let mut ended = BTreeSet::new();
        let received_at = blocks::<IBridge::PacketReceived>(self.net).await;
        let expired_at = blocks::<IBridge::PacketExpired>(self.net).await;
        for transfer in received.values().flatten().chain(swapped) {
            assert!(ended.insert(transfer.id));
            let kind = kind_of(transfer);
            let at = received_at[&(kind.from.other(), transfer.id.sequence)];
            assert!(at <= transfer.deadline, "{transfer:?} was received at {at}");
            let receiver = transfer.receiver;
            let Some(Action::Swap { least }) = transfer.action else {
                let there = kind.from.other();
                self.sheet.give(receiver, there, kind.home, transfer.amount);
                continue;
            };
            let swap = &self.pooled.swapped[&transfer.id.sequence];
            assert_eq!((swap.receiver, swap.amountIn), (receiver, transfer.amount));
            assert!(swap.amountOut >= least, "{transfer:?}: {swap:?}");
            self.sheet
                .give(receiver, Chain::Native, kind.home.other(), swap.amountOut);
        }
        assert_eq!(self.pooled.swapped.len(), swapped.len());
        for transfer in refunded {
            assert!(ended.insert(transfer.id), "{transfer:?} has two ends");
            let kind = kind_of(transfer);
            self.sheet
                .give(transfer.sender, kind.from, kind.home, transfer.amount);
            let sequence = transfer.id.sequence;
            let from_ethereum = kind.from == Chain::Ethereum;
            if !(from_ethereum && self.pooled.refused.contains(&sequence)) {
                let at = expired_at[&(kind.from.other(), sequence)];
                assert!(at > transfer.deadline, "{transfer:?} expired at {at}");
            }
        }
        assert_eq!(ended, self.packets, "sent, and ended");
        self.count();
    }

    /// Of the packets, those that were swaps: by what they carry, or by what sent them.
    fn count(&mut self) {
        let crossed = |transfer: &&Transfer| self.crossed.contains(&transfer.id);
        let received = self.outcomes.received.values().flatten();
        self.told.received = self.outcomes.swapped.len() + received.filter(crossed).count();
        self.told.price_moved = self.pooled.refused.len();
        let refunded = self.outcomes.refunded.iter();
        let swaps = refunded.filter(|transfer| transfer.action.is_some() || crossed(transfer));
        self.told.late = swaps.count() - self.told.price_moved;
    }

    /// The last lines, and all of them against the chains.
    async fn close(mut self, load: &Load<'_>) -> Told {
        let net = self.net;
        let ends = self.told.received + self.told.price_moved + self.told.late;
        let refused = self.told.refused.values().sum::<usize>();
        assert_eq!(ends + refused, load.swaps, "{:?}", self.told);
        assert_eq!(self.told.trades, load.trades);
        let [points, coins] = self.pooled.reserves;
        let native = Chain::Native;
        self.sheet.give(POOL, native, Chain::Native, points);
        self.sheet.give(POOL, native, Chain::Ethereum, coins);
        for home in BOTH {
            self.sheet.give(ROUTER, native, home, U256::ZERO);
        }
        let call = IPoints::feeReceiverCall {};
        let fees = net.native.view(POINTS, &call).await.unwrap();
        self.sheet.give(fees, native, Chain::Native, self.gas);
        self.sheet.check(net).await;
        // Every point there is: with somebody here, or held for what is on Ethereum.
        let supply = ICoin::totalSupplyCall {};
        let made = net.native.view(POINTS, &supply).await.unwrap();
        assert_eq!(made, POINTS_EACH * U256::from(load.members()));
        let (_, bridge) = net.side(native);
        let locked = net.held(native, Chain::Native, bridge).await;
        assert_eq!(self.sheet.sum(native, Chain::Native) + locked, made);
        assert_eq!(self.sheet.sum(Chain::Ethereum, Chain::Native), locked);
        self.told
    }
}

/// The one event of a kind that a transaction told.
fn told<E: alloy::sol_types::SolEvent>(receipt: &TransactionReceipt, by: Address) -> E {
    let mut found = receipt
        .logs()
        .iter()
        .filter(|log| log.address() == by)
        .filter_map(|log| E::decode_log(&log.inner).ok());
    let one = found.next().unwrap();
    assert!(
        found.next().is_none(),
        "told twice in {}",
        receipt.transaction_hash
    );
    one.data
}

/// When each packet had an event, by the clock of the chain that told it.
async fn blocks<E: alloy::sol_types::SolEvent>(net: &Net) -> BTreeMap<(Chain, u64), u64> {
    let mut found = BTreeMap::new();
    for chain in BOTH {
        let (endpoint, bridge) = net.side(chain);
        let filter = Filter::new()
            .address(bridge)
            .event_signature(E::SIGNATURE_HASH);
        let mut times = BTreeMap::new();
        for log in logs(endpoint, filter).await {
            let number = log.block_number.unwrap();
            let at = match times.get(&number) {
                Some(at) => *at,
                None => time(endpoint, number).await,
            };
            times.insert(number, at);
            found.insert((chain, numbered(&log)), at);
        }
    }
    found
}

async fn time(endpoint: &Endpoint, number: u64) -> u64 {
    let block = endpoint.provider().get_block_by_number(number.into());
    block.await.unwrap().unwrap().header.timestamp
}

/// Why a transaction reverted, as the chain itself finds when it runs it once more.
pub async fn why(endpoint: &Endpoint, hash: B256) -> Refusal {
    let trace: Value = endpoint
        .method(
            "debug_traceTransaction",
            (hash, json!({ "tracer": "callTracer" })),
        )
        .await
        .unwrap();
    let output: Option<Bytes> = serde_json::from_value(trace["output"].clone()).ok();
    let said = output.and_then(|data| reason(&data));
    said.as_deref()
        .and_then(Refusal::read)
        .unwrap_or_else(|| panic!("{hash} reverted: {said:?} {trace}"))
}
