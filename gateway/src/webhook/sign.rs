//! Secrets and signatures of endpoints. A secret follows from the master key, the endpoint and a version, so no
//! database holds one, and replacing one is counting its version up.

use crate::secrets::Secrets;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mileverse_gateway_api::message::{Message, PREFIX, Secret};

/// Makes the secrets of all endpoints.
#[derive(Clone, Debug)]
pub struct Signer(hmac::Key);

impl Signer {
    /// From the gateway's secrets.
    pub fn new(secrets: &Secrets) -> Self {
        Self(secrets.derive("webhook secrets"))
    }

    fn secret(&self, endpoint: &str, version: i64) -> hmac::Tag {
        hmac::sign(&self.0, format!("{endpoint}:{version}").as_bytes())
    }

    /// A secret as its partner is shown it.
    pub fn shown(&self, endpoint: &str, version: i64) -> String {
        format!(
            "{PREFIX}{}",
            STANDARD.encode(self.secret(endpoint, version))
        )
    }

    /// The signature of a message under one version of an endpoint's secret.
    pub fn sign(&self, endpoint: &str, version: i64, message: &Message<'_>) -> String {
        Secret::new(self.secret(endpoint, version).as_ref()).sign(message)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn whoever_has_the_shown_secret_gets_the_same_signature() {
        let signer = Signer::new(&Secrets::new(b"master"));
        let message = Message {
            id: "evt_1",
            seconds: 1_700_000_000,
            body: b"{}",
        };
        let shown = signer.shown("whk_1", 1);
        let secret = Secret::parse(&shown).unwrap();
        assert_eq!(signer.sign("whk_1", 1, &message), secret.sign(&message));
        assert_ne!(shown, signer.shown("whk_1", 2));
        assert_ne!(shown, signer.shown("whk_2", 1));
    }
}
