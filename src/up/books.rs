//! Step 7, the books. From what anybody can read on the two chains, at the gateway and at the
//! airline:
//!
//! ```txt
//! locked  = sent − received − refunded         at the token's home
//! minted  = received + refunded − sent         away from it
//! in flight                                    counted packet by packet, not from the totals
//! locked == minted + in flight both ways,  locked == the bridge's balance,  minted == the supply
//! miles taken × rate == the journal == points issued on the chain
//! ```

use super::{
    error::Error,
    journey::{asked, points, require},
    report::Facts,
    system::System,
    wait::Look,
};
use alloy::{
    primitives::{B256, U256},
    providers::Provider,
    rpc::types::Filter,
    sol_types::SolEvent,
};
use mileverse_primitives::{
    abi::{IBridge, IPoints},
    address::POINTS,
    packet::{Packet, REFUNDED, Transfer},
    rpc::{MAX_PACKETS, OutboxPacket},
};
use mileverse_wallet::{
    client::{Client, Totals},
    rpc::Chain,
    units::{Amount, Token},
};
use serde_json::{Value, json};

/// Most packets that are counted; a directory with more is beyond a sample's life.
const MAX_COUNTED: usize = 100_000;
/// Receipt mark of a packet that was received.
const RECEIVED: u8 = 1;

/// Checks everything; `solvent` becomes true when both tokens are backed.
pub async fn play(system: &System, solvent: &mut bool) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let flying = in_flight(system).await?;
    let mvp = token(system, Token::Mvp, Chain::Native, &flying).await?;
    let mvc = token(system, Token::Mvc, Chain::Ethereum, &flying).await?;
    *solvent = mvp.balanced() && mvc.balanced();
    facts.add("mvp", mvp.facts());
    facts.add("mvc", mvc.facts());
    for book in [&mvp, &mvc] {
        book.check()?;
    }
    gateway(system, &mut facts).await?;
    Ok(facts)
}

/// Waits until nothing is on its way: an earlier run may have been stopped in the middle of a
/// transfer, which the relayer now brings to its end.
pub async fn settle(system: &System) -> Result<(), Error> {
    system
        .patience
        .until("transfers of an earlier run to end", async || {
            let flying = in_flight(system).await?;
            Ok(Look::when(flying.is_empty(), || {
                format!("{} in flight", flying.len())
            }))
        })
        .await
}

/// One token, on both chains.
#[derive(Debug)]
struct Book {
    token: Token,
    locked: U256,
    held: U256,
    minted: U256,
    supply: U256,
    in_flight: U256,
    says_home: bool,
    says_away: bool,
}

impl Book {
    fn balanced(&self) -> bool {
        self.minted.checked_add(self.in_flight) == Some(self.locked)
            && self.locked == self.held
            && self.minted == self.supply
            && self.says_home
            && self.says_away
    }

    fn check(&self) -> Result<(), Error> {
        require(self.balanced(), || {
            format!(
                "the books of {} do not balance: {}",
                self.token,
                self.facts()
            )
        })
    }

    fn facts(&self) -> Value {
        let amount = |units| Amount::from_units(self.token, units).decimal();
        json!({
            "locked": amount(self.locked),
            "bridgeHolds": amount(self.held),
            "minted": amount(self.minted),
            "supplyAway": amount(self.supply),
            "inFlight": amount(self.in_flight),
            "balanced": self.balanced(),
        })
    }
}

async fn token(
    system: &System,
    token: Token,
    home: Chain,
    flying: &[Transfer],
) -> Result<Book, Error> {
    let at_home = system.chains.on(home);
    let away = system.chains.on(home.other());
    let here = totals(at_home, token).await?;
    let there = totals(away, token).await?;
    let contract = system
        .chains
        .on(home)
        .token_address(token)
        .map_err(asked("a token's address"))?;
    let mut in_flight = U256::ZERO;
    for transfer in flying {
        if transfer.token.home == at_home.chain_id() && transfer.token.contract == contract {
            in_flight = in_flight
                .checked_add(transfer.amount)
                .ok_or_else(|| Error::Broken("more in flight than can be counted".into()))?;
        }
    }
    let missing = |what: &str| Error::Broken(format!("{what} of {token} is below zero"));
    Ok(Book {
        token,
        locked: here
            .sent
            .checked_sub(here.received)
            .and_then(|rest| rest.checked_sub(here.refunded))
            .ok_or_else(|| missing("what is locked"))?,
        minted: there
            .received
            .checked_add(there.refunded)
            .and_then(|sum| sum.checked_sub(there.sent))
            .ok_or_else(|| missing("what is minted"))?,
        held: at_home
            .balance(at_home.bridge_address(), token)
            .await
            .map_err(asked("the bridge's balance"))?
            .units(),
        supply: away
            .supply(token)
            .await
            .map_err(asked("a token's supply"))?
            .units(),
        in_flight,
        says_home: at_home.solvent(token).await.map_err(asked("the bridge"))?,
        says_away: away.solvent(token).await.map_err(asked("the bridge"))?,
    })
}

async fn totals(client: &Client, token: Token) -> Result<Totals, Error> {
    client
        .totals(token)
        .await
        .map_err(asked("the bridge's totals"))
}

/// Every transfer, of either direction, that is neither received nor refunded.
async fn in_flight(system: &System) -> Result<Vec<Transfer>, Error> {
    let native = &system.chains.native;
    let ethereum = &system.chains.ethereum;
    let mut flying = Vec::new();
    for (source, destination, packets) in [
        (native, ethereum, sent_from_native(native).await?),
        (ethereum, native, sent_from_ethereum(system).await?),
    ] {
        for packet in packets {
            let Packet::Transfer(transfer) = packet else {
                continue;
            };
            let sequence = transfer.id.sequence;
            let stored: B256 = source
                .outbound(sequence)
                .await
                .map_err(asked("a sent packet"))?;
            let receipt = destination
                .receipt(sequence)
                .await
                .map_err(asked("a packet's receipt"))?;
            if stored != REFUNDED && receipt != RECEIVED {
                flying.push(transfer);
            }
        }
    }
    Ok(flying)
}

async fn sent_from_native(native: &Client) -> Result<Vec<Packet>, Error> {
    let mut packets = Vec::new();
    loop {
        let page: Vec<OutboxPacket> = native
            .endpoint()
            .method("mileverse_packets", (packets.len(), MAX_PACKETS))
            .await
            .map_err(|error| Error::refused("the native chain's packets", error))?;
        if page.is_empty() {
            return Ok(packets);
        }
        for one in page {
            packets.push(decode(&one.packet)?);
        }
        limit(&packets)?;
    }
}

async fn sent_from_ethereum(system: &System) -> Result<Vec<Packet>, Error> {
    let ethereum = &system.chains.ethereum;
    let filter = Filter::new()
        .address(ethereum.bridge_address())
        .event_signature(IBridge::PacketSent::SIGNATURE_HASH)
        .from_block(system.contracts.start_block);
    let logs = ethereum
        .endpoint()
        .provider()
        .get_logs(&filter)
        .await
        .map_err(|error| Error::refused("Ethereum's packets", error))?;
    let mut packets = Vec::new();
    for log in logs {
        let event = IBridge::PacketSent::decode_log(&log.inner)
            .map_err(|error| Error::refused("a packet of Ethereum", error))?;
        packets.push(decode(&event.packet)?);
    }
    limit(&packets)?;
    let next = ethereum
        .next_sequence()
        .await
        .map_err(asked("the next packet"))?;
    let sent = u64::try_from(packets.len()).unwrap_or(u64::MAX);
    require(sent.checked_add(1) == Some(next), || {
        format!("Ethereum's logs show {sent} packets, its bridge sends number {next} next")
    })?;
    Ok(packets)
}

fn decode(bytes: &[u8]) -> Result<Packet, Error> {
    Packet::decode(bytes).map_err(|error| Error::refused("a sent packet", error))
}

fn limit(packets: &[Packet]) -> Result<(), Error> {
    require(packets.len() <= MAX_COUNTED, || {
        format!("more than {MAX_COUNTED} packets are too many to count")
    })
}

/// The gateway's journal, the airline's totals and the chain say the same.
async fn gateway(system: &System, facts: &mut Facts) -> Result<(), Error> {
    let books: Value = system
        .gateway
        .get("/v1/books")
        .await?
        .json("the gateway's books")?;
    let taken = system.airline.totals().await?.miles_taken;
    let wanted = points(taken)?;
    let issued: U256 = system
        .chains
        .native
        .endpoint()
        .view(POINTS, &IPoints::totalIssuedCall {})
        .await
        .map_err(|error| Error::refused("the points issued", error))?;
    facts.add("milesTaken", taken);
    facts.add("pointsIssued", Amount::from_units(Token::Mvp, issued));
    facts.add(
        "gateway",
        json!({
            "journal": said(&books, "/journal/points_issued"),
            "chain": said(&books, "/chain/points_issued"),
            "agrees": said(&books, "/agrees"),
        }),
    );
    require(wanted.units() == issued, || {
        format!(
            "the airline took {taken} miles, worth {wanted}, but {} were issued",
            Amount::from_units(Token::Mvp, issued)
        )
    })?;
    require(books.get("agrees") == Some(&Value::Bool(true)), || {
        format!("the gateway's books do not agree with the chain: {books}")
    })
}

/// One figure of the gateway's books.
fn said(books: &Value, pointer: &str) -> Value {
    books.pointer(pointer).cloned().unwrap_or(Value::Null)
}
