//! One run of a mutating verb: claim, account check, unfinished run or new plan, confirmation, engine, end.

use super::context::{Context, again, talk};
use super::hold::Held;
use crate::engine::failure::Failure;
use crate::engine::run;
use crate::event::Event;
use crate::exit::Exit;
use crate::journal::History;
use crate::journal::{Begun, FleetDir, Journal, RunDir};
use crate::model::{AccountId, Residue, RunId, Survey, count};
use crate::plan::build;
use crate::plan::session::{LONGER, Session, job_length, session};
use crate::plan::{Next, Plan, Unplannable, lint, show};
use crate::steps::{Options, Pushed, Steps};
use crate::survey::{self, For};
use std::sync::{Arc, PoisonError};

/// What a planner may look at besides the spec.
pub(super) struct Look<'a> {
    /// The run that will be begun.
    pub(super) run: RunId,
    /// The account as it was read just now.
    pub(super) survey: &'a Survey,
    /// The fleet's state directory.
    pub(super) state: &'a FleetDir,
    /// Digest of spec, verb and arguments.
    pub(super) request: String,
}

/// What to run, before the account was looked at.
pub(super) struct Order<'a> {
    /// The verb.
    pub(super) verb: &'a str,
    /// Its arguments, as far as they change what is done.
    pub(super) arguments: String,
    /// What the operator said beyond the spec.
    pub(super) options: Options,
}

/// How a run came out.
pub(super) struct Ran {
    /// The run, if one was begun.
    pub(super) run: Option<RunId>,
    /// Its journal, if one was begun.
    pub(super) journal: Option<Arc<Journal>>,
}

/// A run that is under way.
pub(super) struct Opened {
    /// Which.
    pub(super) run: RunId,
    /// Its journal.
    pub(super) journal: Arc<Journal>,
    /// Its plan.
    pub(super) plan: Plan,
    /// Whether it was begun before and is gone on with.
    pub(super) resumed: bool,
}

/// What is unfinished of a verb.
#[derive(Default)]
struct Unfinished {
    /// The run of the same command.
    same: Option<Opened>,
    /// Runs whose place that, or a new one, takes, and how they end by it.
    superseded: Vec<(Journal, Exit)>,
}

/// The verb whose runs replace hosts: unlike those that put scheduled actions, it is gone on with.
pub(super) const RENEW: &str = "recycle now";

impl Context {
    /// The account as it is now, for planning.
    pub(super) async fn survey(&self) -> Result<Survey, Failure> {
        self.look(For::Planning).await
    }

    /// The account as it is now; that of other credentials is refused, which are asked for at the same time.
    pub(super) async fn own_survey(&self, what_for: For) -> Result<Survey, Failure> {
        let (right, survey) = tokio::join!(Box::pin(self.check_account()), Box::pin(self.look(what_for)));
        right.and(survey)
    }

    /// The account as it is now.
    pub(super) async fn look(&self, what_for: For) -> Result<Survey, Failure> {
        let clients = self.clients().await?;
        let look = survey::Look::default();
        self.read("look at the account", async || look.at(&clients, &self.fleet, &*self.clock, what_for).await).await
    }

    /// Refuses a wrong account before anything is changed.
    pub(super) async fn check_account(&self) -> Result<AccountId, Failure> {
        if !self.fleet.in_aws() {
            return Err(Failure::to(Exit::Usage, "ask AWS: the spec names neither account nor region")
                .hint("add `account` and `region` to the spec; only push and exec to its `hosts` do without"));
        }
        let clients = self.clients().await?;
        let asked = self.read("ask AWS whose credentials these are", async || clients.caller().await).await;
        let caller = asked.map_err(|failure| {
            match self.global.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok()) {
                Some(name) if failure.exit == Exit::Denied => failure.hint(format!(
                    "profile `{name}` was asked for; `aws configure list-profiles` names those there are"
                )),
                Some(_) | None => failure,
            }
        })?;
        if caller.account != self.fleet.account {
            return Err(Failure::new(
                Exit::Refused,
                format!("the credentials belong to account {}, the spec names {}", caller.account, self.fleet.account),
            )
            .hint("choose other credentials (--profile), or correct `account:` in the spec"));
        }
        Ok(caller.account)
    }

    /// Digest of spec, verb and arguments: what makes a command the same again.
    pub(super) fn request(&self, order: &Order<'_>) -> String {
        crate::plan::token::digest(&[&build::spec_digest(&self.fleet), order.verb, &order.arguments])
    }

    /// Runs one mutating verb to its end.
    pub(super) async fn run(
        &self,
        held: &Held,
        order: Order<'_>,
        planner: impl AsyncFn(Look<'_>) -> Result<Plan, Failure>,
    ) -> Result<Ran, Failure> {
        match Box::pin(self.open(held, &order, planner)).await? {
            Some(opened) => Box::pin(self.carry_out(held, opened, order)).await,
            None => Ok(Ran { run: None, journal: None }),
        }
    }

    /// The unfinished run of the same command, or a new one that was planned and agreed to; none when there is nothing to do.
    pub(super) async fn open(
        &self,
        held: &Held,
        order: &Order<'_>,
        planner: impl AsyncFn(Look<'_>) -> Result<Plan, Failure>,
    ) -> Result<Option<Opened>, Failure> {
        let request = self.request(order);
        let Unfinished { same, superseded } = self.unfinished(held, order.verb, &request)?;
        // Only once there is one in their place: what was killed between would be forgotten.
        let supersede = || {
            superseded
                .iter()
                .try_for_each(|(journal, exit)| journal.end(*exit, self.clock.now()).map_err(super::context::state))
        };
        if same.is_some() {
            supersede()?;
            return Ok(same);
        }
        let newest = held.state.runs().map_err(super::context::state)?.first().map(RunDir::run);
        let run = self.applied.as_ref().map_or_else(|| self.new_run().after(newest), |applied| applied.saved.run);
        // Foreign machines and scheduled actions are about nothing that a survey knows.
        let foreign = order.options.push.as_ref().is_some_and(|push| push.foreign);
        let apart = foreign || declares(order.verb);
        let survey = if apart {
            Survey::untaken(self.clock.now(), self.fleet.account.clone(), self.fleet.region.clone())
        } else {
            self.survey().await?
        };
        self.looked(&survey);
        let look = Look { run, survey: &survey, state: &held.state, request: request.clone() };
        let mut plan = Box::pin(planner(look)).await?;
        // Whoever resumes the run of a saved plan needs no file.
        plan.arguments = match &self.applied {
            Some(applied) => applied.saved.plan.arguments.clone(),
            None => std::env::args().skip(1).collect(),
        };
        if let Some(broken) = lint::lint(&plan).first() {
            return Err(Failure::to(Exit::Bug, format!("make a plan that keeps its own rules: {broken}")));
        }
        self.check_plan(&plan, &survey, held.state.run(run).path().exists())?;
        Box::pin(self.warn_of_session(&mut plan)).await?;
        if self.planning() {
            return Err(self.shown(run, plan));
        }
        if plan.is_empty() {
            for note in &plan.notes {
                self.events.note(note.clone());
            }
            supersede()?;
            return Ok(None);
        }
        self.confirm(&plan).await?;
        let begun = Begun {
            run: run.to_string(),
            verb: order.verb.to_owned(),
            fleet: self.fleet.key(),
            request,
            plan: serde_json::to_value(&plan)
                .map_err(|e| Failure::to(Exit::Bug, format!("write down the plan: {e}")))?,
            at: self.clock.now(),
        };
        let (_, journal) = held.state.begin(held.claim()?, run, begun).map_err(super::context::state)?;
        supersede()?;
        Ok(Some(Opened { run, journal: Arc::new(journal), plan, resumed: false }))
    }

    async fn carry_out(&self, held: &Held, opened: Opened, order: Order<'_>) -> Result<Ran, Failure> {
        let Opened { run, journal, plan, resumed } = opened;
        self.record_events(&held.state, run);
        let said = order.options.push.as_ref().map(|push| push.said.as_str()).unwrap_or_default();
        self.started(run, &format!("{}{said}", order.verb), resumed);
        let steps = self.steps(held, run, plan.clone(), Arc::clone(&journal), order.options).await?;
        let result = run::run(&plan, &steps, &journal, &self.tools).await;
        let (exit, summary) = match &result {
            Ok(()) => (Exit::Done, format!("{} done", order.verb)),
            Err(failure) => (failure.exit, failure.to_string()),
        };
        // A push is over when it was tried everywhere; how it came out is another question.
        let told = match journal.with_fold(Pushed::of).filter(|pushed| result.is_ok() && pushed.failed()) {
            Some(pushed) => (Exit::Partial, format!("push: {} of {} came out bad", pushed.bad(), pushed.reports.len())),
            None => (exit, summary),
        };
        let open = journal.with_fold(|fold| fold.unresolved().next().is_some());
        // What a campaign came to is asked for before its end is written: after that it is another one's.
        let cost = if order.verb == "down" && result.is_ok() { self.spent_in_all(&held.state).await } else { None };
        if !resumable(exit, open) && !held.keeps_open(order.verb, exit, &journal) {
            journal.end(exit, self.clock.now()).map_err(super::context::state)?;
        }
        let result = match result {
            Err(failure) => Err(steps.worker_left(failure, resumable(exit, open)).await),
            Ok(()) => Ok(()),
        };
        self.events.emit(Event::RunFinished { exit: told.0.code(), summary: told.1, cost });
        match result {
            Ok(()) => Ok(Ran { run: Some(run), journal: Some(journal) }),
            Err(failure) => Err(Self::told(failure, &journal, resumable(exit, open))),
        }
    }

    /// What a run's steps work with.
    pub(super) async fn steps(
        &self,
        held: &Held,
        run: RunId,
        plan: Plan,
        journal: Arc<Journal>,
        options: Options,
    ) -> Result<Steps, Failure> {
        Ok(Steps {
            run,
            fleet: Arc::clone(&self.fleet),
            plan,
            verify: self.verify.clone(),
            deploy: self.deploy.clone(),
            drain: self.drain.clone(),
            clients: self.clients().await?,
            caller: held.caller.clone(),
            journal,
            state: Arc::clone(&held.state),
            claim_held: true,
            tools: self.tools.clone(),
            reach: self.reach(&held.state)?,
            options,
        })
    }

    /// Adds what is there now and how to go on.
    fn told(failure: Failure, journal: &Journal, resumable: bool) -> Failure {
        let made = journal.with_fold(|fold| {
            fold.intents
                .iter()
                .filter(|intent| intent.call.action == "CreateFleet")
                .filter_map(|intent| match &intent.outcome {
                    Some(crate::journal::Outcome::Done { ids, .. }) => Some(ids.len()),
                    Some(_) | None => None,
                })
                .sum::<usize>()
        });
        let mut failure = failure;
        if made > 0 && failure.residue == Residue::Clear && failure.exit != Exit::Capacity {
            failure =
                failure.hint(format!("fleetwright down       # ends what this run launched: {}", count(made, "host")));
        }
        if resumable { failure.hint("the same command again, or: fleetwright resume") } else { failure }
    }

    /// What all runs add up to; a journal that can't be read might be the one that matters.
    pub(super) fn whole_history(state: &FleetDir) -> Result<History, Failure> {
        let history = History::read(state).map_err(super::context::state)?;
        if let Some(error) = history.unreadable().next() {
            return Err(Failure::to(error.exit(), error).hint(error.hint()));
        }
        Ok(history)
    }

    /// The unfinished run of the same command, or those that a new one takes the place of; one of another spec stops us, unless
    /// `--replan` was said.
    fn unfinished(&self, held: &Held, verb: &str, request: &str) -> Result<Unfinished, Failure> {
        let history = Self::whole_history(&held.state)?;
        let mut found = Unfinished::default();
        for past in history.unfinished() {
            // Whoever launches takes back a teardown that never came to its end: nobody is to go on with it later.
            let meant = |begun: &&Begun| begun.verb == verb || begun.verb == "down" && verb == "launch";
            let Some(begun) = past.fold.begun.as_ref().filter(meant) else { continue };
            let run = past.dir.run();
            let named =
                self.resuming.lock().unwrap_or_else(PoisonError::into_inner).as_deref() == Some(begun.run.as_str());
            // A teardown always looks again: what its steps found gone may have been launched anew since. So does what only
            // compares the spec with what is there.
            let anew = begun.verb == "down" || declares(verb);
            let same = !anew && (named || self.applied.is_none() && begun.request == request);
            let open = past.fold.unresolved().count();
            if !same && !anew && (open > 0 || !self.global.replan) {
                let failure = Failure::new(
                    Exit::Refused,
                    format!("run {run} of {verb} is unfinished and was planned from another spec or other arguments"),
                )
                .hint(format!("fleetwright resume {run}     # go on with its plan"));
                return Err(if open == 0 {
                    failure.hint(format!("{}     # make a new plan from what is there", again("--replan")))
                } else {
                    failure.hint(format!("it has {open} calls of unknown outcome: they come first"))
                });
            }
            let plan = if same {
                let plan: Plan = serde_json::from_value(begun.plan.clone())
                    .map_err(|e| Failure::to(Exit::State, format!("read the plan of run {run}: {e}")))?;
                Some(plan)
            } else {
                None
            };
            if self.planning() {
                let Some(mut plan) = plan else { continue };
                let at = match plan.next(&past.fold) {
                    Next::Run(step) => format!(", from \"{}\" on", step.title),
                    Next::Finished => String::new(),
                };
                plan.notes.push(format!("run {run} of {verb} is unfinished: it would be gone on with{at}"));
                return Err(self.shown(run, plan));
            }
            let (journal, torn) = past.dir.resume(held.claim()?).map_err(super::context::state)?;
            if let Some(torn) = torn {
                self.events.note(format!("run {run}: {torn}"));
            }
            if let Some(plan) = plan {
                self.events.note(format!("going on with run {run} of {verb}"));
                found.same = Some(Opened { run, journal: Arc::new(journal), plan, resumed: true });
                return Ok(found);
            }
            if anew {
                // One that lacked nothing but its end did what it was there for.
                let plan: Option<Plan> = serde_json::from_value(begun.plan.clone()).ok();
                let whole = plan.is_some_and(|plan| plan.next(&past.fold) == Next::Finished);
                found.superseded.push((journal, if whole { Exit::Done } else { Exit::Interrupted }));
            } else {
                journal.end(Exit::Interrupted, self.clock.now()).map_err(super::context::state)?;
            }
        }
        Ok(found)
    }

    /// Warns where the credentials end before the job that a plan begins is estimated to end.
    async fn warn_of_session(&self, plan: &mut Plan) -> Result<(), Failure> {
        if !BEGINS.contains(&plan.verb.as_str()) || plan.is_empty() {
            return Ok(());
        }
        // Credentials that can't be read fail at the next call, in its own words.
        let Ok(Some(end)) = self.clients().await?.session_end().await else { return Ok(()) };
        if let Session::Short(why) = session(self.clock.now(), end, job_length(&self.fleet, &self.job()).as_ref()) {
            let warning = format!("the session of these credentials is too short: {why}; {LONGER}");
            if self.planning() {
                plan.notes.push(warning);
            } else {
                self.events.warn(warning);
            }
        }
        Ok(())
    }

    /// Shows the plan and asks, unless it only looks.
    async fn confirm(&self, plan: &Plan) -> Result<(), Failure> {
        if !plan.changes() {
            return Ok(());
        }
        if self.standing.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        if !self.global.yes {
            talk(&show::show(plan));
        }
        self.agree("Go ahead?").await
    }
}

/// Verbs that begin the job or go on with it.
const BEGINS: [&str; 3] = ["launch", "scale", "feed"];

/// Whether a verb makes what is there equal to the spec, whatever an unfinished run of it had planned.
fn declares(verb: &str) -> bool {
    verb.starts_with("recycle ") && verb != RENEW
}

/// Whether the same command can go on with this run later. One that is done has seen for itself how calls of unknown outcome
/// came out: left unfinished, the next command would find all its steps finished and do nothing.
fn resumable(exit: Exit, open: bool) -> bool {
    exit != Exit::Done && open
        || matches!(
            exit,
            Exit::Interrupted
                | Exit::Terminated
                | Exit::Unavailable
                | Exit::Denied
                | Exit::State
                | Exit::Locked
                | Exit::Residue
                | Exit::Bug
        )
}

impl From<Unplannable> for Failure {
    fn from(unplannable: Unplannable) -> Self {
        let mut failure = Self::new(unplannable.exit, unplannable.message);
        failure.hints = unplannable.hints;
        failure
    }
}
