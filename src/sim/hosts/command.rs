//! One command on a host: the SSH channel on one side, the entered process on the other.

use super::HELPER;
use super::login::{Facts, signal_name};
use super::orders::{ENTRY, Entry};
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, copy};
use tokio::process::{ChildStdin, Command};

/// What is to be run.
pub(super) struct Order {
    /// For `sh -c`.
    pub(super) command: Vec<u8>,
    /// Where it starts.
    pub(super) home: PathBuf,
    /// Its whole environment.
    pub(super) env: BTreeMap<String, String>,
}

/// Runs the command to its end. When the connection goes, its pipes close and it goes on without them, as under sshd
/// without a terminal.
pub(super) async fn run(facts: Arc<Facts>, order: Order, channel: Channel<Msg>, handle: Handle) {
    let id = channel.id();
    let (input, output) = channel.split();
    let ended = match String::from_utf8(order.command) {
        Ok(command) => {
            let entry = Entry { outer: facts.outer, init: facts.init, command, home: order.home, env: order.env };
            let out = (output.make_writer(), output.make_writer_ext(Some(1)));
            stream(&facts, &entry, input, out).await
        }
        Err(_) => Err(std::io::Error::other("a rehearsal host takes commands in UTF-8 only")),
    };
    // A client that has gone needs no answer: none of these sends is checked.
    match ended {
        Ok(status) => {
            if let Some(signal) = status.signal() {
                let (name, core) = (signal_name(signal), status.core_dumped());
                handle.exit_signal_request(id, name, core, String::new(), String::new()).await.ok();
            } else {
                let code = u32::try_from(status.code().unwrap_or(255)).unwrap_or(255);
                handle.exit_status_request(id, code).await.ok();
            }
        }
        Err(e) => {
            output.extended_data_bytes(1, format!("fleetwright host: {e}\n").into_bytes()).await.ok();
            handle.exit_status_request(id, 255).await.ok();
        }
    }
    output.eof().await.ok();
    output.close().await.ok();
}

/// Starts the process and carries all three streams until it and its output have ended.
async fn stream<O, E>(facts: &Facts, entry: &Entry, input: ChannelReadHalf, out: (O, E)) -> std::io::Result<ExitStatus>
where
    O: tokio::io::AsyncWrite + Unpin,
    E: tokio::io::AsyncWrite + Unpin,
{
    let mut child = Command::new(&facts.helper)
        .args([HELPER, "exec"])
        .env_clear()
        .env(ENTRY, serde_json::to_string(entry)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(mut stdout), Some(mut stderr)) = pipes else {
        return Err(std::io::Error::other("a pipe of the command is missing"));
    };
    let feeding = tokio::spawn(feed(input, stdin));
    let (mut out, mut err) = out;
    let (copied, copied_too) = tokio::join!(copy(&mut stdout, &mut out), copy(&mut stderr, &mut err));
    if let Err(e) = copied.and(copied_too) {
        tracing::debug!(host = %facts.id, error = %e, "a command's output went nowhere");
    }
    drop((stdout, stderr));
    let status = child.wait().await;
    feeding.abort();
    status
}

/// Carries stdin until the client's end of file, or until the command no longer reads.
async fn feed(mut input: ChannelReadHalf, stdin: ChildStdin) {
    let mut stdin = Some(stdin);
    while let Some(message) = input.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&data).await.is_err()
                {
                    // The rest is taken off the connection and dropped, so that other channels are not held up.
                    stdin = None;
                }
            }
            ChannelMsg::Eof | ChannelMsg::Close => stdin = None,
            _ => {}
        }
    }
}
