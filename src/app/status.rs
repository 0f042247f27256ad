//! `status`: fleet, hosts, images, queue. Changes nothing.

use super::Told;
use super::context::{Context, state};
use super::fed::Fed;
use crate::aws::Clients;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::journal::History;
use crate::model::{Group, Instance, InstanceState, Mark, Sample, Survey, count_is, tags};
use crate::plan::verdict::Feeding;
use crate::plan::{build, slots};
use crate::report::answer::{BuiltLine, FeedLine, GroupLine, HostLine, ImageLine, Reined, RunLine, Status};
use crate::steps::past;
use crate::survey::For;
use jiff::SignedDuration;

impl Context {
    pub(super) async fn status(&self) -> Result<Exit, Failure> {
        let clients = self.clients().await?;
        let (survey, queue) = tokio::join!(self.own_survey(For::Telling), self.counters(&clients));
        let survey = survey?;
        let history = History::read(&self.state_dir()?).map_err(state)?;
        let launches = self.builder_dir()?.map(|dir| History::read(&dir).map_err(state)).transpose()?;
        let live: Vec<_> = survey.instances.iter().filter(|i| i.state.live()).cloned().collect();
        let slots = slots::assign(&past::slots(&history), &live);
        // The hosts are worth showing all the same.
        let queue = queue.and_then(|counters| counters.map_err(|why| self.events.warn(why)).ok());
        let unfinished = history
            .unfinished()
            .chain(launches.iter().flat_map(History::unfinished))
            .filter_map(|past| {
                let begun = past.fold.begun.as_ref()?;
                Some(RunLine {
                    run: begun.run.clone(),
                    verb: build::told(begun),
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
                state: if instance.standby { "standby".to_owned() } else { instance.state.to_string() },
                instance_type: instance.instance_type.clone(),
                market: instance.market.to_string(),
                zone: instance.zone.to_string(),
                address: instance.private_ip.clone().or_else(|| instance.ipv6.clone()),
                release: instance.tags.get(tags::RELEASE).map(|release| release.chars().take(12).collect()),
                expires: instance.tags.get(tags::EXPIRES).map(str::to_owned),
                protected: instance.marked(Mark::Protect).map(str::to_owned),
                quarantined: instance.marked(Mark::Quarantine).map(str::to_owned),
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
            protected: None,
            quarantined: None,
            launched: launched.to_string(),
            reason: None,
        }));
        self.warn_of_overdue(&live);
        hosts.sort_by_key(|host| (host.slot.unwrap_or(u32::MAX), host.id.clone()));
        let status = Status {
            fleet: self.fleet.name.to_string(),
            account: survey.account.to_string(),
            region: survey.region.to_string(),
            hosts,
            group: match &survey.group {
                Some(group) => Some(self.group_line(group).await?),
                None => None,
            },
            template: survey.built.iter().find(|host| host.state != InstanceState::Terminated).map(built),
            cost: self.spent(&survey, &history, &mut None).await,
            images: images(&survey),
            unfinished,
            queue,
            feed: self.feed_line()?,
            api_calls: self.calls(),
        };
        self.tell(Told::good(status))
    }
}

/// How long after its end a host may still be seen: the unit on it looks once a minute and drains its worker first.
const OVERDUE: SignedDuration = SignedDuration::from_mins(30);

impl Context {
    /// The queue's counters, where the spec has a queue, or why they can't be read.
    async fn counters(&self, clients: &Clients) -> Option<Result<Sample, String>> {
        let queue = self.fleet.queue.as_ref()?;
        let told = |failure: Failure| {
            let why = failure.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
            format!("{failure}{why}")
        };
        // Its count stays unknown where there is no such queue or nobody may ask.
        let dead = match &queue.dead_letter {
            Some(name) => {
                let what = format!("find dead-letter queue {name}");
                let found = self.read(&what, async || clients.queue_by_name(name).await).await;
                let found = found.map_err(told).and_then(|url| url.ok_or_else(|| format!("no queue is named {name}")));
                found.map_err(|why| self.events.warn(why)).ok()
            }
            None => None,
        };
        let sample = async || clients.sample(&queue.url, dead.as_deref(), &*self.clock).await;
        Some(self.read("look at the queue", sample).await.map_err(told))
    }

    /// Hosts end themselves when their time is over, but for protected ones; those that have not are told of.
    fn warn_of_overdue(&self, live: &[Instance]) {
        let now = self.clock.now() - OVERDUE;
        let overdue: Vec<&str> = live
            .iter()
            .filter(|host| host.marked(Mark::Protect).is_none() && host.tags.ends().is_some_and(|end| end < now))
            .map(|host| host.id.as_str())
            .collect();
        if !overdue.is_empty() {
            let (hosts, list) = (count_is(overdue.len(), "host"), overdue.join(", "));
            self.events.warn(format!(
                "{hosts} past EXPIRES and had to power off by now: {list}; fleetwright down --only {} ends what did not",
                overdue.join(",")
            ));
        }
    }

    /// The fleet's group, and why it lacks hosts, if it does.
    async fn group_line(&self, group: &Group) -> Result<GroupLine, Failure> {
        let in_service = group.members.iter().filter(|member| member.state == "InService").count();
        let failed = if in_service < usize::try_from(group.desired).unwrap_or(usize::MAX) {
            let clients = self.clients().await?;
            let what = format!("read what the group {} does", group.name);
            let activities = self.read(&what, async || clients.activities(&group.name).await).await?;
            activities.into_iter().next().filter(|one| one.status == "Failed").map(|one| one.message)
        } else {
            None
        };
        Ok(GroupLine {
            name: group.name.clone(),
            desired: group.desired,
            in_service,
            ends: self.group_end(&group.name).await?.map(|at| at.to_string()),
            suspended: group.suspended.clone(),
            failed,
        })
    }

    /// The feed that is not finished, and what it was told.
    fn feed_line(&self) -> Result<Option<FeedLine>, Failure> {
        let Some(queue) = &self.fleet.queue else { return Ok(None) };
        let dir = self.state_dir()?;
        let fed = Fed::read(&dir, &queue.url, self.fleet.feed.is_some())?;
        let (Some(open), Some(reins)) = (&fed.open, fed.reins(&dir)?) else { return Ok(None) };
        let told = Reined { run: open.run.to_string(), paused: reins.paused, rate_per_second: reins.rate };
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let cursor = open.cursor.as_ref();
        Ok(Some(FeedLine {
            told,
            running: fed.feeder.feeding == Feeding::Open,
            sent: cursor.map_or(0, |cursor| count(cursor.next())),
            total: cursor.map(|cursor| count(cursor.total())),
        }))
    }
}

fn built(host: &Instance) -> BuiltLine {
    BuiltLine {
        id: host.id.to_string(),
        state: host.state.to_string(),
        instance_type: host.instance_type.clone(),
        image: host.image.to_string(),
        address: host.private_ip.clone().or_else(|| host.ipv6.clone()),
        expires: host.tags.get(tags::EXPIRES).map(str::to_owned),
    }
}

fn images(survey: &Survey) -> Vec<ImageLine> {
    survey
        .images
        .iter()
        .map(|image| ImageLine {
            id: image.id.to_string(),
            name: image.name.clone(),
            state: image.state.as_str().to_owned(),
            attested: image.tags.get(tags::ATTESTATION).is_some(),
        })
        .collect()
}
