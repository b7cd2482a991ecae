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
//! Between two native chains the tokens are the points of each, `MVP` those of the native chain and
//! `MVP.<chain id>` those of its peer.
//!
//! To Ethereum the tokens are MVP, MVC, and every ERC-20 that Ethereum's bridge registered ([`Registered`] finds them in
//! its events). The native chain knows none of the latter: all that was sent of them and not refunded is
//! in flight.

use crate::{
    Error,
    chain::{
        Account, At, Door, End, Inbox as _, Ledger as _, Side as _, Verifier as _,
        ethereum::Ethereum, native::Native,
    },
    clock::Clock,
    config,
    http::{AccountView, Board, RouteView, TokenView},
    metrics::{Way, fraction},
    route::{Far, Route, SWAP_ENDS},
    store::{Lane, RouteStore},
};
use alloy::{
    eips::BlockId,
    primitives::{Bytes, I256},
    providers::Provider as _,
    rpc::types::Filter,
    sol_types::{SolCall as _, SolEvent as _},
};
use mileverse_bindings::Bridge;
use mileverse_primitives::{Address, U256, abi::ICoin, address};
use mileverse_wallet::rpc::{RpcError, request};
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
    let mut books = Books::new(&route);
    loop {
        let (native, far) = (route.native.ledger(), route.far.ledger());
        tokio::join!(native.pool().probe(), far.pool().probe());
        let mut view = RouteView::default();
        for (end, account) in [(End::Native, native), (route.config.far_end(), far)] {
            let pool = account.pool();
            let chain = end.word();
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
                if let Err(error) =
                    backlog(&rows, route.config.swaps.is_some(), &board, &clock).await
                {
                    return error;
                }
                match accounts(&route, &rows, &board).await {
                    Ok(accounts) => view.accounts = accounts,
                    Err(error) if error.passes() => view.note(&error),
                    Err(error) => return error,
                }
                books.look(&route, &board, &mut view).await;
            }
            // Not tied to its network yet.
            Ok(None) => {}
            Err(error) => return error,
        }
        board.show(&route.name, view);
        tokio::time::sleep(EVERY).await;
    }
}

async fn backlog(
    rows: &RouteStore,
    swaps: bool,
    board: &Board,
    clock: &Clock,
) -> Result<(), Error> {
    for direction in rows.directions() {
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
    for end in SWAP_ENDS.into_iter().filter(|_| swaps) {
        let lane = Lane::Swaps(end);
        let way = Way::new(rows.name(), lane);
        let now = clock.now_ms();
        let counts = rows.swap_counts(end, now).await?;
        let oldest = rows.oldest_due_swap_ms(end, now).await?;
        let due = oldest.map_or(0, |since| now.saturating_sub(since));
        board.metrics().open_swaps(&way, &counts, due);
        let well = rows.health(lane).await?.ok_ms;
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
    for lane in route.lanes() {
        let way = Way::new(&route.name, lane);
        let (end, ledger) = route.place(lane);
        let signed = rows.signed(lane).await?;
        for signer in route.signers_of(lane) {
            let account = signer.account();
            let nonce = ledger.nonce(account, At::Latest).await?;
            let balance = ledger.pool().balance(account).await?;
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
                chain: end.word(),
                account,
                balance_wei: balance.to_string(),
                nonce,
                open_nonces: open,
            });
        }
    }
    Ok(views)
}

/// Where the books of a route's tokens stand.
enum Books {
    /// On a native chain and on Ethereum, which registers further tokens.
    Ethereum(Ethereum, Registered),
    /// On two native chains.
    Peer(Native),
}

impl Books {
    fn new(route: &Route) -> Self {
        match &route.far {
            Far::Ethereum(ethereum, config) => {
                Self::Ethereum(ethereum.clone(), Registered::of(config))
            }
            Far::Peer(peer, _) => Self::Peer(peer.clone()),
        }
    }

    /// Looks at every token; what could not be looked at is noted.
    async fn look(&mut self, route: &Route, board: &Board, view: &mut RouteView) {
        let pairs = match self {
            Self::Ethereum(ethereum, registered) => {
                if let Err(error) = registered.find(ethereum).await {
                    view.note(&error.into());
                }
                to_ethereum(&route.native, ethereum).await
            }
            Self::Peer(peer) => Ok(between(&route.native, peer)),
        };
        match pairs {
            Ok(pairs) => {
                for pair in pairs {
                    match pair.look(route, board).await {
                        Ok(token) => view.tokens.push(token),
                        Err(error) => view.note(&error.into()),
                    }
                }
            }
            Err(error) => view.note(&error.into()),
        }
        let Self::Ethereum(ethereum, registered) = self else {
            return;
        };
        for token in &registered.tokens {
            match foreign(route, ethereum, token, board).await {
                Ok(token) => view.tokens.push(token),
                Err(error) => view.note(&error.into()),
            }
        }
    }
}

/// A token, where it is at home and where it is away, by its address on each.
struct Pair<'a> {
    name: String,
    decimals: u32,
    home: (&'a Account, Address),
    away: (&'a Account, Address),
}

impl Pair<'_> {
    async fn look(&self, route: &Route, board: &Board) -> Result<TokenView, RpcError> {
        let at_home = side(self.home.0, self.home.1, true).await?;
        let away = side(self.away.0, self.away.1, false).await?;
        Ok(judge(
            route,
            board,
            &self.name,
            self.decimals,
            &at_home,
            &away,
        ))
    }
}

async fn to_ethereum<'a>(
    native: &'a Native,
    ethereum: &'a Ethereum,
) -> Result<Vec<Pair<'a>>, RpcError> {
    let facts = native.facts().await?;
    let points = (
        (native.ledger(), address::POINTS),
        (ethereum.ledger(), facts.ethereum.points),
    );
    let coin = (
        (ethereum.ledger(), facts.ethereum.coin),
        (native.ledger(), address::COIN),
    );
    Ok(vec![
        Pair {
            name: "MVP".into(),
            decimals: 6,
            home: points.0,
            away: points.1,
        },
        Pair {
            name: "MVC".into(),
            decimals: 18,
            home: coin.0,
            away: coin.1,
        },
    ])
}

/// The points of both. Where they left, the account of the other's points holds them.
fn between<'a>(native: &'a Native, peer: &'a Native) -> Vec<Pair<'a>> {
    let (near, far) = (native.ledger(), peer.ledger());
    vec![
        Pair {
            name: "MVP".into(),
            decimals: 6,
            home: (near, address::POINTS),
            away: (far, far.door().holder()),
        },
        Pair {
            name: match near.door() {
                Door::Peers(chain_id) => format!("MVP.{chain_id}"),
                Door::Bridge(_) => "MVP of the peer".into(),
            },
            decimals: 6,
            home: (far, address::POINTS),
            away: (near, near.door().holder()),
        },
    ]
}

/// One side's numbers of a token, all at one block.
struct Side {
    totals: Totals,
    /// Held by the bridge at home; the whole supply away.
    real: U256,
}

/// What a side's books say of a token.
struct Totals {
    sent: U256,
    received: U256,
    refunded: U256,
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
    /// Blocks of one search.
    range: u64,
}

impl Registered {
    const fn of(config: &config::Ethereum) -> Self {
        Self {
            tokens: Vec::new(),
            next: config.start_block,
            range: config.log_range,
        }
    }

    /// Searches the final blocks since the last look, some of them at a time.
    async fn find(&mut self, ethereum: &Ethereum) -> Result<(), RpcError> {
        let account = ethereum.ledger();
        let endpoint = account.endpoint();
        let bridge = account.bridge();
        let finalized = ethereum.finalized().await?;
        for _ in 0..MAX_SEARCHES {
            if self.next > finalized || self.tokens.len() >= MAX_TOKENS {
                return Ok(());
            }
            let range = self.range.saturating_sub(1);
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
async fn foreign(
    route: &Route,
    ethereum: &Ethereum,
    token: &Foreign,
    board: &Board,
) -> Result<TokenView, RpcError> {
    let account = ethereum.ledger();
    let mut at_home = side(account, token.contract, true).await?;
    // What is less than a unit did not come over the bridge.
    at_home.real = at_home.real.checked_div(token.unit).unwrap_or_default();
    let away = Side {
        totals: Totals {
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
fn in_flight(from: &Totals, to: &Totals) -> I256 {
    signed(from.sent)
        .saturating_sub(signed(from.refunded))
        .saturating_sub(signed(to.received))
}

fn signed(value: U256) -> I256 {
    I256::try_from(value).unwrap_or(I256::MAX)
}

async fn side(account: &Account, token: Address, home: bool) -> Result<Side, RpcError> {
    let block = BlockId::number(account.height().await?);
    let door = account.door();
    let answer = ask(account, door.address(), door.totals(token), block).await?;
    let [sent, received, refunded] = door
        .read_totals(&answer)
        .ok_or_else(|| no_token(account, token))?;
    let question = if home {
        let account = door.holder();
        ICoin::balanceOfCall { account }.abi_encode()
    } else {
        ICoin::totalSupplyCall {}.abi_encode()
    };
    let answer = ask(account, token, question.into(), block).await?;
    let real = U256::try_from_be_slice(&answer).ok_or_else(|| no_token(account, token))?;
    Ok(Side {
        totals: Totals {
            sent,
            received,
            refunded,
        },
        real,
    })
}

fn no_token(account: &Account, token: Address) -> RpcError {
    account.endpoint().nonsense(&format!("no token at {token}"))
}

async fn ask(
    account: &Account,
    to: Address,
    question: Bytes,
    block: BlockId,
) -> Result<Bytes, RpcError> {
    let endpoint = account.endpoint();
    let request = request(Address::ZERO, to, U256::ZERO, question);
    endpoint
        .provider()
        .call(request)
        .block(block)
        .await
        .map_err(|fault| endpoint.fault(fault))
}
