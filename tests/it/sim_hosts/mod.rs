//! Real hosts of the rehearsal cloud, looked at with the system's own ssh.

mod life;
mod work;

use fleetwright::sim::hosts::{
    HostAct, Hosts, Metadata, NewHost, Power, RealHosts, RealHostsOptions, TemplateSetup, Upcall,
};
use fleetwright::sim::seed::SeedMount;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Patience for what takes some milliseconds on an idle machine.
const LONG: Duration = Duration::from_secs(15);

/// A world that does what hosts ask, and remembers it.
struct World {
    hosts: Arc<RealHosts>,
    heard: Mutex<Vec<String>>,
}

impl Upcall for World {
    fn metadata(&self, id: &str) -> Option<Metadata> {
        let tags = Some([("fleetwright:expires".to_owned(), "soon".to_owned())].into());
        Some(Metadata { instance_id: id.to_owned(), zone: "us-east-1a".to_owned(), tags, ..Metadata::default() })
    }
    fn powered_off(&self, id: &str) {
        self.heard.lock().unwrap().push(format!("{id} off"));
    }
    fn rebooted(&self, id: &str) {
        self.heard.lock().unwrap().push(format!("{id} reboot"));
        self.hosts.power(id, Power::Reboot);
    }
}

/// A cloud with nothing but hosts.
struct Cloud {
    place: TempDir,
    hosts: Arc<RealHosts>,
    world: Arc<World>,
    net: u8,
}

/// Each cloud has addresses of its own; the port differs too, this only makes failures easier to read.
static NET: AtomicU8 = AtomicU8::new(1);

fn binary() -> PathBuf {
    crate::env::lean().to_owned()
}

fn keygen(path: &Path) -> String {
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f"]).arg(path).status();
    assert!(made.unwrap().success());
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

/// What differs between tests.
#[derive(Default)]
struct Wanted {
    mounts: Vec<SeedMount>,
    template_setup: Option<TemplateSetup>,
}

/// Hosts of one image and nothing else.
fn options(state_dir: &Path, ssh_port: u16) -> RealHostsOptions {
    RealHostsOptions {
        state_dir: state_dir.to_owned(),
        ssh_port,
        images: vec!["ami-base".to_owned()],
        key_pairs: BTreeMap::new(),
        mounts: Vec::new(),
        env: BTreeMap::new(),
        helper: binary(),
        template_setup: None,
    }
}

impl Cloud {
    fn new() -> Self {
        Self::with(Wanted::default())
    }

    fn with(wanted: Wanted) -> Self {
        let place = tempfile::tempdir().unwrap();
        let public = keygen(&place.path().join("id"));
        let hosts = RealHosts::start(RealHostsOptions {
            key_pairs: [("ops".to_owned(), public)].into(),
            mounts: wanted.mounts,
            env: [("AWS_REGION".to_owned(), "us-east-1".to_owned())].into(),
            template_setup: wanted.template_setup,
            ..options(&place.path().join("state"), 0)
        })
        .unwrap();
        let world = Arc::new(World { hosts: hosts.clone(), heard: Mutex::default() });
        let upcall: std::sync::Weak<dyn Upcall> = {
            let weak: std::sync::Weak<World> = Arc::downgrade(&world);
            weak
        };
        hosts.attach(upcall);
        Self { place, hosts, world, net: NET.fetch_add(1, Ordering::Relaxed) }
    }

    fn address(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, 64, self.net, number)
    }

    /// A booted host `i-<number>`.
    fn host(&self, number: u8, image: &str, user_data: Option<&str>) -> Guest<'_> {
        let id = format!("i-{number}");
        self.hosts.create(NewHost {
            id: id.clone(),
            image: image.to_owned(),
            address: self.address(number),
            user_data: user_data.map(|text| text.as_bytes().to_vec()),
            key_name: Some("ops".to_owned()),
        });
        self.hosts.power(&id, Power::On);
        let guest = Guest { cloud: self, id, address: self.address(number) };
        guest.wait_for_ssh();
        guest
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        self.hosts.shutdown();
    }
}

struct Guest<'a> {
    cloud: &'a Cloud,
    id: String,
    address: Ipv4Addr,
}

impl Guest<'_> {
    fn socket(&self) -> SocketAddr {
        SocketAddr::from((self.address, self.cloud.hosts.ssh_port()))
    }

    fn wait_for_ssh(&self) {
        let up = eventually(|| TcpStream::connect_timeout(&self.socket(), Duration::from_secs(1)).is_ok());
        assert!(up, "no ssh; console:\n{}", self.console());
    }

    fn console(&self) -> String {
        self.cloud.hosts.console(&self.id)
    }

    /// The host's public key, as its console tells it a moment after ssh answers.
    fn key(&self) -> String {
        assert!(eventually(|| self.console().contains("-----END SSH HOST KEY KEYS-----")), "{}", self.console());
        let console = self.console();
        let block = console.split("-----BEGIN SSH HOST KEY KEYS-----\n").nth(1).expect("a key block");
        let line = block.lines().next().unwrap();
        line.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    fn ssh_as(&self, user: &str, identity: &Path, key: &str, command: &str) -> Command {
        let known = self.cloud.place.path().join(format!("known-{}", self.id));
        let port = self.cloud.hosts.ssh_port();
        let line = format!("[{}]:{port} {key}\n", self.address);
        // Clients that were started before may be reading it: not written again without need.
        if fs::read_to_string(&known).ok().as_ref() != Some(&line) {
            fs::write(&known, line).unwrap();
        }
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &port.to_string(), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"])
            .args(["-o", "StrictHostKeyChecking=yes", "-o", "KexAlgorithms=curve25519-sha256"])
            .args(["-o", "ConnectTimeout=10", "-o", "GlobalKnownHostsFile=none", "-o", "IdentityAgent=none"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", known.display()))
            .arg("-i")
            .arg(identity)
            .arg(format!("{user}@{}", self.address))
            .arg(command)
            .stdin(Stdio::null());
        ssh
    }

    fn ssh(&self, command: &str) -> Command {
        self.ssh_as("ec2-user", &self.cloud.place.path().join("id"), &self.key(), command)
    }

    fn run(&self, command: &str) -> Output {
        self.ssh(command).output().unwrap()
    }

    /// Stdout of a command that must succeed.
    #[track_caller]
    fn good(&self, command: &str) -> String {
        let output = self.run(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "{command}: {} {}\n{}", output.status, text(&output.stderr), self.console());
        text(&output.stdout)
    }

    fn code(&self, command: &str) -> i32 {
        self.run(command).status.code().unwrap()
    }
}

fn eventually(mut happened: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if happened() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Processes of this machine in whose arguments or environment `mark` stands.
fn processes_with(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.parse::<u32>().is_ok_and(|pid| pid != std::process::id()) {
            let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
            let all = [read("cmdline"), read("environ")].concat();
            if String::from_utf8_lossy(&all).contains(mark) {
                found.push(name);
            }
        }
    }
    found
}
