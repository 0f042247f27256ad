//! The composition root: builds clients, journal and displays, runs one verb, turns what came of it into an exit code.

mod adopt;
mod aim;
mod bake;
mod base;
mod build;
mod campaign;
mod context;
mod diff;
mod doctor;
mod down;
mod earlier;
mod exec;
mod extend;
mod fed;
mod feed;
mod follow;
mod hold;
mod images;
mod init;
mod inventory;
mod kept;
mod launch;
mod logs;
mod mark;
mod money;
mod notify;
mod offers;
mod orphans;
mod others;
mod plan;
mod push;
mod recall;
mod recycle;
mod refresh;
mod rehearse;
mod rein;
mod renew;
mod report;
mod resume;
mod runs;
mod saved;
mod scale;
mod shared;
mod sim;
mod ssh;
mod status;
mod teach;
mod up;
mod verify;
mod wait;
mod watch;
mod why;
mod work;

use crate::cli::request::{Images, Plan, Recycle};
use crate::cli::{Global, Request, Verb};
use crate::engine::Level;
use crate::engine::failure::Failure;
use crate::error::AppError;
use crate::exit::Exit;
use crate::report::answer::{Validated, value};
use crate::report::{Answer, Style, output, table};
use context::Context;
use notify::Answered;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs one request to its end and tells how to exit.
pub fn run(request: Request) -> Exit {
    let style = context::style(&request.global);
    let aim = aim::of(&request.global);
    ended(style, &aim, || match unplannable(&request.verb).filter(|_| request.global.dry_run) {
        Some(name) => Err(no_plan(name)),
        None => carried_out(request),
    })
}

fn no_plan(name: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{name} --dry-run: there is no plan of it that could be shown"))
        .hint(format!("fleetwright {name} --help     # what it does"))
}

fn carried_out(request: Request) -> Result<Exit, Failure> {
    match &request.verb {
        // Neither a runtime nor the SDK is needed to judge a spec, or to tell what the program knows of itself.
        Verb::Validate => validate(&request.global),
        Verb::Init(wanted) => init::init(&request.global, wanted),
        Verb::Explain(wanted) => teach::explain(&request.global, wanted),
        Verb::Schema(document) => teach::schema(&request.global, *document),
        Verb::Completions(shell) => teach::completion(*shell),
        Verb::Man(wanted) => teach::man(&request.global, wanted),
        _ => with_runtime(request),
    }
}

/// Runs to the end, whatever end that is. A panic is a bug like any other: its own words are on standard error already.
fn ended(style: Style, aim: &[String], run: impl FnOnce() -> Result<Exit, Failure>) -> Exit {
    let error = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(exit)) => return exit,
        Ok(Err(failure)) if failure.exit == Exit::Done => return Exit::Done,
        Ok(Err(mut failure)) => {
            failure.hints = failure.hints.iter().map(|hint| aim::at(hint, aim)).collect();
            AppError::from(failure)
        }
        Err(_) => AppError::bug("fleetwright met what it did not foresee").hint("the same command again goes on"),
    };
    error.print(&mut std::io::stderr(), style)
}

/// `--timeout` as people read it.
fn span(timeout: Option<std::time::Duration>) -> String {
    let span = timeout.and_then(|span| jiff::SignedDuration::try_from(span).ok());
    crate::report::span(span.unwrap_or(jiff::SignedDuration::MAX))
}

/// Every problem of spec and playbooks, no AWS call; errors and warnings apart on standard output where data is asked for.
fn validate(global: &Global) -> Result<Exit, Failure> {
    let file = context::spec_file(global)?;
    let (loaded, problems) = match context::read(global, &file) {
        Ok(loaded) => {
            context::warn(global, &loaded.warnings);
            (Ok(()), loaded.warnings)
        }
        Err((failure, problems)) => (Err(failure), problems),
    };
    print(global, &Validated::new(file.display().to_string(), &problems))?;
    loaded.map(|()| Exit::Done)
}

fn with_runtime(request: Request) -> Result<Exit, Failure> {
    logs(request.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::to(Exit::Bug, format!("start the runtime: {e}")))?;
    let exit = runtime.block_on(dispatch(request));
    // A blocked read of standard input or a slow name lookup must not keep the process.
    runtime.shutdown_background();
    exit
}

/// The program's own diagnostics, from `-vv` on; never the report.
fn logs(verbose: u8) {
    let level = match verbose {
        0 | 1 => return,
        2 => "fleetwright=debug,aws_config=info",
        _ => "fleetwright=trace,aws_config=debug,russh=debug",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

async fn dispatch(request: Request) -> Result<Exit, Failure> {
    let Request { global, verb } = request;
    match verb {
        Verb::SimServe(serve) => sim::serve(global, serve).await,
        Verb::Rehearse(rehearse) => rehearse::rehearse(global, rehearse).await,
        Verb::Work(work) => work::work(global, work).await,
        verb => {
            let timeout = global.timeout;
            let (global, verb, applied) = match verb {
                Verb::Apply(apply) => {
                    let (global, verb, applied) = saved::opened(global, apply)?;
                    (global, verb, Some(applied))
                }
                verb => (global, verb, None),
            };
            let (global, verb) = or_its_plan(global, verb);
            let context = Context::new(global, applied)?;
            context.check_spec()?;
            let ends = matches!(verb, Verb::Down(_));
            let told_of = notify::told_of(&verb);
            let late = async {
                match timeout {
                    Some(span) => crate::time::sleep(&*context.clock, span).await,
                    None => std::future::pending().await,
                }
            };
            let mut work = Box::pin(async {
                context.fetch().await?;
                context.fetch_builder().await?;
                with_context(&context, verb).await
            });
            let cut = tokio::select! {
                done = &mut work => return context.close(told_of, done).await,
                () = late => {
                    Failure::to(Exit::Deadline, format!("finish within --timeout {}", span(timeout)))
                        .hint("the same command again goes on; a longer --timeout gives it more time")
                }
                // The third Ctrl-C: the journal knows the rest.
                () = context.cancel.wait(Level::Leave) => {
                    Failure::interrupted(context.cancel.exit().unwrap_or(Exit::Interrupted))
                        .hint("the same command again, or: fleetwright resume")
                }
            };
            context.ends_early(&cut);
            // What it holds is free again.
            drop(work);
            let late = cut.exit == Exit::Deadline;
            let cut = if ends && late { context.cut_short(&span(timeout)).await } else { cut };
            context.close(told_of, Err(cut)).await
        }
    }
}

/// The name of a verb that does something, has no plan, and asks for nothing beforehand: under `--dry-run` it does nothing.
fn unplannable(verb: &Verb) -> Option<&'static str> {
    Some(match verb {
        Verb::Init(_) => "init",
        Verb::Man(_) => "man",
        Verb::Rehearse(_) => "rehearse",
        Verb::SimServe(_) => "sim serve",
        Verb::Work(_) => "work",
        Verb::Wait(_) => "wait",
        _ => return None,
    })
}

/// `--dry-run` of a verb that has a plan is `plan` of it, and `plan` is a dry run.
fn or_its_plan(mut global: Global, verb: Verb) -> (Global, Verb) {
    let verb = match verb {
        Verb::Verify(_)
        | Verb::Bake(_)
        | Verb::Launch(_)
        | Verb::Push(_)
        | Verb::Feed
        | Verb::Up(_)
        | Verb::Resume(_)
        | Verb::Extend(_)
        | Verb::Scale(_)
        | Verb::Mark(_)
        | Verb::Images(Images::Prune { .. })
        | Verb::Recycle(Recycle::Apply | Recycle::Remove)
        | Verb::Renew(_)
        | Verb::Adopt
        | Verb::Down(_)
            if global.dry_run =>
        {
            Verb::Plan(Plan::of(verb))
        }
        other => other,
    };
    global.dry_run |= matches!(verb, Verb::Plan(_));
    (global, verb)
}

async fn with_context(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Plan(plan) => context.plan(plan).await,
        Verb::Verify(verify) => context.verify(verify).await,
        Verb::Bake(bake) => context.bake(bake).await,
        Verb::Launch(launch) => context.launch(launch).await,
        Verb::Scale(scale) => context.scale(scale).await,
        Verb::Doctor => context.doctor().await,
        Verb::Status => context.status().await,
        Verb::Why(host) => context.why(&host).await,
        Verb::Push(push) => context.push(push).await,
        Verb::Exec(exec) => context.exec(exec).await,
        Verb::Feed => context.feed().await,
        Verb::Rein(rein) => context.rein(&rein),
        Verb::Wait(wait) => context.wait(wait).await,
        Verb::Up(up) => context.up(up).await,
        Verb::Resume(resume) => context.resume(resume).await,
        Verb::Runs(runs) => context.runs(&runs),
        Verb::Diff(exit_code) => context.diff(exit_code).await,
        Verb::Images(images) => context.images(images).await,
        Verb::Inventory(format) => context.inventory(format).await,
        Verb::Ssh(ssh) => context.ssh(&ssh).await,
        Verb::Logs(logs) => context.logs(&logs).await,
        Verb::Extend(extend) => context.extend(extend).await,
        Verb::Mark(mark) => context.mark(mark).await,
        Verb::Recycle(recycle) => context.recycle(recycle).await,
        Verb::Renew(renew) => context.renew(&renew).await,
        Verb::Down(down) => context.down(down).await,
        Verb::Orphans(wanted) => context.orphans(wanted).await,
        Verb::Adopt => context.adopt().await,
        Verb::Init(_)
        | Verb::Validate
        | Verb::Explain(_)
        | Verb::Schema(_)
        | Verb::Completions(_)
        | Verb::Man(_)
        | Verb::SimServe(_)
        | Verb::Rehearse(_)
        | Verb::Apply(_)
        | Verb::Work(_) => Err(Failure::new(Exit::Bug, "these verbs need no spec")),
    }
}

/// What a verb answers, and why that is a failure all the same, where it is one: the answer is printed either way.
struct Told<A> {
    answer: A,
    failure: Option<Failure>,
}

impl<A> Told<A> {
    /// An answer that all went well.
    fn good(answer: A) -> Self {
        Self { answer, failure: None }
    }
}

impl Context {
    /// Takes the one answer of this invocation, which is printed at its end; while a verb is only planned, the plans are the
    /// answer.
    fn tell<A: Answer>(&self, told: Told<A>) -> Result<Exit, Failure> {
        if !self.planning() {
            let mut text = Vec::new();
            written(output::print(&mut text, self.global.output, &told.answer, table::terminal_width()))?;
            let (page, value) = (told.answer.page(None), value(&told.answer).unwrap_or_default());
            self.answered.set(Answered { text, page, value }).unwrap_or_default();
        }
        told.failure.map_or(Ok(Exit::Done), Err)
    }

    /// Tells those who want to hear of it, then prints the answer: what was printed was told. Who leaves at once does not wait
    /// for it.
    async fn close(&self, told_of: Option<&'static str>, ended: Result<Exit, Failure>) -> Result<Exit, Failure> {
        let answered = self.answered.get();
        if let Some(verb) = told_of {
            tokio::select! {
                () = Box::pin(self.notify(verb, &ended, answered)) => {}
                () = self.cancel.wait(Level::Leave) => {}
            }
        }
        if let Some(Answered { text, .. }) = answered {
            let mut out = std::io::stdout();
            written(out.write_all(text).and_then(|()| out.flush()))?;
        }
        match self.campaign_over.get() {
            Some(held) => held.answered(self.clock.now()).and(ended),
            None => ended,
        }
    }
}

/// Prints an answer to standard output; a reader that went away is no failure.
fn print(global: &Global, answer: &impl Answer) -> Result<(), Failure> {
    written(output::print(&mut std::io::stdout(), global.output, answer, table::terminal_width()))
}

/// What came of writing to standard output; a reader that went away is no failure.
fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::to(Exit::State, format!("write to standard output: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_exits_as_a_bug() {
        assert_eq!(ended(Style::default(), &[], || panic!("on purpose")), Exit::Bug);
        assert_eq!(ended(Style::default(), &[], || Ok(Exit::Stalled)), Exit::Stalled);
        assert_eq!(ended(Style::default(), &[], || Err(Failure::new(Exit::Done, "dry run"))), Exit::Done);
        assert_eq!(ended(Style::default(), &[], || Err(Failure::new(Exit::Locked, "held"))), Exit::Locked);
    }
}
