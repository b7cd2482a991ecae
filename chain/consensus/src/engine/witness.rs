//! What a validator must see with its own eyes before it votes for a block.
//!
//! Validity is the same for everybody and is decided by `application`. Two claims of a leader are
//! not of that kind: that the block's time has come, and that Ethereum finalized the header which
//! the block offers. (The leader's own signature is looked at here too, though it is the same for
//! everybody: it stands outside the digest, so it must be good in the copy that is voted for.) Each validator holds them against its own clock and its own Ethereum endpoint
//! *before its first (notarize) vote*, and nowhere later:
//!
//! - a claim that two thirds confirm becomes final, and the others follow as they follow any block;
//! - a claim that fewer confirm gets no certificate, the view is skipped, and the chain goes on.
//!
//! Were such a check part of validity, validators could disagree after the first vote, and a view
//! could then be neither finalized nor skipped.

use crate::{
    block::{Block, BlockContext, Digest, PublicKey},
    duties::Duties,
    engine::Marshal,
    ethereum::{EthereumView, Verdict},
    signature,
};
use commonware_actor::Feedback;
use commonware_consensus::{
    Automaton, CertifiableAutomaton, Handoff, Relay, Reporter, marshal::core::DigestFallback,
    simplex::Plan, types::Round,
};
use commonware_runtime::{Clock, Metrics, Spawner};
use commonware_utils::{SystemTimeExt as _, channel::oneshot};
use futures::future::{Either, select};
use mileverse_primitives::{checkpoint::Checkpoint, header::Header};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};

/// How far a block's time may lie ahead of this machine's clock.
pub const MAX_CLOCK_DRIFT: Duration = Duration::from_secs(2);
/// How long this validator's Ethereum endpoint may take to confirm a leader's header.
pub const PATIENCE: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(100);

/// An automaton that withholds its vote from what this validator cannot confirm.
pub struct Witness<E, V, A> {
    runtime: Arc<E>,
    chain_id: u64,
    duties: Duties,
    ethereum: V,
    marshal: Marshal,
    inner: A,
}

impl<E, V: Clone, A: Clone> Clone for Witness<E, V, A> {
    fn clone(&self) -> Self {
        Self {
            runtime: Arc::clone(&self.runtime),
            chain_id: self.chain_id,
            duties: self.duties.clone(),
            ethereum: self.ethereum.clone(),
            marshal: self.marshal.clone(),
            inner: self.inner.clone(),
        }
    }
}

impl<E, V, A> Witness<E, V, A> {
    /// Stands before `inner`.
    pub fn new(
        runtime: E,
        chain_id: u64,
        duties: Duties,
        ethereum: V,
        marshal: Marshal,
        inner: A,
    ) -> Self {
        Self {
            runtime: Arc::new(runtime),
            chain_id,
            duties,
            ethereum,
            marshal,
            inner,
        }
    }
}

impl<E, V, A> Automaton for Witness<E, V, A>
where
    E: Spawner + Clock + Metrics,
    V: EthereumView,
    A: Automaton<Context = BlockContext, Digest = Digest>,
{
    type Context = BlockContext;
    type Digest = Digest;

    fn propose(
        &mut self,
        context: BlockContext,
    ) -> impl Future<Output = oneshot::Receiver<Digest>> + Send {
        self.inner.propose(context)
    }

    #[allow(clippy::async_yields_async, reason = "the trait's shape")]
    async fn verify(&mut self, context: BlockContext, payload: Digest) -> oneshot::Receiver<bool> {
        let block = self
            .marshal
            .subscribe_by_digest(payload, DigestFallback::Wait);
        // An epoch's last block is offered again until it is final; it was looked at before.
        let again = payload == context.parent.1;
        let verdict = self.inner.verify(context, payload).await;
        if again {
            return verdict;
        }
        let ethereum = self.ethereum.clone();
        let chain_id = self.chain_id;
        let duties = self.duties.clone();
        let (mut answer, receiver) = oneshot::channel();
        self.runtime
            .child("witness")
            .spawn(move |runtime| async move {
                let decide = async {
                    match verdict.await {
                        Ok(true) => {}
                        refused => return refused.ok(),
                    }
                    let block = block.await.ok()?;
                    let block: &Block = block.inner();
                    if !is_signed(chain_id, block) {
                        return Some(false);
                    }
                    duties.on_proposal(block);
                    Some(accepts(&runtime, &ethereum, &block.header).await)
                };
                let decided = match select(pin!(answer.closed()), pin!(decide)).await {
                    Either::Left(_) => return,
                    Either::Right((decided, _)) => decided,
                };
                if let Some(decided) = decided {
                    let _ = answer.send(decided);
                }
            });
        receiver
    }
}

impl<E, V, A> CertifiableAutomaton for Witness<E, V, A>
where
    E: Spawner + Clock + Metrics,
    V: EthereumView,
    A: CertifiableAutomaton<Context = BlockContext, Digest = Digest>,
{
    fn prepare(
        &mut self,
        context: BlockContext,
    ) -> impl Future<Output = oneshot::Receiver<Handoff<Digest>>> + Send {
        self.inner.prepare(context)
    }

    fn certify(
        &mut self,
        round: Round,
        payload: Digest,
    ) -> impl Future<Output = oneshot::Receiver<bool>> + Send {
        self.inner.certify(round, payload)
    }
}

impl<E, V, A> Relay for Witness<E, V, A>
where
    E: Send + Sync + 'static,
    V: EthereumView,
    A: Relay<Digest = Digest, PublicKey = PublicKey, Plan = Plan<PublicKey>>,
{
    type Digest = Digest;
    type PublicKey = PublicKey;
    type Plan = Plan<PublicKey>;

    fn broadcast(&mut self, payload: Digest, plan: Plan<PublicKey>) -> Feedback {
        self.inner.broadcast(payload, plan)
    }
}

impl<E, V, A> Reporter for Witness<E, V, A>
where
    E: Send + Sync + 'static,
    V: EthereumView,
    A: Reporter,
{
    type Activity = A::Activity;

    fn report(&mut self, activity: A::Activity) -> Feedback {
        self.inner.report(activity)
    }
}

/// Whether the leader put its own name to the block.
fn is_signed(chain_id: u64, block: &Block) -> bool {
    let signed = signature::proposal_is_signed(chain_id, &block.header, &block.signature);
    if !signed {
        tracing::error!(
            height = block.header.height,
            leader = %block.header.turn.leader,
            "no vote: the leader's signature is not good"
        );
    }
    signed
}

/// Whether this clock and this Ethereum endpoint confirm what a leader claims.
async fn accepts<E: Clock>(runtime: &E, ethereum: &impl EthereumView, header: &Header) -> bool {
    let ahead = Duration::from_millis(
        header
            .timestamp_ms
            .saturating_sub(runtime.current().epoch_millis()),
    );
    if ahead > MAX_CLOCK_DRIFT {
        tracing::warn!(
            height = header.height,
            ?ahead,
            "no vote: the block's time lies too far ahead of this clock"
        );
        return false;
    }
    runtime.sleep(ahead).await;
    match header.checkpoint {
        None => true,
        Some(checkpoint) => confirmed(runtime, ethereum, checkpoint).await,
    }
}

async fn confirmed<E: Clock>(
    runtime: &E,
    ethereum: &impl EthereumView,
    checkpoint: Checkpoint,
) -> bool {
    let give_up = runtime.current().checked_add(PATIENCE);
    loop {
        match ethereum.check(checkpoint).await {
            Verdict::Confirmed => return true,
            Verdict::Denied => {
                tracing::error!(number = checkpoint.number, hash = %checkpoint.hash, "no vote: a leader offers an Ethereum header that this endpoint contradicts");
                return false;
            }
            Verdict::Unknown if give_up.is_none_or(|end| runtime.current() >= end) => {
                tracing::warn!(
                    number = checkpoint.number,
                    "no vote: this Ethereum endpoint cannot confirm a leader's header"
                );
                return false;
            }
            Verdict::Unknown => runtime.sleep(RETRY).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_runtime::{Runner as _, deterministic};
    use mileverse_primitives::{
        B256,
        header::{StateCommitment, Turn},
        quarter::Quarter,
    };
    use std::time::UNIX_EPOCH;

    /// Nobody asks it here.
    #[derive(Clone)]
    struct Nothing;

    impl EthereumView for Nothing {
        fn newest(&self) -> Option<Checkpoint> {
            None
        }

        async fn check(&self, _: Checkpoint) -> Verdict {
            Verdict::Denied
        }
    }

    fn header(timestamp_ms: u64) -> Header {
        Header {
            outbox_root: B256::ZERO,
            parent: B256::ZERO,
            height: 1,
            timestamp_ms,
            gas_limit: 0,
            gas_used: 0,
            transactions_root: B256::ZERO,
            receipts_root: B256::ZERO,
            system_root: B256::ZERO,
            logs_bloom: Default::default(),
            state: StateCommitment {
                root: B256::ZERO,
                operations_root: B256::ZERO,
                start: 0,
                end: 0,
            },
            turn: Turn {
                epoch: 0,
                view: 1,
                parent_view: 0,
                leader: B256::ZERO,
            },
            checkpoint: None,
        }
    }

    /// A block that closes a quarter gets no vote before the quarter is over by the voter's own clock,
    /// whatever the leader's clock says; and none at all if the leader's runs too far ahead.
    #[test]
    fn nobody_votes_for_a_quarters_close_before_its_end() {
        let ends = Quarter::new(4 * 2026).ends_ms().unwrap();
        let drift = u64::try_from(MAX_CLOCK_DRIFT.as_millis()).unwrap();
        for (before, votes) in [(0, true), (1, true), (drift, true), (drift + 1, false)] {
            let begin = UNIX_EPOCH + Duration::from_millis(ends - before);
            let config = deterministic::Config::new().with_start_time(begin);
            deterministic::Runner::new(config).start(|context| async move {
                assert_eq!(accepts(&context, &Nothing, &header(ends)).await, votes);
                let now = context.current().epoch_millis();
                assert_eq!(now >= ends, votes, "{before} ms before the end");
            });
        }
        // A clock that runs behind its leader's past is no reason to withhold a vote.
        let late = UNIX_EPOCH + Duration::from_millis(ends + 60_000);
        let config = deterministic::Config::new().with_start_time(late);
        deterministic::Runner::new(config).start(|context| async move {
            assert!(accepts(&context, &Nothing, &header(ends)).await);
        });
    }
}
