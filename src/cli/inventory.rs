//! `fleetwright inventory`

use crate::report::answer::InventoryFormat;
use clap::ValueEnum;

/// List the running hosts for other tools
///
/// Host keys are pinned in a file of the state directory, learnt from the console where they are not known yet, and what
/// is printed for ssh and Ansible makes them check against it, strictly. Hosts of the rehearsal cloud have no terminal: there
/// Ansible needs ANSIBLE_PIPELINING=1.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright inventory > fleet.ssh           # then: ssh -F fleet.ssh NAME-3
  fleetwright inventory --format ansible > hosts.yaml   # then: ansible -i hosts.yaml all -m ping
  fleetwright inventory --format hosts")]
pub(super) struct InventoryArgs {
    /// Which tool reads it
    #[arg(long, value_name = "TOOL", value_enum, default_value_t = FormatArg::SshConfig)]
    format: FormatArg,
}

/// `--format`
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FormatArg {
    /// For ssh -F, or an Include of your own configuration
    SshConfig,
    /// For ansible -i
    Ansible,
    /// Lines of /etc/hosts
    Hosts,
}

impl InventoryArgs {
    /// The same, checked.
    pub(super) fn check(self) -> InventoryFormat {
        match self.format {
            FormatArg::SshConfig => InventoryFormat::SshConfig,
            FormatArg::Ansible => InventoryFormat::Ansible,
            FormatArg::Hosts => InventoryFormat::Hosts,
        }
    }
}
