//! Signals as levels: the first asks the worker to finish what it has in hand, the second to let go of it.

use crate::exit::Exit;
use std::io;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// What was asked so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Signals received, at most 255.
    pub level: u8,
    /// How a process ends that lets go because of the last of them.
    pub exit: Exit,
}

/// Tells when to stop.
#[derive(Clone, Debug)]
pub struct Stop {
    asked: watch::Receiver<Asked>,
}

impl Stop {
    /// Follows SIGINT and SIGTERM of this process for as long as the runtime lives.
    ///
    /// # Errors
    ///
    /// When the signals can't be listened to.
    pub fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (sender, stop) = Self::by_hand();
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = terminate.recv() => Exit::Terminated,
                };
                sender.send_modify(|asked| *asked = Asked { level: asked.level.saturating_add(1), exit });
            }
        });
        Ok(stop)
    }

    /// A stop that whoever holds the sender raises.
    pub fn by_hand() -> (watch::Sender<Asked>, Self) {
        let (sender, asked) = watch::channel(Asked { level: 0, exit: Exit::Done });
        (sender, Self { asked })
    }

    /// Signals received so far.
    pub fn level(&self) -> u8 {
        self.asked.borrow().level
    }

    /// How the process ends that lets go now.
    pub fn exit(&self) -> Exit {
        self.asked.borrow().exit
    }

    /// Returns once so many signals were received; never, when nobody can send any more.
    pub(super) async fn reached(&self, level: u8) {
        let mut asked = self.asked.clone();
        if asked.wait_for(|asked| asked.level >= level).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn signals_are_counted() {
        let stop = Stop::listen().unwrap();
        assert_eq!((stop.level(), stop.exit()), (0, Exit::Done));
        for (level, signal, exit) in [
            (1, nix::sys::signal::Signal::SIGTERM, Exit::Terminated),
            (2, nix::sys::signal::Signal::SIGINT, Exit::Interrupted),
        ] {
            nix::sys::signal::raise(signal).unwrap();
            stop.reached(level).await;
            assert_eq!((stop.level(), stop.exit()), (level, exit));
        }
    }
}
