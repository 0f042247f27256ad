//! `fleetwright completions`

use super::command;
use super::request::Shell;
use clap::ValueEnum;

/// Print what makes a shell complete verbs and flags
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright completions bash > ~/.local/share/bash-completion/completions/fleetwright
  fleetwright completions zsh > ~/.zfunc/_fleetwright
  fleetwright completions fish > ~/.config/fish/completions/fleetwright.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: ShellArg,
}

/// Shells whose completion can be made.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ShellArg {
    /// Bash
    Bash,
    /// Zsh
    Zsh,
    /// Fish
    Fish,
    /// Elvish
    Elvish,
    /// PowerShell
    Powershell,
}

impl CompletionsArgs {
    /// The same, checked.
    pub(super) fn check(&self) -> Shell {
        match self.shell {
            ShellArg::Bash => Shell::Bash,
            ShellArg::Zsh => Shell::Zsh,
            ShellArg::Fish => Shell::Fish,
            ShellArg::Elvish => Shell::Elvish,
            ShellArg::Powershell => Shell::Powershell,
        }
    }
}

/// The script that makes a shell complete verbs and flags.
pub fn completions(shell: Shell) -> String {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Powershell => clap_complete::Shell::PowerShell,
    };
    let mut script = Vec::new();
    let mut command = command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
