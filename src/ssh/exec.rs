//! Runs one command on a connected host and follows it to its end.

use super::capture::Capture;
use super::{Session, SshFault, SshFaultKind};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What a command reads.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Nothing: it sees the end of its input at once.
    #[default]
    Empty,
    /// These bytes, then the end.
    Bytes(Arc<[u8]>),
    /// Nothing, and no end either while the connection stands.
    Held,
}

/// Bounds of one command.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall time from the request to the exit status.
    pub timeout: Duration,
    /// Bytes kept of output and of error output each: beginning and end, with a mark between.
    pub max_output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(5), max_output: 64 * 1024 }
    }
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// With this exit status.
    Exit(u32),
    /// By this signal, for example `TERM`.
    Signal(String),
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Signal(name) => write!(f, "ended by SIG{name}"),
        }
    }
}

/// A command that came to its end.
#[derive(Clone, Debug)]
#[must_use = "a command may have failed"]
pub struct Execution {
    /// How it ended; a command without an end is a fault, never an execution.
    pub status: Status,
    /// Its output, bounded; not safe to print.
    pub stdout: Vec<u8>,
    /// Its error output, bounded; not safe to print.
    pub stderr: Vec<u8>,
    /// From the request to the exit status.
    pub took: Duration,
}

impl Execution {
    /// Whether it exited 0.
    pub fn success(&self) -> bool {
        self.status == Status::Exit(0)
    }
}

/// Where a piece of output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How long output may be silent after the exit status: what a command left in the background may hold the channel open
/// for ever.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a command may linger after it was told to end.
const GRACE: Duration = Duration::from_millis(500);

impl Session {
    /// Runs a command through the login shell. Its text is handed over as it is: values in it must be quoted already.
    pub async fn exec(&self, command: &str, stdin: Input, limits: Limits) -> Result<Execution, SshFault> {
        self.exec_with(command, stdin, limits, |_, _| {}).await
    }

    /// As [`Session::exec`]; `seen` gets every piece of output as it comes, whole and unescaped.
    pub async fn exec_with(
        &self,
        command: &str,
        stdin: Input,
        limits: Limits,
        mut seen: impl FnMut(Stream, &[u8]) + Send,
    ) -> Result<Execution, SshFault> {
        let began = Instant::now();
        let (mut read, write) = self.start(command).await?;
        let mut out = Capture::new(limits.max_output);
        let mut err = Capture::new(limits.max_output);
        let send = async {
            match &stdin {
                Input::Held => return,
                Input::Empty => {}
                // A command may end without having read everything: its exit status tells, not the write.
                Input::Bytes(bytes) => drop(write.data(&bytes[..]).await),
            }
            write.eof().await.ok();
        };
        let follow = follow(&mut read, |stream, bytes| {
            seen(stream, bytes);
            match stream {
                Stream::Out => out.add(bytes),
                Stream::Err => err.add(bytes),
            }
        });
        let status = timeout(limits.timeout, with_input(send, follow)).await;
        match status {
            Ok(Ok(Some(status))) => {
                Ok(Execution { status, stdout: out.finish(), stderr: err.finish(), took: began.elapsed() })
            }
            Ok(Ok(None)) => Err(self.lost("command")),
            Ok(Err(fault)) => Err(fault),
            Err(_) => {
                end(&mut read, &write).await;
                let message = format!("no end within {:?}", limits.timeout);
                Err(SshFault::new(SshFaultKind::TimedOut, "command", message))
            }
        }
    }

    /// Opens a channel and asks for a command on it.
    pub(super) async fn start(
        &self,
        command: &str,
    ) -> Result<(ChannelReadHalf, ChannelWriteHalf<russh::client::Msg>), SshFault> {
        let opened = self.handle.channel_open_session().await;
        let channel = opened.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(_) => {
                SshFault::new(SshFaultKind::Protocol, "command", format!("the host opened no channel: {error}"))
            }
            _ => SshFault::new(SshFaultKind::Unreachable, "command", "the connection was gone before the command"),
        })?;
        // From here on the command may have been seen by the host.
        channel.exec(true, command).await.map_err(|_| self.lost("command"))?;
        Ok(channel.split())
    }
}

/// Drives input and output at once; the command's end ends both.
pub(super) async fn with_input<T>(send: impl Future<Output = ()>, follow: impl Future<Output = T>) -> T {
    let mut follow = std::pin::pin!(follow);
    tokio::select! {
        done = &mut follow => done,
        () = send => follow.await,
    }
}

/// Reads a channel until the command's status is known and its output is over; `None` if the channel ended without one.
async fn follow(read: &mut ChannelReadHalf, mut seen: impl FnMut(Stream, &[u8])) -> Result<Option<Status>, SshFault> {
    let mut status = None;
    loop {
        let message = match &status {
            None => read.wait().await,
            Some(_) => timeout(SILENCE, read.wait()).await.unwrap_or_default(),
        };
        let Some(message) = message else { return Ok(status) };
        match message {
            ChannelMsg::Data { data } => seen(Stream::Out, &data),
            ChannelMsg::ExtendedData { data, .. } => seen(Stream::Err, &data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(Status::Exit(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => status = Some(Status::Signal(signal(&signal_name))),
            ChannelMsg::Failure => {
                return Err(SshFault::new(SshFaultKind::Protocol, "command", "the host refused to run a command"));
            }
            _ => {}
        }
    }
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => super::output::line(name),
        known => format!("{known:?}"),
    }
}

/// Asks the command to end, waits a little, closes the channel.
async fn end(read: &mut ChannelReadHalf, write: &ChannelWriteHalf<russh::client::Msg>) {
    if write.signal(Sig::TERM).await.is_ok() {
        timeout(GRACE, async { while read.wait().await.is_some() {} }).await.ok();
    }
    write.close().await.ok();
}
