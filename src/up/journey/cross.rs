//! One transfer over the bridge, watched from both sides.

use super::{super::error::Error, super::system::System, super::wait::Look, require};
use mileverse_wallet::{
    client::{BridgeSent, Client, ClientError},
    rpc::Chain,
    units::{Amount, Token},
};
use serde_json::{Value, json};
use std::time::Instant;

/// Receipt marks, as `docs/protocol.md` has them.
pub const RECEIVED: u8 = 1;
/// See [`RECEIVED`].
pub const EXPIRED: u8 = 2;
/// Minutes that an ordinary transfer may take.
const DEADLINE_MINUTES: u64 = 60;

/// Sends the member's tokens to the member's own address on the other chain, waits until they are
/// there, and checks both balances to the last unit.
pub async fn cross(system: &System, from: Chain, amount: Amount) -> Result<Value, Error> {
    let source = system.chains.on(from);
    let destination = system.chains.on(from.other());
    let member = system.keys.member.address();
    let token = amount.token();
    let start = Instant::now();

    let source_before = balance(source, system, token).await?;
    let destination_before = balance(destination, system, token).await?;
    let deadline = system
        .chains
        .deadline(DEADLINE_MINUTES)
        .await
        .map_err(asked("the clocks"))?;
    let sent = source
        .bridge_send(member, amount, deadline, false)
        .await
        .map_err(asked("sending over the bridge"))?;
    let sequence = sent.id.sequence;

    let awaited = format!(
        "packet {from:?} {sequence} to be received on {}",
        from.other()
    );
    system
        .patience
        .until(&awaited, async || {
            let receipt = receipt(destination, sequence).await?;
            Ok(Look::when(receipt == RECEIVED, || {
                format!("receipt {receipt}")
            }))
        })
        .await?;

    let source_after = balance(source, system, token).await?;
    let destination_after = balance(destination, system, token).await?;
    let left = source_before.checked_sub(amount);
    require(
        left.and_then(|left| less_fee(left, &sent)) == Some(source_after),
        || {
            format!(
                "{amount} left {from} for {}, but the balance there went from {source_before} to {source_after}",
                sent.fee
            )
        },
    )?;
    require(
        destination_before.checked_add(amount) == Some(destination_after),
        || {
            format!(
                "{amount} came to {}, but the balance there went from {destination_before} to {destination_after}",
                from.other()
            )
        },
    )?;
    Ok(crossing(&sent, amount, from, start))
}

/// What is left of a balance when a packet's transaction is paid for.
pub fn less_fee(balance: Amount, sent: &BridgeSent) -> Option<Amount> {
    if balance.token() == sent.fee.token() {
        balance.checked_sub(sent.fee)
    } else {
        Some(balance)
    }
}

fn crossing(sent: &BridgeSent, amount: Amount, from: Chain, start: Instant) -> Value {
    json!({
        "amount": amount.decimal(),
        "token": amount.token().symbol(),
        "fee": sent.fee.to_string(),
        "packet": format!("{}:{}", from.word(), sent.id.sequence),
        "commitment": sent.commitment,
        "transaction": sent.sent.hash,
        "ms": u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// The member's balance on one chain.
pub async fn balance(client: &Client, system: &System, token: Token) -> Result<Amount, Error> {
    client
        .balance(system.keys.member.address(), token)
        .await
        .map_err(asked("the member's balance"))
}

/// What the destination decided.
pub async fn receipt(client: &Client, sequence: u64) -> Result<u8, Error> {
    client
        .receipt(sequence)
        .await
        .map_err(asked("a packet's receipt"))
}

/// A wallet's error, with what was asked.
pub fn asked(what: &'static str) -> impl Fn(ClientError) -> Error {
    move |error| Error::refused(what, error)
}

/// A number of whole tokens.
pub fn whole(token: Token, count: u64) -> Result<Amount, Error> {
    Amount::whole(token, count)
        .ok_or_else(|| Error::Broken(format!("{count} {token} is more than can be counted")))
}
