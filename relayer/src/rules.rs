//! Which packets this relayer carries, and which swaps it completes: allow and deny lists by sender, receiver, token and amount.
//!
//! A packet that the rules pass over stays where it is, for any other relayer to carry; this one only
//! watches for its receipt. An expiry or an acknowledgement is judged by the transfer inside it, so whoever
//! was carried one way is refunded or told by the same rules. A rotation of the delegates' key is always carried.

use mileverse_primitives::{Address, U256, packet::Packet};
use serde::Deserialize;

/// Most entries of one list.
pub const MAX_LIST: usize = 10_000;

/// What to carry. Empty lists allow all.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// If any: only these senders.
    pub allow_senders: Vec<Address>,
    /// Never these senders.
    pub deny_senders: Vec<Address>,
    /// If any: only these receivers.
    pub allow_receivers: Vec<Address>,
    /// Never these receivers.
    pub deny_receivers: Vec<Address>,
    /// If any: only these tokens, by their contract at home.
    pub allow_tokens: Vec<Address>,
    /// Never these tokens.
    pub deny_tokens: Vec<Address>,
    /// Least amount, in the token's smallest unit.
    pub least_amount: Option<U256>,
    /// Greatest amount, in the token's smallest unit.
    pub most_amount: Option<U256>,
}

impl Rules {
    /// Why a packet is passed over; `None` if it is carried.
    pub fn pass_over(&self, packet: &Packet) -> Option<String> {
        let transfer = packet.transfer()?;
        self.refuse(
            transfer.sender,
            transfer.receiver,
            transfer.token.contract,
            transfer.amount,
        )
        .map(|reason| format!("passed over by the rules: {reason}"))
    }

    /// Why tokens that go from somebody to somebody are passed over; `None` if they are not.
    pub fn refuse(
        &self,
        sender: Address,
        receiver: Address,
        token: Address,
        amount: U256,
    ) -> Option<String> {
        for (what, account, allow, deny) in [
            ("sender", sender, &self.allow_senders, &self.deny_senders),
            (
                "receiver",
                receiver,
                &self.allow_receivers,
                &self.deny_receivers,
            ),
            ("token", token, &self.allow_tokens, &self.deny_tokens),
        ] {
            if deny.contains(&account) {
                return Some(format!("the {what} {account} is denied"));
            }
            if !allow.is_empty() && !allow.contains(&account) {
                return Some(format!("the {what} {account} is not allowed"));
            }
        }
        if let Some(least) = self.least_amount.filter(|least| amount < *least) {
            return Some(format!("the amount {amount} is below {least}"));
        }
        if let Some(most) = self.most_amount.filter(|most| amount > *most) {
            return Some(format!("the amount {amount} is above {most}"));
        }
        None
    }

    /// Whether every list has a length that can be searched quickly; `table` is what these rules are
    /// called.
    pub fn check(&self, table: &str) -> Result<(), String> {
        for (name, list) in [
            ("allow_senders", &self.allow_senders),
            ("deny_senders", &self.deny_senders),
            ("allow_receivers", &self.allow_receivers),
            ("deny_receivers", &self.deny_receivers),
            ("allow_tokens", &self.allow_tokens),
            ("deny_tokens", &self.deny_tokens),
        ] {
            if list.len() > MAX_LIST {
                return Err(format!("{table}.{name} has more than {MAX_LIST} entries"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::packet::{
        Acknowledgement, Expiry, GroupKey, PacketId, Rotation, Token, Transfer,
    };

    fn account(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    fn id(source: u64, destination: u64) -> PacketId {
        PacketId {
            source,
            destination,
            sequence: 1,
        }
    }

    fn transfer() -> Transfer {
        Transfer {
            id: id(1, 2),
            deadline: 9,
            token: Token {
                home: 1,
                contract: account(1),
            },
            sender: account(2),
            receiver: account(3),
            amount: U256::from(50),
            action: None,
            acknowledge: false,
        }
    }

    fn refused(rules: &Rules) -> bool {
        let there = Packet::Transfer(transfer());
        let home = Packet::Expiry(Expiry {
            id: id(2, 1),
            expired: transfer(),
        });
        let refused = rules.pass_over(&there).is_some();
        assert_eq!(rules.pass_over(&home).is_some(), refused, "{rules:?}");
        let told = Packet::Acknowledgement(Acknowledgement {
            id: id(2, 1),
            received: transfer(),
        });
        assert_eq!(rules.pass_over(&told).is_some(), refused, "{rules:?}");
        refused
    }

    #[test]
    fn each_list_counts_and_deny_wins() {
        assert!(!refused(&Rules::default()));
        type List = fn(&mut Rules) -> &mut Vec<Address>;
        let lists: [(u8, List, List); 3] = [
            (
                1,
                |rules| &mut rules.allow_tokens,
                |rules| &mut rules.deny_tokens,
            ),
            (
                2,
                |rules| &mut rules.allow_senders,
                |rules| &mut rules.deny_senders,
            ),
            (
                3,
                |rules| &mut rules.allow_receivers,
                |rules| &mut rules.deny_receivers,
            ),
        ];
        for (byte, allow, deny) in lists {
            let mut rules = Rules::default();
            allow(&mut rules).push(account(9));
            assert!(refused(&rules));
            allow(&mut rules).push(account(byte));
            assert!(!refused(&rules));
            deny(&mut rules).push(account(byte));
            assert!(refused(&rules), "deny wins");
        }
    }

    #[test]
    fn amounts_have_two_ends() {
        for (least, most, expected) in [
            (Some(50), Some(50), false),
            (Some(51), None, true),
            (None, Some(49), true),
        ] {
            let rules = Rules {
                least_amount: least.map(U256::from),
                most_amount: most.map(U256::from),
                ..Rules::default()
            };
            assert_eq!(refused(&rules), expected);
        }
    }

    #[test]
    fn a_rotation_is_always_carried() {
        let rules = Rules {
            allow_senders: vec![account(9)],
            ..Rules::default()
        };
        let rotation = Packet::Rotation(Rotation {
            id: id(1, 2),
            key_version: 1,
            first_epoch: 1,
            key: Box::new(GroupKey::ZERO),
        });
        assert_eq!(rules.pass_over(&rotation), None);
    }
}
