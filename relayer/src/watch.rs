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

use crate::{
    Error,
    chain::{Account, At, EthereumChain as _, Ledger as _, NativeChain as _},
    clock::Clock,
    http::{AccountView, Board, RouteView, TokenView},
    metrics::{Way, fraction},
    route::Route,
    store::{Direction, RouteStore},
};
use alloy::{eips::BlockId, primitives::I256, providers::Provider as _, sol_types::SolCall};
use mileverse_primitives::{
    Address, U256,
    abi::{IBridge, ICoin},
    address,
};
use mileverse_wallet::rpc::{Chain, RpcError, request};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Looks for ever; returns only what ends the process.
pub(crate) async fn watch(route: Route, board: Board) -> Error {
    let clock = Clock::system();
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
                match tokens(&route, &board).await {
                    Ok(tokens) => view.tokens = tokens,
                    Err(error) => view.note(&error.into()),
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
        views.push(TokenView {
            token,
            held: at_home.real.to_string(),
            away: away.real.to_string(),
            in_flight: flying.to_string(),
            imbalance: imbalance.to_string(),
        });
    }
    Ok(views)
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
