//! Looks at one route from time to time, for metrics and pages: endpoints, accounts, backlog, and
//! whether what is held at home equals what is away and in flight.
//!
//! ```txt
//! imbalance = held by the bridge at home − supply away − in flight both ways
//! in flight = (sent − refunded here) − received there, both ways
//! ```
//!
//! Each chain's numbers are read at one block. Whatever the two blocks are, the difference is zero
//! as long as each bridge's books agree with what it really holds (`docs/protocol.md`, "Tokens").
//!
//! Tokens are MVP, MVC, and every ERC-20 that Ethereum's bridge registered ([`Registered`] finds them in
//! its events). The native chain knows none of the latter: all that was sent of them and not refunded is
//! in flight.

use crate::{
    Error,
    chain::{Account, At, EthereumChain as _, Ledger as _, NativeChain as _},
    clock::Clock,
    http::{AccountView, Board, RouteView, TokenView},
    metrics::{Way, fraction},
    route::Route,
    store::{Direction, RouteStore},
};
use alloy::{
    eips::BlockId,
    primitives::I256,
    providers::Provider as _,
    rpc::types::Filter,
    sol_types::{SolCall, SolEvent as _},
};
use mileverse_bindings::Bridge;
use mileverse_primitives::{
    Address, U256,
    abi::{IBridge, ICoin},
    address,
};
use mileverse_wallet::rpc::{Chain, RpcError, request};
use std::time::Duration;

/// Most searches for registered tokens in one look.
const MAX_SEARCHES: usize = 16;
/// Most registered tokens that are watched.
const MAX_TOKENS: usize = 256;
/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Looks for ever; returns only what ends the process.
pub(crate) async fn watch(route: Route, board: Board) -> Error {
    let clock = Clock::system();
    let mut registered = Registered::from(route.config.ethereum.start_block);
    loop {
        let (native, ethereum) = (route.native.ledger(), route.ethereum.ledger());
        tokio::join!(native.pool().probe(), ethereum.pool().probe());
        let mut view = RouteView::default();
        for account in [native, ethereum] {
            let pool = account.pool();
            let chain = pool.chain().word();
            for endpoint in pool.health() {
                let before = board.failures(&route.name, chain, &endpoint.url);
                let news = endpoint.failed.saturating_sub(before);
                board.metrics().endpoint(
                    &route.name,
                    chain,
                    &endpoint.url,
                    endpoint.up,
                    endpoint.height,
                    news,
                );
                view.endpoints.push((chain, endpoint));
            }
        }
        match board.rows(&route.name).await {
            Ok(Some(rows)) => {
                if let Err(error) = backlog(&rows, &board, &clock).await {
                    return error;
                }
                match accounts(&route, &rows, &board).await {
                    Ok(accounts) => view.accounts = accounts,
                    Err(error) if error.passes() => view.note(&error),
                    Err(error) => return error,
                }
                if let Err(error) = registered.find(&route).await {
                    view.note(&error.into());
                }
                match tokens(&route, &board).await {
                    Ok(tokens) => view.tokens = tokens,
                    Err(error) => view.note(&error.into()),
                }
                for token in &registered.tokens {
                    match foreign(&route, token, &board).await {
                        Ok(token) => view.tokens.push(token),
                        Err(error) => view.note(&error.into()),
                    }
                }
            }
            // Not tied to its network yet.
            Ok(None) => {}
            Err(error) => return error,
        }
        board.show(&route.name, view);
        tokio::time::sleep(EVERY).await;
    }
}

async fn backlog(rows: &RouteStore, board: &Board, clock: &Clock) -> Result<(), Error> {
    for direction in Direction::ALL {
        let way = Way::new(rows.name(), direction);
        let now = clock.now_ms();
        let counts = rows.counts(direction).await?;
        let oldest = rows.oldest_waiting_ms(direction).await?;
        let age = oldest.map_or(0, |found| now.saturating_sub(found));
        board
            .metrics()
            .backlog(&way, counts.waiting, counts.landed, age);
        let well = rows.health(direction).await?.ok_ms;
        board.metrics().stalled(&way, now.saturating_sub(well));
    }
    Ok(())
}

async fn accounts(
    route: &Route,
    rows: &RouteStore,
    board: &Board,
) -> Result<Vec<AccountView>, Error> {
    let mut views = Vec::new();
    for direction in Direction::ALL {
        let way = Way::new(&route.name, direction);
        let chain = direction.destination();
        let ledger = match chain {
            Chain::Native => route.native.ledger(),
            Chain::Ethereum => route.ethereum.ledger(),
        };
        let signed = rows.signed(direction).await?;
        for signer in route.signers(chain) {
            let account = signer.account();
            let nonce = ledger.nonce(account, At::Latest).await?;
            let balance = ledger.balance(account).await?;
            let balance = u128::try_from(balance).unwrap_or(u128::MAX);
            let mut open: Vec<_> = signed
                .iter()
                .filter(|row| row.account == account && row.nonce >= nonce)
                .map(|row| row.nonce)
                .collect();
            open.dedup();
            board
                .metrics()
                .account(&way, account, balance, nonce, open.len());
            views.push(AccountView {
                chain: chain.word(),
                account,
                balance_wei: balance.to_string(),
                nonce,
                open_nonces: open,
            });
        }
    }
    Ok(views)
}

/// One side's numbers of a token, all at one block.
struct Side {
    totals: IBridge::Totals,
    /// Held by the bridge at home; the whole supply away.
    real: U256,
}

async fn tokens(route: &Route, board: &Board) -> Result<Vec<TokenView>, RpcError> {
    let facts = route.native.facts().await?;
    let (native, ethereum) = (route.native.ledger(), route.ethereum.ledger());
    let mut views = Vec::new();
    for (token, here, there, home, decimals) in [
        (
            "MVP",
            address::POINTS,
            facts.ethereum.points,
            Chain::Native,
            6,
        ),
        (
            "MVC",
            address::COIN,
            facts.ethereum.coin,
            Chain::Ethereum,
            18,
        ),
    ] {
        let on_native = side(native, here, home == Chain::Native).await?;
        let on_ethereum = side(ethereum, there, home == Chain::Ethereum).await?;
        let (at_home, away) = match home {
            Chain::Native => (&on_native, &on_ethereum),
            Chain::Ethereum => (&on_ethereum, &on_native),
        };
        views.push(judge(route, board, token, decimals, at_home, away));
    }
    Ok(views)
}

/// What one token's books come to; says so aloud if they do not agree.
fn judge(
    route: &Route,
    board: &Board,
    token: &str,
    decimals: u32,
    at_home: &Side,
    away: &Side,
) -> TokenView {
    let out = in_flight(&at_home.totals, &away.totals);
    let back = in_flight(&away.totals, &at_home.totals);
    let flying = out.saturating_add(back);
    let imbalance = signed(at_home.real)
        .saturating_sub(signed(away.real))
        .saturating_sub(flying);
    let unit = 10u128.saturating_pow(decimals);
    let size = u128::try_from(imbalance.unsigned_abs()).unwrap_or(u128::MAX);
    let size = fraction(size, unit);
    let tokens = if imbalance.is_negative() { -size } else { size };
    board.metrics().imbalance(&route.name, token, tokens);
    if !imbalance.is_zero() {
        tracing::error!(
            route = route.name, token, %imbalance,
            "what is held at home is not what is away and in flight"
        );
    }
    TokenView {
        token: token.to_owned(),
        held: at_home.real.to_string(),
        away: away.real.to_string(),
        in_flight: flying.to_string(),
        imbalance: imbalance.to_string(),
    }
}

/// An ERC-20 that Ethereum's bridge registered.
#[derive(Clone, Copy, Debug)]
struct Foreign {
    contract: Address,
    /// Decimals with which it crosses.
    decimals: u8,
    /// Its smallest units in one unit of the books.
    unit: U256,
}

/// The registered tokens that were found so far.
#[derive(Clone, Debug)]
struct Registered {
    tokens: Vec<Foreign>,
    /// First block that was not searched.
    next: u64,
}

impl Registered {
    const fn from(start_block: u64) -> Self {
        Self {
            tokens: Vec::new(),
            next: start_block,
        }
    }

    /// Searches the final blocks since the last look, some of them at a time.
    async fn find(&mut self, route: &Route) -> Result<(), RpcError> {
        let account = route.ethereum.ledger();
        let endpoint = account.endpoint();
        let bridge = account.bridge();
        let finalized = route.ethereum.finalized().await?;
        for _ in 0..MAX_SEARCHES {
            if self.next > finalized || self.tokens.len() >= MAX_TOKENS {
                return Ok(());
            }
            let range = route.config.ethereum.log_range.saturating_sub(1);
            let to = self.next.saturating_add(range).min(finalized);
            let filter = Filter::new()
                .address(bridge)
                .event_signature(Bridge::TokenRegistered::SIGNATURE_HASH)
                .from_block(self.next)
                .to_block(to);
            let logs = endpoint.provider().get_logs(&filter).await;
            for log in logs.map_err(|fault| endpoint.fault(fault))? {
                let event = Bridge::TokenRegistered::decode_log(&log.inner)
                    .map_err(|error| endpoint.nonsense(&error.to_string()))?;
                let contract = event.token;
                if self.tokens.iter().any(|known| known.contract == contract) {
                    continue;
                }
                let unit = endpoint
                    .view(bridge, &Bridge::unitCall { token: contract })
                    .await?;
                self.tokens.push(Foreign {
                    contract,
                    decimals: event.decimals,
                    unit,
                });
            }
            self.next = to.saturating_add(1);
        }
        Ok(())
    }
}

/// A registered token's books. Away there is nothing of it.
async fn foreign(route: &Route, token: &Foreign, board: &Board) -> Result<TokenView, RpcError> {
    let account = route.ethereum.ledger();
    let mut at_home = side(account, token.contract, true).await?;
    // What is less than a unit did not come over the bridge.
    at_home.real = at_home.real.checked_div(token.unit).unwrap_or_default();
    let away = Side {
        totals: IBridge::Totals {
            sent: U256::ZERO,
            received: U256::ZERO,
            refunded: U256::ZERO,
        },
        real: U256::ZERO,
    };
    let name = token.contract.to_string();
    Ok(judge(
        route,
        board,
        &name,
        token.decimals.into(),
        &at_home,
        &away,
    ))
}

/// Sent from one side and not received on the other, as far as both blocks show.
fn in_flight(from: &IBridge::Totals, to: &IBridge::Totals) -> I256 {
    signed(from.sent)
        .saturating_sub(signed(from.refunded))
        .saturating_sub(signed(to.received))
}

fn signed(value: U256) -> I256 {
    I256::try_from(value).unwrap_or(I256::MAX)
}

async fn side(account: &Account, token: Address, home: bool) -> Result<Side, RpcError> {
    let block = BlockId::number(account.height().await?);
    let bridge = account.bridge();
    let totals = view(account, bridge, IBridge::totalsCall { token }, block).await?;
    let real = if home {
        let call = ICoin::balanceOfCall { account: bridge };
        view(account, token, call, block).await?
    } else {
        view(account, token, ICoin::totalSupplyCall {}, block).await?
    };
    Ok(Side { totals, real })
}

async fn view<C: SolCall>(
    account: &Account,
    to: Address,
    call: C,
    block: BlockId,
) -> Result<C::Return, RpcError> {
    let endpoint = account.endpoint();
    let request = request(Address::ZERO, to, U256::ZERO, call.abi_encode().into());
    let output = endpoint
        .provider()
        .call(request)
        .block(block)
        .await
        .map_err(|fault| endpoint.fault(fault))?;
    C::abi_decode_returns(&output).map_err(|_| endpoint.nonsense(&format!("no token at {to}")))
}
