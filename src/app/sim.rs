//! `sim serve`: the rehearsal cloud alone, for other tools and for trying each verb by hand.

use super::context::{self, talk};
use super::print;
use crate::cli::Global;
use crate::cli::request::{HostsKind, SimServe};
use crate::engine::cancel::{Cancel, Level};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::rehearse::world::{self, Folders};
use crate::rehearse::{Control, build_release};
use crate::report::answer::Served;
use crate::sim::hosts::{HostsError, RealHosts, RealHostsOptions, TemplateSetup};
use crate::sim::seed::Seed;
use crate::sim::{Bodies, FaultScript, ServeError, ServeOptions, serve as start};
use crate::spec::{self, Fleet};
use crate::ssh::KeyPair;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the template may take to boot, wall time.
const BOOT: Duration = Duration::from_secs(20);

/// What the folder of a rehearsal cloud is called, before the id of its process.
const FOLDER: &str = "fleetwright-sim-";

/// Removes the folders of rehearsal clouds that were killed: hosts, keys and all. Theirs are ours, and their process is gone.
fn reap(base: &Path) {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::{Pid, Uid};
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(FOLDER)).and_then(|pid| pid.parse().ok());
        let ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == Uid::current().as_raw());
        if let Some(pid) = pid
            && ours
            && kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
        {
            std::fs::remove_dir_all(entry.path()).unwrap_or_default();
        }
    }
}

/// What was made for one rehearsal cloud, below its own folder.
struct Ground {
    folder: PathBuf,
    folders: Folders,
    public_key: String,
}

pub(super) async fn serve(global: Global, wanted: SimServe) -> Result<Exit, Failure> {
    die_with_parent();
    let fleet = spec_of(&global, wanted.spec.as_deref())?;
    let ground = Ground::make(&global, fleet.as_ref())?;
    let cancel = Cancel::install_signals().map_err(|e| Failure::to(Exit::Bug, format!("listen for signals: {e}")))?;
    let result = run(&global, &wanted, fleet.as_ref(), &ground, &cancel).await;
    std::fs::remove_dir_all(&ground.folder).unwrap_or_default();
    result
}

async fn run(
    global: &Global,
    wanted: &SimServe,
    fleet: Option<&Fleet>,
    ground: &Ground,
    cancel: &Cancel,
) -> Result<Exit, Failure> {
    let seed = match fleet {
        Some(fleet) => world::seed(fleet, &ground.public_key, &ground.folders),
        None => world::plain(&ground.public_key),
    };
    for mount in seed.mounts.iter().filter(|mount| mount.from.starts_with(&ground.folders.scratch)) {
        make_folder(&mount.from)?;
    }
    let listen = settled(wanted.listen)?;
    let endpoint = format!("http://{listen}");
    let env = exports(&endpoint, &seed);
    let hosts = match wanted.hosts {
        HostsKind::None => Bodies::none(),
        HostsKind::Real => bodies(&seed, &ground.folder, &env, fleet)?,
    };
    let faults = match &wanted.faults {
        Some(path) => script(path)?,
        None => FaultScript::default(),
    };
    let options = ServeOptions {
        listen,
        rng_seed: wanted.seed.unwrap_or(1),
        speed: wanted.speed.unwrap_or(1.0),
        faults,
        hosts,
        seed: seed.clone(),
    };
    let running = start(options).await.map_err(|error| {
        let exit = match error {
            ServeError::Listen { .. } => Exit::State,
            ServeError::NotLoopback(_) | ServeError::Speed(_) | ServeError::Script(_) => Exit::Usage,
        };
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        Failure::new(exit, format!("{error}{cause}"))
    })?;
    let mut set = Vec::new();
    if let (Some(port), Some(_)) = (running.ssh_port, fleet) {
        set.push(format!("ssh.port={port}"));
        set.push(format!("ssh.identity=['{}']", ground.folder.join("id_ed25519").display()));
        set.push(format!("ssh.known_hosts='{}'", ground.folder.join("known_hosts").display()));
        set.push("ssh.connect=private".to_owned());
        if let Some(template) = &running.template {
            introduce(template, port, &running.endpoint, &ground.folder).await?;
        }
    }
    let mut env = env;
    // Whoever tries a verb here tells nobody elsewhere.
    for receiver in fleet.iter().flat_map(|fleet| &fleet.notify) {
        let name = receiver.webhook.clone();
        env.insert(name.clone(), format!("{}/_sim/hooks/{name}", running.endpoint));
    }
    if !set.is_empty() {
        env.insert("FLEETWRIGHT_SET".to_owned(), set.join("\n"));
    }
    // Journals and host keys of a rehearsal end with its cloud, and never lie beside those of the fleet itself.
    env.insert(context::STATE_DIR.to_owned(), ground.folder.join("state").display().to_string());
    let served = Served {
        endpoint: running.endpoint.clone(),
        pid: std::process::id(),
        ssh_port: running.ssh_port,
        template: running.template.clone(),
        env,
        set,
        mounts: seed.mounts.iter().map(|m| (m.at.display().to_string(), m.from.clone())).collect(),
        replaced: fleet.map(replaced).unwrap_or_default(),
    };
    let line = Global { output: one_line(global.output), ..global.clone() };
    print(&line, &served)?;
    cancel.wait(Level::StopStarting).await;
    running.shutdown().await;
    Ok(Exit::Done)
}

/// The first line is one line, whatever form of JSON was asked for.
fn one_line(format: crate::report::Format) -> crate::report::Format {
    match format {
        crate::report::Format::Json => crate::report::Format::Jsonl,
        other => other,
    }
}

/// When a rehearsal started us, its end is ours, however it ends.
fn die_with_parent() {
    #[cfg(target_os = "linux")]
    if std::env::var_os("FLEETWRIGHT_PARENT").is_some() {
        let _kept = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM);
    }
}

fn spec_of(global: &Global, file: Option<&Path>) -> Result<Option<Fleet>, Failure> {
    let Some(file) = file.or(global.file.as_deref()) else { return Ok(None) };
    let file = &file.canonicalize().map_err(|e| Failure::to(Exit::Usage, format!("find {}: {e}", file.display())))?;
    match spec::load(file, &context::sets(global), &|name| std::env::var(name).ok()) {
        Ok(loaded) => Ok(Some(loaded.fleet)),
        Err(problems) => {
            talk(&problems.render(false));
            Err(Failure::to(Exit::Usage, format!("read {}: {}", file.display(), problems.summary())))
        }
    }
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(path).map_err(|e| Failure::to(Exit::State, format!("make {}: {e}", path.display())))
}

impl Ground {
    /// A folder of its own for each rehearsal cloud: hosts, images, keys, releases; removed at the end.
    fn make(global: &Global, fleet: Option<&Fleet>) -> Result<Self, Failure> {
        let base = match &global.state_dir {
            Some(dir) => dir.clone(),
            None => std::env::temp_dir(),
        };
        reap(&base);
        let folder = base.join(format!("{FOLDER}{}", std::process::id()));
        make_folder(&folder)?;
        let folder =
            folder.canonicalize().map_err(|e| Failure::to(Exit::State, format!("find {}: {e}", folder.display())))?;
        let folders = Folders {
            scratch: folder.join("scratch"),
            items: fleet
                .and_then(|fleet| fleet.rehearsal.items.as_ref().map(|items| items.base.clone()))
                .or_else(|| fleet.map(|fleet| fleet.dir.clone()))
                .unwrap_or_else(|| folder.clone()),
            release: folder.join("release"),
        };
        make_folder(&folders.release)?;
        let failed = |what: &str, e: String| Failure::to(Exit::State, format!("{what}: {e}"));
        if let Some(fleet) = fleet {
            let archive = folders.release.join("release.tar.gz");
            build_release(fleet, "1\n", &archive).map_err(|e| {
                Failure::to(Exit::Usage, format!("make the template's first release: {e}"))
                    .hint("build it, or name files that stand in for it: rehearsal: {release: [playbooks/worker.sh]}")
                    .hint("fleetwright explain rehearsal     # what stands in for things that a laptop does not have")
            })?;
        }
        let key = KeyPair::random().map_err(|e| failed("make a key", e))?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.join("id_ed25519"))
            .and_then(|mut file| file.write_all(key.private.as_bytes()))
            .map_err(|e| failed("write a key", e.to_string()))?;
        Ok(Self { folder, folders, public_key: key.public })
    }
}

/// Port 0 becomes a free port now, since hosts have to know the endpoint before they boot.
fn settled(listen: SocketAddr) -> Result<SocketAddr, Failure> {
    if listen.port() != 0 || !listen.ip().is_loopback() {
        return Ok(listen);
    }
    TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .map_err(|e| Failure::to(Exit::State, format!("find a free port on {}: {e}", listen.ip())))
}

/// What other tools and the hosts need to find the rehearsal cloud.
fn exports(endpoint: &str, seed: &Seed) -> BTreeMap<String, String> {
    [
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_REGION", seed.region.clone()),
        ("AWS_DEFAULT_REGION", seed.region.clone()),
        ("AWS_ACCESS_KEY_ID", "REHEARSAL".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "rehearsal".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("FLEETWRIGHT_CLOCK", format!("{endpoint}/_sim/clock")),
        // The SDK would send loopback calls through a proxy too.
        ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
        ("no_proxy", "127.0.0.1,localhost".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn bodies(
    seed: &Seed,
    folder: &Path,
    env: &BTreeMap<String, String>,
    fleet: Option<&Fleet>,
) -> Result<Bodies, Failure> {
    let helper = std::env::current_exe().map_err(|e| Failure::to(Exit::Bug, format!("find this binary: {e}")))?;
    let setup = fleet.and_then(|fleet| fleet.rehearsal.setup.clone());
    let options = RealHostsOptions {
        state_dir: folder.to_owned(),
        ssh_port: 0,
        images: seed.images.iter().map(|image| image.id.clone()).collect(),
        key_pairs: seed.key_pairs.clone(),
        mounts: seed.mounts.clone(),
        env: env.clone(),
        helper,
        template_setup: fleet
            .and_then(|fleet| fleet.build().map(|_| world::base_image(fleet)))
            .or_else(|| seed.template.as_ref().map(|template| template.id.clone()))
            .zip(setup)
            .map(|(id, script)| TemplateSetup { id, script }),
    };
    let hosts = RealHosts::start(options).map_err(|error| {
        let exit = match error {
            HostsError::NoNamespaces { .. } | HostsError::NotLinux => Exit::Refused,
            HostsError::State { .. } | HostsError::Port { .. } | HostsError::Runtime { .. } => Exit::State,
        };
        Failure::new(exit, error.to_string()).hint("--hosts none rehearses the AWS side without hosts")
    })?;
    Ok(Bodies::real(hosts))
}

fn script(path: &Path) -> Result<FaultScript, Failure> {
    let wrong = |what: String| Failure::to(Exit::Usage, format!("read fault script {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))
}

/// Waits until the template has booted and writes its host key where the operator's own known_hosts would be: somebody who
/// has a template has logged in to it before.
async fn introduce(template: &str, port: u16, endpoint: &str, folder: &Path) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let control = Control::new(endpoint);
        let id = template.to_owned();
        let seen = tokio::task::spawn_blocking(move || control.console(&id)).await;
        if let Ok(Ok((address, console))) = seen
            && let Some(key) = crate::ssh::console::learn_from_console(&console).first()
            && let Ok(key) = key.to_openssh()
            && tokio::net::TcpStream::connect((address.as_str(), port)).await.is_ok()
        {
            let line = format!("[{address}]:{port} {key}\n");
            return std::fs::write(folder.join("known_hosts"), line)
                .map_err(|e| Failure::to(Exit::State, format!("write known_hosts: {e}")));
        }
        if begun.elapsed() > BOOT {
            let said = last_words(endpoint, template).await;
            return Err(Failure::to(
                Exit::Partial,
                format!("see template {template} boot within {} s", BOOT.as_secs()),
            )
            .hint(format!("the end of its console: {said}"))
            .hint("try the script of rehearsal.setup by hand; fleetwright explain rehearsal"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The end of an instance's console.
async fn last_words(endpoint: &str, id: &str) -> String {
    const LINES: usize = 8;
    let (control, id) = (Control::new(endpoint), id.to_owned());
    let console = match tokio::task::spawn_blocking(move || control.console(&id)).await {
        Ok(Ok((_, console))) => console,
        Ok(Err(_)) | Err(_) => String::new(),
    };
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = &lines[lines.len().saturating_sub(LINES)..];
    if end.is_empty() { "nothing was written there".to_owned() } else { format!("\n  {}", end.join("\n  ")) }
}

/// What stands in for things that can't be had on a laptop.
fn replaced(fleet: &Fleet) -> Vec<String> {
    let mut all = vec!["EC2, SQS and STS are the rehearsal cloud on this machine; prices are examples".to_owned()];
    if let Some(shared) = &fleet.state {
        all.push(format!("the bucket {} is the rehearsal's own, empty at the start", shared.bucket));
    }
    if let Some(setup) = &fleet.rehearsal.setup {
        let what = fleet.build().map_or("the template".to_owned(), |build| build.base_image.to_string());
        all.push(format!("{what} was set up by {}", setup.display()));
    }
    all.extend(
        fleet.rehearsal.mounts.iter().map(|mount| format!("{} is a folder of this machine", mount.at.display())),
    );
    if let Some(build) = fleet.build() {
        all.push(format!("{} is an image of this machine's own system directories", build.base_image));
    }
    if !fleet.notify.is_empty() {
        all.push("webhooks are on this machine: nobody elsewhere is told".to_owned());
    }
    if !fleet.rehearsal.release.is_empty() {
        all.push("the release was packed from files named in the spec and this binary".to_owned());
    }
    all
}

impl Bodies {
    /// Bodies that are processes of this machine.
    fn real(hosts: Arc<RealHosts>) -> Self {
        let port = hosts.ssh_port();
        let attached = Arc::clone(&hosts);
        Self::new(hosts, port, Box::new(move |world| attached.attach(world)))
    }
}
