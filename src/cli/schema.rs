//! `fleetwright schema`

use super::request::Document;
use clap::ValueEnum;

/// Print the JSON Schema of a fleet.yaml or a playbook
///
/// For editors and validators, by JSON Schema 2020-12. An editor that knows YAML language servers takes it from a first
/// line such as `# yaml-language-server: $schema=fleet.schema.json`.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright schema > fleet.schema.json
  fleetwright schema playbook > playbook.schema.json")]
pub(super) struct SchemaArgs {
    /// Which file the schema is for
    #[arg(value_enum, value_name = "FILE", default_value_t = DocumentArg::Fleet)]
    document: DocumentArg,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum DocumentArg {
    /// A fleet.yaml
    Fleet,
    /// A playbook
    Playbook,
}

impl SchemaArgs {
    /// The same, checked.
    pub(super) fn check(&self) -> Document {
        match self.document {
            DocumentArg::Fleet => Document::Fleet,
            DocumentArg::Playbook => Document::Playbook,
        }
    }
}
