//! The chain below the gateways: a stub that answers at once, or a committee on this machine.

use super::stubs;
use crate::{
    error::Error,
    net::{Net, Pace, Plan},
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{abi::IPoints, address::POINTS};
use std::{path::Path, time::Duration};

/// One of them.
pub enum Chain {
    /// Its transactions are final at once.
    Stub(stubs::Chain),
    /// Validators, each a process.
    Net(Box<Net>),
}

impl Chain {
    /// Starts a stub.
    pub async fn stub() -> Result<Self, Error> {
        let started = stubs::Chain::start().await;
        started.map(Self::Stub).map_err(|source| Error::System {
            what: "the chain's stub",
            source,
        })
    }

    /// Starts so many validators, below a directory, for whom this account issues points. Their blocks
    /// come as those of the sample network do.
    pub async fn net(validators: usize, root: &Path, issuer: Address) -> Result<Self, Error> {
        let plan = Plan::new(validators, Pace::sample()?, issuer)?;
        let net = Net::start(root, plan, Duration::ZERO).await?;
        Ok(Self::Net(Box::new(net)))
    }

    /// JSON-RPC.
    pub fn url(&self) -> Result<&str, Error> {
        match self {
            Self::Stub(stub) => Ok(&stub.url),
            Self::Net(net) => net.first().map(|first| first.url()),
        }
    }

    /// Micro-points ever issued.
    pub async fn issued(&self) -> Result<U256, Error> {
        match self {
            Self::Stub(stub) => Ok(stub.total()),
            Self::Net(net) => {
                let call = IPoints::totalIssuedCall {};
                net.first()?.view(POINTS, &call).await
            }
        }
    }

    /// Stops it in order.
    pub async fn stop(self) {
        match self {
            Self::Stub(_) => {}
            Self::Net(net) => net.stop().await,
        }
    }
}
