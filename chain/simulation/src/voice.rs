//! A sender that reaches only those who are meant to hear it.

use commonware_p2p::{LimitedSender, Recipients, simulated::Sender};
use commonware_runtime::deterministic;
use mileverse_consensus::block::PublicKey;
use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

type Inner = Sender<PublicKey, deterministic::Context>;

/// Who hears a voice.
#[derive(Clone, Debug, Default)]
pub enum Audience {
    /// Everybody.
    #[default]
    All,
    /// These.
    Only(Arc<BTreeSet<PublicKey>>),
}

impl Audience {
    /// Nobody.
    pub fn nobody() -> Self {
        Self::Only(Arc::default())
    }

    fn of(&self, recipients: Recipients<PublicKey>) -> Recipients<PublicKey> {
        let Self::Only(limit) = self else {
            return recipients;
        };
        Recipients::Some(match recipients {
            Recipients::All => limit.iter().cloned().collect(),
            Recipients::Some(named) => named
                .into_iter()
                .filter(|name| limit.contains(name))
                .collect(),
            Recipients::One(name) => limit.get(&name).cloned().into_iter().collect(),
        })
    }
}

/// A sender with an audience.
#[derive(Clone, Debug)]
pub struct Voice {
    inner: Inner,
    audience: Audience,
}

impl Voice {
    /// Lets only `audience` hear `inner`.
    pub const fn new(inner: Inner, audience: Audience) -> Self {
        Self { inner, audience }
    }
}

impl LimitedSender for Voice {
    type PublicKey = PublicKey;
    type Checked<'a> = <Inner as LimitedSender>::Checked<'a>;

    fn check(
        &mut self,
        recipients: Recipients<PublicKey>,
    ) -> Result<Self::Checked<'_>, SystemTime> {
        self.inner.check(self.audience.of(recipients))
    }
}
