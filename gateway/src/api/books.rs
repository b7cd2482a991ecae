//! `GET /v1/books`: the journal, and whether the chain agrees with it.
//!
//! The chain runs ahead of the journal for the moment between an issue and its recording, so the
//! conversions whose end is not recorded yet are looked up on the chain one by one and counted.
//! If rows move while this is read, it is read again.

use super::Shared;
use crate::issuer::chain::ChainError;
use crate::issuer::conversion_name;
use crate::journal::{Books as JournalBooks, ProgrammeBooks};
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use crate::units::MicroPoints;
use alloy::primitives::U256;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Unrecorded issues that are looked up at most; more, and the books do not claim to agree.
const MAX_UNRECORDED: u32 = 200;
/// Times the figures are read until they stand still.
const READS: u32 = 5;

/// One programme in the journal.
#[derive(Serialize, ToSchema)]
pub struct Programme {
    programme: String,
    /// Miles taken at the partner and not given back.
    miles_taken: String,
    /// Of those, miles that points were issued for.
    miles_converted: String,
    /// MVP issued for them.
    points_issued: String,
    /// The same in millionths.
    points_issued_micro: String,
    /// Whether points issued equal miles converted times the agreed rates.
    rate_holds: bool,
}

/// The journal's figures.
#[derive(Serialize, ToSchema)]
pub struct Journal {
    /// MVP issued.
    points_issued: String,
    /// The same in millionths.
    points_issued_micro: String,
    /// Whether debits equal credits in every currency.
    balanced: bool,
}

/// The chain's figures.
#[derive(Serialize, ToSchema)]
pub struct ChainFigures {
    /// MVP ever issued.
    points_issued: String,
    /// The same in millionths.
    points_issued_micro: String,
    /// MVP there are, in millionths.
    total_supply_micro: String,
    /// Of those issued, in millionths, what the journal does not have yet because the
    /// conversions are being recorded now.
    unrecorded_micro: String,
}

/// The books.
#[derive(Serialize, ToSchema)]
pub struct Books {
    programmes: Vec<Programme>,
    journal: Journal,
    /// Conversions by state.
    conversions: BTreeMap<String, u64>,
    /// Null if the chain cannot be asked.
    #[schema(required)]
    chain: Option<ChainFigures>,
    /// The journal balances, the rates hold, and the chain issued what the journal says.
    agrees: bool,
}

fn points(micro: U256) -> String {
    u64::try_from(micro).map_or_else(
        |_| (micro / U256::from(crate::units::MICRO_PER_POINT)).to_string(),
        |micro| MicroPoints(micro).to_string(),
    )
}

fn programme(books: &ProgrammeBooks) -> Programme {
    Programme {
        programme: books.programme.clone(),
        miles_taken: books.miles_taken.to_string(),
        miles_converted: books.miles_converted.to_string(),
        points_issued: MicroPoints(books.micro_points_issued).to_string(),
        points_issued_micro: books.micro_points_issued.to_string(),
        rate_holds: books.micro_points_issued == books.micro_points_by_rate,
    }
}

struct OnChain {
    issued: U256,
    supply: U256,
    unrecorded: U256,
    complete: bool,
}

/// Read the books
#[utoipa::path(
    get,
    path = "/v1/books",
    tag = "books",
    security(("api_key" = ["books:read"])),
    responses(
        (status = 200, description = "The books", body = Books),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn read(State(app): Shared, credentials: Credentials) -> Result<Json<Books>, Problem> {
    app.authorize(&credentials, Scope::BooksRead).await?;
    let store = &app.machine.store;
    let mut reads = 0u32;
    let (journal, chain) = loop {
        let before = store.books().await?;
        let chain = on_chain(&app.machine).await;
        let after = store.books().await?;
        reads += 1;
        if before == after || reads >= READS {
            break (after, chain);
        }
    };
    let chain = match chain {
        Ok(chain) => Some(chain),
        Err(Unread::Chain(error)) => {
            tracing::warn!(%error, "the chain cannot be read for the books");
            None
        }
        Err(Unread::Store(error)) => return Err(error.into()),
    };
    let agrees = chain.as_ref().is_some_and(|chain| agree(&journal, chain));
    let conversions = store.counts().await?;
    Ok(Json(Books {
        programmes: journal.programmes.iter().map(programme).collect(),
        journal: Journal {
            points_issued: MicroPoints(journal.micro_points_issued).to_string(),
            points_issued_micro: journal.micro_points_issued.to_string(),
            balanced: journal.balanced,
        },
        conversions: conversions
            .into_iter()
            .map(|(state, many)| (state.name().to_owned(), many))
            .collect(),
        chain: chain.map(|chain| ChainFigures {
            points_issued: points(chain.issued),
            points_issued_micro: chain.issued.to_string(),
            total_supply_micro: chain.supply.to_string(),
            unrecorded_micro: chain.unrecorded.to_string(),
        }),
        agrees,
    }))
}

fn agree(journal: &JournalBooks, chain: &OnChain) -> bool {
    let expected = U256::from(journal.micro_points_issued).checked_add(chain.unrecorded);
    journal.balanced
        && journal.floats_agree
        && chain.complete
        && expected == Some(chain.issued)
        && journal
            .programmes
            .iter()
            .all(|programme| programme.micro_points_issued == programme.micro_points_by_rate)
}

enum Unread {
    Chain(ChainError),
    Store(sqlx::Error),
}

async fn on_chain(machine: &crate::conversion::Machine) -> Result<OnChain, Unread> {
    let issuing = machine
        .store
        .issuing(MAX_UNRECORDED)
        .await
        .map_err(Unread::Store)?;
    let mut unrecorded = U256::ZERO;
    for conversion in &issuing {
        let issued = machine.chain.issued(conversion_name(&conversion.id)).await;
        unrecorded = unrecorded.saturating_add(issued.map_err(Unread::Chain)?);
    }
    Ok(OnChain {
        issued: machine.chain.total_issued().await.map_err(Unread::Chain)?,
        supply: machine.chain.total_supply().await.map_err(Unread::Chain)?,
        unrecorded,
        complete: u32::try_from(issuing.len()).is_ok_and(|many| many < MAX_UNRECORDED),
    })
}
