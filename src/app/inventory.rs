//! `inventory`: the running hosts for other tools, their keys pinned.

use super::Told;
use super::context::Context;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::FleetDir;
use crate::model::Host;
use crate::report::answer::{Inventory, InventoryFormat};
use crate::ssh::OpenSsh;

impl Context {
    pub(super) async fn inventory(&self, format: InventoryFormat) -> Result<Exit, Failure> {
        self.check_account().await?;
        let dir = self.state_dir()?;
        let (hosts, aside) = self.running(&dir).await?;
        let reach = self.reach(&dir)?;
        self.learn_all(&reach, &dir, &hosts).await?;
        let tell = |host: &Host| (reach.keys.knows(&host.id), aside.contains(&host.id));
        let made = Inventory::new(self.fleet.name.as_str(), &hosts, format, &self.openssh(&dir)?, tell);
        let answer = Inventory {
            api_calls: self.calls(),
            ..made.map_err(|error| Failure::to(Exit::Usage, error).hint("name another --state-dir"))?
        };
        if answer.hosts.is_empty() {
            self.events.note(format!("no host of {} runs", self.fleet.name));
        }
        let keyless: Vec<&str> =
            answer.hosts.iter().filter(|host| !host.key_known).map(|host| host.id.as_str()).collect();
        if !keyless.is_empty() {
            let whose = keyless.join(" ");
            self.events.warn(format!("the console shows no host key yet, so that nobody gets in: {whose}"));
        }
        self.tell(Told::good(answer))
    }

    /// How OpenSSH's own client gets in.
    pub(super) fn openssh(&self, dir: &FleetDir) -> Result<OpenSsh, Failure> {
        let known_hosts = std::path::absolute(dir.path().join("known_hosts"))
            .map_err(|error| Failure::to(Exit::State, format!("find {}: {error}", dir.path().display())))?;
        let ssh = &self.fleet.ssh;
        Ok(OpenSsh { user: ssh.user.clone(), identity: ssh.identity.clone(), known_hosts })
    }
}
