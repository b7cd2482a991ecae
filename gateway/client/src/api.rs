//! A method for each thing that can be asked. What each does, field by field, is in the OpenAPI
//! document and on the types.

use crate::call::{Call, IdempotencyKey};
use crate::error::Error;
use crate::setup::Client;
use futures_util::Stream;
use http::Method;
use mileverse_gateway_api::books::Books;
use mileverse_gateway_api::conversions::{
    Conversion, ConversionPage, ConversionRequest, DisputeRequest, PageQuery, Quote, QuoteRequest,
    State,
};
use mileverse_gateway_api::float::{
    Float, PaymentRequest, PriceView, TopUp, TopUpPage, TopUpQuery, TopUpRequest,
};
use mileverse_gateway_api::members::{LinkRequest, LinkedMember, MemberBalance};
use mileverse_gateway_api::programmes::{ProgrammeList, ProgrammeTerms};
use mileverse_gateway_api::sandbox::{AdvanceRequest, Clock};
use mileverse_gateway_api::signing::{
    SignatureRule, SigningKey, SigningKeyList, SigningKeyRequest,
};
use mileverse_gateway_api::statement::{Statement, StatementQuery};
use mileverse_gateway_api::wallets::{
    TermsQuery, Wallet, Withdrawal, WithdrawalPage, WithdrawalQuery, WithdrawalRequest,
    WithdrawalTerms,
};
use mileverse_gateway_api::webhooks::{
    Delivery, DeliveryList, DeliveryQuery, Event, EventList, EventQuery, Replay, ReplayRequest,
    ResendRequest, RotateRequest, Webhook, WebhookChange, WebhookList, WebhookRequest,
    WebhookSecret,
};
use std::time::Duration;
use tokio::time::{self, Instant};

const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// Conversions.
impl Client {
    /// What can be converted, on what terms.
    pub async fn programmes(&self) -> Result<Vec<ProgrammeTerms>, Error> {
        let list: ProgrammeList = self.ask(Call::get(&["v1", "programmes"])).await?;
        Ok(list.items)
    }

    /// Quotes a conversion. Moves nothing.
    pub async fn quote(
        &self,
        key: &IdempotencyKey,
        request: &QuoteRequest,
    ) -> Result<Quote, Error> {
        let call = Call::post(&["v1", "quotes"]).body(request)?;
        self.ask(call.key(key)).await
    }

    /// Converts. What comes back may still be on its way: see [`Client::settled`]. One that was
    /// refused or reversed is a [`crate::Problem`] that names it.
    pub async fn convert(
        &self,
        key: &IdempotencyKey,
        request: &ConversionRequest,
    ) -> Result<Conversion, Error> {
        let call = Call::post(&["v1", "conversions"]).body(request)?;
        self.ask(call.key(key)).await
    }

    /// Looks a conversion up.
    pub async fn conversion(&self, id: &str) -> Result<Conversion, Error> {
        self.ask(Call::get(&["v1", "conversions", id])).await
    }

    /// Looks a conversion up by what you call it.
    pub async fn conversion_by_reference(
        &self,
        reference: &str,
    ) -> Result<Option<Conversion>, Error> {
        let query = PageQuery {
            reference: Some(reference.to_owned()),
            ..PageQuery::default()
        };
        Ok(self.conversions_page(&query).await?.items.pop())
    }

    /// Looks a conversion up until nothing more happens to it by itself, for so long. A webhook tells
    /// the same without asking.
    pub async fn settled(&self, id: &str, patience: Duration) -> Result<Conversion, Error> {
        let until = Instant::now() + patience;
        let mut pause = FIRST_LOOK;
        loop {
            let conversion = self.conversion(id).await?;
            if conversion.is_final || conversion.state().is_some_and(State::is_settled) {
                return Ok(conversion);
            }
            if Instant::now() + pause > until {
                return Err(Error::Unsettled {
                    id: conversion.id,
                    state: conversion.state,
                });
            }
            time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_LOOK);
        }
    }

    /// Conversions, newest first; pages are asked for as they are needed.
    pub fn conversions(
        &self,
        query: PageQuery,
    ) -> impl Stream<Item = Result<Conversion, Error>> + '_ {
        self.all::<ConversionPage>(vec!["v1", "conversions"], query)
    }

    /// One page of conversions.
    pub async fn conversions_page(&self, query: &PageQuery) -> Result<ConversionPage, Error> {
        self.ask(Call::get(&["v1", "conversions"]).query(query)?)
            .await
    }

    /// Cancels a conversion, as long as no issue is signed.
    pub async fn cancel(&self, id: &str) -> Result<Conversion, Error> {
        let call = Call::post(&["v1", "conversions", id, "cancel"]);
        self.ask(call.repeatable()).await
    }

    /// Disputes a completed conversion, in time.
    pub async fn dispute(&self, id: &str, why: &str) -> Result<Conversion, Error> {
        let why = why.to_owned();
        let call = Call::post(&["v1", "conversions", id, "dispute"]);
        self.ask(call.body(&DisputeRequest { why })?.repeatable())
            .await
    }

    /// What some days came to: first and last day such as `2026-11-01`, UTC.
    pub async fn statement(&self, from: &str, to: &str) -> Result<Statement, Error> {
        let query = StatementQuery {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        self.ask(Call::get(&["v1", "statement"]).query(&query)?)
            .await
    }

    /// The journal against the chain.
    pub async fn books(&self) -> Result<Books, Error> {
        self.ask(Call::get(&["v1", "books"])).await
    }
}

/// Members.
impl Client {
    /// Links a member, once.
    pub async fn link(
        &self,
        key: &IdempotencyKey,
        request: &LinkRequest,
    ) -> Result<LinkedMember, Error> {
        let call = Call::post(&["v1", "members"]).body(request)?;
        self.ask(call.key(key)).await
    }

    /// Looks a member up.
    pub async fn member(&self, id: &str) -> Result<LinkedMember, Error> {
        self.ask(Call::get(&["v1", "members", id])).await
    }

    /// What a member has at the partner, in miles.
    pub async fn balance(&self, id: &str) -> Result<u64, Error> {
        let call = Call::get(&["v1", "members", id, "balance"]);
        Ok(self.ask::<MemberBalance>(call).await?.miles)
    }

    /// Erases a member. Erased before is not found.
    pub async fn erase(&self, id: &str) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, &["v1", "members", id]);
        self.send(&call).await.map(|_| ())
    }
}

/// Wallets that the gateway keeps for members.
impl Client {
    /// Makes a linked member's wallet, once; a conversion to
    /// [`CUSTODIAL`](mileverse_gateway_api::wallets::CUSTODIAL) does it too.
    pub async fn make_wallet(&self, member_id: &str) -> Result<Wallet, Error> {
        let call = Call::new(Method::PUT, &["v1", "members", member_id, "wallet"]);
        self.ask(call).await
    }

    /// What a member's wallet holds now.
    pub async fn wallet(&self, member_id: &str) -> Result<Wallet, Error> {
        self.ask(Call::get(&["v1", "members", member_id, "wallet"]))
            .await
    }

    /// What moving points out of a member's wallet costs now: MVP, or `all`.
    pub async fn withdrawal_terms(
        &self,
        member_id: &str,
        receiver: &str,
        points: &str,
    ) -> Result<WithdrawalTerms, Error> {
        let query = TermsQuery {
            receiver: receiver.to_owned(),
            points: points.to_owned(),
        };
        let call = Call::get(&["v1", "members", member_id, "wallet", "terms"]);
        self.ask(call.query(&query)?).await
    }

    /// Moves points out of a member's wallet. What comes back may still be on its way: see
    /// [`Client::withdrawn`]. One that failed is a [`crate::Problem`] that names it.
    pub async fn withdraw(
        &self,
        key: &IdempotencyKey,
        member_id: &str,
        request: &WithdrawalRequest,
    ) -> Result<Withdrawal, Error> {
        let call = Call::post(&["v1", "members", member_id, "wallet", "withdrawals"]);
        self.ask(call.body(request)?.key(key)).await
    }

    /// Looks a withdrawal up.
    pub async fn withdrawal(&self, id: &str) -> Result<Withdrawal, Error> {
        self.ask(Call::get(&["v1", "withdrawals", id])).await
    }

    /// Looks a withdrawal up until it is final, for so long. A webhook tells the same without asking.
    pub async fn withdrawn(&self, id: &str, patience: Duration) -> Result<Withdrawal, Error> {
        let until = Instant::now() + patience;
        let mut pause = FIRST_LOOK;
        loop {
            let withdrawal = self.withdrawal(id).await?;
            if withdrawal.is_final {
                return Ok(withdrawal);
            }
            if Instant::now() + pause > until {
                return Err(Error::Unsettled {
                    id: withdrawal.id,
                    state: withdrawal.state,
                });
            }
            time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_LOOK);
        }
    }

    /// Withdrawals, newest first; pages are asked for as they are needed.
    pub fn withdrawals(
        &self,
        query: WithdrawalQuery,
    ) -> impl Stream<Item = Result<Withdrawal, Error>> + '_ {
        self.all::<WithdrawalPage>(vec!["v1", "withdrawals"], query)
    }
}

/// Prepaid points.
impl Client {
    /// What is left.
    pub async fn float(&self) -> Result<Float, Error> {
        self.ask(Call::get(&["v1", "float"])).await
    }

    /// What a point costs.
    pub async fn price(&self) -> Result<PriceView, Error> {
        self.ask(Call::get(&["v1", "price"])).await
    }

    /// Begins a top-up.
    pub async fn top_up(
        &self,
        key: &IdempotencyKey,
        request: &TopUpRequest,
    ) -> Result<TopUp, Error> {
        let call = Call::post(&["v1", "top-ups"]).body(request)?;
        self.ask(call.key(key)).await
    }

    /// Looks a top-up up.
    pub async fn top_up_by_id(&self, id: &str) -> Result<TopUp, Error> {
        self.ask(Call::get(&["v1", "top-ups", id])).await
    }

    /// Top-ups, newest first.
    pub fn top_ups(&self, query: TopUpQuery) -> impl Stream<Item = Result<TopUp, Error>> + '_ {
        self.all::<TopUpPage>(vec!["v1", "top-ups"], query)
    }

    /// Says that a top-up was paid. Until the payment is final, that is a problem of the kind
    /// `PaymentPending`: say it again later.
    pub async fn paid(&self, id: &str, transaction_hash: &str) -> Result<TopUp, Error> {
        let call = Call::post(&["v1", "top-ups", id, "payment"]);
        let request = PaymentRequest {
            transaction_hash: transaction_hash.to_owned(),
        };
        self.ask(call.body(&request)?.repeatable()).await
    }
}

/// Being told what happened.
impl Client {
    /// Adds an endpoint.
    pub async fn add_webhook(
        &self,
        key: &IdempotencyKey,
        request: &WebhookRequest,
    ) -> Result<Webhook, Error> {
        let call = Call::post(&["v1", "webhooks"]).body(request)?;
        self.ask(call.key(key)).await
    }

    /// All endpoints.
    pub async fn webhooks(&self) -> Result<Vec<Webhook>, Error> {
        let list: WebhookList = self.ask(Call::get(&["v1", "webhooks"])).await?;
        Ok(list.items)
    }

    /// Looks an endpoint up.
    pub async fn webhook(&self, id: &str) -> Result<Webhook, Error> {
        self.ask(Call::get(&["v1", "webhooks", id])).await
    }

    /// Changes an endpoint.
    pub async fn change_webhook(&self, id: &str, change: &WebhookChange) -> Result<Webhook, Error> {
        let call = Call::new(Method::PATCH, &["v1", "webhooks", id]);
        self.ask(call.body(change)?.repeatable()).await
    }

    /// Deletes an endpoint. Deleted before is not found.
    pub async fn delete_webhook(&self, id: &str) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, &["v1", "webhooks", id]);
        self.send(&call).await.map(|_| ())
    }

    /// What verifies the messages of an endpoint; see [`crate::message::Secret::parse`].
    pub async fn webhook_secret(&self, id: &str) -> Result<WebhookSecret, Error> {
        self.ask(Call::get(&["v1", "webhooks", id, "secret"])).await
    }

    /// Replaces the secret of an endpoint.
    pub async fn rotate_webhook_secret(
        &self,
        id: &str,
        request: &RotateRequest,
    ) -> Result<WebhookSecret, Error> {
        let call = Call::post(&["v1", "webhooks", id, "secret"]);
        self.ask(call.body(request)?.repeatable()).await
    }

    /// Sends an endpoint an event to try it; each time another.
    pub async fn test_webhook(&self, id: &str) -> Result<Event, Error> {
        self.ask(Call::post(&["v1", "webhooks", id, "test"])).await
    }

    /// Has an endpoint sent what it missed since a moment (RFC 3339).
    pub async fn replay(&self, id: &str, since: &str) -> Result<Replay, Error> {
        let call = Call::post(&["v1", "webhooks", id, "replay"]);
        let request = ReplayRequest {
            since: since.to_owned(),
        };
        self.ask(call.body(&request)?.repeatable()).await
    }

    /// What was sent to an endpoint, newest event first.
    pub fn deliveries<'a>(
        &'a self,
        id: &'a str,
        query: DeliveryQuery,
    ) -> impl Stream<Item = Result<Delivery, Error>> + 'a {
        self.all::<DeliveryList>(vec!["v1", "webhooks", id, "deliveries"], query)
    }

    /// What happened, newest first.
    pub fn events(&self, query: EventQuery) -> impl Stream<Item = Result<Event, Error>> + '_ {
        self.all::<EventList>(vec!["v1", "events"], query)
    }

    /// Looks an event up: a message's `webhook-id`.
    pub async fn event(&self, id: &str) -> Result<Event, Error> {
        self.ask(Call::get(&["v1", "events", id])).await
    }

    /// Sends an event to an endpoint again.
    pub async fn resend(&self, event_id: &str, webhook_id: &str) -> Result<Event, Error> {
        let call = Call::post(&["v1", "events", event_id, "resend"]);
        let request = ResendRequest {
            webhook_id: webhook_id.to_owned(),
        };
        self.ask(call.body(&request)?).await
    }
}

/// Only in a sandbox.
impl Client {
    /// The sandbox's clock.
    pub async fn sandbox_clock(&self) -> Result<Clock, Error> {
        self.ask(Call::get(&["v1", "sandbox", "clock"])).await
    }

    /// Moves the sandbox's clock ahead, by whole seconds.
    pub async fn advance_sandbox_clock(
        &self,
        key: &IdempotencyKey,
        by: Duration,
    ) -> Result<Clock, Error> {
        let call = Call::post(&["v1", "sandbox", "clock"]);
        let request = AdvanceRequest {
            advance_seconds: by.as_secs(),
        };
        self.ask(call.body(&request)?.key(key)).await
    }
}

/// Signed requests.
impl Client {
    /// Registers a signing key under its name.
    pub async fn register_signing_key(
        &self,
        key: &mileverse_gateway_api::signature::SigningKey,
    ) -> Result<SigningKey, Error> {
        let call = Call::new(Method::PUT, &["v1", "signing-keys", key.name()]);
        let request = SigningKeyRequest {
            public_key: key.public_key(),
        };
        self.ask(call.body(&request)?).await
    }

    /// The signing keys of the API key.
    pub async fn signing_keys(&self) -> Result<SigningKeyList, Error> {
        self.ask(Call::get(&["v1", "signing-keys"])).await
    }

    /// Deletes a signing key. Deleted before is not found.
    pub async fn delete_signing_key(&self, name: &str) -> Result<(), Error> {
        let call = Call::new(Method::DELETE, &["v1", "signing-keys", name]);
        self.send(&call).await.map(|_| ())
    }

    /// Says whether every request with the API key must be signed. Must itself be signed.
    pub async fn require_signatures(&self, required: bool) -> Result<SignatureRule, Error> {
        let call = Call::new(Method::PUT, &["v1", "signature-rule"]);
        self.ask(call.body(&SignatureRule { required })?).await
    }
}
