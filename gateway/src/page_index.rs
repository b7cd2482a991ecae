//! The page's index of packets and histories, kept in the gateway's database.

use crate::conversion::Machine;
use alloy::primitives::Address;
use mileverse_app::index::{Chain, Cursor, Filed, Known, Listed, Shelf, ShelfError, Touched};
use std::sync::Arc;

/// The shelf that the page's index fills.
#[derive(Debug)]
pub struct PageIndex(pub Arc<Machine>);

fn away(error: sqlx::Error) -> ShelfError {
    ShelfError(Box::new(error))
}

impl Shelf for PageIndex {
    fn cursor(&self, chain: Chain) -> Filed<'_, Option<Cursor>> {
        Box::pin(async move { self.0.store.packet_cursor(chain).await.map_err(away) })
    }

    fn put<'a>(
        &'a self,
        chain: Chain,
        from: Option<Cursor>,
        to: Cursor,
        packets: &'a [Listed],
    ) -> Filed<'a, bool> {
        Box::pin(async move {
            let put = self.0.store.put_packets(chain, from, to, packets).await;
            put.map_err(away)
        })
    }

    fn sent_by(
        &self,
        chain: Chain,
        account: Address,
        below: u64,
        limit: usize,
    ) -> Filed<'_, Vec<Listed>> {
        Box::pin(async move {
            let found = self
                .0
                .store
                .packets_sent_by(chain, account, below, limit)
                .await;
            found.map_err(away)
        })
    }

    fn newest(&self, chain: Chain) -> Filed<'_, Option<u64>> {
        Box::pin(async move { self.0.store.newest_packet(chain).await.map_err(away) })
    }

    fn known(&self, chain: Chain) -> Filed<'_, Option<Known>> {
        Box::pin(async move { self.0.store.history_known(chain).await.map_err(away) })
    }

    fn put_touched<'a>(
        &'a self,
        chain: Chain,
        from: Option<Known>,
        to: Known,
        touched: &'a [Touched],
    ) -> Filed<'a, bool> {
        Box::pin(async move {
            let put = self.0.store.put_touched(chain, from, to, touched).await;
            put.map_err(away)
        })
    }

    fn blocks(
        &self,
        chain: Chain,
        account: Address,
        below: u64,
        limit: usize,
    ) -> Filed<'_, Vec<u64>> {
        Box::pin(async move {
            let found = self
                .0
                .store
                .history_blocks(chain, account, below, limit)
                .await;
            found.map_err(away)
        })
    }
}
