//! `work`: the worker on a host. Needs no spec.

use super::context;
use crate::aws::{AwsSettings, Clients};
use crate::cli::Global;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::model::Region;
use crate::work::{Ended, Options, Stop, work as run};
use std::sync::Arc;

pub(super) async fn work(global: Global, options: Options) -> Result<Exit, Failure> {
    let settings = AwsSettings {
        profile: global.profile.clone(),
        region: global.region.as_deref().map(Region::new),
        endpoint_url: global.endpoint_url.clone(),
        ..AwsSettings::default()
    };
    let clients = Clients::connect(&settings).await.map_err(|fault| Failure::call("reach AWS", fault))?;
    let clock = context::clock()?;
    let stop = Stop::listen().map_err(|e| Failure::new(Exit::Bug, format!("listen for signals: {e}")))?;
    let asked = stop.clone();
    let seed = u64::from(std::process::id());
    let worked = run(Arc::new(clients), clock, &options, stop, seed, &mut std::io::stderr())
        .await
        .map_err(|error| Failure::new(error.exit(), error.to_string()))?;
    Ok(match worked.ended {
        Ended::Empty | Ended::Enough | Ended::Asked => Exit::Done,
        Ended::Abandoned => asked.exit(),
    })
}
