//! What every verb needs: the spec, AWS, clock, displays, Ctrl-C; each built once, and only when asked for.

use super::hold::Held;
use super::notify::Answered;
use super::plan::Planning;
use super::saved::Applied;
use super::shared::Bucket;
use crate::aws::{AwsSettings, Clients};
use crate::cli::Global;
use crate::engine::cancel::Cancel;
use crate::engine::failure::Failure;
use crate::engine::tools::Tools;
use crate::engine::{Jitter, Limits, Policy};
use crate::event::{Event, Events, Sink, Stamped};
use crate::exit::Exit;
use crate::journal::{FleetDir, JournalError};
use crate::model::{RunId, buckets, shell_word};
use crate::report::{Format, Jsonl, Lines, Style, Tally, Terminal, Verbosity};
use crate::spec::{self, Fleet, Playbook, Set, SetBy};
use crate::time::{EndpointClock, SharedClock, SystemClock};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;

/// Everything a verb works with.
pub(super) struct Context {
    /// Flags that every verb takes.
    pub(super) global: Global,
    /// The checked spec.
    pub(super) fleet: Arc<Fleet>,
    /// The verify playbook, where the spec names one.
    pub(super) verify: Option<Arc<Playbook>>,
    /// The deploy playbook, where the spec names one.
    pub(super) deploy: Option<Arc<Playbook>>,
    /// The drain playbook, where the spec names one.
    pub(super) drain: Option<Arc<Playbook>>,
    /// The playbook that makes the template, where the spec has one built.
    pub(super) provision: Option<Arc<Playbook>>,
    /// Clock, events, Ctrl-C, paces.
    pub(super) tools: Tools,
    /// What the events add up to.
    pub(super) tally: Arc<Tally>,
    /// The run that `resume` named, if that is the verb.
    pub(super) resuming: Mutex<Option<String>>,
    /// Where each value of the spec comes from.
    pub(super) values: Vec<spec::Value>,
    /// The saved plan that is carried out, where one was named.
    pub(super) applied: Option<Applied>,
    /// What is planned, where the verb is only planned.
    pub(super) planning: OnceLock<Arc<Mutex<Planning>>>,
    /// The answer, until it is printed.
    pub(super) answered: OnceLock<Answered>,
    /// The claim of a campaign that came to its end, until its answer is printed.
    pub(super) campaign_over: OnceLock<Held>,
    /// Whether this is a CI job: `CI` is set and nobody sits at a terminal.
    pub(super) in_ci: bool,
    /// Whether launches were agreed to beforehand: those of a watch.
    pub(super) standing: AtomicBool,
    recorder: Arc<Recorder>,
    clients: OnceCell<Arc<Clients>>,
    pub(super) bucket: OnceLock<Arc<Bucket>>,
}

/// Copies events into the directory of the run under way, and into that of a wait during which it happens. Its failure must
/// not stop work.
#[derive(Default)]
struct Recorder {
    run: Mutex<Option<Jsonl>>,
    wait: Mutex<Option<Jsonl>>,
    under_way: AtomicBool,
}

impl Sink for Recorder {
    fn emit(&self, event: &Stamped) {
        match event.event {
            Event::RunStarted { .. } => self.under_way.store(true, Ordering::Relaxed),
            Event::RunFinished { .. } => self.under_way.store(false, Ordering::Relaxed),
            _ => {}
        }
        for file in [&self.run, &self.wait] {
            if let Some(file) = file.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
                file.emit(event);
            }
        }
    }
}

/// As long as it is kept, events are copied into the directory of a wait.
pub(super) struct Recording(Arc<Recorder>);

impl Drop for Recording {
    fn drop(&mut self) {
        *self.0.wait.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Where runs and journals are kept when no flag says so: the rehearsal cloud names a place that ends with it.
pub(super) const STATE_DIR: &str = "FLEETWRIGHT_STATE_DIR";

/// The clock that domain waits use: the rehearsal cloud's when `FLEETWRIGHT_CLOCK` names one.
pub(super) fn clock() -> Result<SharedClock, Failure> {
    match std::env::var("FLEETWRIGHT_CLOCK") {
        Ok(url) if !url.is_empty() => EndpointClock::connect(&url)
            .map(|clock| Arc::new(clock) as SharedClock)
            .map_err(|e| {
                let hint = "start the rehearsal cloud again and take its exports, or: unset FLEETWRIGHT_CLOCK FLEETWRIGHT_SET \
                            FLEETWRIGHT_STATE_DIR AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY";
                Failure::to(Exit::Unavailable, format!("read the rehearsal's clock, {url}: {e}")).hint(hint)
            }),
        _ => Ok(Arc::new(SystemClock)),
    }
}

/// How colours are used on standard error.
pub(super) fn style(global: &Global) -> Style {
    Style::new(colours(global))
}

/// The displays that the flags ask for, and the collector that summaries are made from.
pub(super) fn displays(global: &Global) -> (Vec<Box<dyn Sink>>, Arc<Tally>) {
    let tally = Arc::new(Tally::default());
    let verbosity = match (global.quiet, global.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, _) => Verbosity::Verbose,
    };
    let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(Arc::clone(&tally))];
    // Bars are talk too.
    if terminal && !global.no_progress && !global.quiet {
        sinks.push(Box::new(Terminal::stderr(verbosity, style(global))));
    } else {
        sinks.push(Box::new(Lines::new(Box::new(std::io::stderr()), verbosity, style(global))));
    }
    if global.output == Format::Jsonl {
        sinks.push(Box::new(Jsonl::new(Box::new(std::io::stdout()))));
    }
    (sinks, tally)
}

/// `path=value` pairs in the order in which they hold: `FLEETWRIGHT_SET` (one a line), then `--set`, then `--region`.
pub(super) fn sets(global: &Global) -> Vec<Set> {
    let from_env = std::env::var("FLEETWRIGHT_SET").unwrap_or_default();
    let lines = from_env.lines().filter(|line| !line.trim().is_empty());
    let mut sets: Vec<Set> = lines.map(|line| Set { by: SetBy::Variable, text: line.to_owned() }).collect();
    sets.extend(global.set.iter().map(|set| Set::from(format!("{}={}", set.path, set.value))));
    sets.extend(global.region.iter().map(|region| Set { by: SetBy::Region, text: format!("region={region}") }));
    sets
}

/// The spec's file: `-f`, `$FLEETWRIGHT_FILE`, or the nearest `fleet.yaml` upwards.
pub(super) fn spec_file(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(file) = &global.file {
        return Ok(file.clone());
    }
    std::env::current_dir().ok().and_then(|here| crate::cli::find_spec(&here)).ok_or_else(|| {
        Failure::to(Exit::Usage, "find fleet.yaml here or in any folder above")
            .hint("name it with -f FILE, or set FLEETWRIGHT_FILE")
    })
}

/// Reads the spec; its problems are printed as they are, and its warnings: files that are made later are left to the verbs
/// that need them, and to `validate`.
pub(super) fn load(global: &Global, file: &Path) -> Result<spec::Loaded, Failure> {
    let mut loaded = read(global, file).map_err(|(failure, _)| failure)?;
    loaded.warnings = loaded.warnings.lasting();
    warn(global, &loaded.warnings);
    Ok(loaded)
}

/// Prints warnings, unless only failures are wanted.
pub(super) fn warn(global: &Global, warnings: &spec::Problems) {
    if !global.quiet && !warnings.is_empty() {
        talk(&warnings.render(colours(global)));
    }
}

/// Whether colours are used on standard error.
fn colours(global: &Global) -> bool {
    global.color.decide(std::io::stderr().is_terminal(), |name| std::env::var_os(name))
}

/// Reads the spec; the problems that make it fail are printed, and come back with the failure.
pub(super) fn read(global: &Global, file: &Path) -> Result<spec::Loaded, (Failure, spec::Problems)> {
    match spec::load(file, &sets(global), &|name| std::env::var(name).ok()) {
        Ok(loaded) => Ok(loaded),
        Err(problems) => {
            talk(&problems.render(colours(global)));
            let failure = Failure::to(Exit::Usage, format!("read {}: {}", file.display(), problems.summary()));
            Err((failure, problems))
        }
    }
}

/// What every verb works with, in its usual setting.
pub(super) fn tools(clock: SharedClock, events: Events) -> Result<Tools, Failure> {
    let cancel = Cancel::install_signals().map_err(|e| Failure::to(Exit::Bug, format!("listen for signals: {e}")))?;
    Ok(Tools {
        limits: Arc::new(Limits::new(Arc::clone(&clock), buckets::calls, buckets::hosts)),
        clock,
        events,
        cancel,
        jitter: Arc::new(Jitter::seeded(fastrand::u64(..))),
        policy: Policy::default(),
    })
}

/// A verb uses the run's tools as if they were its own.
impl std::ops::Deref for Context {
    type Target = Tools;
    fn deref(&self) -> &Tools {
        &self.tools
    }
}

/// Text on standard error; a reader that went away is no failure.
pub(super) fn talk(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

impl Context {
    /// Reads the spec and sets up everything that needs no network.
    pub(super) fn new(global: Global, applied: Option<Applied>) -> Result<Self, Failure> {
        let loaded = load(&global, &spec_file(&global)?)?;
        let clock = clock()?;
        let (mut sinks, tally) = displays(&global);
        let recorder = Arc::new(Recorder::default());
        sinks.push(Box::new(Shared(Arc::clone(&recorder))));
        let events = Events::new(Arc::clone(&clock), sinks);
        let tools = tools(clock, events)?;
        Ok(Self {
            in_ci: std::env::var_os("CI").is_some_and(|ci| !ci.is_empty() && ci != "false")
                && !std::io::stdin().is_terminal(),
            fleet: Arc::new(loaded.fleet),
            verify: loaded.playbooks.verify.map(Arc::new),
            deploy: loaded.playbooks.deploy.map(Arc::new),
            drain: loaded.playbooks.drain.map(Arc::new),
            provision: loaded.playbooks.provision.map(Arc::new),
            tools,
            tally,
            resuming: Mutex::new(applied.as_ref().map(|applied| applied.saved.run.to_string())),
            standing: AtomicBool::new(false),
            applied,
            values: loaded.values,
            planning: OnceLock::new(),
            answered: OnceLock::new(),
            campaign_over: OnceLock::new(),
            recorder,
            clients: OnceCell::new(),
            bucket: OnceLock::new(),
            global,
        })
    }

    /// The same program about another fleet of the account, whatever was agreed to for this one agreed to.
    pub(super) fn about(&self, fleet: Arc<Fleet>) -> Self {
        Self {
            verify: None,
            deploy: None,
            drain: None,
            provision: None,
            resuming: Mutex::new(None),
            values: Vec::new(),
            applied: None,
            standing: AtomicBool::new(true),
            ..self.with(fleet)
        }
    }

    /// The same program, playbooks and all, with this for its spec.
    pub(super) fn with(&self, fleet: Arc<Fleet>) -> Self {
        Self {
            global: self.global.clone(),
            fleet,
            verify: self.verify.clone(),
            deploy: self.deploy.clone(),
            drain: self.drain.clone(),
            provision: self.provision.clone(),
            tools: self.tools.clone(),
            tally: Arc::clone(&self.tally),
            resuming: Mutex::new(self.resuming.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            values: self.values.clone(),
            applied: self.applied.clone(),
            planning: self.planning.clone(),
            answered: OnceLock::new(),
            campaign_over: OnceLock::new(),
            in_ci: self.in_ci,
            standing: AtomicBool::new(self.standing.load(Ordering::Relaxed)),
            recorder: Arc::clone(&self.recorder),
            clients: self.clients.clone(),
            bucket: self.bucket.clone(),
        }
    }

    /// How AWS is reached.
    pub(super) fn settings(&self) -> AwsSettings {
        AwsSettings {
            profile: self.global.profile.clone(),
            region: Some(self.fleet.region.clone()),
            endpoint_url: self.global.endpoint_url.clone(),
        }
    }

    /// AWS; connected at the first call.
    pub(super) async fn clients(&self) -> Result<Arc<Clients>, Failure> {
        let settings = self.settings();
        self.clients
            .get_or_try_init(|| async {
                Clients::connect(&settings).await.map(Arc::new).map_err(|fault| Failure::call("reach AWS", fault))
            })
            .await
            .cloned()
    }

    /// Calls to AWS so far, per action.
    pub(super) fn calls(&self) -> std::collections::BTreeMap<String, u64> {
        let mut calls = self.clients.get().map(|clients| clients.calls()).unwrap_or_default();
        calls.extend(self.bucket_calls());
        calls
    }

    /// The fleet's state directory; perhaps not made yet.
    pub(super) fn state_dir(&self) -> Result<FleetDir, Failure> {
        self.dir_of(&self.fleet.key())
    }

    /// A run id from the world's clock; random in its last 62 bits.
    pub(super) fn new_run(&self) -> RunId {
        let now = self.clock.now();
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
        RunId::new(uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos)))
    }

    /// Tells that a run begins; from now on its calls bear its id.
    pub(super) fn started(&self, run: RunId, verb: &str, resumed: bool) {
        if let Some(clients) = self.clients.get() {
            clients.within(run);
        }
        let (verb, fleet) = (verb.to_owned(), self.fleet.name.to_string());
        self.events.emit(Event::RunStarted { run: run.to_string(), verb, fleet, resumed });
    }

    /// Tells the end of a run that is stopped in the middle, if one is under way.
    pub(super) fn ends_early(&self, why: &Failure) {
        if self.recorder.under_way.load(Ordering::Relaxed) {
            let (exit, summary) = (why.exit.code(), why.to_string());
            self.events.emit(Event::RunFinished { exit, summary, cost: None });
        }
    }

    /// From now on events are copied into the run's directory.
    pub(super) fn record_events(&self, state: &FleetDir, run: RunId) {
        let file = Jsonl::record(&state.run(run).events());
        *self.recorder.run.lock().unwrap_or_else(PoisonError::into_inner) = file.ok();
    }

    /// Copies events into a directory for a wait, which changes nothing and so has no journal. Without a place for them the
    /// wait goes on.
    pub(super) fn record_wait(&self, state: &FleetDir, run: RunId) -> Recording {
        let file = state.observe(run).ok().and_then(|dir| Jsonl::record(&dir.events()).ok());
        // The run before it is over.
        *self.recorder.run.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.recorder.wait.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Recording(Arc::clone(&self.recorder))
    }
}

/// The recorder is shared with the context.
struct Shared(Arc<Recorder>);

impl Sink for Shared {
    fn emit(&self, event: &Stamped) {
        self.0.emit(event);
    }
}

/// The command as it was typed, with one more flag: before `--`, after which the words are another program's.
pub(super) fn again(flag: &str) -> String {
    let mut words: Vec<String> = std::env::args().skip(1).map(|word| shell_word(&word)).collect();
    let end = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.insert(end, flag.to_owned());
    format!("fleetwright {}", words.join(" "))
}

/// A state directory that can't be used.
pub(super) fn state(error: impl Into<JournalError>) -> Failure {
    Failure::state(error)
}

impl Context {
    /// Asks before something is changed, unless `--yes` was said; the end of input is a no. Nobody is asked who can't read
    /// the question or can't answer it.
    pub(super) async fn agree(&self, question: &str) -> Result<(), Failure> {
        if self.global.yes {
            return Ok(());
        }
        let refused = |why: &str| Failure::new(Exit::Usage, format!("{why}; nothing was changed"));
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(refused("nobody can be asked, since this is no terminal")
                .hint(format!("{}         # without being asked", again("--yes")))
                .hint(format!("{}     # shows the plan and stops", again("--dry-run"))));
        }
        talk(&format!("{question} [y/N] "));
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().lock().read_line(&mut answer).map(|_| answer).unwrap_or_default()
        });
        let answer = tokio::select! {
            answer = answer => answer.unwrap_or_default(),
            // Ctrl-C is an answer too; the read is left behind.
            exit = self.tools.stopping() => {
                talk("\n");
                return Err(Failure::new(exit, "stopped before anything was changed"));
            }
        };
        if !answer.ends_with('\n') {
            talk("\n");
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(refused("the answer was no")),
        }
    }
}
