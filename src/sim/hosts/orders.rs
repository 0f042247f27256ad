//! What passes between the serving process, a host's first process and the shims that run on the host.

use super::super::seed::SeedMount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Where a host finds this binary; not on its PATH.
pub(super) const CONTROL_BINARY: &str = "/run/rehearsal/control";

/// Where the host's first process listens for its shims.
pub(super) const CONTROL_SOCKET: &str = "/run/rehearsal/init.sock";

/// The property that `systemctl show` knows: when a unit was started last, in microseconds of the machine's own uptime.
pub(super) const ENTERED: &str = "ActiveEnterTimestampMonotonic";

/// Search path of every process on a host: the shims come first.
pub(super) const PATH: &str = "/run/shims:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Login user of the seeded images, as on Amazon Linux.
pub(super) const DEFAULT_USER: &str = "ec2-user";

/// One boot, as the serving process wants it; written to a file that only the booting process reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BootOrder {
    /// `i-...`
    pub(super) id: String,
    /// `ip-127-64-0-5`
    pub(super) hostname: String,
    /// Its address.
    pub(super) address: Ipv4Addr,
    /// The directory that becomes `/`.
    pub(super) root: PathBuf,
    /// File whose content the host reads as `/proc/sys/kernel/random/boot_id`.
    pub(super) boot_id: PathBuf,
    /// This binary, as the serving process sees it.
    pub(super) binary: PathBuf,
    /// Folders of this machine.
    pub(super) mounts: Vec<SeedMount>,
    /// Environment of every process on the host.
    pub(super) env: BTreeMap<String, String>,
    /// Public half of the key pair.
    pub(super) authorized_key: Option<String>,
    /// User data, base64.
    pub(super) user_data: Option<String>,
    /// The operator's own script for the template.
    pub(super) setup: Option<String>,
    /// Ends after the mounts: only finds out whether a host could be made here.
    pub(super) probe: bool,
}

/// From the serving process to a host's first process, a JSON line each; the end of the stream ends the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// SIGKILL to everything but the first process.
    Kill,
    /// Orderly: units are stopped, then the host ends.
    Shutdown,
}

/// From a host to the serving process, a JSON line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Report {
    /// The first process exists; its id as the serving process sees it.
    Pid(i32),
    /// Mounts made, host key there: logins can begin. The key is an OpenSSH private key.
    Up {
        /// `etc/ssh/ssh_host_ed25519_key`.
        host_key: String,
    },
    /// Boot finished, user data and units included.
    Finished,
    /// `reboot` was called on the host.
    Reboot,
    /// `poweroff` was called on the host.
    PowerOff,
    /// It can't boot, and why.
    Failed(String),
}

/// What a shim asks of the host's first process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Ask {
    /// Reboot the host.
    Reboot,
    /// Power the host off.
    PowerOff,
    /// `systemctl`.
    Units {
        /// What to do with each unit.
        verb: UnitVerb,
        /// Names, with suffix.
        units: Vec<String>,
        /// `--now` of enable and disable.
        now: bool,
        /// Signal number of `kill`.
        signal: i32,
        /// Nothing on stdout.
        quiet: bool,
    },
}

/// The verbs of `systemctl` that hosts know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UnitVerb {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Stop, then start.
    Restart,
    /// The same, of what is active only.
    TryRestart,
    /// Start at boot.
    Enable,
    /// Not any more.
    Disable,
    /// `active`, exit 0, or another state, exit 3.
    IsActive,
    /// `enabled`, exit 0, or `disabled`, exit 1.
    IsEnabled,
    /// `failed`, exit 0, or another state, exit 1.
    IsFailed,
    /// Text for people; exit 0 when active, 3 when not, 4 when unknown.
    Status,
    /// Read the files again; they are read at each start anyway.
    DaemonReload,
    /// Its property `ActiveEnterTimestampMonotonic`.
    Show,
    /// Forget a failure.
    ResetFailed,
    /// Send a signal.
    Kill,
}

/// The answer to a shim.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    /// Exit code of the shim.
    pub(super) code: i32,
    /// For its stdout.
    pub(super) out: String,
    /// For its stderr.
    pub(super) err: String,
}

/// One command to run on a host, handed to the entering process in an environment variable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The process that made the outer namespaces.
    pub(super) outer: i32,
    /// The host's first process.
    pub(super) init: i32,
    /// For `sh -c`.
    pub(super) command: String,
    /// Home of the login user, made if missing.
    pub(super) home: PathBuf,
    /// The whole environment of the command.
    pub(super) env: BTreeMap<String, String>,
}

/// Environment variable that carries an [`Entry`]; arguments would show in `ps`.
pub(super) const ENTRY: &str = "FLEETWRIGHT_HOST_ENTRY";

/// Home directory of a login name.
pub(super) fn home_of(user: &str) -> PathBuf {
    if user == "root" { PathBuf::from("/root") } else { Path::new("/home").join(user) }
}

/// The environment of a process on a host that belongs to `user`.
pub(super) fn environment(base: &BTreeMap<String, String>, user: &str) -> BTreeMap<String, String> {
    let mut env = base.clone();
    let home = home_of(user).to_string_lossy().into_owned();
    for (name, value) in [
        ("PATH", PATH),
        ("HOME", home.as_str()),
        ("USER", user),
        ("LOGNAME", user),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
        // Every login is uid 0 of a namespace that knows no other user: tar must not try to give files away.
        ("TAR_OPTIONS", "--no-same-owner"),
    ] {
        env.insert(name.to_owned(), value.to_owned());
    }
    env
}
