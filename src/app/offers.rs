//! The look at instance types and prices that a launch is planned from.

use super::context::Context;
use crate::engine::failure::Failure;
use crate::feed::source;
use crate::model::{FaultKind, Offers, Survey, Zone};
use crate::plan::estimate::Job;
use crate::plan::types::{Wanted, wanted};
use crate::spec::fleet::{FeedSource, HostsSpec};
use crate::survey::offers::{Extras, offers, price};

impl Context {
    /// How long the job takes, as far as the spec tells: the items of a file are counted, a command is not run for that.
    pub(super) fn job(&self) -> Job {
        let feed = self.fleet.feed.as_ref();
        let items = feed.and_then(|feed| match &feed.from {
            FeedSource::Lines(path) => source::lines(path).ok().map(|items| items.items.len()),
            FeedSource::Files(path) => source::files(&self.fleet.dir, path).ok().map(|files| files.len()),
            FeedSource::Run(_) => None,
        });
        let items = items.and_then(|items| u64::try_from(items).ok());
        let now = self.clock.now();
        let gone = items.zip(feed.and_then(|feed| feed.rate.as_ref())).and_then(|(items, rate)| rate.gone(items, now));
        #[expect(clippy::cast_precision_loss, reason = "an estimate; counts of items stay far below 2^52")]
        let mean = |items: u64, gone: jiff::Timestamp| items as f64 / gone.duration_since(now).as_secs_f64().max(1.0);
        Job {
            items,
            rate: items.zip(gone).map(|(items, gone)| mean(items, gone)),
            deadline: self.fleet.done.deadline.and_then(|deadline| i64::try_from(deadline.as_secs()).ok()),
        }
    }

    /// What the spec's types are, where they are offered and what they cost. Where the types can't be read for want of a
    /// permission, named ones are taken as they are.
    pub(super) async fn offers(
        &self,
        hosts: &HostsSpec,
        survey: &Survey,
        architecture: Option<&str>,
    ) -> Result<Option<Offers>, Failure> {
        let clients = self.clients().await?;
        let template: Vec<String> = survey.template.iter().map(|t| t.instance_type.clone()).collect();
        let wanted = wanted(hosts, &template, architecture);
        let mut zones: Vec<Zone> = survey.subnets.iter().map(|subnet| subnet.zone.clone()).collect();
        zones.sort();
        zones.dedup();
        let spot = hosts.spot_percent > 0;
        let read = self.read("look at instance types", async || offers(&clients, &wanted, &zones, spot).await).await;
        let types = match (read, wanted) {
            (Ok(types), _) => types,
            (Err(failure), Wanted::Named(_)) if failure.fault.as_ref().is_some_and(|f| f.kind == FaultKind::Denied) => {
                let why = failure.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
                self.events.warn(format!("the types of the spec are not checked{why}"));
                return Ok(None);
            }
            (Err(failure), _) => return Err(failure),
        };
        let mut offers = Offers { types, ..Offers::default() };
        let addresses = survey.subnets.iter().any(|subnet| subnet.public_addresses);
        let extras = Extras { spot, volume: &hosts.root.volume_type, addresses };
        price(&clients, &mut offers, extras, self.clock.now()).await;
        Ok(Some(offers))
    }
}
