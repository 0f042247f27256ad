//! What the verbs that teach were asked for: `init`, `explain`, `schema`, `completions` and `man`.

use std::path::PathBuf;

/// `init`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The folder to write to.
    pub dir: PathBuf,
    /// The fleet's name; the folder's when absent.
    pub name: Option<String>,
    /// The account; asked for when absent.
    pub account: Option<String>,
    /// The template instance; asked for when absent.
    pub template: Option<String>,
}

/// `explain`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explain {
    /// The field's path; the top of a fleet.yaml when absent.
    pub field: Option<String>,
}

/// Files that fleetwright reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// A fleet.yaml.
    Fleet,
    /// A playbook.
    Playbook,
}

/// Shells whose completion can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// Bash.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
    /// Elvish.
    Elvish,
    /// PowerShell.
    Powershell,
}

/// `man`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Man {
    /// The folder to write a page for each verb to; one page goes to standard output when absent.
    pub dir: Option<PathBuf>,
}
