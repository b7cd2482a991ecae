//! Serves the page over two nodes, without a gateway:
//!
//! ```sh
//! cargo run --release -p mileverse-app --example serve -- 127.0.0.1:8080 http://127.0.0.1:8645 http://127.0.0.1:8545
//! ```
//!
//! Without the last one, Ethereum's, there is no bridge.

use mileverse_app::{Network, Settings, router};
use std::{
    env,
    error::Error,
    io::{Write as _, stdout},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let listen = arguments.next().ok_or("where to listen?")?;
    let native = network(&arguments.next().ok_or("the native chain's JSON-RPC?")?)?;
    let ethereum = arguments.next().map(|url| network(&url)).transpose()?;
    let listener = TcpListener::bind(listen).await?;
    writeln!(stdout(), "http://{}/app", listener.local_addr()?)?;
    axum::serve(listener, router(Settings { native, ethereum })).await?;
    Ok(())
}

fn network(url: &str) -> Result<Network, Box<dyn Error>> {
    Ok(Network {
        rpc: url.parse()?,
        public_rpc: Some(url.parse()?),
        explorer: None,
    })
}
