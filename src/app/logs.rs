//! `logs`: a host's console from EC2 and its worker's journal over SSH.

use super::Told;
use super::context::Context;
use crate::cli::request::Logs as Wanted;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{Host, shell_word};
use crate::report::answer::Logs;
use crate::ssh::output::{Bounds, sanitise};
use crate::ssh::{Limits, Status, Target};
use std::time::Duration;

/// How long the host may take to read its journal, wall time.
const WITHIN: Duration = Duration::from_secs(30);
/// What is kept of journal and console each; EC2 keeps 64 KiB of a console.
const BOUNDS: Bounds = Bounds { line: 2000, total: 64 * 1024 };

impl Context {
    pub(super) async fn logs(&self, wanted: &Wanted) -> Result<Exit, Failure> {
        if wanted.follow {
            return self.follow(wanted).await;
        }
        let host = self.running_host(&wanted.host).await?;
        let service = self.fleet.worker.as_ref().map(|worker| worker.service.clone());
        let clients = self.clients().await?;
        let what = format!("read the console of {}", host.id);
        let console = self.read(&what, async || clients.console(&host.id).await).await?;
        let journal = match &service {
            None => None,
            Some(service) => Some(self.journal_of(&host, &journal_of(service, wanted.lines)).await?),
        };
        let reason = journal.as_ref().and_then(|journal| journal.as_ref().err().cloned());
        let failure = reason.as_ref().map(|why| {
            Failure::to(Exit::Partial, format!("read the journal of {host}: {why}"))
                .hint(format!("fleetwright ssh {}     # by hand", host.slot))
        });
        let answer = Logs {
            host: host.id.to_string(),
            slot: Some(host.slot),
            console: sanitise(console.as_bytes(), BOUNDS),
            service,
            journal: journal.and_then(Result::ok),
            reason,
            api_calls: self.calls(),
        };
        self.tell(Told { answer, failure })
    }

    /// What the host says, or why it does not.
    async fn journal_of(&self, host: &Host, command: &str) -> Result<Result<String, String>, Failure> {
        let dir = self.state_dir()?;
        let reach = self.reach(&dir)?;
        self.learn_all(&reach, &dir, std::slice::from_ref(host)).await?;
        let session = match reach.ssh.connect(&Target::of(host), &reach.trust).await {
            Ok(session) => session,
            Err(fault) => return Ok(Err(fault.message)),
        };
        let limits = Limits { timeout: WITHIN, max_output: BOUNDS.total };
        Ok(match session.exec_tied(command, limits).await {
            Ok(done) if done.success() => Ok(sanitise(&done.stdout, BOUNDS)),
            Ok(done) => {
                let status = match &done.status {
                    Status::Exit(code) => format!("exit {code}"),
                    Status::Signal(name) => format!("signal {name}"),
                };
                let said = sanitise(&done.stderr, Bounds::default());
                Err(format!("{status}: {}", said.trim().lines().next_back().unwrap_or_default()))
            }
            Err(fault) => Err(fault.message),
        })
    }
}

/// The shell line that reads a unit's journal.
fn journal_of(service: &str, lines: u32) -> String {
    as_root(&format!("journalctl --no-pager -n {lines} -u {}", shell_word(service)))
}

/// The command as root where sudo allows it: a login may not see the journals of the system.
pub(super) fn as_root(read: &str) -> String {
    format!("if [ \"$(id -u)\" != 0 ] && sudo -n true 2>/dev/null; then exec sudo -n {read}; else exec {read}; fi")
}
