//! Carries out a play on one host: one channel for all steps between two reboots.

use super::capture::Capture;
use super::exec::{Status, with_input};
use super::frames::{Frame, Frames, Item};
use super::output::line;
use super::payload::{Archive, Payload, Segment, pack, seconds};
use super::progress::Progress;
use super::reboot::reboot;
use super::{PlayEnd, PlayReport, Session, Ssh, SshFault, SshFaultKind, Target, Trust};
use crate::model::{Play, PlayKind, StepOutcome, shell_word};
use russh::ChannelMsg;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The program that runs on the host.
const PROGRAM: &str = include_str!("runner.sh");

/// Where hosts keep their marker and lock.
const STATE: &str = "/var/lib/fleetwright";

/// What is allowed on top of a step's own time-out before the host counts as stuck.
const SLACK: Duration = Duration::from_secs(30);

/// How long the payload may take to arrive.
const TRANSFER: Duration = Duration::from_mins(15);

/// What the host's marker, the digest of the play that it has, means to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Neither read nor written: the play is a set of checks.
    None,
    /// A host that has the play already is left alone.
    Skip,
    /// The play is carried out in any case, and the marker written.
    Force,
}

/// Carries out plays on one host.
#[derive(Debug)]
pub struct Runner<'a> {
    ssh: &'a Ssh,
    target: &'a Target,
    trust: &'a Trust,
    state: String,
    pause: Duration,
    max_output: usize,
}

impl<'a> Runner<'a> {
    /// For this host; `ssh` and `trust` are used again after a reboot.
    pub fn new(ssh: &'a Ssh, target: &'a Target, trust: &'a Trust) -> Self {
        let pause = Duration::from_secs(1);
        Self { ssh, target, trust, state: STATE.to_owned(), pause, max_output: 64 * 1024 }
    }

    /// Another folder for marker and lock than `/var/lib/fleetwright`; absolute.
    #[must_use]
    pub fn state(mut self, folder: impl Into<String>) -> Self {
        self.state = folder.into();
        self
    }

    /// How long the host waits between tries, those of the lock among them, and before it looks whether a restarted service
    /// is still there; 1 s.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Carries out the play over this connection. `release` are the archive's bytes, whose digest is `play.release`;
    /// `log` gets all output of the steps as it comes, whole and unescaped.
    ///
    /// Steps run as root (through `sudo -n` if the login user is not), in `/`, with empty input. Nothing is retried
    /// here: after a lost connection the same call tells by the host's marker and lock what happened meanwhile.
    pub async fn run(
        &self,
        session: Session,
        play: &Play,
        release: Option<Arc<[u8]>>,
        marker: Marker,
        log: &mut (dyn FnMut(&[u8]) + Send),
    ) -> PlayReport {
        let mut progress = Progress::new(&play.steps, self.max_output, log);
        let archive = release.zip(play.release.clone()).map(|(bytes, sha256)| Archive::new(bytes, sha256));
        let end = self.all(session, play, archive.as_ref(), marker, &mut progress).await;
        PlayReport { end, steps: progress.results }
    }

    async fn all(
        &self,
        mut session: Session,
        play: &Play,
        archive: Option<&Archive>,
        marker: Marker,
        progress: &mut Progress<'_>,
    ) -> PlayEnd {
        let mut first = 0;
        loop {
            let rest = &play.steps[first..];
            let here = rest.iter().position(|step| matches!(step.kind, PlayKind::Reboot { .. })).unwrap_or(rest.len());
            let last = here == rest.len();
            let writes = marker != Marker::None;
            let segment = Segment {
                steps: &rest[..here],
                first,
                begins: writes,
                finish: (writes && last).then(|| (play.digest.as_str(), play.release.as_deref().unwrap_or(""))),
            };
            // A play that starts with a reboot looks at the marker all the same.
            if here > 0 || last || (first == 0 && writes) {
                let want = if first == 0 && marker == Marker::Skip { play.digest.as_str() } else { "-" };
                let payload = match pack(segment, archive) {
                    Ok(payload) => payload,
                    Err(error) => return PlayEnd::Broken(error.to_string()),
                };
                match self.segment(&session, &payload, want, progress).await {
                    Ok(PlayEnd::Done) => {}
                    Ok(end) => return end,
                    Err(fault) => return PlayEnd::Fault(fault),
                }
            }
            if last {
                session.close().await;
                return PlayEnd::Done;
            }
            let PlayKind::Reboot { within } = rest[here].kind else { return PlayEnd::Done };
            let site = (self.ssh, self.target, self.trust);
            session = match reboot(site, session, within, self.pause).await {
                Ok(session) => session,
                Err(fault) => return progress.not_rebooted(first + here, fault),
            };
            progress.results[first + here].outcome = StepOutcome::Changed;
            first += here + 1;
            if first == play.steps.len() && !writes {
                return PlayEnd::Done;
            }
        }
    }

    /// Runs one segment on its own channel.
    async fn segment(
        &self,
        session: &Session,
        payload: &Payload,
        want: &str,
        progress: &mut Progress<'_>,
    ) -> Result<PlayEnd, SshFault> {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let command = format!(
            "set --; [ \"$(id -u)\" = 0 ] || set -- sudo -n; exec \"$@\" sh -c {} fleetwright {} {}",
            shell_word(PROGRAM),
            shell_word(&self.state),
            seconds(self.pause)
        );
        let (mut read, write) = session.start(&command).await?;
        let (go, wait) = oneshot::channel::<()>();
        let send = async {
            let header = format!("{nonce}\n{want}\n");
            write.data(header.as_bytes()).await.ok();
            // The host says go unless it has the play already: then not a byte of it travels.
            if wait.await.is_ok() {
                write.data(format!("{} {}\n", payload.sums, payload.size()).as_bytes()).await.ok();
                for piece in &payload.pieces {
                    // A host that stops reading says why in a frame.
                    if write.data(&piece[..]).await.is_err() {
                        break;
                    }
                }
            }
            // The end of its input is how the host learns that we are gone: it ends the step then.
        };
        let follow = async {
            let mut frames = Frames::new(&nonce);
            let mut go = Some(go);
            let (mut end, mut status, mut errors) = (None, None, Capture::new(4096));
            let mut patience = TRANSFER;
            while end.is_none() {
                let Ok(message) = timeout(patience, read.wait()).await else {
                    let message = format!("no word from the host for {patience:?}");
                    return Err(SshFault::new(SshFaultKind::Lost, "command", message));
                };
                let Some(message) = message else { break };
                let mut take = |item: Item<'_>| match item {
                    Item::Output(bytes) => progress.output(bytes),
                    Item::Frame(Frame::Go) => {
                        go.take().map(|go| go.send(()));
                    }
                    Item::Frame(frame) => {
                        if let Frame::Start(index, _) = frame {
                            patience = progress.timeout_of(index).saturating_add(SLACK);
                        }
                        end = end.take().or_else(|| progress.frame(frame));
                    }
                };
                match message {
                    ChannelMsg::Data { data } => frames.feed(&data, &mut take),
                    ChannelMsg::ExtendedData { data, .. } => errors.add(&data),
                    ChannelMsg::ExitStatus { exit_status } => status = Some(Status::Exit(exit_status)),
                    ChannelMsg::ExitSignal { .. } => status = Some(Status::Signal(String::new())),
                    ChannelMsg::Failure => {
                        let why = "the host refused to run a command";
                        return Err(SshFault::new(SshFaultKind::Protocol, "command", why));
                    }
                    _ => {}
                }
            }
            frames.finish(|item| {
                if let Item::Output(bytes) = item {
                    progress.output(bytes);
                }
            });
            match (end, status) {
                (Some(end), _) => Ok(end),
                (None, Some(Status::Exit(status))) if !progress.begun() => {
                    let errors = line(&String::from_utf8_lossy(&errors.finish()));
                    Ok(PlayEnd::Broken(format!("the runner did not start (exit {status}): {errors}")))
                }
                (None, _) => Err(session.lost("command")),
            }
        };
        let end = with_input(send, follow).await;
        // What steps left running in the background may hold the channel open: it is not waited for.
        write.close().await.ok();
        end
    }
}
