//! How hosts are reached: addresses, host keys by instance id, logins.

use super::Steps;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::{Address, Host, Instance, InstanceId};
use crate::ssh::console::learn_from_console;
use crate::ssh::{
    Execution, HostKeys, Input, Limits, Session, Ssh, SshFault, SshFaultKind, Status, Target, Trust, output,
};
use std::sync::Arc;

/// The SSH side of a run: who we are, whose keys we trust.
#[derive(Clone)]
pub struct Reach {
    /// Makes connections.
    pub ssh: Arc<Ssh>,
    /// Host keys of this fleet, by instance id.
    pub keys: Arc<HostKeys>,
    /// Whose word counts for fleet hosts.
    pub trust: Trust,
    /// Whose word counts for machines that fleetwright did not launch, the template among them: the user's own known_hosts,
    /// too.
    pub others_trust: Trust,
}

impl Steps {
    /// Where SSH finds an instance; none while EC2 has not told its address.
    pub fn address(&self, instance: &Instance) -> Option<Address> {
        self.fleet.ssh.address(instance)
    }

    /// The template instance, running, as a host.
    pub(super) async fn template_host(&self) -> Result<Host, Failure> {
        let Some(id) = self.fleet.template_instance() else {
            return Err(Failure::to(Exit::Usage, "find the template: the spec names none")
                .hint("add `template: {instance: i-...}` to the spec"));
        };
        let found = self.read(&format!("look at template {id}"), async || self.clients.instance(id).await).await?;
        let Some(instance) = found else {
            return Err(Failure::to(Exit::Usage, format!("find template {id}: it is not in {}", self.fleet.region))
                .hint("correct `template.instance` in the spec"));
        };
        if instance.state != crate::model::InstanceState::Running {
            return Err(Failure::to(Exit::Usage, format!("use template {id}: it is {}", instance.state))
                .hint(format!("aws ec2 start-instances --instance-ids {id}")));
        }
        let Some(address) = self.address(&instance) else {
            return Err(Failure::to(
                Exit::Usage,
                format!("reach template {id}: it has no address of the kind asked for"),
            )
            .hint("set `ssh.connect` to private or public"));
        };
        Ok(Host { slot: 0, id: id.clone(), address, user: self.fleet.ssh.user.clone() })
    }

    /// Whether the template instance has ended.
    pub(super) async fn template_gone(&self) -> Result<bool, Failure> {
        let Some(id) = self.fleet.template_instance() else { return Ok(false) };
        let found = self.read(&format!("look at template {id}"), async || self.clients.instance(id).await).await?;
        Ok(found.is_none_or(|instance| !instance.state.live()))
    }

    /// Logs in to the template.
    pub(super) async fn enter_template(&self) -> Result<(Host, Session), Failure> {
        let host = self.template_host().await?;
        let target = Target::of(&host);
        let session = self
            .reach
            .ssh
            .connect(&target, &self.reach.others_trust)
            .await
            .map_err(|fault| unreached(&host.id, &fault).hint(ssh_hint(&host, &fault)))?;
        Ok((host, session))
    }

    /// Runs a command on the template; anything but exit 0 is a failure that shows the end of its output.
    pub(super) async fn on_template(
        &self,
        session: &Session,
        id: &InstanceId,
        what: &str,
        command: &str,
        stdin: Input,
        limits: Limits,
    ) -> Result<String, Failure> {
        let execution =
            session.exec(command, stdin, limits).await.map_err(|fault| unreached(id, &fault).hint(what.to_owned()))?;
        if execution.success() {
            return Ok(String::from_utf8_lossy(&execution.stdout).into_owned());
        }
        Err(Failure::to(Exit::Partial, format!("{what} on {id}: {}", ended(&execution))))
    }

    /// Learns a host's key from its console, once; false while the console does not show it yet.
    pub(super) async fn learn(&self, id: &InstanceId) -> Result<bool, Failure> {
        if self.reach.keys.knows(id) {
            return Ok(true);
        }
        let what = format!("read the console of {id}");
        let console = self.read(&what, async || self.clients.console(id).await).await?;
        let keys = learn_from_console(&console);
        if keys.is_empty() {
            return Ok(false);
        }
        self.reach.keys.pin(id, &keys).map_err(|error| {
            Failure::to(Exit::State, format!("keep the host key of {id}: {error}")).hint(error.hint())
        })?;
        Ok(true)
    }
}

/// What to do about a template that could not be entered.
pub fn ssh_hint(host: &Host, fault: &SshFault) -> String {
    match fault.kind {
        SshFaultKind::HostKey => format!(
            "log in once by hand and compare the key with the console's: ssh -p {} {}@{}",
            host.address.port, host.user, host.address.host
        ),
        SshFaultKind::Auth => "load the key into the agent, or name it in `ssh.identity`".to_owned(),
        SshFaultKind::Unreachable | SshFaultKind::Lost | SshFaultKind::TimedOut | SshFaultKind::Protocol => {
            "is this machine allowed in by the security group, and is `ssh.connect` right?".to_owned()
        }
    }
}

/// A host that could not be reached, in one line.
pub(super) fn unreached(id: &InstanceId, fault: &SshFault) -> Failure {
    let exit = match fault.kind {
        SshFaultKind::HostKey => Exit::Refused,
        SshFaultKind::Unreachable
        | SshFaultKind::Auth
        | SshFaultKind::Lost
        | SshFaultKind::TimedOut
        | SshFaultKind::Protocol => Exit::Partial,
    };
    Failure::to(exit, format!("reach {id} ({}): {}", fault.stage, fault.message))
}

/// How a command ended badly: status and the last line it said.
pub(super) fn ended(execution: &Execution) -> String {
    let status = match &execution.status {
        Status::Exit(code) => format!("exit {code}"),
        Status::Signal(name) => format!("signal {name}"),
    };
    let said = if execution.stderr.is_empty() { &execution.stdout } else { &execution.stderr };
    let text = String::from_utf8_lossy(said);
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(last) => format!("{status}: {}", output::line(last)),
        None => status,
    }
}
