//! From which token where to which token where: the one thing a person chooses.

use crate::{api::Side, problem::Problem};
use mileverse_wallet::{rpc::Chain, units::Token};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A chain.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    /// The native chain.
    #[default]
    Native,
    /// Ethereum.
    Ethereum,
}

impl From<Place> for Chain {
    fn from(place: Place) -> Self {
        match place {
            Place::Native => Self::Native,
            Place::Ethereum => Self::Ethereum,
        }
    }
}

impl From<Chain> for Place {
    fn from(chain: Chain) -> Self {
        match chain {
            Chain::Native => Self::Native,
            Chain::Ethereum => Self::Ethereum,
        }
    }
}

/// What a route takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
pub(crate) enum RouteKind {
    /// The pool of the native chain.
    #[serde(rename = "swap")]
    Swap,
    /// The bridge.
    #[serde(rename = "bridge")]
    Bridge,
    /// Both in one action.
    #[serde(rename = "bridge+swap")]
    BridgeAndSwap,
}

/// A token on a chain, twice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) give: Token,
    pub(crate) from: Chain,
}

impl Route {
    /// The route between the two, and what it takes. Nothing said about what is received means the
    /// other token on the same chain.
    pub(crate) fn find(
        give: Side,
        from: Place,
        receive: Option<Side>,
        to: Option<Place>,
    ) -> Result<(Self, RouteKind), Problem> {
        let to = to.unwrap_or(from);
        let receive = receive.unwrap_or(if from == to { give.other() } else { give });
        let route = Self {
            give: give.into(),
            from: from.into(),
        };
        let kind = match (give == receive, from == to) {
            (false, true) if from == Place::Native => RouteKind::Swap,
            (true, false) => RouteKind::Bridge,
            (false, false) => RouteKind::BridgeAndSwap,
            (false, true) => {
                return Err(Problem::not_offered(
                    "Points and coin are swapped on the native chain only; bring them there first.",
                ));
            }
            (true, true) => {
                return Err(Problem::invalid(
                    "This route ends where it begins; choose another token or another chain.",
                ));
            }
        };
        Ok((route, kind))
    }
}
