//! One run of the command, in a process group of its own.

use crate::aws::Received;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Wall time between asking a command to end and ending it.
const MERCY: Duration = Duration::from_secs(2);

/// Longest value that goes into the environment: Linux allows 128 KiB for name and value of one variable
/// (MAX_ARG_STRLEN). A longer item is on stdin alone.
const ENVIRONMENT: usize = 120 * 1024;

/// Whether the command's program is there and may be run; asked before an item is taken, since each take counts against
/// the item.
pub(super) fn check(command: &[String]) -> io::Result<()> {
    let program = command.first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command was given"))?;
    let runs = |path: &Path| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        let path = Path::new(program);
        path.metadata()?;
        return if runs(path) { Ok(()) } else { Err(io::Error::from(io::ErrorKind::PermissionDenied)) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| runs(&folder.join(program)));
    if found { Ok(()) } else { Err(io::Error::new(io::ErrorKind::NotFound, "it is in no folder of PATH")) }
}

/// The running command.
pub(super) struct Child {
    process: tokio::process::Child,
    group: Option<Pid>,
}

impl Child {
    /// Starts the command for these items: one item as it is on stdin and in the environment, or (`lines`) any number as
    /// JSON strings, one a line, on stdin.
    pub(super) fn start(command: &[String], lines: bool, items: &[Received]) -> io::Result<Self> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command was given"))?;
        let mut command = Command::new(program);
        // Our stdout is for our own answer; what a command says is talk.
        command.args(arguments).stdin(Stdio::piped()).stdout(io::stderr()).process_group(0).kill_on_drop(true);
        if let (false, [item]) = (lines, items) {
            if item.body.len() <= ENVIRONMENT && !item.body.contains('\0') {
                command.env("FLEETWRIGHT_ITEM", &item.body);
            }
            command.env("FLEETWRIGHT_RECEIVES", item.receives.to_string());
            if let Some(id) = &item.item {
                command.env("FLEETWRIGHT_ITEM_ID", id);
            }
        }
        let mut process = command.spawn()?;
        let group = process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        if let Some(mut stdin) = process.stdin.take() {
            let input = input(lines, items);
            // A command that does not read its stdin closes it: that is its own business.
            tokio::spawn(async move { stdin.write_all(&input).await.unwrap_or_default() });
        }
        Ok(Self { process, group })
    }

    /// Waits for the end. A process that can't be waited for counts as failed.
    pub(super) async fn wait(&mut self) -> ExitStatus {
        use std::os::unix::process::ExitStatusExt;
        self.process.wait().await.unwrap_or_else(|_| ExitStatus::from_raw(0xff00))
    }

    /// Asks the whole group to end, then ends it.
    pub(super) async fn kill(&mut self) {
        let Some(group) = self.group else { return };
        // The group may be gone already: then there is nothing to end.
        killpg(group, Signal::SIGTERM).unwrap_or_default();
        let ended = tokio::time::timeout(MERCY, self.process.wait()).await;
        // Whatever it started may not have listened: it must not work on items that somebody else gets now.
        killpg(group, Signal::SIGKILL).unwrap_or_default();
        if ended.is_err() {
            self.wait().await;
        }
    }
}

/// What the command reads.
fn input(lines: bool, items: &[Received]) -> Vec<u8> {
    if let (false, [item]) = (lines, items) {
        return item.body.clone().into_bytes();
    }
    let quoted = items.iter().map(|item| format!("{}\n", serde_json::Value::from(item.body.as_str())));
    quoted.flat_map(String::into_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    fn item(body: &str) -> Received {
        Received { item: Some("item-1".into()), body: body.into(), receipt: "r".into(), receives: 2 }
    }

    fn sh(script: &str) -> Vec<String> {
        vec!["sh".into(), "-c".into(), script.into()]
    }

    /// Runs a script that ends with 0 when its checks hold.
    async fn holds(script: &str, lines: bool, items: &[Received]) -> bool {
        Child::start(&sh(script), lines, items).unwrap().wait().await.success()
    }

    #[tokio::test]
    async fn one_item_is_on_stdin_and_in_the_environment() {
        let script = r#"test "$(cat)" = "a b" && test "$FLEETWRIGHT_ITEM" = "a b" && test "$FLEETWRIGHT_ITEM_ID" = item-1 &&
            test "$FLEETWRIGHT_RECEIVES" = 2"#;
        assert!(holds(script, false, &[item("a b")]).await);
        assert!(!holds(script, false, &[item("other")]).await);
    }

    #[tokio::test]
    async fn a_batch_is_json_lines() {
        let script = r#"test "$(cat)" = '"a\nb"
"c"' && test -z "$FLEETWRIGHT_ITEM""#;
        assert!(holds(script, true, &[item("a\nb"), item("c")]).await);
        assert!(holds(r#"test "$(cat)" = '"a"'"#, true, &[item("a")]).await, "a batch of one is still a batch");
    }

    #[tokio::test]
    async fn a_long_item_is_on_stdin_alone() {
        let script = r#"test "$(wc -c)" -eq 300000 && test -z "$FLEETWRIGHT_ITEM""#;
        assert!(holds(script, false, &[item(&"x".repeat(300_000))]).await);
    }

    #[tokio::test]
    async fn a_command_that_reads_nothing_is_no_failure() {
        assert!(holds("exec 0<&-; true", false, &[item(&"x".repeat(300_000))]).await);
    }

    #[tokio::test]
    async fn killing_reaches_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let mut child = Child::start(&sh(&script), false, &[item("x")]).unwrap();
        while !pid.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().await;
        assert_eq!(child.wait().await.signal(), Some(15));
        let pid = std::fs::read_to_string(pid).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // Its parent is gone: whoever adopted it may not have collected it yet.
        while !state().is_empty() && !state().contains(") Z ") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn killing_ends_what_does_not_listen() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        // The leader ends at once when asked; what it started ignores that, and would go on for ten minutes.
        let deaf = "trap '' TERM; exec sleep 600";
        let script = format!("sh -c \"{deaf}\" & echo $! > {0}.new; mv {0}.new {0}; wait", pid.display());
        let mut child = Child::start(&sh(&script), false, &[item("x")]).unwrap();
        let started = || std::fs::read_to_string(&pid).unwrap_or_default();
        let name = || std::fs::read_to_string(format!("/proc/{}/comm", started().trim())).unwrap_or_default();
        while name().trim() != "sleep" {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        child.kill().await;
        assert_eq!(child.wait().await.signal(), Some(15));
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", started().trim())).unwrap_or_default();
        while !state().is_empty() && !state().contains(") Z ") {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[test]
    fn a_program_is_looked_for_as_the_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tool");
        std::fs::write(&file, "").unwrap();
        let kind = |program: &str| check(&[program.to_owned()]).err().map(|error| error.kind());
        assert_eq!(kind("sh"), None);
        assert_eq!(kind("/bin/sh"), None);
        assert_eq!(kind("no-such-tool-anywhere"), Some(io::ErrorKind::NotFound));
        assert_eq!(kind("/no/such/program"), Some(io::ErrorKind::NotFound));
        assert_eq!(kind(file.to_str().unwrap()), Some(io::ErrorKind::PermissionDenied));
        assert_eq!(kind(dir.path().to_str().unwrap()), Some(io::ErrorKind::PermissionDenied));
    }

    #[tokio::test]
    async fn a_missing_program_is_told_at_once() {
        let error = Child::start(&["/no/such/program".into()], false, &[item("x")]).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
