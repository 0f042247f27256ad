//! Runs a command that does not outlive its connection.

use super::exec::{Execution, Input, Limits, Stream};
use super::payload::seconds;
use super::{Session, SshFault};
use crate::model::shell_word;
use std::time::Duration;

/// The program that ties a command to its standard input.
const PROGRAM: &str = include_str!("tied.sh");

/// How long after its time-out the host ends the command by itself: only where the host never learns that we are gone.
const BACKSTOP: Duration = Duration::from_secs(30);

impl Session {
    /// Runs a command through the login shell, with empty input. It is ended, and its process group with it, when it takes
    /// longer than it may or when the connection ends, however that ends: by us, by Ctrl-C, by SIGKILL, by the network.
    pub async fn exec_tied(&self, command: &str, limits: Limits) -> Result<Execution, SshFault> {
        self.exec_tied_with(command, limits, |_, _| {}).await
    }

    /// As [`Session::exec_tied`]; `seen` gets every piece of output as it comes, whole and unescaped.
    pub async fn exec_tied_with(
        &self,
        command: &str,
        limits: Limits,
        seen: impl FnMut(Stream, &[u8]) + Send,
    ) -> Result<Execution, SshFault> {
        let line = format!(
            "exec sh -c {} fleetwright {} {}",
            shell_word(PROGRAM),
            seconds(limits.timeout.saturating_add(BACKSTOP)),
            shell_word(command)
        );
        self.exec_with(&line, Input::Held, limits, seen).await
    }
}
