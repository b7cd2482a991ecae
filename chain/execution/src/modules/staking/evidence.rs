//! Evidence against delegates, which anybody may bring.
//!
//! **A double proposal**: two headers signed by one leader for one epoch and view. The candidate
//! that has or had the key is out for good, and `doubleSignSlashBp` of the votes for it goes to
//! the reward pool: of those it has, at once; of those that left it, when their voters' accounts are
//! next touched, which [`super::call::collect`] lets anybody do (`account` has the rule). A
//! candidate is slashed once ever, so one share for each candidate says it all, and no voter is
//! looped over.
//!
//! **A false result**: an attestation of another digest than the final one of its height. It may
//! be a broken disk, so it costs no stake: it stands in the record of the current epoch as an
//! invalid result and jails the candidate.

use super::{
    Context, REPORTED,
    account::{Account, credit, keep},
    call::{announce, announce_losses},
    candidate::{self, Joining, Remains, Reporter, Slash, Standing, Votes},
    committee, epoch,
    refusal::Refusal,
    result, signature,
    totals::{self, Sum},
    word::{broken, minus, part},
};
use crate::modules::host::{Fault, HASH_WORD_GAS, Host};
use alloy::primitives::{B256, U256};
use mileverse_primitives::{abi::IStaking, genesis::BASIS_POINTS, header::Header};

pub(super) fn double_proposal(
    host: &mut Host<'_>,
    call: &IStaking::submitDoubleProposalCall,
) -> Result<(), Fault> {
    let context = Context::of(host);
    let bytes = call.headerA.len().saturating_add(call.headerB.len());
    host.charge_words(HASH_WORD_GAS, bytes)?;
    let read = |bytes: &[u8]| Header::decode(bytes).map_err(|_| Refusal::BadHeader);
    let (a, b) = (read(&call.headerA)?, read(&call.headerB)?);
    let (digest_a, digest_b) = (a.digest(), b.digest());
    if a.turn.leader != b.turn.leader
        || a.turn.epoch != b.turn.epoch
        || a.turn.view != b.turn.view
        || digest_a == digest_b
    {
        return Err(Refusal::NotADoubleProposal.into());
    }
    check_age(&context, a.turn.epoch)?;
    let id = candidate::by_key(host, a.turn.leader)?.ok_or(Refusal::UnknownKey)?;
    let standing: Standing = candidate::get(host, id)?;
    if standing.tombstoned {
        return Err(Refusal::SlashedAlready.into());
    }
    signature::check_proposal(host, a.turn.leader, digest_a, &call.signatureA)?;
    signature::check_proposal(host, a.turn.leader, digest_b, &call.signatureB)?;
    slash(host, &context, id, a.turn.epoch)
}

/// Evidence counts for less than the unbonding period: what left before is free by then.
fn check_age(context: &Context<'_>, epoch: u64) -> Result<(), Fault> {
    let last = epoch.saturating_add(context.rules.unbonding_epochs);
    if epoch > context.now || context.now >= last {
        return Err(Refusal::StaleEvidence {
            epoch,
            now: context.now,
        }
        .into());
    }
    Ok(())
}

fn slash(
    host: &mut Host<'_>,
    context: &Context<'_>,
    id: u64,
    infraction: u64,
) -> Result<(), Fault> {
    let reporter = host.caller();
    candidate::unlist(host, id)?;
    let mut standing: Standing = candidate::get(host, id)?;
    standing.tombstoned = true;
    candidate::put(host, id, &standing)?;

    let share_bp = u64::from(context.rules.double_sign_slash_bp);
    let votes: Votes = candidate::get(host, id)?;
    let taken = part(votes.total, share_bp, BASIS_POINTS.into())?;
    let height = host.height();
    candidate::put(
        host,
        id,
        &Slash {
            infraction,
            proven: context.now,
            share_bp,
            height,
        },
    )?;
    candidate::put(
        host,
        id,
        &Remains {
            nominal: votes.total,
            held: minus(votes.total, taken)?,
        },
    )?;
    candidate::put(host, id, &Reporter(reporter))?;
    candidate::put(host, id, &Votes::default())?;
    candidate::put(host, id, &Joining::default())?;
    totals::transfer(host, Sum::Staked, Sum::Pool, taken)?;

    let owner_lost = minus(votes.own, keep(votes.own, share_bp)?)?;
    let share = part(
        owner_lost,
        context.rules.reporter_share_bp.into(),
        BASIS_POINTS.into(),
    )?
    .min(taken);
    totals::transfer(host, Sum::Pool, Sum::Unpaid, share)?;
    credit(host, reporter, share)?;

    let mut account = Account::load(host, standing.owner)?;
    let losses = account.settle(host, context)?;
    account.save(host)?;
    announce(
        host,
        &IStaking::Slashed {
            candidate: standing.owner,
            reporter,
            epoch: infraction,
            taken: U256::from(taken),
        },
    )?;
    announce_losses(host, standing.owner, &losses)
}

pub(super) fn false_attestation(
    host: &mut Host<'_>,
    call: &IStaking::submitFalseAttestationCall,
) -> Result<(), Fault> {
    let context = Context::of(host);
    let known = if context.epoch_of(call.height) == call.epoch {
        result::digest(host, &context, call.height)?
    } else {
        None
    };
    let digest: B256 = known.ok_or(Refusal::UnknownHeight)?;
    if digest == call.digest {
        return Err(Refusal::RightResult.into());
    }
    let members = committee::get(host, call.epoch)?.ok_or(Refusal::UnknownHeight)?;
    if members.position(host, call.delegate)?.is_none() {
        return Err(Refusal::NotADelegate.into());
    }
    let reported = REPORTED.entry(call.delegate).entry(call.height);
    if !host.load(reported)?.is_zero() {
        return Err(Refusal::ReportedAlready.into());
    }
    signature::check_attestation(
        host,
        call.delegate,
        (call.epoch, call.height, call.digest),
        &call.signature,
    )?;
    host.store(reported, U256::ONE)?;
    let id = candidate::by_key(host, call.delegate)?.ok_or(Refusal::UnknownKey)?;
    let current = committee::get(host, context.now)?.ok_or_else(broken)?;
    if let Some(position) = current.position(host, call.delegate)? {
        let mut record = current.record(host, position)?;
        record.invalid = record.invalid.saturating_add(1);
        current.set_record(host, position, record)?;
    }
    epoch::jail(host, &context, id)?;
    let standing: Standing = candidate::get(host, id)?;
    announce(
        host,
        &IStaking::FalseResult {
            candidate: standing.owner,
            reporter: host.caller(),
            height: call.height,
        },
    )
}
