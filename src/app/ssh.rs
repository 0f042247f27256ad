//! `ssh`: becomes the system's own ssh, bound to the key that was pinned for the host.

use super::Told;
use super::context::Context;
use crate::cli::request::{HostName, HostPick, Ssh};
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{Host, shell_word};
use crate::report::Format;
use crate::report::answer::SshLine;
use std::os::unix::process::CommandExt;
use std::process::Command;

impl Context {
    /// Only a dry run or a failure comes back.
    pub(super) async fn ssh(&self, wanted: &Ssh) -> Result<Exit, Failure> {
        let host = self.running_host(&wanted.host).await?;
        let command = match wanted.command.as_slice() {
            [line] => vec![line.clone()],
            words => words.iter().map(|word| shell_word(word)).collect(),
        };
        let dir = self.state_dir()?;
        let reach = self.reach(&dir)?;
        self.learn_all(&reach, &dir, std::slice::from_ref(&host)).await?;
        if !reach.keys.knows(&host.id) {
            return Err(Failure::to(
                Exit::Refused,
                format!("tell {host} from any other machine: its key is not known yet"),
            )
            .hint("EC2 shows the console, where the key is read, some minutes after the boot: try again then")
            .hint(format!("fleetwright logs {}     # shows the console", host.slot)));
        }
        let arguments = self.openssh(&dir)?.arguments(&host);
        let arguments = arguments.map_err(|e| Failure::to(Exit::Usage, e).hint("name another --state-dir"))?;
        let line: Vec<String> = std::iter::once("ssh".to_owned()).chain(arguments).chain(command).collect();
        if self.global.dry_run {
            let answer = SshLine { host: host.id.to_string(), slot: host.slot, command: line };
            return self.tell(Told::good(answer));
        }
        if self.global.output != Format::Table {
            return Err(Failure::to(Exit::Usage, "answer as data: what is printed is the host's own")
                .hint("fleetwright exec -o json -- ...     # what a host says, as data")
                .hint("with --dry-run the command line is data"));
        }
        // Comes back only when it failed; the exit code is ssh's own.
        let error = Command::new("ssh").args(&line[1..]).exec();
        Err(Failure::to(Exit::Usage, format!("start ssh: {error}")).hint("install OpenSSH's client"))
    }

    /// The running host that is meant.
    pub(super) async fn running_host(&self, name: &HostName) -> Result<Host, Failure> {
        self.check_account().await?;
        let (hosts, _) = self.running(&self.state_dir()?).await?;
        let meant = |host: &&Host| match name {
            HostName::Pick(HostPick::Id(id)) => *id == host.id,
            HostName::Pick(HostPick::Slot(slot)) => *slot == host.slot,
            HostName::Address(address) => host.address.host.parse() == Ok(*address),
        };
        hosts.iter().find(meant).cloned().ok_or_else(|| {
            let name = match name {
                HostName::Pick(HostPick::Id(id)) => id.to_string(),
                HostName::Pick(HostPick::Slot(slot)) => format!("slot {slot}"),
                HostName::Address(address) => address.to_string(),
            };
            Failure::to(Exit::Usage, format!("find {name} among the running hosts"))
                .hint("fleetwright status     # lists ids, slots and addresses")
        })
    }
}
