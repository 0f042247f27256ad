//! Stopping on request, in three levels: nothing new, undo or abandon, leave at once.

use crate::exit::Exit;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::signal::unix::{self, SignalKind};
use tokio_util::sync::CancellationToken;

/// How much is asked for; each level includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Start nothing new; what is under way is finished and saved.
    StopStarting,
    /// Undo or abandon what is under way, as its step says.
    Abandon,
    /// Leave now; the journal knows the rest.
    Leave,
}

/// The signals that ask us to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Signal {
    /// Ctrl-C: each one asks for one level more.
    Interrupt,
    /// SIGTERM: the first asks to stop, the second to abandon. It never asks for more: what sends it (a service manager, a CI
    /// runner) follows up with SIGKILL by itself.
    Terminate,
}

/// The level after a signal.
fn raised(now: Option<Level>, signal: Signal) -> Level {
    match (now, signal) {
        (None, Signal::Interrupt | Signal::Terminate) => Level::StopStarting,
        (Some(Level::StopStarting), Signal::Interrupt | Signal::Terminate)
        | (Some(Level::Abandon), Signal::Terminate) => Level::Abandon,
        (Some(Level::Abandon), Signal::Interrupt) | (Some(Level::Leave), Signal::Interrupt | Signal::Terminate) => {
            Level::Leave
        }
    }
}

/// Shared by everything that can be stopped; clones are the same request.
#[derive(Clone, Debug)]
pub struct Cancel {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    stop_starting: CancellationToken,
    abandon: CancellationToken,
    leave: CancellationToken,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    level: Option<Level>,
    signal: Option<Signal>,
}

impl Cancel {
    /// One that no signal reaches.
    pub fn manual() -> Self {
        let inner = Inner {
            stop_starting: CancellationToken::new(),
            abandon: CancellationToken::new(),
            leave: CancellationToken::new(),
            state: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// One that SIGINT and SIGTERM raise from now on. Must be called inside the runtime.
    ///
    /// # Errors
    ///
    /// When the handlers can't be installed.
    pub fn install_signals() -> io::Result<Self> {
        let cancel = Self::manual();
        for (kind, signal) in
            [(SignalKind::interrupt(), Signal::Interrupt), (SignalKind::terminate(), Signal::Terminate)]
        {
            let mut arrivals = unix::signal(kind)?;
            let cancel = cancel.clone();
            tokio::spawn(async move {
                while arrivals.recv().await.is_some() {
                    cancel.signal(signal);
                }
            });
        }
        Ok(cancel)
    }

    /// Takes a signal as if it had come from outside.
    pub fn signal(&self, signal: Signal) {
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        let level = raised(state.level, signal);
        state.signal.get_or_insert(signal);
        self.enter(&mut state, level);
    }

    /// Asks for at least this level, for reasons of our own (a deadline, a budget).
    pub fn raise(&self, level: Level) {
        self.enter(&mut self.inner.state.lock().unwrap_or_else(PoisonError::into_inner), level);
    }

    fn enter(&self, state: &mut State, level: Level) {
        state.level = state.level.max(Some(level));
        for reached in [Level::StopStarting, Level::Abandon, Level::Leave] {
            if reached <= level {
                self.token(reached).cancel();
            }
        }
    }

    fn token(&self, level: Level) -> &CancellationToken {
        match level {
            Level::StopStarting => &self.inner.stop_starting,
            Level::Abandon => &self.inner.abandon,
            Level::Leave => &self.inner.leave,
        }
    }

    /// The highest level asked for.
    pub fn level(&self) -> Option<Level> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).level
    }

    /// Whether at least this level is asked for.
    pub fn reached(&self, level: Level) -> bool {
        self.token(level).is_cancelled()
    }

    /// A token that is set once nothing new should be started, for parts that take one.
    pub fn stop_token(&self) -> CancellationToken {
        self.inner.stop_starting.clone()
    }

    /// Returns once at least this level is asked for.
    pub async fn wait(&self, level: Level) {
        self.token(level).cancelled().await;
    }

    /// How the process ends because of the first signal; `None` when none came.
    pub fn exit(&self) -> Option<Exit> {
        let signal = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).signal;
        signal.map(|signal| match signal {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::{Signal as Unix, raise};

    #[test]
    fn each_interrupt_asks_for_more_and_the_third_leaves() {
        let cancel = Cancel::manual();
        assert_eq!((cancel.level(), cancel.exit()), (None, None));
        for level in [Level::StopStarting, Level::Abandon, Level::Leave, Level::Leave] {
            cancel.signal(Signal::Interrupt);
            assert_eq!(cancel.level(), Some(level));
            for each in [Level::StopStarting, Level::Abandon, Level::Leave] {
                assert_eq!(cancel.reached(each), each <= level);
            }
        }
        assert_eq!(cancel.exit(), Some(Exit::Interrupted));
    }

    #[test]
    fn terminate_never_leaves_by_itself_and_the_first_signal_names_the_exit() {
        let cancel = Cancel::manual();
        for level in [Level::StopStarting, Level::Abandon, Level::Abandon] {
            cancel.signal(Signal::Terminate);
            assert_eq!(cancel.level(), Some(level));
        }
        cancel.signal(Signal::Interrupt);
        assert_eq!(cancel.level(), Some(Level::Leave));
        assert_eq!(cancel.exit(), Some(Exit::Terminated));
    }

    #[test]
    fn a_level_is_never_lowered_and_clones_are_the_same() {
        let cancel = Cancel::manual();
        cancel.clone().raise(Level::Abandon);
        cancel.raise(Level::StopStarting);
        assert_eq!((cancel.level(), cancel.exit()), (Some(Level::Abandon), None));
    }

    #[tokio::test]
    async fn real_signals_arrive() {
        let cancel = Cancel::install_signals().unwrap();
        raise(Unix::SIGTERM).unwrap();
        cancel.wait(Level::StopStarting).await;
        assert!(!cancel.reached(Level::Abandon));
        raise(Unix::SIGINT).unwrap();
        cancel.wait(Level::Abandon).await;
        assert_eq!(cancel.exit(), Some(Exit::Terminated));
    }
}
