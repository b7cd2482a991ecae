//! Filters: questions that a client asks again and again, and is only told what is new.
//!
//! A filter belongs to this node's memory: it is gone after a restart, or when nobody asked for it
//! for [`FILTER_LIFE`]. Its id cannot be guessed.

use super::logs;
use crate::{
    arguments::Arguments,
    context::Context,
    failure,
    guard::Client,
    limits::{FILTER_LIFE, MAX_FILTERS, MAX_FILTERS_PER_CLIENT},
    register::{Answer, disk},
    server::random_id,
};
use alloy::rpc::types::{Filter, FilterBlockOption, Log};
use jsonrpsee::{Extensions, RpcModule, core::RegisterMethodError};
use mileverse_primitives::B256;
use serde::Serialize;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// What a filter tells.
#[derive(Clone)]
enum Kind {
    Logs(Box<Filter>),
    Blocks,
    Transactions,
}

struct Installed {
    kind: Kind,
    owner: IpAddr,
    /// The first height, or the last place in the order of arrivals, that was not told yet.
    next: u64,
    used: Instant,
}

/// All filters; clones share them.
#[derive(Clone, Default)]
pub struct Filters {
    installed: Arc<Mutex<HashMap<String, Installed>>>,
}

/// What is new.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum News {
    Logs(Vec<Log>),
    Hashes(Vec<B256>),
}

impl Filters {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Installed>> {
        self.installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn install(&self, kind: Kind, owner: IpAddr, next: u64) -> Answer<String> {
        let mut installed = self.lock();
        installed.retain(|_, filter| filter.used.elapsed() < FILTER_LIFE);
        let own = installed.values().filter(|filter| filter.owner == owner);
        if installed.len() >= MAX_FILTERS || own.count() >= MAX_FILTERS_PER_CLIENT {
            return Err(failure::refused(format!(
                "too many filters; uninstall some (at most {MAX_FILTERS_PER_CLIENT} for one client, {MAX_FILTERS} for all)"
            )));
        }
        let id = random_id();
        let filter = Installed {
            kind,
            owner,
            next,
            used: Instant::now(),
        };
        installed.insert(id.clone(), filter);
        Ok(id)
    }

    /// A filter and what it has not told yet.
    fn get(&self, id: &str) -> Answer<(Kind, u64)> {
        let mut installed = self.lock();
        let found = installed
            .get_mut(id)
            .filter(|filter| filter.used.elapsed() < FILTER_LIFE)
            .ok_or_else(|| failure::refused("filter not found"))?;
        found.used = Instant::now();
        Ok((found.kind.clone(), found.next))
    }

    fn told(&self, id: &str, next: u64) {
        if let Some(filter) = self.lock().get_mut(id) {
            filter.next = filter.next.max(next);
        }
    }

    fn uninstall(&self, id: &str) -> bool {
        self.lock().remove(id).is_some()
    }
}

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_method("eth_newFilter", |params, context, extensions| {
        let filter: Filter = Arguments::of(&params)?.next()?;
        logs::check(&filter)?;
        let kind = Kind::Logs(Box::new(filter));
        context
            .filters
            .install(kind, owner(extensions), after_tip(context))
    })?;
    module.register_method("eth_newBlockFilter", |_, context, extensions| {
        context
            .filters
            .install(Kind::Blocks, owner(extensions), after_tip(context))
    })?;
    module.register_method(
        "eth_newPendingTransactionFilter",
        |_, context, extensions| {
            let (_, newest) = context.admission.mempool.arrived_after(u64::MAX);
            context
                .filters
                .install(Kind::Transactions, owner(extensions), newest)
        },
    )?;
    module.register_method("eth_uninstallFilter", |params, context, _| {
        let id: String = Arguments::of(&params)?.next()?;
        Answer::Ok(context.filters.uninstall(&id))
    })?;
    disk(module, "eth_getFilterChanges", changes)?;
    disk(module, "eth_getFilterLogs", all)
}

fn owner(extensions: &Extensions) -> IpAddr {
    extensions
        .get::<Client>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), Client::address)
}

fn after_tip(context: &Context) -> u64 {
    context.reads.tip().header.height.saturating_add(1)
}

fn changes(context: &Context, mut arguments: Arguments) -> Answer<News> {
    let id: String = arguments.next()?;
    let (kind, next) = context.filters.get(&id)?;
    let tip = context.reads.tip().header.height;
    let (news, told) = match kind {
        Kind::Logs(filter) => {
            let (from, to) = match filter.block_option {
                FilterBlockOption::AtBlockHash(_) => (next, tip),
                FilterBlockOption::Range {
                    from_block,
                    to_block,
                } => {
                    let from = from_block.and_then(|block| block.as_number());
                    let to = to_block.and_then(|block| block.as_number());
                    (next.max(from.unwrap_or(next)), tip.min(to.unwrap_or(tip)))
                }
            };
            let logs = logs::within(context, &filter, from..=to)?;
            (News::Logs(logs), tip.saturating_add(1))
        }
        Kind::Blocks => {
            let mut hashes = Vec::new();
            for height in next..=tip {
                let block = context.index.block(height).map_err(failure::index)?;
                hashes.extend(block.map(|block| block.header.digest()));
            }
            (News::Hashes(hashes), tip.saturating_add(1))
        }
        Kind::Transactions => {
            let (hashes, newest) = context.admission.mempool.arrived_after(next);
            (News::Hashes(hashes), newest)
        }
    };
    context.filters.told(&id, told);
    Ok(news)
}

fn all(context: &Context, mut arguments: Arguments) -> Answer<Vec<Log>> {
    let id: String = arguments.next()?;
    match context.filters.get(&id)? {
        (Kind::Logs(filter), _) => logs::all(context, &filter),
        _ => Err(failure::refused("filter not found")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(203, 0, 113, last).into()
    }

    #[test]
    fn a_client_has_its_share_and_no_more() {
        let filters = Filters::default();
        let ids: Vec<_> = (0..MAX_FILTERS_PER_CLIENT)
            .map(|_| filters.install(Kind::Blocks, client(1), 1).unwrap())
            .collect();
        assert!(filters.install(Kind::Blocks, client(1), 1).is_err());
        assert!(filters.install(Kind::Blocks, client(2), 1).is_ok());
        assert!(filters.uninstall(&ids[0]));
        assert!(!filters.uninstall(&ids[0]));
        assert!(filters.get(&ids[0]).is_err());
        assert!(filters.install(Kind::Blocks, client(1), 1).is_ok());
    }

    #[test]
    fn what_was_told_is_not_told_again() {
        let filters = Filters::default();
        let id = filters.install(Kind::Blocks, client(1), 5).unwrap();
        filters.told(&id, 9);
        filters.told(&id, 7);
        assert_eq!(filters.get(&id).unwrap().1, 9);
    }
}
