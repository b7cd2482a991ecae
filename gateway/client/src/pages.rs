//! Lists, page by page or as a stream.

use crate::call::Call;
use crate::error::Error;
use crate::setup::Client;
use futures_util::stream::{self, Stream, TryStreamExt};
use mileverse_gateway_api::conversions::{Conversion, ConversionPage, PageQuery};
use mileverse_gateway_api::float::{TopUp, TopUpPage, TopUpQuery};
use mileverse_gateway_api::wallets::{Withdrawal, WithdrawalPage, WithdrawalQuery};
use mileverse_gateway_api::webhooks::{
    Delivery, DeliveryList, DeliveryQuery, Event, EventList, EventQuery,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A page of a list.
pub(crate) trait Page: DeserializeOwned {
    type Item;
    type Query: Clone + Serialize;
    fn parts(self) -> (Vec<Self::Item>, Option<String>);
    fn after(query: &Self::Query, cursor: String) -> Self::Query;
}

macro_rules! pages {
    ($($page:ident of $item:ident by $query:ident;)*) => {
        $(impl Page for $page {
            type Item = $item;
            type Query = $query;

            fn parts(self) -> (Vec<$item>, Option<String>) {
                (self.items, self.next_cursor)
            }

            fn after(query: &$query, cursor: String) -> $query {
                $query {
                    cursor: Some(cursor),
                    ..query.clone()
                }
            }
        })*
    };
}

pages! {
    ConversionPage of Conversion by PageQuery;
    TopUpPage of TopUp by TopUpQuery;
    DeliveryList of Delivery by DeliveryQuery;
    EventList of Event by EventQuery;
    WithdrawalPage of Withdrawal by WithdrawalQuery;
}

impl Client {
    /// Everything on a list from a query on; each page is asked for when it is needed.
    pub(crate) fn all<'a, P: Page + 'a>(
        &'a self,
        path: Vec<&'a str>,
        query: P::Query,
    ) -> impl Stream<Item = Result<P::Item, Error>> + 'a {
        stream::try_unfold(Some(query), move |query| {
            let path = path.clone();
            async move {
                let Some(query) = query else {
                    return Ok(None);
                };
                let page: P = self.ask(Call::get(&path).query(&query)?).await?;
                let (items, next) = page.parts();
                let next = next.map(|cursor| P::after(&query, cursor));
                let items = stream::iter(items.into_iter().map(Ok));
                Ok::<_, Error>(Some((items, next)))
            }
        })
        .try_flatten()
    }
}
