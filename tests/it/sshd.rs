//! A private OpenSSH server on loopback for one test, with keys of its own in a temporary folder.

use fleetwright::model::{Address, InstanceId};
use fleetwright::ssh::{HostKeys, Identities, PublicKey, Ssh, Target, Trust};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(crate) struct Sshd {
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
    server: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Runs a future on a runtime of its own.
pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Runs a command that has to succeed.
pub(crate) fn must(command: &mut Command) -> String {
    let run = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(run.status.success(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap().trim().to_owned()
}

/// Makes a key pair without a passphrase, or with one.
pub(crate) fn keygen(file: &Path, kind: &str, passphrase: &str) {
    must(Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-C", "test", "-f"]).arg(file));
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with("")
    }

    /// Starts a server with further lines of configuration; `DIR` in them is its folder.
    pub(crate) fn with(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let program =
            ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"].iter().find(|p| Path::new(p).exists());
        let program = program.expect("these tests need OpenSSH's server: install the package openssh-server");
        keygen(&at("host"), "ed25519", "");
        keygen(&at("user"), "ed25519", "");
        fs::copy(at("user.pub"), at("authorized")).unwrap();
        if nix::unistd::Uid::effective().is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for _ in 0..5 {
            let port = free_port();
            let config = format!(
                "{more}\nListenAddress 127.0.0.1:{port}\nHostKey DIR/host\nAuthorizedKeysFile DIR/authorized\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitRootLogin yes\nSetEnv HOME=DIR\n\
                 MaxStartups 200\nMaxSessions 50\nLogLevel ERROR\n"
            );
            fs::write(at("config"), config.replace("DIR", dir.path().to_str().unwrap())).unwrap();
            let log = fs::File::create(at("log")).unwrap();
            let mut server = Command::new(program)
                .args(["-D", "-e", "-f"])
                .arg(at("config"))
                .stdin(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            while Instant::now() < deadline && server.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    // Another test's server may have been quicker to take the port: ours then ends at once.
                    std::thread::sleep(Duration::from_millis(100));
                    if server.try_wait().unwrap().is_none() {
                        return Self { dir, port, server };
                    }
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            server.kill().ok();
            server.wait().ok();
        }
        panic!("sshd did not start: {}", fs::read_to_string(at("log")).unwrap_or_default());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn host_key(&self) -> PublicKey {
        public_key(&self.path("host.pub"))
    }

    pub(crate) fn target(&self, alias: &str) -> Target {
        let address = Address { host: "127.0.0.1".into(), port: self.port };
        Target { alias: alias.into(), address, user: must(Command::new("id").arg("-un")) }
    }

    /// A store that has this server's key pinned for these instances.
    pub(crate) fn pins(&self, aliases: &[&str]) -> Arc<HostKeys> {
        let keys = HostKeys::open(self.path(&format!("known-{}", aliases.join("-")))).unwrap();
        for alias in aliases {
            keys.pin(&InstanceId::from(*alias), &[self.host_key()]).unwrap();
        }
        Arc::new(keys)
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::pinned(self.pins(&["i-1"]))
    }

    pub(crate) fn ssh(&self) -> Ssh {
        self.ssh_with(&["user"], None)
    }

    pub(crate) fn ssh_with(&self, keys: &[&str], agent: Option<&Path>) -> Ssh {
        let files: Vec<_> = keys.iter().map(|name| self.path(name)).collect();
        let identities = Identities::load(&files, None, agent.map(|path| path.as_os_str().to_owned()));
        Ssh::new(identities, Duration::from_secs(10))
    }
}

pub(crate) fn public_key(file: &Path) -> PublicKey {
    PublicKey::from_openssh(fs::read_to_string(file).unwrap().trim()).unwrap()
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An address that takes connections in and never answers: a listener whose backlog is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _held: Vec<TcpStream>,
    _listener: TcpListener,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
            socket.listen(1).unwrap().into_std().unwrap()
        });
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            held.push(stream);
        }
        Self { address, _held: held, _listener: listener }
    }
}
