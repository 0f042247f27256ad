//! Starts and stops the rehearsal cloud.

use super::faults::{FaultScript, ScriptError};
use super::hosts::{NoHosts, SharedHosts, Upcall};
use super::seed::Seed;
use super::wire;
use super::world::{Origin, World};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// How often life cycles are looked at without any call, wall time.
const TICK: Duration = Duration::from_millis(20);

/// Tells bodies whom they call up to, once there is someone.
type Attach = Box<dyn FnOnce(Weak<dyn Upcall>) + Send>;

/// Where the instances' bodies come from.
pub struct Bodies {
    hosts: SharedHosts,
    ssh_port: Option<u16>,
    attach: Option<Attach>,
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bodies").field("ssh_port", &self.ssh_port).finish_non_exhaustive()
    }
}

impl Bodies {
    /// Instances without bodies.
    pub fn none() -> Self {
        Self { hosts: Arc::new(NoHosts), ssh_port: None, attach: None }
    }

    /// Bodies from elsewhere: their source, the port of their SSH servers, and how it learns whom to call up to.
    pub(crate) fn new(hosts: SharedHosts, ssh_port: u16, attach: Attach) -> Self {
        Self { hosts, ssh_port: Some(ssh_port), attach: Some(attach) }
    }
}

/// What a rehearsal cloud is started with.
#[derive(Debug)]
pub struct ServeOptions {
    /// Loopback address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What exists before the first call.
    pub seed: Seed,
    /// Seed of every draw.
    pub rng_seed: u64,
    /// World seconds per wall second, 0 to 100,000; 0 holds the clock.
    pub speed: f64,
    /// What goes wrong.
    pub faults: FaultScript,
    /// Where bodies come from.
    pub hosts: Bodies,
}

/// Why a rehearsal cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It would be reachable from elsewhere.
    #[error(
        "listen on {0}: the rehearsal cloud checks no signatures, so it listens on loopback only, for example 127.0.0.1:0"
    )]
    NotLoopback(SocketAddr),
    /// The speed is not one.
    #[error("run the world's clock at speed {0}: it must be between 0 and 100000")]
    Speed(f64),
    /// The fault script makes no sense.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// The address cannot be had.
    #[error("listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A rehearsal cloud that runs.
#[derive(Debug)]
pub struct Running {
    /// `http://address:port`
    pub endpoint: String,
    /// Port of every host's SSH server; none without bodies.
    pub ssh_port: Option<u16>,
    /// The template instance, if the seed has one.
    pub template: Option<String>,
    hosts: SharedHostsBox,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The bodies, for the end.
struct SharedHostsBox(SharedHosts);

impl std::fmt::Debug for SharedHostsBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("hosts")
    }
}

impl Running {
    /// Stops answering, ends every body and waits until it is so.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the server did not end well");
        }
        let hosts = self.hosts.0;
        if let Err(error) = tokio::task::spawn_blocking(move || hosts.shutdown()).await {
            tracing::warn!(%error, "the hosts did not end well");
        }
    }
}

/// Starts a rehearsal cloud on the running tokio runtime.
///
/// # Errors
///
/// When the address is not loopback or cannot be had, or speed or fault script make no sense.
pub async fn serve(options: ServeOptions) -> Result<Running, ServeError> {
    let ServeOptions { listen, seed, rng_seed, speed, faults, hosts: Bodies { hosts, ssh_port, attach } } = options;
    if !listen.ip().is_loopback() {
        return Err(ServeError::NotLoopback(listen));
    }
    if !(0.0..=super::clock::MAX_SPEED).contains(&speed) {
        return Err(ServeError::Speed(speed));
    }
    faults.check()?;
    let refused = |source| ServeError::Listen { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(refused)?;
    let endpoint = format!("http://{}", listener.local_addr().map_err(refused)?);
    let template = seed.template.as_ref().map(|template| template.id.clone());
    let origin = Origin {
        seed,
        rng_seed,
        faults,
        endpoint: endpoint.clone(),
        hosts: Arc::clone(&hosts),
        real_hosts: attach.is_some(),
    };
    let world = Arc::new(World::new(origin, speed));
    if let Some(attach) = attach {
        let upcall: Weak<World> = Arc::downgrade(&world);
        attach(upcall);
    }
    let stop = CancellationToken::new();
    let task = tokio::spawn(accept(world, listener, stop.clone()));
    Ok(Running { endpoint, ssh_port, template, hosts: SharedHostsBox(hosts), stop, task })
}

/// Takes connections and lets time pass until it is stopped; open connections end with it.
async fn accept(world: Arc<World>, listener: TcpListener, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => world.tick(),
            Some(_ended) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(wire::serve_connection(Arc::clone(&world), stream));
                }
                // Out of file descriptors, most likely: the next tick is soon enough.
                Err(error) => tracing::warn!(%error, "failed to accept a connection"),
            },
        }
    }
    connections.shutdown().await;
}
