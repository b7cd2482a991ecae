//! What the relayer sees of one of the chains.

use super::{Action, CONTRACT, Shared, Waiting, World, action_of, chain_id};
use alloy::{
    consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _},
    eips::eip2718::Decodable2718 as _,
};
use mileverse_primitives::{Address, B256, Bytes, U256, keccak256};
use mileverse_relayer::{
    chain::{At, End, Inclusion, Ledger},
    swaps::{Head, SwapLedger, decide::Moment},
};
use mileverse_wallet::{
    rpc::{Chain, RpcError},
    timelock::{Event, Happened, State, Terms},
    transaction::Fees,
};
use rand::Rng as _;

/// One of them.
#[derive(Clone)]
pub struct Fake {
    pub shared: Shared,
    pub end: End,
}

impl Fake {
    async fn ask<T>(
        &self,
        work: impl FnOnce(&mut World) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        self.shared.call(self.end, work).await
    }

    fn decode(raw: &Bytes) -> Waiting {
        let envelope = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        Waiting {
            hash: *envelope.tx_hash(),
            sender: envelope.recover_signer().unwrap(),
            nonce: envelope.nonce(),
            max_fee: envelope.max_fee_per_gas(),
            to: envelope.to(),
            chain_id: envelope.chain_id(),
            action: action_of(envelope.input()),
        }
    }
}

impl Ledger for Fake {
    fn chain(&self) -> Chain {
        self.end.kind()
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(chain_id(self.end))
    }

    async fn target(&self, _: &Bytes) -> Result<Address, RpcError> {
        Ok(CONTRACT)
    }

    async fn height(&self) -> Result<u64, RpcError> {
        self.ask(|world| Ok(world.chain(self.end).height())).await
    }

    async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        self.ask(|world| {
            let chain = world.chain(self.end);
            let block = match at {
                At::Latest => chain.head(),
                At::Finalized => chain.final_block(),
            };
            let nonce = block.nonces.get(&account).copied().unwrap_or(0);
            let wrong = world.trouble.wrong_nonce;
            Ok(if at == At::Latest && world.roll(wrong) {
                (nonce + world.dice.random_range(0..3)).saturating_sub(1)
            } else {
                nonce
            })
        })
        .await
    }

    async fn estimate(&self, _: Address, input: Bytes) -> Result<u64, RpcError> {
        let action = action_of(&input);
        self.ask(|world| {
            let (Action::Open(terms) | Action::Claim(terms, _) | Action::Refund(terms)) = action;
            let id = world.chain(self.end).id(&terms);
            assert_eq!(
                world.view.get(&(self.end, id)),
                Some(&State::Open),
                "a transaction is made for a swap that was not called open in this tick"
            );
            let chain = world.chain(self.end);
            let mut block = chain.head().clone();
            chain
                .execute(&mut block, 0, action)
                .map(|()| 60_000)
                .map_err(|reason| RpcError::Reverted {
                    chain: self.end.kind(),
                    reason,
                })
        })
        .await
    }

    async fn fees(&self) -> Result<Fees, RpcError> {
        self.ask(|world| {
            let price = world.chain(self.end).price;
            Ok(match self.end {
                End::Ethereum => Fees::Dynamic { max: price, tip: 1 },
                End::Native | End::Peer => Fees::Legacy { price },
            })
        })
        .await
    }

    async fn broadcast(&self, raw: Bytes) -> Result<(), RpcError> {
        let new = Self::decode(&raw);
        self.ask(|world| {
            let chain = world.chain_mut(self.end);
            let next = chain.head().nonces.get(&new.sender).copied().unwrap_or(0);
            let known = chain.pool.iter().any(|one| one.hash == new.hash);
            // The relayer's chains take an old nonce for a success, see `is_known`.
            if known || new.nonce < next {
                return Ok(());
            }
            let refused = |message: &str| {
                Err(RpcError::Refused {
                    chain: self.end.kind(),
                    message: message.into(),
                })
            };
            let base = match self.end {
                End::Ethereum => 0,
                End::Native | End::Peer => chain.price,
            };
            if new.max_fee < base {
                return refused("transaction underpriced");
            }
            let same = |one: &Waiting| one.sender == new.sender && one.nonce == new.nonce;
            if let Some(at) = chain.pool.iter().position(same) {
                if new.max_fee < chain.pool[at].max_fee + chain.pool[at].max_fee / 10 {
                    return refused("replacement transaction underpriced");
                }
                chain.pool.remove(at);
            }
            chain.pool.push(new);
            Ok(())
        })
        .await
    }

    async fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, RpcError> {
        self.ask(|world| Ok(world.chain(self.end).head().included.get(&hash).copied()))
            .await
    }
}

impl SwapLedger for Fake {
    async fn head(&self) -> Result<Head, RpcError> {
        self.ask(|world| {
            let chain = world.chain(self.end);
            let block = chain.head();
            Ok(Head {
                number: chain.height(),
                hash: keccak256(block.salt.to_be_bytes()),
                moment: Moment::after(self.end.kind(), block.time_s),
            })
        })
        .await
    }

    async fn finalized(&self) -> Result<u64, RpcError> {
        self.ask(|world| Ok(world.chain(self.end).finalized()))
            .await
    }

    async fn events(&self, from: u64, to: u64) -> Result<Vec<Event>, RpcError> {
        self.ask(|world| {
            let trouble = world.trouble;
            let late = world.roll(trouble.late);
            let chain = world.chain(self.end);
            let shown = if late {
                chain.height().saturating_sub(2)
            } else {
                chain.height()
            };
            let masked = world.masked_from.unwrap_or(u64::MAX);
            let mut events: Vec<_> = chain
                .head()
                .told
                .iter()
                .filter(|told| told.ms < masked)
                .map(|told| told.event)
                .filter(|event| (from..=to.min(shown)).contains(&event.block))
                .collect();
            if !events.is_empty() && world.roll(trouble.hidden) {
                events.remove(world.dice.random_range(0..events.len()));
            }
            if world.roll(trouble.made_up) {
                let terms = Terms {
                    token: Address::repeat_byte(1),
                    amount: U256::from(world.dice.random::<u64>()),
                    opener: Address::repeat_byte(6),
                    claimer: Address::repeat_byte(7),
                    lock: B256::from(world.dice.random::<[u8; 32]>()),
                    deadline: world.now_ms / 1_000 + world.dice.random_range(0..300),
                };
                events.push(Event {
                    id: world.chain(self.end).id(&terms),
                    lock: terms.lock,
                    happened: Happened::Opened(terms),
                    block: to,
                    transaction: B256::ZERO,
                });
            }
            Ok(events)
        })
        .await
    }

    async fn states(&self, ids: &[B256], at: At) -> Result<Vec<State>, RpcError> {
        self.ask(|world| {
            let wrong = world.trouble.wrong_state;
            let mut states = Vec::with_capacity(ids.len());
            for id in ids {
                let chain = world.chain(self.end);
                let block = match at {
                    At::Latest => chain.head(),
                    At::Finalized => chain.final_block(),
                };
                let mut state = block.swaps.get(id).map_or(State::None, |swap| swap.1);
                // What is for ever is asked of several endpoints.
                if at == At::Latest {
                    if world.roll(wrong) {
                        let lies = [State::None, State::Open, State::Claimed, State::Refunded];
                        state = lies[world.dice.random_range(0..4)];
                    }
                    world.view.insert((self.end, *id), state);
                }
                states.push(state);
            }
            Ok(states)
        })
        .await
    }
}
