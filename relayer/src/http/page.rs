//! The page: one HTML document, made here, with nothing to load and no script. It shows the newest
//! state every five seconds.

use super::board::{DirectionView, RouteShown, SwapsView};
use crate::store::{Direction, Health, PacketRow, RowState};
use std::fmt::{self, Write as _};

/// Packets of each direction that are listed.
pub(super) const LATEST: usize = 25;

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--good:#2a8f4d;--bad:#c8402f;--wait:#b7791f}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1.5rem 1rem 4rem}
h1{font-size:1.3rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
h3{font-size:.95rem;margin:1.4rem 0 .4rem}
p{margin:.3rem 0}.note{color:#888}
.cards{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(19rem,1fr))}
.card{border:1px solid var(--line);border-radius:.6rem;padding:.7rem .9rem}
.card strong{display:block}.figures{display:flex;flex-wrap:wrap;gap:.3rem 1.3rem}
.figures span b{font-size:1.25rem;font-variant-numeric:tabular-nums;margin-right:.3rem}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.28rem .7rem .28rem 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600;color:#888}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
code{font:13px ui-monospace,monospace}
.good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--wait)}
";

/// Text that comes from elsewhere, safe inside HTML.
struct Safe<'a>(&'a str);

impl fmt::Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// A time span in its largest unit.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1_000 {
            seconds @ 0..120 => write!(f, "{seconds} s"),
            seconds @ 120..7_200 => write!(f, "{} min", seconds / 60),
            seconds @ 7_200..172_800 => write!(f, "{} h", seconds / 3_600),
            seconds => write!(f, "{} d", seconds / 86_400),
        }
    }
}

/// The newest packets of one direction, each with its name.
pub(super) struct Latest {
    pub(super) route: String,
    pub(super) title: &'static str,
    pub(super) packets: Vec<(String, PacketRow)>,
}

/// The whole document.
pub(super) fn render(routes: &[RouteShown], latest: &[Latest], now_ms: u64) -> String {
    let mut out = String::with_capacity(16 * 1024);
    // Writing to a string does not fail.
    let _ = document(&mut out, routes, latest, now_ms);
    out
}

fn document(
    out: &mut String,
    routes: &[RouteShown],
    latest: &[Latest],
    now_ms: u64,
) -> fmt::Result {
    write!(
        out,
        "<!doctype html><html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=refresh content=5><title>Relayer</title><style>{STYLE}</style></head><body>\
         <h1>Relayer</h1><p class=note>Carries packets between native chains and Ethereum. \
         <a href=/ready>ready</a> · <a href=/metrics>metrics</a> · <a href=/api/routes>routes as JSON</a></p>"
    )?;
    for route in routes {
        route_section(out, route, now_ms)?;
        for latest in latest {
            if latest.route == route.route && !latest.packets.is_empty() {
                packets(out, latest, now_ms)?;
            }
        }
    }
    out.write_str("</body></html>\n")
}

fn route_section(out: &mut String, route: &RouteShown, now_ms: u64) -> fmt::Result {
    write!(out, "<h2>Route {}</h2>", Safe(&route.route))?;
    if let Some(trouble) = &route.trouble {
        write!(out, "<p class=bad>{}</p>", Safe(trouble))?;
    }
    out.write_str("<div class=cards>")?;
    let mut both = [Direction::ToEthereum, Direction::ToNative];
    for (place, view) in both.iter_mut().zip(&route.directions) {
        *place = view.direction;
    }
    for view in &route.directions {
        card(out, title(view.direction, both), view, now_ms)?;
    }
    for view in &route.swaps {
        swaps_card(out, view, now_ms)?;
    }
    out.write_str("</div>")?;
    if !route.tokens.is_empty() {
        out.write_str(
            "<h3>Tokens, in their smallest unit</h3><div class=wide><table>\
             <tr><th>token<th>held at home<th>supply away<th>in flight<th>difference</tr>",
        )?;
        for token in &route.tokens {
            let class = if token.imbalance == "0" {
                "good"
            } else {
                "bad"
            };
            write!(
                out,
                "<tr><td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=\"n {class}\">{}</tr>",
                token.token, token.held, token.away, token.in_flight, token.imbalance
            )?;
        }
        out.write_str("</table></div>")?;
    }
    if !route.endpoints.is_empty() {
        out.write_str(
            "<h3>Endpoints</h3><div class=wide><table>\
             <tr><th>chain<th>endpoint<th>state<th>height<th>failures</tr>",
        )?;
        for endpoint in &route.endpoints {
            let (class, word) = if endpoint.up {
                ("good", "well")
            } else {
                ("bad", "rests or is behind")
            };
            write!(
                out,
                "<tr><td>{}<td><code>{}</code><td class={class}>{word}<td class=n>{}<td class=n>{}</tr>",
                endpoint.chain,
                Safe(&endpoint.url),
                endpoint.height,
                endpoint.failed
            )?;
        }
        out.write_str("</table></div>")?;
    }
    if !route.accounts.is_empty() {
        out.write_str(
            "<h3>Accounts</h3><div class=wide><table>\
             <tr><th>chain<th>account<th>balance, wei<th>next nonce<th>waiting for a block</tr>",
        )?;
        for account in &route.accounts {
            write!(
                out,
                "<tr><td>{}<td><code>{}</code><td class=n>{}<td class=n>{}<td class=n>{}</tr>",
                account.chain,
                account.account,
                account.balance_wei,
                account.nonce,
                account.open_nonces.len()
            )?;
        }
        out.write_str("</table></div>")?;
    }
    Ok(())
}

/// A direction of a route with these two.
pub(super) const fn title(direction: Direction, both: [Direction; 2]) -> &'static str {
    match (direction, both) {
        (Direction::ToEthereum, _) => "Native chain to Ethereum",
        (Direction::ToPeer, _) => "Native chain to its peer",
        (Direction::ToNative, [Direction::ToPeer, _]) => "Peer to native chain",
        (Direction::ToNative, _) => "Ethereum to native chain",
    }
}

fn card(out: &mut String, title: &str, view: &DirectionView, now_ms: u64) -> fmt::Result {
    write!(
        out,
        "<div class=card><strong>{title}</strong><div class=figures>"
    )?;
    for (number, word) in [
        (view.counts.waiting, "waiting"),
        (view.counts.landed, "landed"),
        (view.counts.received, "received"),
        (view.counts.expired, "expired"),
        (view.counts.acknowledgements, "acknowledgements waiting"),
    ] {
        write!(out, "<span><b>{number}</b>{word}</span>")?;
    }
    out.write_str("</div>")?;
    health(out, &view.health, now_ms)?;
    if !view.set_aside.is_empty() {
        write!(
            out,
            "<p class=wait>{} set aside, tried again on their own clock</p>",
            view.set_aside.len()
        )?;
    }
    out.write_str("</div>")
}

/// The swaps on one chain.
fn swaps_card(out: &mut String, view: &SwapsView, now_ms: u64) -> fmt::Result {
    let chain = match view.chain {
        "ethereum" => "Ethereum",
        _ => "the native chain",
    };
    write!(
        out,
        "<div class=card><strong>Swaps on {chain}</strong><div class=figures>"
    )?;
    for (number, word) in [
        (view.counts.waiting, "waiting for a secret"),
        (view.counts.due, "due"),
        (view.counts.settling, "settling"),
        (view.counts.claimed, "claimed"),
        (view.counts.refunded, "refunded"),
    ] {
        write!(out, "<span><b>{number}</b>{word}</span>")?;
    }
    out.write_str("</div>")?;
    health(out, &view.health, now_ms)?;
    for swap in &view.set_aside {
        write!(
            out,
            "<p class=wait><code>{}</code> set aside {} times: {}</p>",
            swap.id,
            swap.attempts,
            Safe(&swap.reason)
        )?;
    }
    out.write_str("</div>")
}

fn health(out: &mut String, health: &Health, now_ms: u64) -> fmt::Result {
    match &health.error {
        Some(error) => write!(
            out,
            "<p class=bad>{} (for {})</p>",
            Safe(error),
            Span(now_ms.saturating_sub(health.error_ms))
        ),
        None if health.ok_ms == 0 => out.write_str("<p class=wait>starting</p>"),
        None => write!(
            out,
            "<p class=good>well {} ago</p>",
            Span(now_ms.saturating_sub(health.ok_ms))
        ),
    }
}

/// A transfer whose sender wants to know.
fn asked(kind: &'static str) -> &'static str {
    match kind {
        "swap" => "swap, to be acknowledged",
        _ => "transfer, to be acknowledged",
    }
}

fn packets(out: &mut String, latest: &Latest, now_ms: u64) -> fmt::Result {
    write!(
        out,
        "<h3>{}, latest packets</h3><div class=wide><table>\
         <tr><th>packet<th>kind<th>state<th>found<th>took<th>why it waits</tr>",
        latest.title
    )?;
    for (name, row) in &latest.packets {
        let (class, word) = match (row.state, row.outcome) {
            (RowState::Waiting, _) => ("wait", "waiting"),
            (RowState::Landed, _) => ("good", "landed, not final"),
            (RowState::Done, 2) => ("bad", "expired"),
            (RowState::Done, _) => ("good", "received"),
        };
        write!(
            out,
            "<tr><td class=n><code>{name}</code><td>{}<td class={class}>{word}<td class=n>{} ago<td class=n>",
            match row.kind {
                "swapExpiry" => "expiry of a swap",
                kind if row.acknowledge => asked(kind),
                kind => kind,
            },
            Span(now_ms.saturating_sub(row.found_ms))
        )?;
        if row.landed_ms > 0 {
            write!(out, "{}", Span(row.landed_ms.saturating_sub(row.found_ms)))?;
        }
        out.write_str("<td>")?;
        if let Some(reason) = &row.reason {
            write!(out, "{}, tried {} times", Safe(reason), row.attempts)?;
        }
        out.write_str("</tr>")?;
    }
    out.write_str("</table></div>")
}
