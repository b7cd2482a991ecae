//! A committee as processes of this machine, over TCP on the loopback.
//!
//! ```txt
//! throughput   something always waits: blocks a second from the blocks' own times, and the
//!              processor time of all validators
//! finality     the same, and every validator is asked for its newest block again and again; apart
//!              from the throughput, since asking takes processor time
//! idle         nothing waits and nobody asks
//! ```

use super::{
    Command, load,
    report::{Idle, Report},
};
use crate::{
    error::Error,
    figures::{Percentiles, float, tenth},
    machine::Machine,
    net::{CHAIN_ID, Net, Pace, Plan},
    progress::Progress,
    runtime,
};
use alloy::signers::local::PrivateKeySigner;
use mileverse_primitives::keccak256;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::time::sleep;

/// Height from which on is measured.
const WARM_UP: u64 = 4;
/// Blocks whose finality is measured.
const FINALITY_BLOCKS: u64 = 40;
/// How often a validator is asked for its newest block while finality is measured.
const LOOK: Duration = Duration::from_millis(5);

/// Measures.
pub fn measure(command: &Command, pace: Pace) -> Result<Report, Error> {
    runtime::run_alone(run(command, pace))
}

async fn run(command: &Command, pace: Pace) -> Result<Report, Error> {
    let root = tempfile::tempdir().map_err(|source| Error::System {
        what: "a temporary directory",
        source,
    })?;
    let issuer = PrivateKeySigner::from_bytes(&keccak256("measured issuer"))
        .map_err(|error| Error::Setup(error.to_string()))?;
    let progress = Progress::begin("the validators start");
    let plan = Plan::new(command.validators, pace, issuer.address())?;
    let mut net = Net::start(root.path(), plan, Duration::from_millis(command.latency_ms)).await?;
    let every = Duration::from_millis((pace.block_time_ms / command.load.max(1)).max(1));
    let clients = net.clients.clone();
    let busy = load::keep_busy(&clients, &issuer, CHAIN_ID, every);
    let (throughput, finality) = tokio::select! {
        ended = busy => return Err(ended.err().unwrap_or_else(|| Error::Setup("nobody is left to pay through".into()))),
        measured = async {
            let throughput = throughput(&mut net, command.blocks, &issuer, &progress).await?;
            let finality = finality(&mut net, &progress).await?;
            Ok::<_, Error>((throughput, finality))
        } => measured?,
    };
    let idle = if command.idle_seconds == 0 {
        None
    } else {
        Some(
            idle(
                &mut net,
                Duration::from_secs(command.idle_seconds),
                &progress,
            )
            .await?,
        )
    };
    progress.say("the validators stop".into());
    net.stop().await;
    Ok(Report {
        validators: command.validators,
        latency_ms: command.latency_ms,
        simulated: false,
        signatures: "bls12-381 threshold, real",
        block_time_ms: pace.block_time_ms,
        idle_block_time_ms: pace.idle_block_time_ms,
        blocks: throughput.blocks,
        transactions: throughput.transactions,
        blocks_per_second: (throughput.blocks_per_second * 100.0).round() / 100.0,
        finality_ms: finality,
        cpu_ms_per_block: throughput.cpu_ms_per_block.map(tenth),
        cpu_ms_per_block_and_validator: throughput
            .cpu_ms_per_block
            .map(|all| tenth(all / float(command.validators as u64))),
        idle,
        machine: Machine::this(),
    })
}

struct Throughput {
    blocks: u64,
    transactions: u64,
    blocks_per_second: f64,
    cpu_ms_per_block: Option<f64>,
}

async fn throughput(
    net: &mut Net,
    blocks: u64,
    issuer: &PrivateKeySigner,
    progress: &Progress,
) -> Result<Throughput, Error> {
    let first = net.reach(WARM_UP, progress, "warming up").await?;
    let nonce = net.first()?.nonce(issuer.address()).await?;
    let cpu = net.cpu_seconds();
    let last = net
        .reach(first.height.saturating_add(blocks), progress, "throughput")
        .await?;
    let spent = net.cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    let transactions = net.first()?.nonce(issuer.address()).await?;
    let blocks = last.height.saturating_sub(first.height);
    let took = last.timestamp_ms.saturating_sub(first.timestamp_ms);
    Ok(Throughput {
        blocks,
        transactions: transactions.saturating_sub(nonce),
        blocks_per_second: float(blocks) * 1000.0 / float(took.max(1)),
        cpu_ms_per_block: spent.map(|seconds| seconds * 1000.0 / float(blocks.max(1))),
    })
}

async fn finality(net: &mut Net, progress: &Progress) -> Result<Percentiles, Error> {
    let start = net.first()?.status().await?.height;
    let samples = Arc::new(Mutex::new(Vec::new()));
    let mut looking = tokio::task::JoinSet::new();
    for client in &net.clients {
        let (client, samples) = (client.clone(), Arc::clone(&samples));
        looking.spawn(async move {
            let mut newest = start;
            loop {
                if let Ok(status) = client.status().await
                    && status.height > newest
                {
                    newest = status.height;
                    let took = now_ms() - float(status.timestamp_ms);
                    samples
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(took);
                }
                sleep(LOOK).await;
            }
        });
    }
    let end = start.saturating_add(FINALITY_BLOCKS);
    net.reach(end, progress, "finality").await?;
    looking.shutdown().await;
    let samples = std::mem::take(&mut *samples.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Percentiles::over(samples))
}

async fn idle(net: &mut Net, time: Duration, progress: &Progress) -> Result<Idle, Error> {
    // What still waits is confirmed first.
    let height = net.first()?.status().await?.height;
    let before = net
        .reach(height.saturating_add(3), progress, "settling")
        .await?;
    let cpu = net.cpu_seconds();
    let since = Instant::now();
    while since.elapsed() < time {
        progress.say(format!(
            "idle: {} of {} s",
            since.elapsed().as_secs(),
            time.as_secs()
        ));
        sleep(Duration::from_secs(1).min(time.saturating_sub(since.elapsed()))).await;
    }
    let seconds = since.elapsed().as_secs_f64();
    let spent = net.cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    for process in &mut net.processes {
        process.check()?;
    }
    let after = net.first()?.status().await?;
    Ok(Idle {
        seconds: tenth(seconds),
        blocks: after.height.saturating_sub(before.height),
        cpu_percent_of_one_core: spent.map(|spent| tenth(spent * 100.0 / seconds)),
    })
}

fn now_ms() -> f64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs_f64() * 1000.0
}
