//! Makes loopback slow: every byte between two validators is held back for a time, one way.
//!
//! Each validator is told, for every other, the address of a proxy in this process instead of the
//! other's own. Order is kept; what is under way is bounded by [`IN_FLIGHT`] pieces.

use crate::error::Error;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;
/// Pieces that are under way in one direction of one connection.
const IN_FLIGHT: usize = 4096;

/// A proxy in front of one validator; dropping it cuts its connections.
pub struct Proxy {
    /// Where to connect.
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Listens on the loopback and passes everything on to `target` after `delay`.
    pub async fn start(target: SocketAddr, delay: Duration) -> Result<Self, Error> {
        let failed = |source| Error::System {
            what: "a delaying proxy",
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(far) = TcpStream::connect(target).await {
                        pass(near, far, delay).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            _tasks: tasks,
        })
    }
}

/// Both directions, until one ends.
async fn pass(near: TcpStream, far: TcpStream, delay: Duration) {
    if near.set_nodelay(true).is_err() || far.set_nodelay(true).is_err() {
        return;
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = hold_back(near_in, far_out, delay) => {}
        () = hold_back(far_in, near_out, delay) => {}
    }
}

async fn hold_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(IN_FLIGHT);
    let read = async move {
        loop {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(length) => piece.truncate(length),
            }
            let due = Instant::now() + delay;
            if sender.send((due, piece)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn bytes_arrive_whole_in_order_and_not_before_their_time() {
        let delay = Duration::from_millis(60);
        let echo = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let target = echo.local_addr().unwrap();
        let echoing = tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut from, mut to) = stream.split();
            let _ = tokio::io::copy(&mut from, &mut to).await;
        });
        let proxy = Proxy::start(target, delay).await.unwrap();
        let stream = TcpStream::connect(proxy.address).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let sent: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        let start = Instant::now();
        let copy = sent.clone();
        let writing = tokio::spawn(async move {
            to.write_all(&copy).await.unwrap();
            to
        });
        let mut back = vec![0; sent.len()];
        from.read_exact(&mut back).await.unwrap();
        assert!(start.elapsed() >= delay * 2);
        assert_eq!(back, sent);
        drop(writing.await.unwrap());
        drop(proxy);
        echoing.await.unwrap();
    }
}
