//! What is stored of one holder: its number, what it had at closes, what it carries and earned.

use super::{HOLDERS, NUMBERED, amount, broken, clock::Numbers};
use crate::{
    modules::{
        host::Fault,
        ledger::Ledger,
        slot::Slot,
        staking::word::{halves, limbs, split},
    },
    state::{Changes, Key, account_key, storage_key},
};
use alloy::primitives::{Address, U256};

/// Quarters for which a holder can be told what it earned.
const KEPT: u64 = 8;

const STAKER: u64 = 1;
const CARRIES: u64 = 2;
const LISTED: u64 = 4;

/// Says that something is written at a place, be it zero.
const PRESENT: U256 = U256::from_limbs([0, 0, 0, 1 << 63]);

/// What makes up a holding.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Balance,
    Stake,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Holder {
    /// From 1; 0 for an account that has none.
    pub(super) number: u64,
    /// Heights of the closes for which the parts were written down last.
    balance_written: u64,
    stake_written: u64,
    flags: u64,
}

/// Something written down.
#[derive(Clone, Copy, Debug)]
struct Written {
    amount: u128,
    /// Height of the close for which something was written before; 0 if nothing was.
    before: u64,
}

fn place(address: Address) -> Slot {
    HOLDERS.entry(address)
}

fn written_place(address: Address, part: Part, close: u64) -> Slot {
    let field = match part {
        Part::Balance => 2,
        Part::Stake => 3,
    };
    place(address).field(field).entry(close)
}

fn read_written(
    ledger: &mut impl Ledger,
    address: Address,
    part: Part,
    close: u64,
) -> Result<Option<Written>, Fault> {
    let word = ledger.load(written_place(address, part, close))?;
    let Some(written) = Written::decode(word) else {
        return Ok(None);
    };
    // Or who follows it would never end.
    if written.before >= close {
        return Err(broken());
    }
    Ok(Some(written))
}

impl Written {
    fn decode(word: U256) -> Option<Self> {
        let (amount, _) = split(word);
        let [_, _, before, present] = *word.as_limbs();
        (present != 0).then_some(Self { amount, before })
    }
}

/// Where the holder with this number is named.
pub(super) fn number_place(number: u64) -> Slot {
    NUMBERED.entry(number)
}

/// Where genesis puts what it knows of the holder with a number: its name, its account and its own word;
/// `None` if there is no such holder. For whoever writes genesis down holder by holder, as a chain that lives
/// would have.
pub fn genesis_keys(genesis: &Changes, number: u64) -> Option<[Key; 3]> {
    let stored = |slot: Slot| storage_key(slot.module(), slot.key());
    let numbered = stored(number_place(number));
    let word = genesis.get(&numbered)?.as_ref()?;
    let address = named(U256::try_from_be_slice(word)?);
    Some([numbered, account_key(address), stored(place(address))])
}

/// The holder that is named in a word.
pub(super) fn named(word: U256) -> Address {
    Address::from_word(word.into())
}

/// The holder with this number.
pub(super) fn numbered(ledger: &mut impl Ledger, number: u64) -> Result<Address, Fault> {
    Ok(named(ledger.load(number_place(number))?))
}

/// Where a visit looks first, beside the account itself.
pub(super) fn places(address: Address, quarter: u64) -> [Slot; 2] {
    [place(address), earned_place(address, quarter)]
}

/// Where a visit looks then, given the holder's word: what it carries, and the newest that was
/// written down, with what tells where to look next ([`written_before`]).
pub(super) fn further(address: Address, word: U256) -> (Option<Slot>, [Option<(Part, Slot)>; 2]) {
    let holder = Holder::decode(word);
    let carried = (holder.flags & CARRIES != 0).then(|| place(address).field(1));
    let newest = |part, height| (height != 0).then(|| (part, written_place(address, part, height)));
    let written = [
        newest(Part::Balance, holder.balance_written),
        newest(Part::Stake, holder.stake_written),
    ];
    (carried, written)
}

/// Where stands what was written down before a word.
pub(super) fn written_before(address: Address, part: Part, word: U256) -> Option<Slot> {
    let before = Written::decode(word)?.before;
    (before != 0).then(|| written_place(address, part, before))
}

impl Holder {
    pub(super) fn load(ledger: &mut impl Ledger, address: Address) -> Result<Self, Fault> {
        Ok(Self::decode(ledger.load(place(address))?))
    }

    const fn decode(word: U256) -> Self {
        let [number, balance_written, stake_written, flags] = *word.as_limbs();
        Self {
            number,
            balance_written,
            stake_written,
            flags,
        }
    }

    pub(super) fn save(self, ledger: &mut impl Ledger, address: Address) -> Result<(), Fault> {
        let word = limbs([
            self.number,
            self.balance_written,
            self.stake_written,
            self.flags,
        ]);
        ledger.store(place(address), word)
    }

    /// Gives a number to an account that has none.
    pub(super) fn enrol(
        &mut self,
        ledger: &mut impl Ledger,
        address: Address,
    ) -> Result<(), Fault> {
        if self.number != 0 {
            return Ok(());
        }
        let mut numbers = Numbers::load(ledger)?;
        self.number = numbers.give()?;
        numbers.save(ledger)?;
        ledger.store(NUMBERED.entry(self.number), address.into_word().into())
    }

    pub(super) const fn is_staker(&self) -> bool {
        self.flags & STAKER != 0
    }

    pub(super) const fn set_staker(&mut self) {
        self.flags |= STAKER;
    }

    /// Whether it was ever on the list of excluded accounts.
    pub(super) const fn was_listed(&self) -> bool {
        self.flags & LISTED != 0
    }

    pub(super) const fn set_listed(&mut self) {
        self.flags |= LISTED;
    }

    const fn last_written(&mut self, part: Part) -> &mut u64 {
        match part {
            Part::Balance => &mut self.balance_written,
            Part::Stake => &mut self.stake_written,
        }
    }

    /// Whether a part was written down for a close.
    pub(super) const fn has_written(mut self, part: Part, close: u64) -> bool {
        *self.last_written(part) >= close
    }

    /// Writes a part down for the last close.
    pub(super) fn write_down(
        &mut self,
        ledger: &mut impl Ledger,
        address: Address,
        (part, amount): (Part, u128),
        close: u64,
    ) -> Result<(), Fault> {
        let before = std::mem::replace(self.last_written(part), close);
        let word = halves(amount, u128::from(before)) | PRESENT;
        ledger.store(written_place(address, part, close), word)
    }

    /// A part as it was at a close, if it was written down: the oldest value for that close or a
    /// later one. If not, it did not change since.
    pub(super) fn at_close(
        mut self,
        ledger: &mut impl Ledger,
        address: Address,
        part: Part,
        close: u64,
    ) -> Result<Option<u128>, Fault> {
        let mut next = *self.last_written(part);
        let mut found = None;
        while next >= close && next > 0 {
            let written = read_written(ledger, address, part, next)?.ok_or_else(broken)?;
            found = Some(written.amount);
            next = written.before;
        }
        Ok(found)
    }

    /// Forgets what was written for a close and those before it: nobody asks any more.
    pub(super) fn forget(
        mut self,
        ledger: &mut impl Ledger,
        address: Address,
        part: Part,
        close: u64,
    ) -> Result<(), Fault> {
        let mut next = *self.last_written(part);
        // What is missing was forgotten before, and all below it.
        while next > 0
            && let Some(written) = read_written(ledger, address, part, next)?
        {
            if next <= close {
                ledger.store(written_place(address, part, next), U256::ZERO)?;
            }
            next = written.before;
        }
        Ok(())
    }

    /// What it carries.
    pub(super) fn carried(self, ledger: &mut impl Ledger, address: Address) -> Result<u128, Fault> {
        if self.flags & CARRIES == 0 {
            return Ok(0);
        }
        amount(ledger.load(place(address).field(1))?)
    }

    pub(super) fn set_carried(
        &mut self,
        ledger: &mut impl Ledger,
        address: Address,
        carried: u128,
    ) -> Result<(), Fault> {
        if carried == 0 {
            if self.flags & CARRIES == 0 {
                return Ok(());
            }
            self.flags &= !CARRIES;
        } else {
            self.flags |= CARRIES;
        }
        ledger.store(place(address).field(1), U256::from(carried))
    }
}

fn earned_place(address: Address, quarter: u64) -> Slot {
    place(address).field(4).entry(quarter % KEPT)
}

/// What an account earned for a quarter, paid or carried; 0 if that is too long ago to be known.
pub(super) fn earned(
    ledger: &mut impl Ledger,
    address: Address,
    quarter: u64,
) -> Result<u128, Fault> {
    let (named, amount) = split(ledger.load(earned_place(address, quarter))?);
    Ok(if named == u128::from(quarter) {
        amount
    } else {
        0
    })
}

pub(super) fn set_earned(
    ledger: &mut impl Ledger,
    address: Address,
    quarter: u64,
    amount: u128,
) -> Result<(), Fault> {
    let word = halves(u128::from(quarter), amount);
    ledger.store(earned_place(address, quarter), word)
}
