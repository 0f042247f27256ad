//! The host's service manager, as far as `systemctl` and ordinary units need one; runs inside the host's first process.

use super::children::{Children, Ending, Output};
use super::orders::{Answer, ENTERED, UnitVerb};
use super::unit_files::{UNITS, disable, enable, enabled_units, is_enabled, is_timer, known, read, variable};
use super::units::{CommandLine, Restart, Service, Timer, expand};
use crate::time::BoxFuture;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// A unit's output.
const LOGS: &str = "/var/log/units";

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Its process (group) runs.
    Active(i32),
    /// A oneshot that remains, or a timer.
    Elapsed,
    /// Ended and waiting for its restart.
    Activating,
    /// Ended as it should, or was stopped.
    Inactive,
    /// Ended badly.
    Failed,
}

impl State {
    /// systemd's word.
    fn word(self) -> &'static str {
        match self {
            Self::Active(_) | Self::Elapsed => "active",
            Self::Activating => "activating",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
        }
    }
}

/// A unit that was started at least once.
struct Unit {
    state: State,
    /// When it became active last, in microseconds of the machine's uptime; 0 before.
    entered: u64,
    /// Rises with each start and stop: a supervisor whose number is old gives up.
    generation: u64,
    changed: Arc<Notify>,
}

impl Unit {
    /// Takes on a state, and tells who waits for it.
    fn enter(&mut self, state: State) {
        if state.word() == "active" && self.state.word() != "active" {
            self.entered = uptime();
        }
        self.state = state;
        self.changed.notify_waiters();
    }
}

/// Microseconds since the machine's boot, by the clock that hosts read in `/proc/uptime`.
fn uptime() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let (whole, hundredths) = text.split(' ').next().and_then(|first| first.split_once('.')).unwrap_or_default();
    whole.parse::<u64>().unwrap_or_default() * 1_000_000 + hundredths.parse::<u64>().unwrap_or_default() * 10_000
}

/// The manager; clones share it.
#[derive(Clone)]
pub(super) struct Services {
    units: Arc<Mutex<BTreeMap<String, Unit>>>,
    children: Children,
    booted: Instant,
}

impl Services {
    /// A manager with nothing started.
    pub(super) fn new(children: Children) -> Self {
        Self { units: Arc::default(), children, booted: Instant::now() }
    }

    /// Starts what is enabled.
    pub(super) async fn start_enabled(&self) -> Vec<String> {
        let mut failed = Vec::new();
        for name in enabled_units() {
            if let Err(reason) = self.start(&name).await {
                failed.push(format!("{name}: {reason}"));
            }
        }
        failed
    }

    /// Stops everything, at most so long.
    pub(super) async fn stop_all(&self, limit: Duration) {
        let names: Vec<String> = self.lock().keys().cloned().collect();
        let all = async {
            let mut stopping = tokio::task::JoinSet::new();
            for name in names {
                let services = self.clone();
                stopping.spawn(async move { services.stop(&name).await });
            }
            while stopping.join_next().await.is_some() {}
        };
        // What did not stop in time is killed with the host.
        timeout(limit, all).await.ok();
    }

    /// Carries out one `systemctl` line.
    pub(super) async fn control(
        &self,
        verb: UnitVerb,
        units: &[String],
        now: bool,
        signal: i32,
        quiet: bool,
    ) -> Answer {
        let mut answer = Answer::default();
        for name in units {
            let result = match verb {
                UnitVerb::Start => self.start(name).await,
                UnitVerb::Stop => match known(name) {
                    Ok(()) => {
                        self.stop(name).await;
                        Ok(())
                    }
                    Err(reason) => Err(reason),
                },
                UnitVerb::Restart => {
                    self.stop(name).await;
                    self.start(name).await
                }
                UnitVerb::TryRestart => match known(name) {
                    Ok(()) if self.state(name).word() == "active" => {
                        self.stop(name).await;
                        self.start(name).await
                    }
                    other => other,
                },
                UnitVerb::Show => {
                    let entered = self.lock().get(name).map_or(0, |unit| unit.entered);
                    writeln!(answer.out, "{ENTERED}={entered}").ok();
                    Ok(())
                }
                UnitVerb::Enable => match enable(name) {
                    Ok(()) if now => self.start(name).await,
                    other => other,
                },
                UnitVerb::Disable => {
                    if now {
                        self.stop(name).await;
                    }
                    disable(name)
                }
                UnitVerb::Kill => self.kill(name, signal),
                UnitVerb::ResetFailed => {
                    self.settle(name, |state| if state == State::Failed { State::Inactive } else { state });
                    Ok(())
                }
                UnitVerb::DaemonReload => Ok(()),
                UnitVerb::IsActive | UnitVerb::IsEnabled | UnitVerb::IsFailed | UnitVerb::Status => {
                    self.tell(verb, name, quiet, &mut answer);
                    Ok(())
                }
            };
            if let Err(reason) = result {
                answer.code = 1;
                writeln!(answer.err, "systemctl: {name}: {reason}").ok();
            }
        }
        answer
    }

    /// The verbs that only look.
    fn tell(&self, verb: UnitVerb, name: &str, quiet: bool, answer: &mut Answer) {
        let state = self.state(name);
        let enabled = is_enabled(name);
        let exists = known(name).is_ok();
        let (word, code) = match verb {
            UnitVerb::IsEnabled | UnitVerb::Status if !exists => ("not-found", 4),
            UnitVerb::IsEnabled if enabled => ("enabled", 0),
            UnitVerb::IsEnabled => ("disabled", 1),
            UnitVerb::IsFailed => (state.word(), i32::from(state != State::Failed)),
            _ if state.word() == "active" => ("active", 0),
            _ => (state.word(), 3),
        };
        answer.code = answer.code.max(code);
        if quiet {
            return;
        }
        if verb == UnitVerb::Status {
            let main = if let State::Active(pid) = state { format!("\n   Main PID: {pid}") } else { String::new() };
            let start = if enabled { "enabled" } else { "disabled" };
            writeln!(answer.out, "* {name}\n     Loaded: {UNITS}/{name} ({start})\n     Active: {word}{main}").ok();
        } else {
            writeln!(answer.out, "{word}").ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, name: &str) -> State {
        self.lock().get(name).map_or(State::Inactive, |unit| unit.state)
    }

    /// Changes a unit's state, if there is one.
    fn settle(&self, name: &str, change: impl FnOnce(State) -> State) {
        if let Some(unit) = self.lock().get_mut(name) {
            unit.enter(change(unit.state));
        }
    }

    /// The same, unless the unit was started or stopped again since `generation`. Says whether it was done.
    fn settle_if(&self, name: &str, generation: u64, state: State) -> bool {
        let mut units = self.lock();
        match units.get_mut(name) {
            Some(unit) if unit.generation == generation => {
                unit.enter(state);
                true
            }
            _ => false,
        }
    }

    /// A new generation of the unit, in this state.
    fn renew(&self, name: &str, state: State) -> u64 {
        let mut units = self.lock();
        let unit = units.entry(name.to_owned()).or_insert_with(|| Unit {
            state: State::Inactive,
            entered: 0,
            generation: 0,
            changed: Arc::default(),
        });
        unit.generation += 1;
        unit.enter(state);
        unit.generation
    }

    /// Starts a unit that is not active.
    async fn start(&self, name: &str) -> Result<(), String> {
        if matches!(self.state(name), State::Active(_) | State::Elapsed) {
            return Ok(());
        }
        let text = read(name)?;
        if is_timer(name) {
            let timer = Timer::parse(name, &text)?;
            let generation = self.renew(name, State::Elapsed);
            tokio::spawn(self.clone().tick(name.to_owned(), generation, timer));
            return Ok(());
        }
        if Path::new(name).extension().is_none_or(|suffix| suffix != "service") {
            return Err("a rehearsal host knows services and timers only".to_owned());
        }
        let service = Service::parse(&text)?;
        let generation = self.renew(name, State::Activating);
        let result = self.launch(name, generation, &service).await;
        if result.is_err() {
            self.settle_if(name, generation, State::Failed);
        }
        result
    }

    /// One start of a service: waits for a oneshot, leaves a supervisor with another.
    async fn launch(&self, name: &str, generation: u64, service: &Service) -> Result<(), String> {
        let env = self.env_of(service)?;
        for line in &service.before {
            let ending = self.run(name, line, &env, service).await?;
            if !ending.good() && !line.lenient {
                return Err(format!("ExecStartPre failed with {}", ending.text()));
            }
        }
        if service.oneshot {
            for line in &service.start {
                let child = self.spawn(name, line, &env, service)?;
                self.settle_if(name, generation, State::Active(child.pid));
                let ending = child.wait().await;
                if !ending.good() && !line.lenient {
                    return Err(format!("ended with {}; see journalctl -u {name}", ending.text()));
                }
            }
            self.settle_if(name, generation, if service.remain { State::Elapsed } else { State::Inactive });
            return Ok(());
        }
        let line = service.start.first().ok_or("it has no ExecStart=")?;
        let child = self.spawn(name, line, &env, service)?;
        self.settle_if(name, generation, State::Active(child.pid));
        let (services, name, service) = (self.clone(), name.to_owned(), service.clone());
        tokio::spawn(async move {
            let ending = child.wait().await;
            services.ended(name, generation, service, ending).await;
        });
        Ok(())
    }

    /// A service's process ended: it starts again after RestartSec, or not.
    fn ended(self, name: String, generation: u64, service: Service, ending: Ending) -> BoxFuture<'static, ()> {
        // Boxed: a restarted service has a supervisor of the same type.
        Box::pin(async move {
            let lenient = service.start.first().is_some_and(|line| line.lenient);
            // SIGHUP, SIGINT, SIGTERM and SIGPIPE are clean ends to systemd.
            let clean = lenient || ending.good() || matches!(ending, Ending::Signalled(1 | 2 | 13 | 15));
            let again = match service.restart {
                Restart::No => false,
                Restart::Always => true,
                Restart::OnSuccess => clean,
                Restart::OnFailure => !clean,
                Restart::OnAbnormal => !clean && matches!(ending, Ending::Signalled(_)),
            };
            let state = match (again, clean) {
                (true, _) => State::Activating,
                (false, true) => State::Inactive,
                (false, false) => State::Failed,
            };
            if !self.settle_if(&name, generation, state) || !again {
                return;
            }
            sleep(service.restart_after).await;
            let still = self.lock().get(&name).is_some_and(|unit| unit.generation == generation);
            if still && self.launch(&name, generation, &service).await.is_err() {
                self.settle_if(&name, generation, State::Failed);
            }
        })
    }

    /// Stops a unit: its ExecStop, SIGTERM to its group, SIGKILL when that is not enough.
    async fn stop(&self, name: &str) {
        let state = self.state(name);
        let service = read(name).ok().and_then(|text| Service::parse(&text).ok());
        let changed = {
            let mut units = self.lock();
            let Some(unit) = units.get_mut(name) else { return };
            if !matches!(state, State::Active(_)) {
                unit.generation += 1;
                unit.state = State::Inactive;
                return;
            }
            unit.changed.clone()
        };
        let State::Active(pid) = state else { return };
        if let Some(service) = &service
            && let Ok(env) = self.env_of(service)
        {
            for line in &service.stop {
                // A failing ExecStop does not keep the signal back.
                self.run(name, line, &env, service).await.ok();
            }
        }
        // From here the supervisor must not start it again.
        let generation = self.renew(name, State::Active(pid));
        let group = Pid::from_raw(pid);
        let limit = service.map_or(Duration::from_secs(90), |service| service.stop_timeout);
        killpg(group, Signal::SIGTERM).ok();
        let gone = async {
            while killpg(group, None).is_ok() {
                // The reaper takes the members one by one; nothing announces the last.
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(limit, gone).await.is_err() {
            killpg(group, Signal::SIGKILL).ok();
        }
        self.settle_if(name, generation, State::Inactive);
        changed.notify_waiters();
    }

    /// Sends a signal to an active unit.
    fn kill(&self, name: &str, signal: i32) -> Result<(), String> {
        let State::Active(pid) = self.state(name) else { return Err("it is not active".to_owned()) };
        let signal = Signal::try_from(signal).map_err(|e| e.to_string())?;
        killpg(Pid::from_raw(pid), signal).map_err(|e| e.to_string())
    }

    /// Starts its service when a timer says so, until the timer is stopped.
    fn tick(self, name: String, generation: u64, timer: Timer) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let alive = |services: &Self| services.lock().get(&name).is_some_and(|unit| unit.generation == generation);
            let first = match (timer.on_boot, timer.on_active) {
                (Some(boot), active) => {
                    let due = boot.saturating_sub(self.booted.elapsed());
                    Some(active.map_or(due, |active| due.min(active)))
                }
                (None, active) => active,
            };
            // With OnUnitActiveSec alone systemd waits for somebody else's first start; so does this loop.
            if let Some(first) = first {
                sleep(first).await;
                if alive(&self) {
                    // The service's own failure is its state.
                    self.start(&timer.unit).await.ok();
                }
            }
            let Some(period) = timer.on_unit_active else { return };
            while alive(&self) {
                sleep(period).await;
                let started = first.is_some() || self.lock().contains_key(&timer.unit);
                if alive(&self) && started {
                    self.start(&timer.unit).await.ok();
                }
            }
        })
    }

    /// Runs one command of a unit to its end.
    async fn run(
        &self,
        name: &str,
        line: &CommandLine,
        env: &BTreeMap<String, String>,
        service: &Service,
    ) -> Result<Ending, String> {
        Ok(self.spawn(name, line, env, service)?.wait().await)
    }

    fn spawn(
        &self,
        name: &str,
        line: &CommandLine,
        env: &BTreeMap<String, String>,
        service: &Service,
    ) -> Result<super::children::Child, String> {
        fs::create_dir_all(LOGS).map_err(|e| format!("{LOGS}: {e}"))?;
        let words = expand(&line.words, env);
        let directory = PathBuf::from(service.directory.as_deref().unwrap_or("/"));
        self.children
            .start(&words, env, &directory, &Output::Log(Path::new(LOGS).join(format!("{name}.log"))))
            .map_err(|e| format!("{}: {e}", words.first().map_or("", String::as_str)))
    }

    /// The unit's environment: the host's, then its files, then its own lines, as in systemd the files win.
    fn env_of(&self, service: &Service) -> Result<BTreeMap<String, String>, String> {
        let mut env = self.children.root_env();
        env.extend(service.environment.iter().cloned());
        for (path, lenient) in &service.environment_files {
            match fs::read_to_string(path) {
                Ok(text) => env.extend(text.lines().filter_map(variable)),
                Err(_) if *lenient => {}
                Err(e) => return Err(format!("EnvironmentFile={path}: {e}")),
            }
        }
        Ok(env)
    }
}
