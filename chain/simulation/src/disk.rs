//! A runtime whose disk is slow: reads and writes wait on the virtual clock before they happen.
//!
//! Everything else is the deterministic runtime's own. What waits is lost in a crash, as on a real
//! machine.

use crate::scenario::Disk;
use commonware_runtime::{
    Blob, BlobVersion, Clock, Error, Handle, IoBufs, IoBufsMut, ListenerOf, Metrics, Name, Network,
    ReadOptions, SinkOf, Spawner, Storage, StreamOf, Supervisor, WriteOptions, deterministic,
    signal,
    telemetry::metrics::{Metric, Registered},
};
use governor::clock::{Clock as GovernorClock, ReasonablyRealtime};
use rand::{TryCryptoRng, TryRng};
use std::{
    convert::Infallible,
    fmt::Display,
    future::Future,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The deterministic runtime with a disk of its own speed.
pub struct SlowDisk {
    inner: deterministic::Context,
    disk: Disk,
}

impl SlowDisk {
    /// Puts a disk into a runtime.
    pub const fn new(inner: deterministic::Context, disk: Disk) -> Self {
        Self { inner, disk }
    }
}

impl Supervisor for SlowDisk {
    fn name(&self) -> Name {
        self.inner.name()
    }

    fn child(&self, label: &'static str) -> Self {
        Self::new(self.inner.child(label), self.disk)
    }

    fn with_attribute(self, key: &'static str, value: impl Display) -> Self {
        Self::new(self.inner.with_attribute(key, value), self.disk)
    }
}

impl Spawner for SlowDisk {
    fn shared(self, blocking: bool) -> Self {
        Self::new(self.inner.shared(blocking), self.disk)
    }

    fn dedicated(self) -> Self {
        Self::new(self.inner.dedicated(), self.disk)
    }

    fn spawn<F, Fut, T>(self, f: F) -> Handle<T>
    where
        F: FnOnce(Self) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let disk = self.disk;
        self.inner.spawn(move |inner| f(Self::new(inner, disk)))
    }

    async fn stop(self, value: i32, timeout: Option<Duration>) -> Result<(), Error> {
        self.inner.stop(value, timeout).await
    }

    fn stopped(&self) -> signal::Signal {
        self.inner.stopped()
    }
}

impl Metrics for SlowDisk {
    fn register<N: Into<String>, H: Into<String>, M: Metric>(
        &self,
        name: N,
        help: H,
        metric: M,
    ) -> Registered<M> {
        self.inner.register(name, help, metric)
    }

    fn encode(&self) -> String {
        self.inner.encode()
    }
}

impl GovernorClock for SlowDisk {
    type Instant = SystemTime;

    fn now(&self) -> SystemTime {
        GovernorClock::now(&self.inner)
    }
}

impl ReasonablyRealtime for SlowDisk {}

impl Clock for SlowDisk {
    fn current(&self) -> SystemTime {
        self.inner.current()
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep(duration)
    }

    fn sleep_until(
        &self,
        deadline: SystemTime,
    ) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.inner.sleep_until(deadline)
    }
}

impl Network for SlowDisk {
    type Listener = ListenerOf<deterministic::Context>;

    async fn bind(&self, socket: SocketAddr) -> Result<Self::Listener, Error> {
        self.inner.bind(socket).await
    }

    async fn dial(&self, socket: SocketAddr) -> Result<(SinkOf<Self>, StreamOf<Self>), Error> {
        self.inner.dial(socket).await
    }
}

impl TryRng for SlowDisk {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.inner.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.inner.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Infallible> {
        self.inner.try_fill_bytes(dest)
    }
}

impl TryCryptoRng for SlowDisk {}

/// A file on a slow disk.
pub struct SlowBlob {
    inner: <deterministic::Context as Storage>::Blob,
    clock: Arc<deterministic::Context>,
    disk: Disk,
}

impl SlowBlob {
    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            self.clock.sleep(time).await;
        }
    }
}

impl Storage for SlowDisk {
    type Blob = SlowBlob;

    async fn open_versioned(
        &self,
        partition: &str,
        name: &[u8],
        versions: std::ops::RangeInclusive<BlobVersion>,
    ) -> Result<(SlowBlob, u64, BlobVersion), Error> {
        let (inner, size, version) = self.inner.open_versioned(partition, name, versions).await?;
        let blob = SlowBlob {
            inner,
            clock: Arc::new(self.inner.child("disk")),
            disk: self.disk,
        };
        blob.wait(self.disk.read).await;
        Ok((blob, size, version))
    }

    async fn remove(&self, partition: &str, name: Option<&[u8]>) -> Result<(), Error> {
        self.inner.remove(partition, name).await
    }

    async fn scan(&self, partition: &str) -> Result<Vec<Vec<u8>>, Error> {
        self.inner.scan(partition).await
    }
}

impl Blob for SlowBlob {
    async fn read_at_buf(
        &self,
        offset: u64,
        len: usize,
        bufs: impl Into<IoBufsMut> + Send,
        options: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        let bufs = bufs.into();
        self.wait(self.disk.read).await;
        self.inner.read_at_buf(offset, len, bufs, options).await
    }

    async fn read_at(
        &self,
        offset: u64,
        len: usize,
        options: ReadOptions,
    ) -> Result<IoBufsMut, Error> {
        self.wait(self.disk.read).await;
        self.inner.read_at(offset, len, options).await
    }

    async fn write_at(
        &self,
        offset: u64,
        bufs: impl Into<IoBufs> + Send,
        options: WriteOptions,
    ) -> Result<(), Error> {
        let bufs = bufs.into();
        if options.contains(WriteOptions::SYNC) {
            self.wait(self.disk.write).await;
        }
        self.inner.write_at(offset, bufs, options).await
    }

    async fn resize(&self, len: u64) -> Result<(), Error> {
        self.inner.resize(len).await
    }

    async fn sync(&self) -> Result<(), Error> {
        self.wait(self.disk.write).await;
        self.inner.sync().await
    }

    async fn start_sync(&self) -> Handle<()> {
        self.wait(self.disk.write).await;
        self.inner.start_sync().await
    }
}
