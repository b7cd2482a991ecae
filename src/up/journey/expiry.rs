//! Step 5: the relayer is stopped, transfers are sent both ways with a near deadline, the relayer is
//! started after the deadline. Each expires at its destination and is refunded at its source.

use super::{
    super::{
        error::Error,
        fleet::Fleet,
        report::Facts,
        system::{System, now_ms},
        wait::Look,
    },
    cross::{EXPIRED, asked, balance, less_fee, receipt, whole},
    require,
};
use alloy::primitives::B256;
use mileverse_primitives::packet::REFUNDED;
use mileverse_wallet::{
    client::BridgeSent,
    rpc::Chain,
    units::{Amount, Token},
};
use serde_json::json;

/// What the relayer's process is called.
const RELAYER: &str = "relayer";
/// Seconds between now and the deadline: enough to get the transfer into a block.
const NEAR_SECONDS: u64 = 12;
const TO_ETHEREUM: u64 = 70;
const TO_NATIVE: u64 = 30;

/// Plays the step.
pub async fn play(system: &System, fleet: &mut Fleet) -> Result<Facts, Error> {
    let native = &system.chains.native;
    let ethereum = &system.chains.ethereum;
    let native_before = balance(native, system, Token::Mvp).await?;
    let ethereum_before = balance(ethereum, system, Token::Mvp).await?;

    fleet.stop(RELAYER).await?;
    let to_ethereum = send(system, Chain::Native, whole(Token::Mvp, TO_ETHEREUM)?).await?;
    let to_native = send(system, Chain::Ethereum, whole(Token::Mvp, TO_NATIVE)?).await?;
    for (chain, sent) in [(Chain::Native, &to_ethereum), (Chain::Ethereum, &to_native)] {
        pass(system, chain.other(), sent.deadline).await?;
        let receipt = receipt(system.chains.on(chain.other()), sent.sequence()).await?;
        require(receipt == 0, || {
            format!("a packet was delivered with no relayer running: receipt {receipt}")
        })?;
    }
    fleet.restart(RELAYER).await?;

    for (chain, sent) in [(Chain::Native, &to_ethereum), (Chain::Ethereum, &to_native)] {
        refunded(system, chain, sent).await?;
    }
    let native_after = balance(native, system, Token::Mvp).await?;
    let ethereum_after = balance(ethereum, system, Token::Mvp).await?;
    // Refunds are whole; what the sending cost is spent.
    let expected = less_fee(native_before, &to_ethereum.sent);
    require(expected == Some(native_after), || {
        format!(
            "the refund left {native_after} on the native chain of {native_before}, and the sending cost {}",
            to_ethereum.sent.fee
        )
    })?;
    require(ethereum_after == ethereum_before, || {
        format!("the refund left {ethereum_after} on Ethereum instead of {ethereum_before}")
    })?;

    let mut facts = Facts::default();
    facts.add("toEthereum", to_ethereum.facts(Chain::Native));
    facts.add("toNative", to_native.facts(Chain::Ethereum));
    facts.add("native", native_after);
    facts.add("ethereum", ethereum_after);
    Ok(facts)
}

/// A transfer that nobody will deliver in time.
struct Late {
    sent: BridgeSent,
    amount: Amount,
    deadline: u64,
}

impl Late {
    const fn sequence(&self) -> u64 {
        self.sent.id.sequence
    }

    fn facts(&self, from: Chain) -> serde_json::Value {
        json!({
            "amount": self.amount.decimal(),
            "token": self.amount.token().symbol(),
            "fee": self.sent.fee.to_string(),
            "packet": format!("{}:{}", from.word(), self.sequence()),
            "transaction": self.sent.sent.hash,
            "deadline": self.deadline,
            "destination": "expired",
            "source": "refunded",
        })
    }
}

async fn send(system: &System, from: Chain, amount: Amount) -> Result<Late, Error> {
    let mut now = now_ms() / 1000;
    for chain in [&system.chains.native, &system.chains.ethereum] {
        let head = chain.head().await.map_err(asked("the newest block"))?;
        now = now.max(head.timestamp);
    }
    let deadline = now.saturating_add(NEAR_SECONDS);
    let sent = system
        .chains
        .on(from)
        .bridge_send(system.keys.member.address(), amount, deadline, false)
        .await
        .map_err(asked("sending over the bridge"))?;
    Ok(Late {
        sent,
        amount,
        deadline,
    })
}

/// Waits until a chain's own clock is past the deadline.
async fn pass(system: &System, chain: Chain, deadline: u64) -> Result<(), Error> {
    let awaited = format!("the time of {chain} to pass {deadline}");
    system
        .patience
        .until(&awaited, async || {
            let head = system
                .chains
                .on(chain)
                .head()
                .await
                .map_err(asked("the newest block"))?;
            Ok(Look::when(head.timestamp > deadline, || {
                format!("{}", head.timestamp)
            }))
        })
        .await
}

/// Waits for the expiry at the destination and for the refund at the source.
async fn refunded(system: &System, from: Chain, late: &Late) -> Result<(), Error> {
    let source = system.chains.on(from);
    let destination = system.chains.on(from.other());
    let sequence = late.sequence();
    let awaited = format!("packet {}:{sequence} to be refunded", from.word());
    system
        .patience
        .until(&awaited, async || {
            let receipt = receipt(destination, sequence).await?;
            let outbound: B256 = source
                .outbound(sequence)
                .await
                .map_err(asked("a sent packet"))?;
            Ok(Look::when(outbound == REFUNDED, || {
                format!("receipt {receipt} at the destination, {outbound} at the source")
            }))
        })
        .await?;
    let receipt = receipt(destination, sequence).await?;
    require(receipt == EXPIRED, || {
        format!(
            "packet {}:{sequence} was refunded, but its receipt is {receipt} and not expired",
            from.word()
        )
    })
}
