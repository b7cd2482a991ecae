//! What happens to an account, as it happens: server-sent events of both chains.
//!
//! ```txt
//! event: entry    data: one entry of the history, as it becomes final on its chain
//! event: packet   data: a transfer that the account sent, whenever its stage changes
//! ```

use crate::{
    MAX_STREAM,
    accounts::{Happened, sent},
    api::{Part, Shared, account},
    packets::PacketFacts,
    problem::{Problem, Refusals},
    route::Place,
};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _, stream};
use mileverse_primitives::Address;
use mileverse_wallet::client::{Chains, Client, Posted, Stage};
use std::{convert::Infallible, time::Duration};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

/// Between two looks of a stream.
const POLL: Duration = Duration::from_millis(500);
/// Looks at the native chain for one at Ethereum and at the packets.
const SLOW: u32 = 3;
/// Most blocks that one look asks about.
const MAX_STEP: u64 = 1_000;
/// Most packets that one stream follows: the newest.
const MAX_FOLLOWED: usize = 8;

/// A packet's stage, and whether its deadline is over.
type Told = (Stage, bool);

/// One chain as a stream reads it.
struct Reader {
    client: Client,
    place: Place,
    seen: u64,
}

/// Where one stream is.
struct Reading {
    account: Address,
    readers: Vec<Reader>,
    chains: Option<Chains>,
    /// What is still on its way, and what was told of it.
    followed: Vec<(Posted, Option<Told>)>,
    looks: u32,
    end: Instant,
    _slot: OwnedSemaphorePermit,
}

/// Each new entry of an account's history on either chain as it becomes final (`entry`, whose data is
/// one entry of the history), and each transfer that it sent whenever its stage changes or its deadline is over (`packet`, as
/// `/packets` answers it in lists). A stream ends after an hour; `Last-Event-ID` is not needed, the
/// history has what was missed.
#[utoipa::path(get, path = "/accounts/{address}/events", tag = "accounts", params(("address" = String, Path)), responses((status = 200, content_type = "text/event-stream", body = String), Refusals))]
pub(crate) async fn events(
    app: Shared,
    Part(address): Part,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let account = account(&address)?;
    let slot = app
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::busy())?;
    let client = app.client().await?.clone();
    let seen = client.finalized().await?;
    let mut readers = vec![Reader {
        client,
        place: Place::Native,
        seen,
    }];
    let mut followed = Vec::new();
    // Without Ethereum, or while it is away, the native chain's news come all the same.
    let chains = app.chains().await.ok().cloned();
    if let Some(chains) = &chains
        && let Ok(seen) = chains.ethereum.finalized().await
    {
        for client in [&chains.native, &chains.ethereum] {
            let (posted, _) = sent(&app, client, account, MAX_FOLLOWED, None).await?;
            followed.extend(posted.into_iter().map(|posted| (posted, None)));
        }
        followed.sort_by_key(|(posted, _)| std::cmp::Reverse(posted.at.time));
        followed.truncate(MAX_FOLLOWED);
        readers.push(Reader {
            client: chains.ethereum.clone(),
            place: Place::Ethereum,
            seen,
        });
    }
    let reading = Reading {
        account,
        readers,
        chains,
        followed,
        looks: 0,
        end: Instant::now() + MAX_STREAM,
        _slot: slot,
    };
    let looks = stream::unfold(reading, |mut reading| async move {
        if Instant::now() >= reading.end {
            return None;
        }
        if reading.looks > 0 {
            sleep(POLL).await;
        }
        Some((stream::iter(reading.look().await), reading))
    });
    Ok(Sse::new(looks.flatten()).keep_alive(KeepAlive::default()))
}

impl Reading {
    /// What is new.
    async fn look(&mut self) -> Vec<Result<Event, Infallible>> {
        let is_slow = self.looks.is_multiple_of(SLOW);
        self.looks = self.looks.wrapping_add(1);
        let mut news = Vec::new();
        for reader in &mut self.readers {
            if reader.place == Place::Ethereum && !is_slow {
                continue;
            }
            let (entries, posted) = reader.look(self.account, self.chains.is_some()).await;
            news.extend(entries);
            for posted in posted {
                let known = self
                    .followed
                    .iter()
                    .any(|(one, _)| one.packet == posted.packet);
                if !known {
                    self.followed.insert(0, (posted, None));
                }
            }
            self.followed.truncate(MAX_FOLLOWED);
        }
        if is_slow {
            news.extend(self.packets().await);
        }
        news.into_iter().map(Ok).collect()
    }

    /// The packets whose stage is another than was told. What has come to its end is let go.
    async fn packets(&mut self) -> Vec<Event> {
        let Some(chains) = &self.chains else {
            return Vec::new();
        };
        let mut news = Vec::new();
        for (posted, told) in &mut self.followed {
            // A chain that is away is asked again.
            let Ok(trace) = chains.trace(posted.clone()).await else {
                continue;
            };
            let now = (trace.stage, trace.is_late());
            if *told == Some(now) {
                continue;
            }
            *told = Some(now);
            let event = Event::default().event("packet");
            news.extend(event.json_data(PacketFacts::from(trace)).ok());
        }
        self.followed
            .retain(|(_, told)| !told.is_some_and(|(stage, _)| stage.is_end()));
        news
    }
}

impl Reader {
    /// What is new on one chain, and what was sent from it. A node that is away for a moment is asked
    /// again from the same block on.
    async fn look(&mut self, account: Address, follows: bool) -> (Vec<Event>, Vec<Posted>) {
        let nothing = (Vec::new(), Vec::new());
        let Ok(last) = self.client.finalized().await else {
            return nothing;
        };
        if last <= self.seen {
            return nothing;
        }
        let from = self.seen.saturating_add(1);
        let to = last.min(self.seen.saturating_add(MAX_STEP));
        let Ok(entries) = self.client.between(account, from, to).await else {
            return nothing;
        };
        let posted = if follows {
            match self.client.posted_among(account, &entries).await {
                Ok(posted) => posted,
                Err(_) => return nothing,
            }
        } else {
            Vec::new()
        };
        self.seen = to;
        let place = self.place;
        let events = entries.into_iter().rev().filter_map(|entry| {
            let id = entry.block.to_string();
            Event::default()
                .event("entry")
                .id(id)
                .json_data(Happened::on(place, entry))
                .ok()
        });
        (events.collect(), posted)
    }
}
