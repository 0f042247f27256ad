//! One host's life: an actor that takes the world's wishes in order and holds everything that is the host's.

use super::cloudinit;
use super::console::Console;
use super::images::Making;
use super::login::Facts;
use super::metadata::{MetadataServer, Source};
use super::orders::{BootOrder, Order, Report};
use super::real::World;
use super::root;
use super::sshd::Sshd;
use super::{HELPER, HostAct, NewHost, Power};
use data_encoding::BASE64;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use russh::keys::PrivateKey;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddrV4;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// How long an orderly end may take before the host is killed; its first process gives its units two seconds of it.
const ORDERLY: Duration = Duration::from_secs(4);

/// How long a host may take to end when its stdin has ended.
const ABRUPT: Duration = Duration::from_secs(1);

/// A wish of the world.
pub(super) enum Wish {
    /// Power.
    Power(Power),
    /// Copy the directory.
    Snapshot(Making),
    /// Something done from outside.
    Act(HostAct),
}

/// A host that is on.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    reports: Lines<BufReader<ChildStdout>>,
    console: JoinHandle<()>,
    init: Option<i32>,
    host_key: Option<String>,
    sshd: Option<Sshd>,
    metadata: Option<MetadataServer>,
}

/// The actor.
pub(super) struct Host {
    world: Arc<World>,
    body: NewHost,
    directory: PathBuf,
    console: Arc<Console>,
    /// Set by the control port: the listener's key is another than the one on the host's disk, until it is destroyed.
    swapped_key: Option<PrivateKey>,
    black: bool,
    running: Option<Running>,
}

impl Host {
    /// A host that is off.
    pub(super) fn new(world: Arc<World>, host: NewHost, console: Arc<Console>) -> Self {
        let directory = world.options.state_dir.join("hosts").join(&host.id);
        Self { world, body: host, directory, console, swapped_key: None, black: false, running: None }
    }

    /// Lives until it is destroyed or nobody can wish any more.
    pub(super) async fn live(mut self, mut wishes: UnboundedReceiver<Wish>) {
        if let Err(e) = self.create().await {
            self.complain("prepare the root directory", &e);
        }
        loop {
            tokio::select! {
                wish = wishes.recv() => match wish {
                    Some(Wish::Power(Power::Destroy)) | None => break,
                    Some(wish) => self.fulfil(wish).await,
                },
                report = next_report(&mut self.running) => self.hear(report).await,
            }
        }
        self.off(false).await;
        let directory = self.directory.clone();
        if let Err(e) = blocking(move || root::remove(&directory)).await {
            self.complain("remove the root directory", &e);
        }
    }

    async fn fulfil(&mut self, wish: Wish) {
        let result = match wish {
            Wish::Power(Power::On) => self.on(),
            Wish::Power(Power::Off) => {
                self.off(true).await;
                Ok(())
            }
            Wish::Power(Power::Reboot) => {
                self.off(true).await;
                self.on()
            }
            // Ends the life, where wishes are received.
            Wish::Power(Power::Destroy) => Ok(()),
            Wish::Snapshot(making) => self.snapshot(making).await,
            Wish::Act(act) => self.act(act).await,
        };
        if let Err(e) = result {
            self.complain("do what the world asked", &e);
        }
    }

    /// Copies the image.
    async fn create(&self) -> io::Result<()> {
        let image = self.world.images.path(&self.body.image).await?;
        let to = self.root();
        blocking(move || root::copy(&image, &to)).await
    }

    async fn snapshot(&self, making: Making) -> io::Result<()> {
        let (from, to) = (self.root(), making.path().to_owned());
        let copied = blocking(move || root::copy(&from, &to)).await;
        match &copied {
            Ok(()) => making.done(),
            Err(_) => making.failed(),
        }
        copied
    }

    /// Boots, if it is off.
    fn on(&mut self) -> io::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        let order = self.order()?;
        let path = self.directory.join("boot.json");
        write_private(&path, &serde_json::to_vec(&order)?)?;
        let mut child = Command::new(&self.world.options.helper)
            .args([HELPER, "init"])
            .arg(&path)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a pipe of the host is missing");
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        self.running = Some(Running {
            stdin: child.stdin.take(),
            child,
            reports: BufReader::new(stdout).lines(),
            console: tokio::spawn(keep(stderr, self.console.clone())),
            init: None,
            host_key: None,
            sshd: None,
            metadata: None,
        });
        Ok(())
    }

    /// Ends every process of the host; afterwards its directory is still.
    async fn off(&mut self, orderly: bool) {
        let Some(mut running) = self.running.take() else { return };
        // Logins end first: what they ran is killed with the host, and nobody may come in between.
        running.sshd = None;
        running.metadata = None;
        if orderly && let Some(stdin) = &mut running.stdin {
            // One that can't be told any more is on its way down already.
            tell(stdin, Order::Shutdown).await.ok();
        } else {
            running.stdin = None;
        }
        let limit = if orderly { ORDERLY } else { ABRUPT };
        if timeout(limit, running.child.wait()).await.is_err() {
            // The kernel ends all processes of the namespace before this one counts as gone.
            if let Some(init) = running.init {
                kill(Pid::from_raw(init), Signal::SIGKILL).ok();
            } else {
                running.child.start_kill().ok();
            }
            running.child.wait().await.ok();
        }
        // Nobody holds the console any more: what is left in the pipe is read to its end.
        timeout(ABRUPT, running.console).await.ok();
    }

    /// Something was heard from a running host, or its end.
    async fn hear(&mut self, report: Option<Report>) {
        let result = match report {
            Some(Report::Pid(pid)) => {
                if let Some(running) = &mut self.running {
                    running.init = Some(pid);
                }
                self.up().await
            }
            Some(Report::Up { host_key }) => {
                if let Some(running) = &mut self.running {
                    running.host_key = Some(host_key);
                }
                self.up().await
            }
            Some(Report::Finished) => Ok(()),
            Some(Report::Reboot) => {
                if let Some(upcall) = self.world.upcall() {
                    upcall.rebooted(&self.body.id);
                }
                Ok(())
            }
            Some(Report::PowerOff) => {
                self.off(true).await;
                if let Some(upcall) = self.world.upcall() {
                    upcall.powered_off(&self.body.id);
                }
                Ok(())
            }
            Some(Report::Failed(reason)) => Err(io::Error::other(reason)),
            None => {
                self.off(false).await;
                Ok(())
            }
        };
        if let Err(e) = result {
            self.complain("boot", &e);
        }
    }

    /// Logins begin, once both the first process and its maker have reported, in whichever order.
    async fn up(&mut self) -> io::Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let (Some(init), Some(host_key)) = (running.init, &running.host_key) else { return Ok(()) };
        let gone = || io::Error::other("the host has ended already");
        let outer = running.child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(gone)?;
        let key = match &self.swapped_key {
            Some(key) => key.clone(),
            None => PrivateKey::from_openssh(host_key).map_err(io::Error::other)?,
        };
        let options = &self.world.options;
        let env = env_of(&self.world, &self.body);
        let source = Source {
            id: self.body.id.clone(),
            world: self.world.upcall.clone(),
            user_data: self.body.user_data.clone(),
            env: env.clone(),
        };
        let at = SocketAddrV4::new(self.body.address, self.world.metadata_port);
        running.metadata = Some(MetadataServer::start(at, source).await?);
        let facts = Facts {
            id: self.body.id.clone(),
            helper: options.helper.clone(),
            root: self.directory.join("root"),
            outer,
            init,
            env,
        };
        let mut sshd = Sshd::start(SocketAddrV4::new(self.body.address, self.world.ssh_port), key, facts).await?;
        if self.black {
            sshd.blackhole().await?;
        }
        running.sshd = Some(sshd);
        Ok(())
    }

    async fn act(&mut self, act: HostAct) -> io::Result<()> {
        match act {
            HostAct::Kill => match self.running.as_mut().and_then(|running| running.stdin.as_mut()) {
                Some(stdin) => tell(stdin, Order::Kill).await,
                None => Ok(()),
            },
            HostAct::Blackhole => {
                self.black = true;
                match self.sshd() {
                    Some(sshd) => sshd.blackhole().await,
                    None => Ok(()),
                }
            }
            HostAct::Restore => {
                self.black = false;
                self.sshd().map_or(Ok(()), Sshd::restore)
            }
            HostAct::Rekey => {
                let key = cloudinit::generate("root@swapped")?;
                if let Some(sshd) = self.sshd() {
                    sshd.rekey(key.clone());
                }
                self.swapped_key = Some(key);
                Ok(())
            }
            // The world turns these into changes of power.
            HostAct::Interrupt | HostAct::Reboot => Ok(()),
        }
    }

    fn sshd(&mut self) -> Option<&mut Sshd> {
        self.running.as_mut().and_then(|running| running.sshd.as_mut())
    }

    fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// What the next boot needs; writes its boot id.
    fn order(&self) -> io::Result<BootOrder> {
        let (options, host) = (&self.world.options, &self.body);
        let boot_id = self.directory.join("boot_id");
        std::fs::write(&boot_id, format!("{}\n", uuid::Uuid::new_v4()))?;
        let setup = match &options.template_setup {
            Some(setup) if setup.id == host.id || setup.id == host.image => {
                Some(std::fs::read_to_string(&setup.script)?)
            }
            _ => None,
        };
        Ok(BootOrder {
            id: host.id.clone(),
            hostname: hostname(host),
            address: host.address,
            root: self.root(),
            boot_id,
            binary: options.helper.clone(),
            mounts: options.mounts.clone(),
            env: env_of(&self.world, host),
            authorized_key: host.key_name.as_ref().and_then(|name| options.key_pairs.get(name)).cloned(),
            user_data: host.user_data.as_deref().map(|data| BASE64.encode(data)),
            setup,
            probe: false,
        })
    }

    /// On the console, where the operator of a real host would look, and in the log.
    fn complain(&self, doing: &str, error: &io::Error) {
        tracing::warn!(host = %self.body.id, %error, "failed to {doing}");
        self.console.push(format!("[FAILED] rehearsal: failed to {doing}: {error}\n").as_bytes());
    }
}

/// `ip-127-64-0-5`
fn hostname(host: &NewHost) -> String {
    format!("ip-{}", host.address.to_string().replace('.', "-"))
}

/// The environment that all processes of the host begin with.
fn env_of(world: &World, host: &NewHost) -> BTreeMap<String, String> {
    let mut env = world.options.env.clone();
    let endpoint = format!("http://{}:{}", host.address, world.metadata_port);
    env.insert("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), endpoint);
    // Signatures are not checked, so the access key id can say which host calls: the audit names it.
    env.insert("AWS_ACCESS_KEY_ID".to_owned(), host.id.clone());
    env
}

/// The next report; `None` when the host has ended, and never while there is none.
async fn next_report(running: &mut Option<Running>) -> Option<Report> {
    let Some(running) = running else { return std::future::pending().await };
    let line = running.reports.next_line().await.ok().flatten()?;
    Some(serde_json::from_str(&line).unwrap_or_else(|e| Report::Failed(format!("say something sensible: {e}"))))
}

/// Tells a host's first process something.
async fn tell(stdin: &mut ChildStdin, order: Order) -> io::Result<()> {
    let mut line = serde_json::to_string(&order)?;
    line.push('\n');
    stdin.write_all(line.as_bytes()).await
}

/// Carries the console.
async fn keep(mut stderr: ChildStderr, console: Arc<Console>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        console.push(&buffer[..read]);
    }
}

/// Work on files, away from the runtime's threads.
async fn blocking(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    spawn_blocking(work).await.map_err(io::Error::other)?
}

/// A file that only this user reads: it holds the rehearsal's credentials.
fn write_private(path: &Path, data: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(data)
}
