//! `status`: fleet, hosts, images, queue. Changes nothing.

use super::context::{Context, state};
use super::print;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{InstanceState, Sample, Survey, tags};
use crate::plan::slots;
use crate::report::table;
use crate::steps::past;
use serde::Serialize;
use std::fmt::Write as _;

/// One host, as shown.
#[derive(Debug, Serialize)]
struct HostLine {
    slot: Option<u32>,
    id: String,
    state: String,
    instance_type: String,
    market: String,
    zone: String,
    address: Option<String>,
    release: Option<String>,
    expires: Option<String>,
    launched: String,
    reason: Option<String>,
}

/// One image, as shown.
#[derive(Debug, Serialize)]
struct ImageLine {
    id: String,
    name: String,
    state: String,
    attested: bool,
}

/// An unfinished run, as shown.
#[derive(Debug, Serialize)]
struct RunLine {
    run: String,
    verb: String,
    unresolved_calls: usize,
}

/// Everything that `status` shows.
#[derive(Debug, Serialize)]
struct Status {
    schema_version: u32,
    fleet: String,
    account: String,
    region: String,
    hosts: Vec<HostLine>,
    images: Vec<ImageLine>,
    unfinished: Vec<RunLine>,
    queue: Option<Sample>,
    api_calls: std::collections::BTreeMap<String, u64>,
}

impl Context {
    pub(super) async fn status(&self) -> Result<Exit, Failure> {
        self.check_account().await?;
        let clients = self.clients().await?;
        let survey = self
            .read("look at the account", async || crate::survey::look(&clients, &self.fleet, &*self.clock).await)
            .await?;
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let live: Vec<_> = survey.instances.iter().filter(|i| i.state.live()).cloned().collect();
        let slots = slots::assign(&past::slots(&history), &live);
        let queue = match &self.fleet.queue {
            // The hosts are worth showing all the same.
            Some(queue) => self
                .read("look at the queue", async || clients.sample(&queue.url, None, &*self.clock).await)
                .await
                .map_err(|failure| {
                    let why = failure.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
                    self.events.warn(format!("{failure}{why}"));
                })
                .ok(),
            None => None,
        };
        let unfinished = history
            .unfinished()
            .filter_map(|past| {
                let begun = past.fold.begun.as_ref()?;
                Some(RunLine {
                    run: begun.run.clone(),
                    verb: begun.verb.clone(),
                    unresolved_calls: past.fold.unresolved().count(),
                })
            })
            .collect();
        let mut hosts: Vec<HostLine> = survey
            .instances
            .iter()
            .map(|instance| HostLine {
                slot: slots.get(&instance.id).copied(),
                id: instance.id.to_string(),
                state: instance.state.to_string(),
                instance_type: instance.instance_type.clone(),
                market: instance.market.to_string(),
                zone: instance.zone.to_string(),
                address: instance.private_ip.clone(),
                release: instance.tags.get(tags::RELEASE).map(|release| release.chars().take(12).collect()),
                expires: instance.tags.get(tags::EXPIRES).map(str::to_owned),
                launched: instance.launched.to_string(),
                reason: instance.state_reason.clone(),
            })
            .collect();
        // Launched moments ago and not shown yet: absence proves nothing.
        let unseen = past::unseen(&history, &survey);
        hosts.extend(unseen.into_iter().map(|(id, launched)| HostLine {
            slot: slots.get(&id).copied(),
            id: id.to_string(),
            state: "not visible yet".to_owned(),
            instance_type: "-".to_owned(),
            market: "-".to_owned(),
            zone: "-".to_owned(),
            address: None,
            release: None,
            expires: None,
            launched: launched.to_string(),
            reason: None,
        }));
        hosts.sort_by_key(|host| (host.slot.unwrap_or(u32::MAX), host.id.clone()));
        let status = Status {
            schema_version: 1,
            fleet: self.fleet.name.to_string(),
            account: survey.account.to_string(),
            region: survey.region.to_string(),
            hosts,
            images: images(&survey),
            unfinished,
            queue,
            api_calls: self.calls(),
        };
        print(&self.global, &status, || page(&status))?;
        Ok(Exit::Done)
    }
}

fn images(survey: &Survey) -> Vec<ImageLine> {
    survey
        .images
        .iter()
        .map(|image| ImageLine {
            id: image.id.to_string(),
            name: image.name.clone(),
            state: format!("{:?}", image.state).to_lowercase(),
            attested: image.tags.get(tags::ATTESTATION).is_some(),
        })
        .collect()
}

/// The table for people.
fn page(status: &Status) -> String {
    let mut text = format!("{} in {} of account {}\n", status.fleet, status.region, status.account);
    let live = status.hosts.iter().filter(|host| host.state != InstanceState::Terminated.as_str()).count();
    if live == 0 {
        text.push_str("no host\n");
    } else {
        let rows: Vec<Vec<String>> = status
            .hosts
            .iter()
            .filter(|host| host.state != InstanceState::Terminated.as_str())
            .map(|host| {
                vec![
                    host.slot.map_or("-".to_owned(), |slot| slot.to_string()),
                    host.id.clone(),
                    host.state.clone(),
                    host.instance_type.clone(),
                    host.market.clone(),
                    host.zone.clone(),
                    host.address.clone().unwrap_or_else(|| "-".to_owned()),
                    host.release.clone().unwrap_or_else(|| "-".to_owned()),
                    host.expires.clone().unwrap_or_else(|| "-".to_owned()),
                ]
            })
            .collect();
        let heads = ["SLOT", "ID", "STATE", "TYPE", "MARKET", "ZONE", "ADDRESS", "RELEASE", "EXPIRES"];
        text.push_str(&table::render(&heads, &rows, None));
        text.push('\n');
    }
    if !status.images.is_empty() {
        let rows: Vec<Vec<String>> = status
            .images
            .iter()
            .map(|image| {
                let attested = if image.attested { "yes" } else { "no" };
                vec![image.id.clone(), image.name.clone(), image.state.clone(), attested.to_owned()]
            })
            .collect();
        text.push_str(&table::render(&["IMAGE", "NAME", "STATE", "ATTESTED"], &rows, None));
        text.push('\n');
    }
    if let Some(queue) = &status.queue {
        let count = |n: Option<u64>| n.map_or("unknown".to_owned(), |n| n.to_string());
        let _infallible = writeln!(
            text,
            "queue: {} waiting, {} in flight, {} delayed",
            count(queue.waiting),
            count(queue.in_flight),
            count(queue.delayed)
        );
    }
    for run in &status.unfinished {
        let _infallible = writeln!(text, "unfinished: {} {} (fleetwright resume {})", run.verb, run.run, run.run);
        if run.unresolved_calls > 0 {
            let _infallible = writeln!(text, "  {} calls of unknown outcome: there may be more", run.unresolved_calls);
        }
    }
    text
}
