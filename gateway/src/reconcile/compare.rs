//! One debit: what the partner's statements say against what the journal says.

use super::{Difference, Kind};
use crate::clock::rfc3339;
use crate::conversion::state::State;

/// What all statements say of one reference, added up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Theirs {
    /// Miles taken, less those given back.
    pub net: i64,
    /// Lines that took.
    pub debits: i64,
    /// Lines that gave back.
    pub reversals: i64,
    /// Whose miles: the least, and the greatest, id in the lines.
    pub members: (String, String),
    /// The first booking.
    pub first_at: i64,
}

/// What we have under that reference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ours {
    /// Where the conversion stands.
    pub state: State,
    /// Whose miles.
    pub member: String,
    /// When the debit's intent was committed, or the conversion made.
    pub sent_at: i64,
}

/// Both sides of one reference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pair {
    /// Our reference, and the conversion's id.
    pub reference: String,
    /// The partner's side, if a statement has it.
    pub theirs: Option<Theirs>,
    /// Our side, if there is such a conversion.
    pub ours: Option<Ours>,
    /// Miles that the journal has as taken under it, counter-entries included.
    pub journal: i64,
}

/// Whether the debit is still being found out about.
const fn undecided(state: State) -> bool {
    matches!(
        state,
        State::Created | State::Debiting | State::DebitUnknown | State::Reversing | State::Disputed
    )
}

/// How the two sides of a reference differ, if they do. `cut_off_ms` is how far apart they may be
/// in time.
pub fn compare(programme: &str, pair: &Pair, now: i64, cut_off_ms: i64) -> Option<Difference> {
    let (kind, facts) = judge(pair, now, cut_off_ms)?;
    Some(Difference {
        kind,
        programme: Some(programme.to_owned()),
        subject: pair.reference.clone(),
        facts,
    })
}

fn judge(pair: &Pair, now: i64, cut_off_ms: i64) -> Option<(Kind, String)> {
    let journal = pair.journal;
    let Some(theirs) = &pair.theirs else {
        return (journal != 0).then(|| {
            let facts = format!("the journal has {journal} miles taken, the statements nothing");
            (Kind::MissingAtPartner, facts)
        });
    };
    let net = theirs.net;
    let both = format!("the statements have {net} miles taken, the journal {journal}");
    let apart = |one: i64, other: i64| one.saturating_sub(other).saturating_abs() > cut_off_ms;
    let Some(ours) = &pair.ours else {
        return (net != journal).then_some((Kind::MissingHere, both));
    };
    let (least, greatest) = &theirs.members;
    if *least != ours.member || *greatest != ours.member {
        let facts = format!(
            "the statements have {least}, the conversion {}",
            ours.member
        );
        return Some((Kind::MemberDiffers, facts));
    }
    if net == journal {
        let facts = format!(
            "the partner booked it at {}, we sent it at {}",
            rfc3339(theirs.first_at),
            rfc3339(ours.sent_at)
        );
        return apart(theirs.first_at, ours.sent_at).then_some((Kind::Late, facts));
    }
    if undecided(ours.state) {
        let facts = format!("{both}, and it is {} here", ours.state);
        return apart(now, theirs.first_at).then_some((Kind::Late, facts));
    }
    let kind = if theirs.debits.saturating_sub(theirs.reversals) > 1 {
        Kind::TakenTwice
    } else if journal == 0 && net > 0 {
        match ours.state {
            State::Reversed | State::Returned => Kind::ReversalMissing,
            _ => Kind::MissingHere,
        }
    } else {
        Kind::AmountDiffers
    };
    Some((kind, format!("{both}; it is {} here", ours.state)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const CUT_OFF: i64 = 1_000;

    fn pair(net: i64, journal: i64, state: State) -> Pair {
        Pair {
            reference: "conv_1".to_owned(),
            theirs: Some(Theirs {
                net,
                debits: 1,
                reversals: i64::from(net == 0),
                members: ("SKY-1".to_owned(), "SKY-1".to_owned()),
                first_at: 100,
            }),
            ours: Some(Ours {
                state,
                member: "SKY-1".to_owned(),
                sent_at: 50,
            }),
            journal,
        }
    }

    fn kind(pair: &Pair, now: i64) -> Option<Kind> {
        compare("airline", pair, now, CUT_OFF).map(|found| found.kind)
    }

    #[test]
    fn every_difference_has_its_name() {
        let done = State::Completed;
        assert_eq!(kind(&pair(10, 10, done), 0), None);
        assert_eq!(kind(&pair(0, 0, State::Reversed), 0), None);
        assert_eq!(kind(&pair(11, 10, done), 0), Some(Kind::AmountDiffers));
        assert_eq!(
            kind(&pair(10, 0, State::Reversed), 0),
            Some(Kind::ReversalMissing)
        );
        assert_eq!(
            kind(&pair(10, 0, State::Attention), 0),
            Some(Kind::MissingHere)
        );
        let alone = Pair {
            theirs: None,
            ..pair(0, 10, done)
        };
        assert_eq!(kind(&alone, 0), Some(Kind::MissingAtPartner));
        let refused = Pair {
            theirs: None,
            ..pair(0, 0, State::Refused)
        };
        assert_eq!(kind(&refused, 0), None);
        let unknown = Pair {
            ours: None,
            ..pair(10, 0, done)
        };
        assert_eq!(kind(&unknown, 0), Some(Kind::MissingHere));
        // Two operators have put it into the journal.
        let corrected = Pair {
            journal: 10,
            ..unknown
        };
        assert_eq!(kind(&corrected, 0), None);
        let mut other = pair(10, 10, done);
        other.theirs.as_mut().unwrap().members.1 = "SKY-2".to_owned();
        assert_eq!(kind(&other, 0), Some(Kind::MemberDiffers));
        let mut twice = pair(20, 10, done);
        twice.theirs.as_mut().unwrap().debits = 2;
        assert_eq!(kind(&twice, 0), Some(Kind::TakenTwice));
        let mut late = pair(10, 10, done);
        late.theirs.as_mut().unwrap().first_at = 50 + CUT_OFF;
        assert_eq!(kind(&late, 0), None);
        late.theirs.as_mut().unwrap().first_at = 51 + CUT_OFF;
        assert_eq!(kind(&late, 0), Some(Kind::Late));
        // Not decided yet: only after the cut-off is it worth a look.
        let open = pair(10, 0, State::DebitUnknown);
        assert_eq!(kind(&open, 100 + CUT_OFF), None);
        assert_eq!(kind(&open, 101 + CUT_OFF), Some(Kind::Late));
    }

    proptest! {
        /// Nothing that differs in miles goes unnamed once it is decided, and nothing that agrees
        /// in everything is named.
        #[test]
        fn miles_that_differ_are_named(net in -30i64..30, journal in -30i64..30, at in 0usize..12) {
            let state = *State::ALL.get(at).unwrap();
            let found = kind(&pair(net, journal, state), i64::MAX);
            prop_assert_eq!(found.is_some(), net != journal);
        }
    }
}
