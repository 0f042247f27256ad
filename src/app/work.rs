//! `work`: the worker on a host. Needs no spec.

use super::{context, print};
use crate::aws::{AwsSettings, Clients};
use crate::cli::Global;
use crate::engine::failure::Failure;
use crate::error::AppError;
use crate::exit::Exit;
use crate::model::Region;
use crate::report::answer::{StoppedBy, Worked};
use crate::work::{Ended, Options, Stop, WorkError, work as run};

pub(super) async fn work(global: Global, options: Options) -> Result<Exit, Failure> {
    let settings = AwsSettings {
        profile: global.profile.clone(),
        region: global.region.as_deref().map(Region::new),
        endpoint_url: global.endpoint_url.clone(),
    };
    let clients = Clients::connect(&settings).await.map_err(|fault| Failure::call("reach AWS", fault))?;
    let clock = context::clock()?;
    let stop = Stop::listen().map_err(|e| Failure::to(Exit::Bug, format!("listen for signals: {e}")))?;
    let asked = stop.clone();
    let seed = u64::from(std::process::id());
    let worked = run(clients, clock, &options, stop, seed, &mut std::io::stderr()).await.map_err(failed)?;
    let stopped = if worked.left > 0 { Exit::ItemsFailed } else { Exit::Done };
    let (ended, exit) = match worked.ended {
        Ended::Empty => (StoppedBy::Empty, stopped),
        Ended::Enough => (StoppedBy::Enough, stopped),
        Ended::Asked => (StoppedBy::Asked, Exit::Done),
        Ended::Abandoned => (StoppedBy::Abandoned, asked.exit()),
    };
    print(&global, &Worked { ok: worked.ok, failed: worked.failed, ended })?;
    Ok(exit)
}

fn failed(error: WorkError) -> Failure {
    let error = AppError::from(error);
    let mut failure = Failure::new(error.kind, error.to_string());
    failure.hints = error.hints;
    failure
}
