//! All that the journal has as issued against all that the chain ever issued.
//!
//! The chain runs ahead of the journal for the moment between an issue and its recording, so the
//! conversions whose end is not recorded yet are looked up on the chain one by one and counted.
//! If rows move while this is read, it is read again.

use crate::conversion::Machine;
use crate::issuer::chain::ChainError;
use crate::issuer::conversion_name;
use crate::journal::Books;
use alloy::primitives::U256;

/// Unrecorded issues that are looked up at most; more, and the sides do not claim to agree.
const MAX_UNRECORDED: u32 = 200;
/// Times the figures are read until they stand still.
const READS: u32 = 5;

/// What the chain says, in micro-points.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OnChain {
    /// Ever issued.
    pub issued: U256,
    /// All there are.
    pub supply: U256,
    /// Of those issued, what the journal does not have yet.
    pub unrecorded: U256,
    /// Whether all that is unrecorded was looked up.
    complete: bool,
}

impl OnChain {
    /// Whether the chain issued what the journal has.
    pub fn agrees(&self, journal: &Books) -> bool {
        let expected = U256::from(journal.micro_points_issued).checked_add(self.unrecorded);
        self.complete && expected == Some(self.issued)
    }
}

enum Unread {
    Chain(ChainError),
    Store(sqlx::Error),
}

impl From<ChainError> for Unread {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl Machine {
    /// The journal's figures and the chain's, as of about the same moment.
    pub async fn books_and_chain(
        &self,
    ) -> Result<(Books, Result<OnChain, ChainError>), sqlx::Error> {
        let mut reads = 0u32;
        loop {
            let before = self.store.books().await?;
            let chain = self.on_chain().await;
            let after = self.store.books().await?;
            reads = reads.saturating_add(1);
            if before == after || reads >= READS {
                return match chain {
                    Ok(chain) => Ok((after, Ok(chain))),
                    Err(Unread::Chain(error)) => Ok((after, Err(error))),
                    Err(Unread::Store(error)) => Err(error),
                };
            }
        }
    }

    async fn on_chain(&self) -> Result<OnChain, Unread> {
        let issuing = self.store.issuing(MAX_UNRECORDED).await;
        let issuing = issuing.map_err(Unread::Store)?;
        let mut unrecorded = U256::ZERO;
        for conversion in &issuing {
            let issued = self.chain.issued(conversion_name(&conversion.id)).await?;
            unrecorded = unrecorded.saturating_add(issued);
        }
        Ok(OnChain {
            issued: self.chain.total_issued().await?,
            supply: self.chain.total_supply().await?,
            unrecorded,
            complete: u32::try_from(issuing.len()).is_ok_and(|many| many < MAX_UNRECORDED),
        })
    }
}
