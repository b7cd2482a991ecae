//! Making wallets, looking into them, closing them.

use super::{CustodyError, LEAST, stored_address};
use crate::conversion::Machine;
use crate::conversion::link::member_of;
use crate::store::members::MemberRow;
use crate::store::wallets::{Erased, WalletRow, keeper};
use crate::units::{MAX_AMOUNT, MicroPoints};
use alloy::primitives::{Address, U256};
use alloy::signers::local::PrivateKeySigner;
use secrecy::{ExposeSecret, SecretBox, SecretSlice};

const KEY_BYTES: usize = 32;
/// Guesses at the most that can be moved; each is off by a thousandth of the one before.
const GUESSES: usize = 12;
/// Times that closing a wallet is begun anew because somebody used it meanwhile.
const CLOSINGS: usize = 3;

/// What a wallet holds, as of one block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Holdings {
    /// All of it.
    pub balance: MicroPoints,
    /// What an ordinary address would get if all were moved.
    pub movable: MicroPoints,
    /// What that would cost on top.
    pub fee: MicroPoints,
    /// The withdrawal that is under way.
    pub withdrawal: Option<String>,
}

/// The name that a wallet's key is sealed for.
pub(crate) fn sealed_for(member_id: &str) -> String {
    format!("wallet:{member_id}")
}

/// What the chain says, as it is counted here. No more than can be counted exists.
pub(super) fn micro(amount: U256) -> MicroPoints {
    MicroPoints(u64::try_from(amount).unwrap_or(u64::MAX).min(MAX_AMOUNT))
}

impl Machine {
    /// The member's wallet. It is made if there is none; saying it again, or twice at once, gives the
    /// same one.
    pub async fn make_wallet(
        &self,
        partner: &str,
        member_id: &str,
    ) -> Result<WalletRow, CustodyError> {
        if self.custody.is_none() {
            return Err(CustodyError::Off);
        }
        if let Some(found) = self.store.wallet(partner, member_id).await? {
            return opened(found);
        }
        let key: SecretBox<[u8; KEY_BYTES]> = SecretBox::try_init_with(|| {
            let mut bytes = [0u8; KEY_BYTES];
            aws_lc_rs::rand::fill(&mut bytes).map(|()| bytes)
        })
        .map_err(|_| broken(member_id, "the machine gives no random numbers"))?;
        let signer = PrivateKeySigner::from_slice(key.expose_secret())
            .map_err(|error| broken(member_id, &error.to_string()))?;
        let sealed = self
            .vault
            .seal(&sealed_for(member_id), key.expose_secret())
            .map_err(|error| broken(member_id, &error.to_string()))?;
        let wallet = WalletRow {
            member_id: member_id.to_owned(),
            partner: partner.to_owned(),
            address: signer.address().to_string(),
            sealed: Some(sealed),
            uses: 0,
            created_at: self.store.now(),
        };
        let stored = self.store.put_wallet(&wallet).await?;
        opened(stored.ok_or(CustodyError::NoMember)?)
    }

    /// The member's wallet, if it has one that is open.
    pub async fn wallet(&self, partner: &str, member_id: &str) -> Result<WalletRow, CustodyError> {
        let found = self.store.wallet(partner, member_id).await?;
        let found = found.filter(|wallet| wallet.sealed.is_some());
        found.ok_or(CustodyError::NoWallet)
    }

    /// Whether an address is that of a wallet, also of one that is closed.
    pub(crate) async fn is_wallet(&self, address: Address) -> Result<bool, sqlx::Error> {
        if !self.keeps_wallets() {
            return Ok(false);
        }
        let keeper = keeper(self.store.read(), &address.to_string()).await?;
        Ok(keeper.is_some())
    }

    /// What a wallet holds now.
    pub async fn holdings(&self, wallet: &WalletRow) -> Result<Holdings, CustodyError> {
        let address = stored_address(&wallet.address)?;
        let withdrawal = self.store.open_withdrawal(&wallet.address).await?;
        let block = self.chain.height().await?;
        let balance = self.chain.points_of(address, block).await?;
        // Any address that is not exempt from fees; this one is as good as another.
        let (movable, fee) = self.most(address, address, balance, block).await?;
        Ok(Holdings {
            balance: micro(balance),
            movable: micro(movable),
            fee: micro(fee),
            withdrawal,
        })
    }

    /// The most that can be moved out of a balance, and its fee: one micro-point more would not be
    /// covered.
    pub(super) async fn most(
        &self,
        from: Address,
        to: Address,
        balance: U256,
        block: u64,
    ) -> Result<(U256, U256), CustodyError> {
        let mut best = (U256::ZERO, U256::ZERO);
        if balance < U256::from(LEAST.0) {
            return Ok(best);
        }
        let mut guess = balance;
        for _ in 0..GUESSES {
            let fee = self.chain.transfer_fee(from, to, guess, block).await?;
            let covered = guess.checked_add(fee).is_some_and(|sum| sum <= balance);
            if covered && guess > best.0 {
                best = (guess, fee);
            }
            let next = balance.saturating_sub(fee);
            if next == guess || next == best.0 {
                break;
            }
            guess = next;
        }
        Ok(best)
    }

    /// The key of a wallet. Whoever has it moves its points.
    pub(super) fn key_of(&self, wallet: &WalletRow) -> Result<PrivateKeySigner, CustodyError> {
        let member = &wallet.member_id;
        let sealed = wallet.sealed.as_ref().ok_or(CustodyError::NoWallet)?;
        let bytes = self.vault.open(&sealed_for(member), sealed);
        let bytes = SecretSlice::from(bytes.map_err(|error| broken(member, &error.to_string()))?);
        let signer = PrivateKeySigner::from_slice(bytes.expose_secret())
            .map_err(|error| broken(member, &error.to_string()))?;
        if signer.address() != stored_address(&wallet.address)? {
            return Err(broken(member, "its key is another address's"));
        }
        Ok(signer)
    }

    /// Erases a member, and closes its wallet if it has one: only if nothing that could be moved is in
    /// it or on its way into it.
    pub async fn erase(&self, member: &MemberRow) -> Result<(), CustodyError> {
        for _ in 0..CLOSINGS {
            // First of all how often it was used: whatever is begun from here on is noticed.
            let wallet = self.store.wallet(&member.partner, &member.id).await?;
            let wallet = wallet.filter(|wallet| wallet.sealed.is_some());
            if let Some(wallet) = &wallet {
                self.check_empty(member, wallet).await?;
            }
            let uses = wallet.map(|wallet| wallet.uses);
            let now = self.store.now();
            if self.store.erase_member(&member.id, uses, now).await? == Erased::Done {
                return Ok(());
            }
        }
        Err(CustodyError::Busy)
    }

    async fn check_empty(
        &self,
        member: &MemberRow,
        wallet: &WalletRow,
    ) -> Result<(), CustodyError> {
        let partners_id = member_of(&self.vault, member)
            .ok_or_else(|| broken(&member.id, "the member's own data does not open"))?;
        let (programme, partners_id) = (&member.programme, partners_id.as_str());
        let busy = self
            .store
            .wallet_is_busy(wallet, programme, partners_id)
            .await?;
        if busy {
            return Err(CustodyError::Busy);
        }
        // All that came in or went out has a block by now, and the node must have seen it.
        let known = self
            .store
            .wallet_block(wallet, programme, partners_id)
            .await?;
        let block = self.chain.height().await?;
        if block < known {
            return Err(CustodyError::Behind);
        }
        let address = stored_address(&wallet.address)?;
        let balance = micro(self.chain.points_of(address, block).await?);
        if balance >= LEAST {
            return Err(CustodyError::NotEmpty(balance));
        }
        Ok(())
    }
}

fn opened(wallet: WalletRow) -> Result<WalletRow, CustodyError> {
    match wallet.sealed {
        Some(_) => Ok(wallet),
        None => Err(CustodyError::NoMember),
    }
}

pub(super) fn broken(member: &str, why: &str) -> CustodyError {
    CustodyError::Key {
        member: member.to_owned(),
        why: why.to_owned(),
    }
}
