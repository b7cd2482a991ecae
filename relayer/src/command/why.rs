//! `mileverse relayer why`: one paragraph about one packet.
//!
//! First the chains are asked, since they decide; then the database, which knows what this relayer
//! has tried.

use super::say;
use crate::{
    Error,
    clock::Clock,
    config::{self, Config},
    route::Route,
    store::{Direction, Outcome, PacketRow, RouteStore, RowState, Store},
};
use mileverse_wallet::client::{Chains, PacketName, PacketState, PacketStatus, Peers};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Why {
    route: String,
    /// What the chains say.
    packet: PacketStatus,
    /// What this relayer's database knows, if it has found the packet.
    relayer: Option<PacketRow>,
    /// All of it in words.
    paragraph: String,
}

/// What the database knows.
struct Known {
    row: Option<PacketRow>,
    /// A transaction with the packet whose outcome is unknown.
    under_way: Option<String>,
    /// What is wrong with the direction.
    trouble: Option<String>,
}

pub(super) async fn why(
    config: &Config,
    route: Option<&str>,
    packet: PacketName,
    json: bool,
) -> Result<(), Error> {
    let (name, route) = config.route(route)?;
    let (direction, sequence) = Route::look(name, route)?.way_of(packet)?;
    let status = ask(route, packet).await?;
    let store = Store::look(&config.database).await?;
    let rows = store.route(name).await?;
    let known = match &rows {
        Some(rows) => known(rows, direction, sequence).await?,
        None => Known {
            row: None,
            under_way: None,
            trouble: None,
        },
    };
    store.close().await;
    let paragraph = paragraph(&status, &known, Clock::system().now_ms());
    let why = Why {
        route: name.to_owned(),
        packet: status,
        relayer: known.row,
        paragraph,
    };
    say(json, &why, || why.paragraph.clone())
}

/// Asks the first pair of endpoints that answers.
async fn ask(route: &config::Route, packet: PacketName) -> Result<PacketStatus, Error> {
    let far = match &route.far {
        config::Far::Ethereum(ethereum) => &ethereum.rpc,
        config::Far::Peer(peer) => &peer.rpc,
    };
    let mut last = None;
    for (native, far) in route
        .native
        .rpc
        .iter()
        .flat_map(|native| far.iter().map(move |far| (native, far)))
    {
        let asked = match packet {
            PacketName::Bridge(packet) => match Chains::connect(native, far, None).await {
                Ok(chains) => Ok(chains.packet_status(packet).await?),
                Err(error) => Err(error),
            },
            PacketName::Peers(id) => match Peers::connect(native, far, None).await {
                Ok(peers) => Ok(peers.packet_status(id).await?),
                Err(error) => Err(error),
            },
        };
        match asked {
            Ok(status) => return Ok(status),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || Error::Unfinished("the route has no endpoints".into()),
        Error::from,
    ))
}

async fn known(rows: &RouteStore, direction: Direction, sequence: u64) -> Result<Known, Error> {
    let packet = rows.packet(direction, sequence).await?;
    // Set aside after its transaction was in a block: it is held there.
    let aside = packet
        .as_ref()
        .is_some_and(|row| row.state == RowState::Waiting && row.reason.is_some());
    let under_way = rows
        .signed(direction)
        .await?
        .into_iter()
        .filter(|row| row.outcome.is_none() || !aside)
        .rfind(|row| row.packets.contains(&sequence) && row.outcome != Some(Outcome::Gone))
        .map(|row| {
            let state = match row.outcome {
                None => "waits for a block",
                Some(Outcome::Reverted) => "was refused in its block",
                Some(Outcome::Included | Outcome::Gone) => "is in a block that is not final yet",
            };
            format!("transaction {} (nonce {}) {state}", row.hash, row.nonce)
        });
    Ok(Known {
        row: packet,
        under_way,
        trouble: rows.health(direction).await?.error,
    })
}

/// Where it is, what it waits for, what would move it.
fn paragraph(status: &PacketStatus, known: &Known, now_ms: u64) -> String {
    let mut said = vec![format!(
        "Packet {} is {} ({}).",
        status.packet, status.state, status.kind
    )];
    match (status.state, &status.waits_for) {
        (PacketState::Received, None) => {
            said.push(format!("{}; nothing is left to do.", took_effect(status)));
        }
        (PacketState::Received, Some(what)) => {
            said.push(format!("{}. It waits for {what}.", took_effect(status)));
        }
        (PacketState::Acknowledged, _) => said.push(format!(
            "{}, and the chain that sent it knows, so it can never be refunded; nothing is left to do.",
            took_effect(status)
        )),
        (PacketState::Refunded, _) => {
            let why = why_not(status);
            said.push(format!("{why}, and its tokens are back with the sender."));
        }
        (PacketState::Expired, Some(what)) => {
            said.push(format!("{}. It waits for {what}.", why_not(status)));
        }
        (PacketState::Sent, Some(what)) => {
            said.push(format!("It waits for {what}."));
        }
        (PacketState::Sent | PacketState::Expired, None) => {}
    }
    if status.state == PacketState::Sent {
        said.push(relayer(known, now_ms));
        said.push(format!(
            "`mileverse relayer relay {}` delivers it now.",
            status.packet
        ));
    }
    if status.state == PacketState::Received && status.waits_for.is_some() {
        said.push(format!(
            "`mileverse relayer relay {}` carries it home now.",
            status.packet
        ));
    }
    if status.state == PacketState::Expired {
        said.push(format!(
            "`mileverse relayer refund {}` carries the news home now.",
            status.packet
        ));
    }
    said.join(" ")
}

/// What a packet that was received did.
fn took_effect(status: &PacketStatus) -> String {
    match status.swap.as_ref().and_then(|swap| swap.received) {
        Some(amount) => format!("It was swapped, and its receiver has {amount}"),
        None => "It took effect".to_owned(),
    }
}

/// Why a packet that expired did.
fn why_not(status: &PacketStatus) -> String {
    match status.swap.as_ref().map(|swap| &swap.refused) {
        Some(Some(refused)) => format!("It was not swapped: {refused}"),
        Some(None) => "It came too late, or could not be received".into(),
        None => "It came too late, or its destination refused it".into(),
    }
}

/// What this relayer is doing about a packet that has no receipt.
fn relayer(known: &Known, now_ms: u64) -> String {
    let trouble = known
        .trouble
        .as_ref()
        .map(|trouble| format!(" Its direction is in trouble: {trouble}."))
        .unwrap_or_default();
    let Some(row) = &known.row else {
        return format!("This relayer has not found it yet.{trouble}");
    };
    if let Some(under_way) = &known.under_way {
        return format!("This relayer has sent it: {under_way}.{trouble}");
    }
    match (row.state, &row.reason) {
        (RowState::Waiting, Some(reason)) => {
            let when = match row.not_before_ms.checked_sub(now_ms) {
                Some(left) => format!("in {} s", left.div_ceil(1_000)),
                None => "at the next look".to_owned(),
            };
            format!(
                "This relayer has set it aside {} times, the last time because {reason}; it tries again {when}.{trouble}",
                row.attempts
            )
        }
        (RowState::Waiting, None) => format!(
            "This relayer found it {} s ago and has it in line.{trouble}",
            now_ms.saturating_sub(row.found_ms) / 1_000
        ),
        (RowState::Landed | RowState::Done, _) => {
            format!("This relayer saw its receipt.{trouble}")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::B256;
    use mileverse_wallet::{
        client::SwapStatus,
        units::{Amount, Token},
    };

    fn status(state: PacketState) -> PacketStatus {
        PacketStatus {
            packet: "native:7".parse().unwrap(),
            state,
            waits_for: Some("a relayer to carry it to Ethereum".into()),
            kind: "transfer",
            acknowledge: false,
            amount: None,
            points_of: None,
            sender: None,
            receiver: None,
            deadline: None,
            swap: None,
            commitment: B256::ZERO,
        }
    }

    fn row(reason: Option<&str>) -> PacketRow {
        PacketRow {
            sequence: 7,
            place: 6,
            kind: "transfer",
            acknowledge: false,
            commitment: B256::ZERO,
            state: RowState::Waiting,
            outcome: 0,
            attempts: 3,
            not_before_ms: 9_500,
            reason: reason.map(str::to_owned),
            found_ms: 1_000,
            landed_ms: 0,
            done_ms: 0,
        }
    }

    fn known(row: Option<PacketRow>, under_way: Option<&str>) -> Known {
        Known {
            row,
            under_way: under_way.map(str::to_owned),
            trouble: None,
        }
    }

    #[test]
    fn it_says_where_what_for_and_what_would_move_it() {
        for (known, words) in [
            (known(None, None), "has not found it yet"),
            (known(Some(row(None)), None), "has it in line"),
            (
                known(Some(row(Some("the receiver refuses"))), None),
                "set it aside 3 times, the last time because the receiver refuses; it tries again in 5 s",
            ),
            (
                known(
                    Some(row(None)),
                    Some("transaction 0x1 (nonce 4) waits for a block"),
                ),
                "has sent it: transaction 0x1",
            ),
        ] {
            let said = paragraph(&status(PacketState::Sent), &known, 5_000);
            assert!(said.contains(words), "{said}");
            assert!(said.starts_with("Packet native:7 is sent (transfer). It waits for a relayer"));
            assert!(said.contains("mileverse relayer relay native:7"), "{said}");
        }
        let mut ended = status(PacketState::Received);
        ended.waits_for = Some("a relayer to carry the acknowledgement home to native".into());
        let said = paragraph(&ended, &known(None, None), 0);
        assert!(said.contains("carry the acknowledgement home"), "{said}");
        assert!(said.contains("mileverse relayer relay native:7"), "{said}");
        ended.waits_for = None;
        let said = paragraph(&ended, &known(None, None), 0);
        assert!(said.ends_with("nothing is left to do."), "{said}");
        ended.state = PacketState::Acknowledged;
        let said = paragraph(&ended, &known(None, None), 0);
        assert!(said.contains("is acknowledged (transfer)"), "{said}");
        assert!(said.contains("can never be refunded"), "{said}");
        let mut swapped = status(PacketState::Received);
        swapped.waits_for = None;
        swapped.kind = "swap";
        let amount = Amount::whole(Token::Mvp, 12);
        swapped.swap = Some(SwapStatus {
            least: amount,
            received: amount,
            refused: None,
        });
        let said = paragraph(&swapped, &known(None, None), 0);
        assert!(said.contains("is received (swap)"), "{said}");
        assert!(said.contains("its receiver has 12 MVP"), "{said}");
        swapped.state = PacketState::Refunded;
        swapped.swap = Some(SwapStatus {
            least: amount,
            received: None,
            refused: Some("the price had moved".into()),
        });
        let said = paragraph(&swapped, &known(None, None), 0);
        assert!(
            said.contains("It was not swapped: the price had moved, and its tokens"),
            "{said}"
        );
        let said = paragraph(&status(PacketState::Expired), &known(None, None), 0);
        assert!(said.contains("mileverse relayer refund native:7"), "{said}");
    }
}
