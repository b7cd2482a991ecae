//! How refusals read to a caller.

use crate::conversion::ask::Refused;
use crate::custody::{CustodyError, LEAST};
use crate::problem::{self, Problem};
use crate::units::MilesError;
use axum::http::{HeaderValue, header};
use mileverse_adapters::AskError;

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Programme(name) => Self::new(
                problem::ProgrammeUnknown,
                format!(
                    "There is no programme {name:?}; use one that the gateway is configured for."
                ),
            ),
            Refused::Miles(error) => miles(error),
            Refused::BelowMinimum(minimum) => Self::new(
                problem::AmountBelowMinimum,
                format!("This programme converts at least {minimum} miles at once; ask for more."),
            )
            .with("minimum_miles", minimum.to_string()),
            Refused::AboveMaximum(maximum) => Self::new(
                problem::AmountAboveMaximum,
                format!("This programme converts at most {maximum} miles at once; ask for fewer."),
            )
            .with("maximum_miles", maximum.to_string()),
            Refused::AboveBalance(balance) => Self::new(
                problem::AmountAboveBalance,
                format!("The member has {balance} miles; ask for at most that many."),
            )
            .with("balance", balance.to_string()),
            Refused::WholeOnly(balance) => Self::new(
                problem::AmountBelowMinimum,
                format!("This partner converts only whole balances; ask for all {balance} miles."),
            )
            .with("balance", balance.to_string()),
            Refused::Partner(error) => partner(&error),
            Refused::QuoteUnknown => Self::new(
                problem::QuoteUnknown,
                "There is no such quote of yours; make one with POST /v1/quotes.",
            ),
            Refused::QuoteExpired => Self::new(
                problem::QuoteExpired,
                "The quote has expired; make a new one with POST /v1/quotes.",
            ),
            Refused::QuoteUsed(conversion) => Self::new(
                problem::QuoteUsed,
                format!("The quote was used by {conversion}; look that up, or make a new quote."),
            )
            .with("conversion_id", conversion),
            Refused::ReferenceUsed(conversion) => Self::new(
                problem::ReferenceUsed,
                format!("The reference names {conversion} already; look that up, or use another reference."),
            )
            .with("conversion_id", conversion),
            Refused::MemberUnknown => Self::new(
                problem::MemberUnknown,
                "There is no such member of yours in this programme; link it with POST /v1/members.",
            ),
            Refused::Relink => Self::new(
                problem::Relink,
                "The partner does not accept this member's link any more; link the member again with POST /v1/members.",
            ),
            Refused::MemberMismatch => Self::new(
                problem::MemberMismatch,
                "The quote was made for another member; send that member's login and password, or make a new quote.",
            ),
            Refused::FloatShort { available, needed } => Self::new(
                problem::FloatShort,
                format!("Your float holds {available} MVP and this takes {needed}; top it up with POST /v1/top-ups. Nothing has moved."),
            )
            .with("available", available.to_string())
            .with("needed", needed.to_string()),
            Refused::DailyLimit(limit) => Self::new(
                problem::DailyLimit,
                format!("At most {limit} miles can be converted on one day (UTC); convert fewer, or tomorrow."),
            )
            .with("daily_miles", limit.to_string()),
            Refused::Receiver(why) => Self::new(
                problem::ReceiverInvalid,
                format!("The receiver cannot be used: {why}; send the member's own address."),
            ),
            Refused::Custody(error) => error.into(),
            Refused::Store(error) => Self::internal(&error),
        }
    }
}

impl From<CustodyError> for Problem {
    fn from(error: CustodyError) -> Self {
        let later =
            |problem: Self| problem.header(header::RETRY_AFTER, HeaderValue::from_static("5"));
        match error {
            CustodyError::Off => Self::new(
                problem::CustodyOff,
                "This gateway keeps no wallets; send the member's own address, or ask its operator.",
            ),
            CustodyError::NotLinked => Self::new(
                problem::ReceiverInvalid,
                "Only a linked member has a wallet here; link the member with POST /v1/members and name it by id.",
            ),
            CustodyError::NoMember => Self::new(
                problem::MemberUnknown,
                "There is no such member of yours, or it has left; link it with POST /v1/members.",
            ),
            CustodyError::NoWallet => Self::new(
                problem::NotFound,
                "The member has no wallet here; PUT /v1/members/{id}/wallet makes one.",
            ),
            CustodyError::Receiver(why) => Self::new(
                problem::ReceiverInvalid,
                format!("The receiver cannot be used: {why}; send an address on the native chain."),
            ),
            CustodyError::Amount(why) => Self::new(
                problem::WithdrawalAmount,
                format!("The points cannot be withdrawn: {why}; send MVP such as \"12.5\", or \"all\"."),
            ),
            CustodyError::Short { movable, balance } => Self::new(
                problem::WalletShort,
                format!("The wallet holds {balance} MVP, of which at most {movable} can be moved to this receiver; ask for at most that. The fee comes on top, and below {LEAST} MVP nothing can be moved."),
            )
            .with("movable", movable.to_string())
            .with("balance", balance.to_string()),
            CustodyError::Fee(fee) => Self::new(
                problem::WithdrawalFee,
                format!("The chain takes a fee of {fee} MVP, more than maximum_fee; show the member this fee and ask again. Nothing has moved."),
            )
            .with("fee", fee.to_string()),
            CustodyError::Open(id) => Self::new(
                problem::WithdrawalOpen,
                format!("{id} of this wallet is under way; look it up, and ask again with a new Idempotency-Key when it is final."),
            )
            .with("withdrawal_id", id),
            CustodyError::Daily(most) => Self::new(
                problem::DailyLimit,
                format!("At most {most} MVP can be withdrawn on one day (UTC); withdraw less, or tomorrow."),
            )
            .with("daily_points", most.to_string()),
            CustodyError::NotEmpty(balance) => Self::new(
                problem::WalletNotEmpty,
                format!("The member's wallet holds {balance} MVP; move them out first with POST /v1/members/{{id}}/wallet/withdrawals and \"points\": \"all\", then erase the member."),
            )
            .with("points", balance.to_string()),
            CustodyError::Busy => later(Self::new(
                problem::WalletNotEmpty,
                "Points are on their way into the member's wallet or out of it; wait until that conversion or withdrawal is final, move out what is there, then erase the member.",
            )),
            CustodyError::Behind => later(Self::new(
                problem::ChainUnavailable,
                "The chain's node does not know of the wallet's last transaction yet; nothing has moved, try again in a moment.",
            )),
            CustodyError::Chain(error) => {
                tracing::warn!(%error, "the chain cannot be asked about a wallet");
                later(Self::new(
                    problem::ChainUnavailable,
                    "The chain cannot be asked at the moment; nothing has moved, try again later.",
                ))
            }
            CustodyError::Key { .. } => Self::internal(&error),
            CustodyError::Store(error) => Self::internal(&error),
        }
    }
}

fn miles(error: MilesError) -> Problem {
    let (kind, detail) = match error {
        MilesError::Zero => (
            problem::AmountZero,
            "The amount is zero; ask for at least one mile.",
        ),
        MilesError::Negative => (
            problem::AmountNegative,
            "The amount is negative; ask for at least one mile.",
        ),
        MilesError::Fractional => (
            problem::AmountFractional,
            "Miles have no fractions; send a whole number without a decimal point.",
        ),
        MilesError::Malformed | MilesError::TooLarge => (
            problem::AmountMalformed,
            "The amount is not a number of miles; send digits only, such as \"10000\".",
        ),
    };
    Problem::new(kind, detail)
}

fn partner(error: &AskError) -> Problem {
    let unavailable = |detail: &str| {
        Problem::new(problem::PartnerUnavailable, detail)
            .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
    };
    match error {
        AskError::MemberRefused => Problem::new(
            problem::MemberRefused,
            "The partner does not accept this login and password; ask the member to check them.",
        ),
        AskError::MemberBlocked => Problem::new(
            problem::MemberRefused,
            "The partner has blocked this member's account; the member must ask the partner.",
        ),
        AskError::GatewayRefused => {
            tracing::error!("a partner refuses the gateway's own credentials");
            unavailable(
                "The partner does not accept the gateway at the moment; nothing has moved, try again later.",
            )
        }
        AskError::Unavailable(why) => {
            tracing::warn!(%why, "a partner gave no usable answer");
            unavailable("The partner gave no usable answer; nothing has moved, try again later.")
        }
    }
}
