//! What a transaction would do, in words, before it is signed: the screen of a hardware wallet.
//!
//! Everything shown is decoded from the very bytes that are about to be signed. A call that is not
//! known is shown as its bytes, with a warning; nothing is guessed.

mod timelock;

use crate::{
    permit::Permit,
    rpc::Chain,
    transaction::Unsigned,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, U256, hex},
    sol_types::{SolCall as _, SolInterface},
};
use mileverse_bindings::Bridge::{self, BridgeCalls};
use mileverse_primitives::{
    abi::{
        IBridge::{self, IBridgeCalls},
        ICoin,
        ICoin::ICoinCalls,
        IPeers::{self, IPeersCalls},
        IPoints::IPointsCalls,
    },
    address::{PEERS, POINTS, peer_points},
    exchange::{self, Pool, Pool::PoolCalls, SwapRouter, SwapRouter::SwapRouterCalls},
    fees::Carried,
    packet::Packet,
};
use std::fmt;

/// Most bytes of an unknown call that are shown.
const MAX_SHOWN: usize = 256;

/// The tokens and contracts of a chain, by which its calls are read.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// Which chain.
    pub chain: Chain,
    /// Points.
    pub points: Address,
    /// The coin's ERC-20.
    pub coin: Address,
    /// The bridge.
    pub bridge: Address,
    /// Hashed-timelock swaps, if there are any here.
    pub timelock: Option<Address>,
}

impl Places {
    /// What an owner of points is about to sign beside a transaction, in the same words and order.
    pub fn permit(&self, permit: &Permit) -> Vec<(&'static str, String)> {
        let most = Amount::from_units(Token::Mvp, permit.value);
        vec![
            (
                "network",
                format!("{}, chain id {}", self.chain, permit.chain_id),
            ),
            ("account", permit.owner.to_string()),
            ("action", format!("allow somebody to take up to {most}")),
            ("who", self.name(permit.spender)),
            ("good until", second(U256::from(permit.deadline))),
        ]
    }

    fn name(&self, address: Address) -> String {
        if address == self.bridge {
            format!("the bridge, {address}")
        } else if address == exchange::POOL && self.chain == Chain::Native {
            format!("the pool of MVP and MVC, {address}")
        } else if address == exchange::ROUTER && self.chain == Chain::Native {
            format!("the router of swaps, {address}")
        } else if self.timelock == Some(address) {
            format!("the hashed-timelock swaps, {address}")
        } else {
            format!("{address}, which this wallet does not know")
        }
    }
}

/// What is about to be signed.
#[derive(Debug)]
pub struct Review<'a> {
    /// How its calls are read.
    pub places: Places,
    /// Who signs.
    pub account: Address,
    /// The transaction.
    pub transaction: &'a Unsigned,
}

/// Asked before anything is signed.
pub trait Consent: fmt::Debug + Send + Sync {
    /// Whether it may be signed.
    fn agrees(&self, review: &Review<'_>) -> bool;
}

impl Review<'_> {
    /// Names and values, in the order in which they should be read.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let transaction = self.transaction;
        let chain = self.places.chain;
        let own = match chain {
            Chain::Native => Token::Mvc,
            Chain::Ethereum => Token::Eth,
        };
        let mut lines = vec![
            (
                "network",
                format!("{chain}, chain id {}", transaction.chain_id),
            ),
            ("account", self.account.to_string()),
        ];
        lines.extend(self.call());
        if !transaction.value.is_zero() && !transaction.input.is_empty() {
            let value = Amount::from_units(own, transaction.value);
            lines.push(("sent along", value.to_string()));
        }
        let most =
            U256::from(transaction.gas_limit).saturating_mul(U256::from(transaction.fees.most()));
        // An allowance of points, and sending them over the bridge, cost one micro-point for one gas.
        let by_points = chain == Chain::Native
            && most.is_zero()
            && match Carried::of(transaction.to, &transaction.input) {
                Some(Carried::Send) => true,
                Some(Carried::Points) => {
                    let input = transaction.input.get(..4);
                    input == Some(&ICoin::approveCall::SELECTOR)
                }
                Some(Carried::Delivery) | None => false,
            };
        let gas = if by_points {
            let points = Amount::from_units(Token::Mvp, U256::from(transaction.gas_limit));
            format!("at most {points}")
        } else if most.is_zero() {
            "free".to_owned()
        } else {
            format!("at most {}", Amount::from_units(own, most))
        };
        lines.push(("gas", gas));
        lines.push(("transaction number", transaction.nonce.to_string()));
        lines
    }

    fn call(&self) -> Vec<(&'static str, String)> {
        let Unsigned {
            to, value, input, ..
        } = self.transaction;
        let own = match self.places.chain {
            Chain::Native => Token::Mvc,
            Chain::Ethereum => Token::Eth,
        };
        if input.is_empty() {
            let amount = Amount::from_units(own, *value);
            return vec![("action", format!("send {amount}")), ("to", to.to_string())];
        }
        let known = if *to == self.places.points {
            self.token(Token::Mvp)
        } else if *to == self.places.coin {
            self.token(Token::Mvc)
        } else if *to == self.places.bridge {
            self.bridge()
        } else if *to == exchange::POOL && self.places.chain == Chain::Native {
            self.pool()
        } else if *to == exchange::ROUTER && self.places.chain == Chain::Native {
            self.router()
        } else if *to == PEERS && self.places.chain == Chain::Native {
            self.peers()
        } else if self.places.timelock == Some(*to) {
            self.timelock()
        } else {
            None
        };
        known.unwrap_or_else(|| {
            let shown = input.get(..MAX_SHOWN).unwrap_or(input);
            let rest = if shown.len() < input.len() { "…" } else { "" };
            vec![
                (
                    "action",
                    "a call that this wallet cannot read; sign it only if you know what it does"
                        .to_owned(),
                ),
                ("contract", to.to_string()),
                (
                    "data",
                    format!("0x{}{rest} ({} bytes)", hex::encode(shown), input.len()),
                ),
            ]
        })
    }

    fn token(&self, token: Token) -> Option<Vec<(&'static str, String)>> {
        let input = &self.transaction.input;
        let amount = |units| Amount::from_units(token, units).to_string();
        // Points have all that the coin has, and more.
        if let Ok(IPointsCalls::transferWithMemo(call)) = canonical::<IPointsCalls>(input)
            && token == Token::Mvp
        {
            return Some(vec![
                ("action", format!("send {}", amount(call.amount))),
                ("to", call.to.to_string()),
                ("memo", call.memo.to_string()),
            ]);
        }
        match canonical::<ICoinCalls>(input).ok()? {
            ICoinCalls::transfer(call) => Some(vec![
                ("action", format!("send {}", amount(call.amount))),
                ("to", call.to.to_string()),
            ]),
            ICoinCalls::approve(call) => {
                let what = if call.amount == U256::MAX {
                    format!("all {token} that this account ever has")
                } else {
                    format!("up to {}", amount(call.amount))
                };
                Some(vec![
                    ("action", format!("allow somebody to take {what}")),
                    ("who", self.places.name(call.spender)),
                ])
            }
            _ => None,
        }
    }

    /// A delivery, to the bridge or through the router.
    fn delivery(&self) -> Option<Vec<(&'static str, String)>> {
        let (items, first) = delivered(self.places.chain, &self.transaction.input)?;
        Some(vec![
            ("action", delivers(&first)),
            ("packet", first.id().sequence.to_string()),
            ("packets", items.to_string()),
        ])
    }

    fn bridge(&self) -> Option<Vec<(&'static str, String)>> {
        if let Some(lines) = self.delivery() {
            return Some(lines);
        }
        let input = &self.transaction.input;
        Some(match canonical::<IBridgeCalls>(input) {
            Ok(IBridgeCalls::send(call)) => self.bridge_send(&call)?,
            Ok(IBridgeCalls::sendAcknowledged(call)) => {
                let mut lines = self.bridge_send(&IBridge::sendCall {
                    token: call.token,
                    receiver: call.receiver,
                    amount: call.amount,
                    deadline: call.deadline,
                })?;
                lines.push(wants_news());
                lines
            }
            _ if self.places.chain == Chain::Ethereum => {
                match canonical::<BridgeCalls>(input).ok()? {
                    BridgeCalls::sendSwap(call) => self.bridge_swap(&call)?,
                    BridgeCalls::sendSwapAcknowledged(call) => {
                        let mut lines = self.bridge_swap(&Bridge::sendSwapCall {
                            token: call.token,
                            receiver: call.receiver,
                            amount: call.amount,
                            deadline: call.deadline,
                            least: call.least,
                        })?;
                        lines.push(wants_news());
                        lines
                    }
                    _ => return None,
                }
            }
            _ => return None,
        })
    }

    fn bridge_send(&self, call: &IBridge::sendCall) -> Option<Vec<(&'static str, String)>> {
        let token = self.token_of(call.token)?;
        Some(vec![
            (
                "action",
                format!(
                    "send {} to {}",
                    Amount::from_units(token, call.amount),
                    self.places.chain.other()
                ),
            ),
            ("to", call.receiver.to_string()),
            ("refunded after", second(U256::from(call.deadline))),
        ])
    }

    fn bridge_swap(&self, call: &Bridge::sendSwapCall) -> Option<Vec<(&'static str, String)>> {
        let (give, get) = self.pair(call.token)?;
        Some(vec![
            ("action", "swap, on the native chain".to_owned()),
            ("give", Amount::from_units(give, call.amount).to_string()),
            (
                "receive at least",
                Amount::from_units(get, call.least).to_string(),
            ),
            ("to", format!("{} there", call.receiver)),
            (
                "refunded",
                format!(
                    "if less would arrive, or after {}",
                    second(U256::from(call.deadline))
                ),
            ),
        ])
    }

    /// Points to another native chain, or a packet from there.
    fn peers(&self) -> Option<Vec<(&'static str, String)>> {
        match canonical::<IPeersCalls>(&self.transaction.input).ok()? {
            IPeersCalls::send(call) => peer_send(&call),
            IPeersCalls::sendAcknowledged(call) => {
                let mut lines = peer_send(&IPeers::sendCall {
                    peer: call.peer,
                    token: call.token,
                    receiver: call.receiver,
                    amount: call.amount,
                    deadline: call.deadline,
                })?;
                lines.push(wants_news());
                Some(lines)
            }
            IPeersCalls::deliver(call) => {
                let packets = call.items.iter().map(|item| Packet::decode(&item.packet));
                let packets: Vec<Packet> = packets.collect::<Result<_, _>>().ok()?;
                let first = packets.first()?;
                Some(vec![
                    (
                        "action",
                        format!("{}, from chain {}", delivers(first), call.peer),
                    ),
                    ("packet", first.id().sequence.to_string()),
                    ("packets", packets.len().to_string()),
                ])
            }
            _ => None,
        }
    }

    fn router(&self) -> Option<Vec<(&'static str, String)>> {
        if let Some(lines) = self.delivery() {
            return Some(lines);
        }
        let points = self.places.points;
        let (call, how) = match canonical::<SwapRouterCalls>(&self.transaction.input).ok()? {
            SwapRouterCalls::swapAndSend(call) => (call, ""),
            SwapRouterCalls::swapAndSendWithPermit(SwapRouter::swapAndSendWithPermitCall {
                amountIn,
                leastOut,
                swapDeadline,
                receiver,
                packetDeadline,
                ..
            }) => (
                SwapRouter::swapAndSendCall {
                    tokenIn: points,
                    amountIn,
                    leastOut,
                    swapDeadline,
                    receiver,
                    packetDeadline,
                },
                ", with a permit to take what is given",
            ),
            _ => return None,
        };
        let (give, get) = self.pair(call.tokenIn)?;
        Some(vec![
            (
                "action",
                format!("swap, and send to {}{how}", Chain::Ethereum),
            ),
            ("give", Amount::from_units(give, call.amountIn).to_string()),
            (
                "receive at least",
                Amount::from_units(get, call.leastOut).to_string(),
            ),
            ("to", format!("{} there", call.receiver)),
            ("good until", second(U256::from(call.swapDeadline))),
            (
                "refunded",
                format!(
                    "as {get}, here, after {}",
                    second(U256::from(call.packetDeadline))
                ),
            ),
        ])
    }

    fn pool(&self) -> Option<Vec<(&'static str, String)>> {
        let call = canonical::<PoolCalls>(&self.transaction.input).ok()?;
        let lines = match call {
            PoolCalls::exactIn(call) => self.exact_in("swap", &call)?,
            PoolCalls::exactInWithPermit(Pool::exactInWithPermitCall {
                tokenIn,
                amountIn,
                leastOut,
                receiver,
                deadline,
                ..
            }) => {
                let call = Pool::exactInCall {
                    tokenIn,
                    amountIn,
                    leastOut,
                    receiver,
                    deadline,
                };
                self.exact_in("swap, with a permit to take what is given", &call)?
            }
            PoolCalls::exactOut(call) => self.exact_out("swap", &call)?,
            PoolCalls::exactOutWithPermit(Pool::exactOutWithPermitCall {
                tokenIn,
                amountOut,
                mostIn,
                receiver,
                deadline,
                ..
            }) => {
                let call = Pool::exactOutCall {
                    tokenIn,
                    amountOut,
                    mostIn,
                    receiver,
                    deadline,
                };
                let action = "swap, with a permit to take what is given at most";
                self.exact_out(action, &call)?
            }
            PoolCalls::payExactPoints(Pool::payExactPointsCall {
                shop,
                points,
                mostIn,
                memo,
                deadline,
            }) => vec![
                (
                    "action",
                    format!("pay {} with coin", Amount::from_units(Token::Mvp, points)),
                ),
                ("shop", shop.to_string()),
                (
                    "give at most",
                    Amount::from_units(Token::Mvc, mostIn).to_string(),
                ),
                ("memo", memo.to_string()),
                ("good until", second(deadline)),
            ],
            _ => return None,
        };
        Some(lines)
    }

    fn exact_in(
        &self,
        action: &str,
        call: &Pool::exactInCall,
    ) -> Option<Vec<(&'static str, String)>> {
        let (give, get) = self.pair(call.tokenIn)?;
        Some(vec![
            ("action", action.to_owned()),
            ("give", Amount::from_units(give, call.amountIn).to_string()),
            (
                "receive at least",
                Amount::from_units(get, call.leastOut).to_string(),
            ),
            ("to", call.receiver.to_string()),
            ("good until", second(call.deadline)),
        ])
    }

    fn exact_out(
        &self,
        action: &str,
        call: &Pool::exactOutCall,
    ) -> Option<Vec<(&'static str, String)>> {
        let (give, get) = self.pair(call.tokenIn)?;
        Some(vec![
            ("action", action.to_owned()),
            (
                "give at most",
                Amount::from_units(give, call.mostIn).to_string(),
            ),
            (
                "receive",
                Amount::from_units(get, call.amountOut).to_string(),
            ),
            ("to", call.receiver.to_string()),
            ("good until", second(call.deadline)),
        ])
    }

    fn token_of(&self, address: Address) -> Option<Token> {
        let Places { points, coin, .. } = self.places;
        match address {
            _ if address == points => Some(Token::Mvp),
            _ if address == coin => Some(Token::Mvc),
            _ => None,
        }
    }

    fn pair(&self, give: Address) -> Option<(Token, Token)> {
        Some(match self.token_of(give)? {
            Token::Mvp => (Token::Mvp, Token::Mvc),
            _ => (Token::Mvc, Token::Mvp),
        })
    }
}

/// Points to another native chain.
fn peer_send(call: &IPeers::sendCall) -> Option<Vec<(&'static str, String)>> {
    let whose = if call.token == POINTS {
        "this chain's points".to_owned()
    } else if call.token == peer_points(call.peer) {
        format!("points of chain {}, which go home", call.peer)
    } else {
        return None;
    };
    let amount = Amount::from_units(Token::Mvp, call.amount);
    Some(vec![
        ("action", format!("send {amount} to chain {}", call.peer)),
        ("token", whose),
        ("to", format!("{} there", call.receiver)),
        ("refunded after", second(U256::from(call.deadline))),
    ])
}

/// What a sender asked for beside.
fn wants_news() -> (&'static str, String) {
    (
        "acknowledgement",
        "this chain is told once it was received".to_owned(),
    )
}

/// A delivery's number of packets, and the first of them.
fn delivered(chain: Chain, input: &[u8]) -> Option<(usize, Packet)> {
    let (count, first) = match chain {
        Chain::Native => {
            let IBridgeCalls::deliver(call) = canonical::<IBridgeCalls>(input).ok()? else {
                return None;
            };
            (call.items.len(), call.items.first()?.packet.clone())
        }
        Chain::Ethereum => {
            let BridgeCalls::deliver(call) = canonical::<BridgeCalls>(input).ok()? else {
                return None;
            };
            (call.items.len(), call.items.first()?.packet.clone())
        }
    };
    Some((count, Packet::decode(&first).ok()?))
}

/// A call from bytes that are its canonical encoding and nothing more.
fn canonical<C: SolInterface>(input: &[u8]) -> Result<C, ()> {
    let call = C::abi_decode(input).map_err(|_| ())?;
    if call.abi_encode() == input {
        Ok(call)
    } else {
        Err(())
    }
}

fn second(seconds: U256) -> String {
    if seconds == U256::MAX {
        "for ever".to_owned()
    } else {
        format!("second {seconds} since 1970")
    }
}

/// What a delivery of this packet does.
fn delivers(packet: &Packet) -> String {
    match packet {
        Packet::Expiry(expiry) => format!(
            "bring home the news that a transfer expired, which refunds {}",
            expiry.expired.sender
        ),
        Packet::Transfer(transfer) if transfer.action.is_some() => {
            format!("deliver a swap for {}", transfer.receiver)
        }
        Packet::Transfer(transfer) => format!("deliver a transfer to {}", transfer.receiver),
        Packet::Rotation(_) => "deliver the delegates' new key".to_owned(),
        Packet::Acknowledgement(news) => format!(
            "bring home the news that a transfer was received, for its sender {}",
            news.received.sender
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::transaction::Fees;
    use alloy::primitives::B256;
    use mileverse_primitives::{
        abi::IPoints,
        address::{BRIDGE, COIN},
    };

    const SHOP: Address = Address::repeat_byte(0x55);

    fn shown(to: Address, value: u64, input: Vec<u8>) -> String {
        shown_on(Chain::Native, to, value, input)
    }

    fn shown_on(chain: Chain, to: Address, value: u64, input: Vec<u8>) -> String {
        let transaction = Unsigned {
            chain_id: 77_771,
            nonce: 3,
            gas_limit: 100_000,
            fees: Fees::Legacy { price: 0 },
            to,
            value: U256::from(value),
            input: input.into(),
        };
        let review = Review {
            places: Places {
                chain,
                points: POINTS,
                coin: COIN,
                bridge: BRIDGE,
                timelock: Some(exchange::HASHED_TIMELOCK),
            },
            account: Address::repeat_byte(1),
            transaction: &transaction,
        };
        let lines = review.lines();
        let text = lines.iter().map(|(name, value)| format!("{name}: {value}"));
        text.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn points_to_another_native_chain_are_words() {
        let send = |token| IPeers::sendCall {
            peer: 7002,
            token,
            receiver: SHOP,
            amount: U256::from(1_500_000),
            deadline: 99,
        };
        let text = shown(PEERS, 0, send(POINTS).abi_encode());
        assert!(
            text.contains("action: send 1.5 MVP to chain 7002"),
            "{text}"
        );
        assert!(text.contains("token: this chain's points"), "{text}");
        assert!(text.contains(&format!("to: {SHOP} there")), "{text}");
        assert!(text.contains("gas: at most 0.1 MVP"), "{text}");
        let text = shown(PEERS, 0, send(peer_points(7002)).abi_encode());
        assert!(
            text.contains("points of chain 7002, which go home"),
            "{text}"
        );
        let asked = IPeers::sendAcknowledgedCall {
            peer: 7002,
            token: POINTS,
            receiver: SHOP,
            amount: U256::from(1_500_000),
            deadline: 99,
        };
        let text = shown(PEERS, 0, asked.abi_encode());
        assert!(
            text.contains("action: send 1.5 MVP to chain 7002"),
            "{text}"
        );
        assert!(
            text.contains("acknowledgement: this chain is told"),
            "{text}"
        );
        // A token that does not cross there, or a chain without this module: nothing is guessed.
        let text = shown(PEERS, 0, send(COIN).abi_encode());
        assert!(text.contains("cannot read"), "{text}");
        let text = shown_on(Chain::Ethereum, PEERS, 0, send(POINTS).abi_encode());
        assert!(text.contains("cannot read"), "{text}");
    }

    #[test]
    fn known_calls_are_words() {
        let pay = IPoints::transferWithMemoCall {
            to: SHOP,
            amount: U256::from(12_500_000),
            memo: U256::from(7).into(),
        };
        let text = shown(POINTS, 0, pay.abi_encode());
        assert!(text.contains("action: send 12.5 MVP"), "{text}");
        assert!(text.contains(&format!("to: {SHOP}")), "{text}");
        assert!(text.contains("chain id 77771") && text.contains("gas: free"));
        let text = shown(SHOP, 1_500_000_000_000_000_000, Vec::new());
        assert!(text.contains("action: send 1.5 MVC"), "{text}");
        let approve = ICoin::approveCall {
            spender: SHOP,
            amount: U256::MAX,
        };
        let text = shown(POINTS, 0, approve.abi_encode());
        assert!(
            text.contains("all MVP that this account ever has"),
            "{text}"
        );
        assert!(text.contains("does not know"), "{text}");
        let send = IBridge::sendCall {
            token: POINTS,
            receiver: SHOP,
            amount: U256::from(1),
            deadline: 99,
        };
        let text = shown(BRIDGE, 0, send.abi_encode());
        assert!(text.contains("send 0.000001 MVP to"), "{text}");
        assert!(!text.contains("acknowledgement"), "{text}");
        let asked = IBridge::sendAcknowledgedCall {
            token: POINTS,
            receiver: SHOP,
            amount: U256::from(1),
            deadline: 99,
        };
        let text = shown(BRIDGE, 0, asked.abi_encode());
        assert!(text.contains("send 0.000001 MVP to"), "{text}");
        assert!(
            text.contains("acknowledgement: this chain is told"),
            "{text}"
        );
        let swap = Pool::exactInCall {
            tokenIn: COIN,
            amountIn: U256::from(2_000_000_000_000_000_000_u64),
            leastOut: U256::from(199_000_000),
            receiver: SHOP,
            deadline: U256::from(5),
        };
        let text = shown(exchange::POOL, 2_000_000_000_000_000_000, swap.abi_encode());
        assert!(text.contains("give: 2 MVC"), "{text}");
        assert!(text.contains("receive at least: 199 MVP"), "{text}");
        assert!(text.contains("sent along: 2 MVC"), "{text}");
        let exact = Pool::exactOutWithPermitCall {
            tokenIn: POINTS,
            amountOut: U256::from(2_000_000_000_000_000_000_u64),
            mostIn: U256::from(201_000_000),
            receiver: SHOP,
            deadline: U256::from(5),
            v: 27,
            r: B256::ZERO,
            s: B256::ZERO,
        };
        let text = shown(exchange::POOL, 0, exact.abi_encode());
        for line in [
            "action: swap, with a permit to take what is given at most",
            "give at most: 201 MVP",
            "receive: 2 MVC",
            &format!("to: {SHOP}"),
            "good until: second 5",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let across = SwapRouter::swapAndSendCall {
            tokenIn: POINTS,
            amountIn: U256::from(5_000_000),
            leastOut: U256::from(40_000_000_000_000_000_u64),
            swapDeadline: 7,
            receiver: SHOP,
            packetDeadline: 99,
        };
        let text = shown(exchange::ROUTER, 0, across.abi_encode());
        assert!(
            text.contains("action: swap, and send to Ethereum"),
            "{text}"
        );
        assert!(text.contains("give: 5 MVP"), "{text}");
        assert!(text.contains("receive at least: 0.04 MVC"), "{text}");
        assert!(text.contains("as MVC, here, after second 99"), "{text}");
        let across = SwapRouter::swapAndSendWithPermitCall {
            amountIn: U256::from(5_000_000),
            leastOut: U256::from(40_000_000_000_000_000_u64),
            swapDeadline: 7,
            receiver: SHOP,
            packetDeadline: 99,
            v: 27,
            r: B256::ZERO,
            s: B256::ZERO,
        };
        let text = shown(exchange::ROUTER, 0, across.abi_encode());
        for line in [
            "action: swap, and send to Ethereum, with a permit to take what is given",
            "give: 5 MVP",
            "receive at least: 0.04 MVC",
            "good until: second 7",
            "as MVC, here, after second 99",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let across = Bridge::sendSwapCall {
            token: COIN,
            receiver: SHOP,
            amount: U256::from(2_000_000_000_000_000_000_u64),
            deadline: 99,
            least: U256::from(199_000_000),
        };
        let text = shown_on(Chain::Ethereum, BRIDGE, 0, across.abi_encode());
        assert!(text.contains("action: swap, on the native chain"), "{text}");
        assert!(text.contains("give: 2 MVC"), "{text}");
        assert!(text.contains("receive at least: 199 MVP"), "{text}");
        assert!(
            text.contains("if less would arrive, or after second 99"),
            "{text}"
        );
    }

    #[test]
    fn a_permit_says_who_may_take_how_much_until_when() {
        let places = Places {
            chain: Chain::Native,
            points: POINTS,
            coin: COIN,
            bridge: BRIDGE,
            timelock: Some(exchange::HASHED_TIMELOCK),
        };
        let permit = Permit {
            chain_id: 77_771,
            owner: SHOP,
            spender: exchange::ROUTER,
            value: U256::from(12_500_000),
            nonce: U256::ZERO,
            deadline: 9,
        };
        let lines = places.permit(&permit);
        let has = |name, value: &str| {
            assert!(
                lines
                    .iter()
                    .any(|line| line.0 == name && line.1.contains(value)),
                "{name}: {value} in {lines:?}"
            );
        };
        has("network", "chain id 77771");
        has("account", &SHOP.to_string());
        has("action", "up to 12.5 MVP");
        has("who", "the router of swaps");
        has("good until", "second 9 ");
        let spender = exchange::HASHED_TIMELOCK;
        let lines = places.permit(&Permit { spender, ..permit });
        let name = format!("the hashed-timelock swaps, {spender}");
        assert!(lines.iter().any(|line| line.1 == name), "{lines:?}");
        let spender = Address::repeat_byte(9);
        let lines = places.permit(&Permit { spender, ..permit });
        assert!(lines.iter().any(|line| line.1.contains("does not know")));
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_is() {
        let mut odd = ICoin::transferCall {
            to: SHOP,
            amount: U256::from(1),
        }
        .abi_encode();
        odd.push(0);
        for (to, input) in [
            (POINTS, odd),
            (SHOP, vec![1, 2, 3, 4]),
            (BRIDGE, vec![9; 600]),
        ] {
            let head = hex::encode(&input[..4]);
            let text = shown(to, 0, input);
            assert!(text.contains("cannot read"), "{text}");
            assert!(text.contains(&head), "{text}");
        }
    }
}
