//! The composition root: builds clients, journal and displays, runs one verb, turns what came of it into an exit code.

mod bake;
mod campaign;
mod context;
mod down;
mod exec;
mod fed;
mod feed;
mod launch;
mod plan;
mod push;
mod rehearse;
mod resume;
mod sim;
mod status;
mod up;
mod verify;
mod wait;
mod work;

use crate::cli::{Global, Request, Verb};
use crate::engine::Level;
use crate::engine::failure::Failure;
use crate::error::AppError;
use crate::exit::Exit;
use crate::report::output;
use crate::spec::Severity;
use context::Context;
use serde::Serialize;

/// Runs one request to its end and tells how to exit.
pub fn run(request: Request) -> Exit {
    let style = context::style(&request.global);
    let result = match &request.verb {
        // Neither a runtime nor the SDK is needed to judge a spec.
        Verb::Validate => validate(&request.global),
        _ => with_runtime(request),
    };
    match result {
        Ok(exit) => exit,
        Err(failure) if failure.exit == Exit::Done => Exit::Done,
        Err(failure) => AppError::from(failure).print(&mut std::io::stderr(), style),
    }
}

/// Every problem of spec and playbooks, no AWS call; errors and warnings apart on standard output where data is asked for.
fn validate(global: &Global) -> Result<Exit, Failure> {
    let file = context::spec_file(global)?;
    let shown = file.display().to_string();
    let (result, problems) = match context::read(global, &file) {
        Ok(loaded) => (Ok(Exit::Done), loaded.warnings),
        Err((failure, problems)) => (Err(failure), problems),
    };
    let of = |severity| problems.iter().filter(move |p| p.severity == severity).collect::<Vec<_>>();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let good = errors.is_empty();
    let value = serde_json::json!({
        "schema_version": 1, "file": shown, "errors": errors, "warnings": warnings, "more": problems.more(),
    });
    print(global, &value, || if good { format!("{shown}: no problems\n") } else { String::new() })?;
    result
}

fn with_runtime(request: Request) -> Result<Exit, Failure> {
    logs(request.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Bug, format!("start the runtime: {e}")))?;
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
        Verb::Validate => validate(&global),
        Verb::SimServe(serve) => sim::serve(global, serve).await,
        Verb::Rehearse(rehearse) => rehearse::rehearse(global, rehearse).await,
        Verb::Work(work) => work::work(global, work).await,
        verb => {
            let timeout = global.timeout;
            let context = Context::new(global)?;
            let late = async {
                match timeout {
                    Some(span) => crate::time::sleep(&*context.clock, span).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = with_context(&context, verb) => done,
                () = late => Err(Failure::new(Exit::Deadline, "finish within --timeout")
                    .hint("the same command again goes on; --timeout gives it longer")),
                // The third Ctrl-C: the journal knows the rest.
                () = context.cancel.wait(Level::Leave) => {
                    Err(Failure::interrupted(context.cancel.exit().unwrap_or(Exit::Interrupted))
                        .hint("the same command again, or: fleetwright resume"))
                }
            }
        }
    }
}

async fn with_context(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Plan(plan) => context.plan(plan).await,
        Verb::Verify(verify) => context.verify(verify).await,
        Verb::Bake(bake) => context.bake(bake).await,
        Verb::Launch(launch) => context.launch(launch).await,
        Verb::Status => context.status().await,
        Verb::Push(push) => context.push(push).await,
        Verb::Exec(exec) => context.exec(exec).await,
        Verb::Feed => context.feed().await,
        Verb::Wait => context.wait().await,
        Verb::Up(up) => context.up(up).await,
        Verb::Resume(resume) => context.resume(resume).await,
        Verb::Down(down) => context.down(down).await,
        Verb::Validate | Verb::SimServe(_) | Verb::Rehearse(_) | Verb::Work(_) => {
            Err(Failure::new(Exit::Bug, "these verbs need no spec"))
        }
    }
}

/// Prints a result to standard output; a reader that went away is no failure.
fn print<T: Serialize>(global: &Global, value: &T, table: impl FnOnce() -> String) -> Result<(), Failure> {
    match output::print(&mut std::io::stdout(), global.output, value, table) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::State, format!("write to standard output: {error}"))),
    }
}
