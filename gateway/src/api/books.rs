//! `GET /v1/books`: the journal, and whether the chain agrees with it.

use super::Shared;
use crate::journal::{Books as JournalBooks, ProgrammeBooks};
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use crate::reconcile::supply::OnChain;
use crate::units::MicroPoints;
use alloy::primitives::U256;
use axum::Json;
use axum::extract::State;
use mileverse_gateway_api::books::{Books, ChainFigures, Journal, Programme};

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
    let (journal, chain) = app.machine.books_and_chain().await?;
    let chain = chain.map_or_else(
        |error| {
            tracing::warn!(%error, "the chain cannot be read for the books");
            None
        },
        Some,
    );
    let agrees = chain.as_ref().is_some_and(|chain| agree(&journal, chain));
    let conversions = app.machine.store.counts().await?;
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
    journal.balanced
        && journal.floats_agree
        && chain.agrees(journal)
        && journal
            .programmes
            .iter()
            .all(|programme| programme.micro_points_issued == programme.micro_points_by_rate)
}
