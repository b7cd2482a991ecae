//! What the node asks of committed state: the elected, the directory, the committee.

use super::{KEYS, REPORTED, committee, refusal::Refusal};
use crate::{
    cache::{Cache, View},
    executor::Elected,
    modules::{Config, host::Fault, ledger::Books},
    state::{Place, ReadError, StateReader, storage},
};
use alloy::primitives::B256;
use mileverse_primitives::{address::STAKING, staking::ELECTION_LAG};
use std::net::SocketAddr;

/// Who was elected for an epoch, ascending by key; nobody if this state does not know.
pub(crate) async fn elected(
    config: &Config,
    state: &impl StateReader,
    epoch: u64,
) -> Result<Vec<Elected>, ReadError> {
    if epoch < ELECTION_LAG {
        return Ok(config
            .members
            .iter()
            .map(|member| Elected {
                consensus_key: member.consensus_key,
                address: member.address,
            })
            .collect());
    }
    let seats = ask(state, epoch, |ledger, epoch| {
        committee::elected(ledger, epoch)
    })
    .await?
    .unwrap_or_default();
    seats
        .into_iter()
        .map(|seat| {
            let address = seat.endpoint.0.ok_or_else(|| damaged(epoch))?;
            Ok(Elected {
                consensus_key: seat.key,
                address,
            })
        })
        .collect()
}

/// Where a key's node is reached, as of the last epoch's end.
pub(crate) async fn directory(
    config: &Config,
    state: &impl StateReader,
    key: B256,
) -> Result<Option<SocketAddr>, ReadError> {
    use super::candidate::{Endpoint, Word as _};
    let word = storage(state, STAKING, committee::directory_place(key).key()).await?;
    let member = || {
        config
            .members
            .iter()
            .find(|member| member.consensus_key == key)
            .map(|member| member.address)
    };
    // Before block 1 the genesis members are not in the state yet.
    Ok(Endpoint::decode(word).0.or_else(member))
}

/// Keys of an epoch's committee, ascending.
pub(crate) async fn committee(
    config: &Config,
    state: &impl StateReader,
    epoch: u64,
) -> Result<Vec<B256>, ReadError> {
    if epoch == 0 {
        return Ok(config
            .members
            .iter()
            .map(|member| member.consensus_key)
            .collect());
    }
    ask(state, epoch, |ledger, epoch| {
        let Some(committee) = committee::get(ledger, epoch)? else {
            return Ok(None);
        };
        (0..committee.size)
            .map(|position| committee.key(ledger, position))
            .collect::<Result<_, _>>()
            .map(Some)
    })
    .await?
    .ok_or_else(|| damaged(epoch))
}

/// Whether the candidate that has or had `key` is out for good.
pub(crate) async fn tombstoned(state: &impl StateReader, key: B256) -> Result<bool, ReadError> {
    use super::candidate::{self, Standing, Word as _};
    let id = storage(state, STAKING, KEYS.entry(key).key()).await?;
    let Ok(id) = u64::try_from(id) else {
        return Err(ReadError("a candidate's number is damaged".into()));
    };
    if id == 0 {
        return Ok(false);
    }
    let place = candidate::place(id).field(Standing::FIELD);
    let word = storage(state, STAKING, place.key()).await?;
    Ok(Standing::decode(word).tombstoned)
}

/// Whether a false result of `key` at `height` stands in the record.
pub(crate) async fn reported(
    state: &impl StateReader,
    key: B256,
    height: u64,
) -> Result<bool, ReadError> {
    let place = REPORTED.entry(key).entry(height);
    Ok(!storage(state, STAKING, place.key()).await?.is_zero())
}

fn damaged(epoch: u64) -> ReadError {
    ReadError(Refusal::UnknownEpoch(epoch).to_string())
}

/// Runs a reading until all that it needs was read.
async fn ask<T>(
    state: &impl StateReader,
    epoch: u64,
    read: impl Fn(&mut Books<'_>, u64) -> Result<Option<T>, Fault>,
) -> Result<Option<T>, ReadError> {
    let mut cache = Cache::new(None);
    loop {
        let answer = {
            let mut books = Books {
                view: View {
                    cache: &mut cache,
                    fetch_now: &mut |_, _: Place| {},
                },
            };
            read(&mut books, epoch)
        };
        if cache.is_complete() {
            return answer.map_err(|_| damaged(epoch));
        }
        cache.fetch(state).await?;
    }
}
