//! `fleetwright explain`

use super::request::Explain;

/// Explain a field of a fleet.yaml or of a playbook
///
/// Says what it takes, its default, unit and bounds, shows an example, and names the page that says more. Without a
/// field, lists the sections of a fleet.yaml. Reads no file.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright explain
  fleetwright explain fleet.accept
  fleetwright explain playbook.steps.put -o json")]
pub(super) struct ExplainArgs {
    /// The field's path, as --set and reports show it [default: the whole file]
    #[arg(value_name = "FIELD")]
    field: Option<String>,
}

impl ExplainArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Explain {
        Explain { field: self.field }
    }
}
