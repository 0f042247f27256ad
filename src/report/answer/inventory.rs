//! What `inventory` answers: the running hosts, and the same as other tools read them.

use super::Answer;
use crate::model::{Host, shell_word};
use crate::ssh::OpenSsh;
use crate::ssh::openssh::Unspeakable;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Which tool reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InventoryFormat {
    /// `ssh -F FILE`, or an `Include` of the user's own configuration.
    #[default]
    SshConfig,
    /// `ansible -i FILE.yaml`
    Ansible,
    /// Lines of `/etc/hosts`.
    Hosts,
}

/// The running hosts.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Inventory {
    /// The fleet's name.
    pub fleet: String,
    /// The login.
    pub user: String,
    /// The file that pins their host keys, by instance id, in OpenSSH's own form.
    pub known_hosts: String,
    /// Running hosts by slot.
    pub hosts: Vec<InventoryHost>,
    /// Which tool `text` is for.
    pub format: InventoryFormat,
    /// What that tool reads.
    pub text: String,
    /// Calls to AWS by action.
    pub api_calls: BTreeMap<String, u64>,
}

/// One running host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct InventoryHost {
    /// `FLEET-SLOT`
    pub name: String,
    /// Its slot.
    pub slot: u32,
    /// The instance id; its host keys go by it, too.
    pub id: String,
    /// Where SSH finds it.
    pub address: String,
    /// TCP port of SSH.
    pub port: u16,
    /// Whether its host key is pinned; without it nobody gets in.
    pub key_known: bool,
    /// Whether it is in quarantine: of ansible's groups it is in `quarantined` only, the other forms say so in a comment.
    pub quarantined: bool,
}

impl Inventory {
    /// The hosts for one tool; `tell` says of one whether its key is pinned, and whether it is in
    /// quarantine.
    ///
    /// # Errors
    ///
    /// When the path of the known hosts or of a key can't be written down for OpenSSH.
    pub fn new(
        fleet: &str,
        hosts: &[Host],
        format: InventoryFormat,
        ssh: &OpenSsh,
        tell: impl Fn(&Host) -> (bool, bool),
    ) -> Result<Self, Unspeakable> {
        let listed: Vec<InventoryHost> = hosts
            .iter()
            .map(|host| (host, tell(host)))
            .map(|(host, (key_known, quarantined))| InventoryHost {
                name: format!("{fleet}-{}", host.slot),
                slot: host.slot,
                id: host.id.to_string(),
                address: host.address.host.clone(),
                port: host.address.port,
                key_known,
                quarantined,
            })
            .collect();
        let options = hosts.iter().map(|host| ssh.options(host)).collect::<Result<Vec<_>, _>>()?;
        let described = listed.iter().zip(&options);
        let text = match format {
            InventoryFormat::SshConfig => described.map(|(host, options)| ssh_config(host, options)).collect(),
            InventoryFormat::Ansible => ansible(fleet, described),
            InventoryFormat::Hosts => described.map(|(host, _)| hosts_line(host)).collect(),
        };
        Ok(Self {
            fleet: fleet.to_owned(),
            user: ssh.user.clone(),
            known_hosts: ssh.known_hosts.display().to_string(),
            hosts: listed,
            format,
            text,
            api_calls: BTreeMap::new(),
        })
    }
}

/// One host's section.
fn ssh_config(host: &InventoryHost, options: &[(&str, String)]) -> String {
    let mark = if host.quarantined { "# in quarantine\n" } else { "" };
    let mut text = format!("{mark}Host {} {}\n  HostName {}\n", host.name, host.id, host.address);
    for (keyword, value) in options {
        let _infallible = writeln!(text, "  {keyword} {value}");
    }
    text
}

/// One line of `/etc/hosts`.
fn hosts_line(host: &InventoryHost) -> String {
    let mark = if host.quarantined { "  # in quarantine" } else { "" };
    format!("{}\t{} {}{mark}\n", host.address, host.name, host.id)
}

/// The group of hosts that nobody but their investigator should touch.
const QUARANTINED: &str = "quarantined";

/// One group, named as Ansible wants names of groups, and one of hosts in quarantine, where there are any. JSON is YAML,
/// too, and needs no other rules of quoting.
fn ansible<'a>(
    fleet: &str,
    hosts: impl Iterator<Item = (&'a InventoryHost, &'a Vec<(&'static str, String)>)>,
) -> String {
    let group: String = fleet.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let group = if group == QUARANTINED || group.starts_with(|c: char| c.is_ascii_digit()) {
        format!("fleet_{group}")
    } else {
        group
    };
    let (mut all, mut aside) = (Map::new(), Map::new());
    for (host, options) in hosts {
        let arguments: Vec<String> = options
            .iter()
            .map(|(keyword, value)| format!("-o {}", shell_word(&format!("{keyword}={value}"))))
            .collect();
        let variables = json!({
            "ansible_host": host.address,
            "ansible_port": host.port,
            "ansible_ssh_common_args": arguments.join(" "),
            "fleetwright_id": host.id,
            "fleetwright_slot": host.slot,
        });
        let members = if host.quarantined { &mut aside } else { &mut all };
        members.insert(host.name.clone(), variables);
    }
    let mut inventory = json!({ group: { "hosts": all } });
    if !aside.is_empty() {
        inventory[QUARANTINED] = json!({ "hosts": aside });
    }
    format!("{inventory:#}\n")
}

impl Answer for Inventory {
    fn page(&self, _: Option<u16>) -> String {
        self.text.clone()
    }

    fn verbatim(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;

    #[test]
    fn as_each_tool_reads_it() {
        let address = |host: &str| Address { host: host.to_owned(), port: 22 };
        let hosts = [
            Host { slot: 0, id: "i-0aaa".into(), address: address("10.0.0.7"), user: "ops".into() },
            Host { slot: 4, id: "i-0bbb".into(), address: address("10.0.0.8"), user: "ops".into() },
        ];
        let ssh =
            OpenSsh { user: "ec2-user".into(), identity: Vec::new(), known_hosts: "/s/my state/known_hosts".into() };
        for format in [InventoryFormat::SshConfig, InventoryFormat::Ansible, InventoryFormat::Hosts] {
            let made =
                Inventory::new("9-lives", &hosts, format, &ssh, |host| (host.slot == 0, host.slot == 4)).unwrap();
            assert_eq!(made.hosts.iter().map(|host| host.key_known).collect::<Vec<_>>(), [true, false]);
            insta::assert_snapshot!(format!("{format:?}").to_lowercase(), made.page(None));
        }
    }
}
