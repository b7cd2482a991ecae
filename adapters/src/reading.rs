//! From what was read of an answer to what a call came to: the same for every protocol.
//!
//! An adapter reads an answer into a [`Known`], or says why it cannot. Here that becomes the
//! call's outcome, and what is not understood is logged as an error, so that somebody looks.

use crate::adapter::{Reference, Session};
use crate::{Debit, Inquiry, Known, Miles, Refusal, Reversal, Unknown};

/// Logs what must not pass unseen, and keeps it unknown.
pub fn alert(partner: &'static str, call: &'static str, reference: &Reference, why: &Unknown) {
    tracing::error!(partner, call, %reference, %why, "the partner answered something unknown; it stays unknown");
}

/// What a debit came to. It was applied only if the member and the miles are those asked for.
pub fn debit(
    partner: &'static str,
    session: &Session,
    reference: &Reference,
    asked: Miles,
    read: Result<Known, Unknown>,
) -> Debit {
    let unknown = |why: Unknown| {
        alert(partner, "debit", reference, &why);
        Debit::Unknown(why)
    };
    match read {
        Ok(Known::Applied {
            partner_reference,
            member,
            miles,
        }) if member == session.member && miles == asked => Debit::Applied { partner_reference },
        Ok(Known::Applied { .. }) => {
            let why = "the partner took other miles than asked for";
            unknown(Unknown(why.to_owned()))
        }
        Ok(Known::Refused(refusal)) => Debit::Refused(refusal),
        Ok(Known::Reversed) => Debit::Refused(Refusal::Reversed),
        Err(why) => unknown(why),
    }
}

/// What an inquiry came to; `None` is the partner's own "not found".
pub fn inquiry(
    partner: &'static str,
    reference: &Reference,
    read: Result<Option<Known>, Unknown>,
) -> Inquiry {
    match read {
        Ok(Some(known)) => Inquiry::Found(known),
        Ok(None) => Inquiry::NotFound,
        Err(why) => {
            alert(partner, "inquire", reference, &why);
            Inquiry::Unknown(why)
        }
    }
}

/// What a reversal came to, by how the debit stands after it.
pub fn reversal(
    partner: &'static str,
    reference: &Reference,
    read: Result<Known, Unknown>,
) -> Reversal {
    let why = match read {
        // A refused debit took nothing, so there is nothing left to give back.
        Ok(Known::Reversed | Known::Refused(_)) => return Reversal::Acknowledged,
        Ok(Known::Applied { .. }) => {
            Unknown("the partner still shows the debit as applied".to_owned())
        }
        Err(why) => why,
    };
    alert(partner, "reverse", reference, &why);
    Reversal::Unknown(why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::MemberId;

    #[test]
    fn only_the_miles_asked_for_are_applied() {
        let member = |name: &str| MemberId::new(name).unwrap();
        let session = Session {
            member: member("A-1"),
            token: "t".into(),
        };
        let reference = Reference::new("r").unwrap();
        let applied = |who: &str, miles| Known::Applied {
            partner_reference: "P".to_owned(),
            member: member(who),
            miles: Miles::new(miles),
        };
        let came_to = |known| debit("test", &session, &reference, Miles::new(5), Ok(known));
        assert!(matches!(came_to(applied("A-1", 5)), Debit::Applied { .. }));
        assert!(matches!(came_to(applied("A-1", 4)), Debit::Unknown(_)));
        assert!(matches!(came_to(applied("A-2", 5)), Debit::Unknown(_)));
        assert_eq!(came_to(Known::Reversed), Debit::Refused(Refusal::Reversed));
        let still = reversal("test", &reference, Ok(applied("A-1", 5)));
        assert!(matches!(still, Reversal::Unknown(_)));
    }
}
