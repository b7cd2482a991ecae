//! A partner's adapter whose every call is a span: `partner.debit` and the like, whatever protocol it
//! speaks. HTTP calls below it are spans of their own and carry `traceparent`; ISO 8583 has no place for
//! one. Neither members nor what partners say is noted, only what kind of answer it was.

use async_trait::async_trait;
use mileverse_adapters::{
    Adapter, AskError, Capabilities, Debit, Inquiry, Known, Miles, Notice, Reference, Reversal,
    Session,
};
use mileverse_trace::{Spec, failed, note, span};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

const OUTCOME: &str = "mileverse.outcome";

/// An adapter, watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub adapter: Arc<dyn Adapter>,
    pub programme: String,
}

impl Watched {
    fn spec(&self, name: &'static str) -> Spec {
        Spec::inside(name).with("mileverse.programme", self.programme.clone())
    }

    async fn asked<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, AskError>>,
    ) -> Result<T, AskError> {
        let work = async {
            let answer = call.await;
            match &answer {
                Ok(_) => note(OUTCOME, "ok"),
                Err(AskError::MemberRefused) => note(OUTCOME, "member_refused"),
                Err(AskError::MemberBlocked) => note(OUTCOME, "member_blocked"),
                Err(AskError::GatewayRefused) => failed("gateway_refused"),
                Err(AskError::Unavailable(_)) => failed("unavailable"),
            }
            answer
        };
        span(|| self.spec(name), work).await
    }
}

#[async_trait]
impl Adapter for Watched {
    fn capabilities(&self) -> Capabilities {
        self.adapter.capabilities()
    }

    async fn reachable(&self) -> Result<(), AskError> {
        self.adapter.reachable().await
    }

    async fn authenticate(&self, login: &str, secret: &SecretString) -> Result<Session, AskError> {
        let call = self.adapter.authenticate(login, secret);
        self.asked("partner.authenticate", call).await
    }

    async fn balance(&self, session: &Session) -> Result<Miles, AskError> {
        let call = self.adapter.balance(session);
        self.asked("partner.balance", call).await
    }

    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit {
        let work = async {
            let answer = self.adapter.debit(session, reference, miles).await;
            match &answer {
                Debit::Applied { .. } => note(OUTCOME, "applied"),
                Debit::Refused(_) => note(OUTCOME, "refused"),
                Debit::Unknown(_) => failed("unknown"),
            }
            answer
        };
        span(|| self.spec("partner.debit"), work).await
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        let work = async {
            let answer = self.adapter.inquire(reference).await;
            match &answer {
                Inquiry::Found(Known::Applied { .. }) => note(OUTCOME, "applied"),
                Inquiry::Found(Known::Refused(_)) => note(OUTCOME, "refused"),
                Inquiry::Found(Known::Reversed) => note(OUTCOME, "reversed"),
                Inquiry::NotFound => note(OUTCOME, "not_found"),
                Inquiry::Unknown(_) => failed("unknown"),
            }
            answer
        };
        span(|| self.spec("partner.inquire"), work).await
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let work = async {
            let answer = self.adapter.reverse(reference).await;
            match &answer {
                Reversal::Acknowledged => note(OUTCOME, "acknowledged"),
                Reversal::Refused(_) => note(OUTCOME, "refused"),
                Reversal::Unknown(_) => failed("unknown"),
            }
            answer
        };
        span(|| self.spec("partner.reverse"), work).await
    }

    async fn listen(&self, programme: &str) -> Result<Option<Duration>, AskError> {
        let call = self.adapter.listen(programme);
        self.asked("partner.listen", call).await
    }

    fn notice(&self, secret: &str, body: &[u8]) -> Notice {
        self.adapter.notice(secret, body)
    }
}
