//! `--hosts real`: bodies that are processes of this machine, in namespaces of their own.

use super::console::Console;
use super::host::{Host, Wish};
use super::images::Images;
use super::orders::{BootOrder, Report};
use super::root;
use super::{HELPER, HostAct, Hosts, HostsError, NewHost, Power, RealHostsOptions, Upcall};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// Threads that serve all hosts: their work is waiting.
const THREADS: usize = 2;

/// How long the end of all hosts is waited for.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(20);

/// Address on which a port is reserved: no host has it, and nobody else binds it by accident.
const RESERVATION: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 0);

/// What all hosts share.
pub(super) struct World {
    pub(super) options: RealHostsOptions,
    pub(super) images: Images,
    pub(super) upcall: Arc<OnceLock<Weak<dyn Upcall>>>,
    pub(super) ssh_port: u16,
    pub(super) metadata_port: u16,
}

impl World {
    /// Who decides, while it exists.
    pub(super) fn upcall(&self) -> Option<Arc<dyn Upcall>> {
        self.upcall.get().and_then(Weak::upgrade)
    }
}

/// How the world reaches one host.
struct Line {
    wishes: UnboundedSender<Wish>,
    console: Arc<Console>,
}

/// Hosts that are real, and can't hurt the machine that they run on.
pub struct RealHosts {
    world: Arc<World>,
    lines: Mutex<BTreeMap<String, Line>>,
    /// Every actor holds a copy: when none is left, all have ended.
    alive: Mutex<Option<Sender<()>>>,
    ended: Mutex<Receiver<()>>,
    runtime: Mutex<Option<Runtime>>,
    /// Bound as long as the hosts live, so that another rehearsal gets other ports.
    _reserved: [TcpListener; 2],
}

impl std::fmt::Debug for RealHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealHosts").field("ssh_port", &self.world.ssh_port).finish_non_exhaustive()
    }
}

impl RealHosts {
    /// Finds out whether hosts can be made here and prepares the seeded images. Blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// When namespaces are forbidden, the SSH port is taken, or the state directory can't be written.
    pub fn start(options: RealHostsOptions) -> Result<Arc<Self>, HostsError> {
        let state = |source| HostsError::State { path: options.state_dir.clone(), source };
        for name in ["hosts", "images"] {
            // 0700: images may hold what a template held.
            DirBuilder::new().recursive(true).mode(0o700).create(options.state_dir.join(name)).map_err(state)?;
        }
        probe(&options)?;
        let port = |wanted| TcpListener::bind(SocketAddrV4::new(RESERVATION, wanted));
        let taken = |source| HostsError::Port { port: options.ssh_port, source };
        let reserved = [port(options.ssh_port).map_err(taken)?, port(0).map_err(taken)?];
        let number = |listener: &TcpListener| listener.local_addr().map(|address| address.port()).map_err(taken);
        let (ssh_port, metadata_port) = (number(&reserved[0])?, number(&reserved[1])?);
        let images = Images::new(options.state_dir.join("images"), &options.images).map_err(state)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("hosts")
            .enable_all()
            .build()
            .map_err(HostsError::Runtime)?;
        let (alive, ended) = channel();
        Ok(Arc::new(Self {
            world: Arc::new(World { images, upcall: Arc::default(), ssh_port, metadata_port, options }),
            lines: Mutex::default(),
            alive: Mutex::new(Some(alive)),
            ended: Mutex::new(ended),
            runtime: Mutex::new(Some(runtime)),
            _reserved: reserved,
        }))
    }

    /// Says whom hosts call up to; until then they have no metadata. Only the first call counts.
    pub fn attach(&self, upcall: Weak<dyn Upcall>) {
        // A second world would be a mistake of the caller's that changes nothing here.
        self.world.upcall.set(upcall).ok();
    }

    /// The port on which every host has its SSH server.
    pub fn ssh_port(&self) -> u16 {
        self.world.ssh_port
    }

    fn wish(&self, id: &str, wish: Wish) {
        if let Some(line) = self.lines.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            // A host that is being destroyed wishes nothing any more.
            line.wishes.send(wish).ok();
        }
    }
}

impl Hosts for RealHosts {
    fn create(&self, host: NewHost) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(runtime), Some(alive)) = (runtime.as_ref(), alive) else { return };
        let (wishes, heard) = unbounded_channel();
        let console = Arc::new(Console::default());
        let id = host.id.clone();
        let actor = Host::new(self.world.clone(), host, console.clone());
        runtime.spawn(async move {
            actor.live(heard).await;
            drop(alive);
        });
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Line { wishes, console });
    }

    fn power(&self, id: &str, power: Power) {
        self.wish(id, Wish::Power(power));
    }

    fn snapshot(&self, id: &str, image: &str) {
        let making = self.world.images.announce(image);
        self.wish(id, Wish::Snapshot(making));
    }

    fn forget_image(&self, image: &str) {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(path), Some(runtime)) = (self.world.images.forget(image), runtime.as_ref()) {
            runtime.spawn_blocking(move || {
                if let Err(error) = root::remove(&path) {
                    tracing::warn!(path = %path.display(), %error, "failed to remove an image's directory");
                }
            });
        }
    }

    fn console(&self, id: &str) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(id).map(|line| line.console.read()).unwrap_or_default()
    }

    fn act(&self, id: &str, act: HostAct) {
        self.wish(id, Wish::Act(act));
    }

    fn shutdown(&self) {
        // Without a line to the world an actor destroys its host.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(self.alive.lock().unwrap_or_else(PoisonError::into_inner).take());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(SHUTDOWN_LIMIT);
        if ended == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("some hosts took too long to end and are killed");
        }
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
        for name in ["hosts", "images"] {
            let path = self.world.options.state_dir.join(name);
            if let Err(error) = root::remove(&path) {
                tracing::warn!(path = %path.display(), %error, "failed to remove a directory of the rehearsal");
            }
        }
    }
}

impl Drop for RealHosts {
    fn drop(&mut self) {
        // Dropping a runtime waits for it, which is forbidden inside another one.
        if let Some(runtime) = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

/// Makes a host up to its mounts and lets it end, to find out whether that can be done here.
fn probe(options: &RealHostsOptions) -> Result<(), HostsError> {
    let place = options.state_dir.join("probe");
    let state = |source| HostsError::State { path: place.clone(), source };
    root::remove(&place).map_err(state)?;
    let result = try_probe(options, &place).map_err(state);
    root::remove(&place).map_err(state)?;
    match result? {
        None => Ok(()),
        Some(reason) => Err(HostsError::NoNamespaces { reason }),
    }
}

/// `None` when it worked, else why not.
fn try_probe(options: &RealHostsOptions, place: &std::path::Path) -> io::Result<Option<String>> {
    root::base(&place.join("root"))?;
    let boot_id = place.join("boot_id");
    fs::write(&boot_id, "0\n")?;
    let order = BootOrder {
        id: "i-probe".to_owned(),
        hostname: "probe".to_owned(),
        address: RESERVATION,
        root: place.join("root"),
        boot_id,
        binary: options.helper.clone(),
        mounts: options.mounts.clone(),
        env: BTreeMap::new(),
        authorized_key: None,
        user_data: None,
        setup: None,
        probe: true,
    };
    let path = place.join("boot.json");
    fs::write(&path, serde_json::to_vec(&order)?)?;
    let output = Command::new(&options.helper)
        .args([HELPER, "init"])
        .arg(&path)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let reports: Vec<Report> = said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let failure = reports.iter().find_map(|report| match report {
        Report::Failed(reason) => Some(reason.clone()),
        Report::Pid(_) | Report::Up { .. } | Report::Finished | Report::Reboot | Report::PowerOff => None,
    });
    Ok(match (failure, reports.iter().any(|report| matches!(report, Report::Up { .. }))) {
        (Some(reason), _) => Some(reason),
        (None, true) => None,
        (None, false) => Some(format!("its helper ended with {}", output.status)),
    })
}
