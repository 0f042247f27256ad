//! What hosts leave behind: volumes, launch template, queues, images; and the second look that says it is all gone.

use super::call::state;
use super::group::holds_only;
use super::{Steps, past};
use crate::aws::{Snapshot, Volume};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::gate::Candidate;
use crate::journal::History;
use crate::model::group::KIND;
use crate::model::{
    FaultKind, Image, ImageId, ImageState, Instance, InstanceId, InstanceState, Residue, Tags, Thing, count, tags,
};
use crate::plan::Action;
use crate::plan::images::surplus;
use crate::plan::launch::template_name;
use crate::survey::{For, Look};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long the second look waits for things that are on their way out.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);
/// Between two looks at what could not be deleted yet.
const LOOK: Duration = Duration::from_secs(10);

impl Steps {
    /// Deletes volumes of ours that outlived their hosts.
    pub(super) async fn delete_volumes(&self, step: &str) -> Result<Done, Failure> {
        let deleted = self
            .afresh("delete volumes", async |read_at| {
                let volumes = self
                    .read("list this fleet's volumes", async || self.clients.volumes_of_fleet(&self.fleet.name).await)
                    .await?;
                let free = volumes.iter().filter(|volume| volume.state == "available");
                let free: Vec<_> = free.map(|volume| (volume.id.as_str(), &volume.tags)).collect();
                self.delete_all(step, "volume", &free, read_at).await
            })
            .await?;
        Ok(told(deleted, "volumes deleted", "no volume is left"))
    }

    /// Deletes the fleet's launch template; one that was made moments ago is waited for.
    pub(super) async fn delete_template(&self, step: &str) -> Result<Done, Failure> {
        let name = template_name(self.fleet.name.as_str());
        let deleted = self
            .afresh("delete the launch template", async |read_at| {
                let found =
                    self.read("read the launch template", async || self.clients.launch_template(&name).await).await?;
                if found.is_none() && self.made_unseen("CreateLaunchTemplate")? {
                    return Ok(None);
                }
                let found: Vec<_> = found.iter().map(|template| (template.id.as_str(), &template.tags)).collect();
                self.delete_all(step, "launch-template", &found, read_at).await
            })
            .await?;
        Ok(told(deleted, "launch template deleted", "no launch template is there"))
    }

    /// Deletes queues that runs of ours made (canaries that were cut short); the job's own queue is its owner's.
    pub(super) async fn delete_queues(&self, step: &str) -> Result<Done, Failure> {
        let deleted = self
            .afresh("delete queues", async |read_at| {
                let queues = self.canary_queues().await?;
                let queues: Vec<_> = queues.iter().map(|(url, tags)| (url.as_str(), tags)).collect();
                self.delete_all(step, "queue", &queues, read_at).await
            })
            .await?;
        Ok(told(deleted, "queues deleted", "no queue of ours is there"))
    }

    /// Private queues that carry this fleet's tag; another fleet's name may begin as ours does.
    async fn canary_queues(&self) -> Result<Vec<(String, Tags)>, Failure> {
        let prefix = format!("fleetwright-{}-canary-", self.fleet.name);
        let urls = self.read("list queues of ours", async || self.clients.queues_with_prefix(&prefix).await).await?;
        let mut queues = Vec::new();
        for url in urls {
            let tags = self.tags_of_queue(&url).await?;
            queues.extend(tags.filter(|tags| self.carries(tags)).map(|tags| (url, tags)));
        }
        Ok(queues)
    }

    /// `None` where it ended: SQS lists a queue for up to a minute after that.
    pub(super) async fn tags_of_queue(&self, url: &str) -> Result<Option<Tags>, Failure> {
        self.read("read a queue's tags", async || match self.clients.queue_tags(url).await {
            Err(fault) if fault.kind == FaultKind::Gone => Ok(None),
            tags => tags.map(Some),
        })
        .await
    }

    /// Ends images beyond the newest `keep` that nobody needs, those that failed, and snapshots that no image holds.
    pub(super) async fn end_images(&self, step: &str, keep: u32) -> Result<Done, Failure> {
        let gone = self
            .afresh("end images", async |read_at| {
                let look = Look::default();
                let read = async || look.at(&self.clients, &self.fleet, &*self.clock, For::Planning).await;
                let survey = self.read("look at the account", read).await?;
                let survey = past::without_ended(survey, &History::read(&self.state).map_err(state)?);
                let surplus = surplus(&survey, keep);
                let surplus: Vec<_> = surplus.iter().map(|image| (image.id.as_str(), &image.tags)).collect();
                let ended = self.delete_all(step, "image", &surplus, read_at).await?;
                Ok(ended.map(|ended| (ended, surplus.iter().map(|(id, _)| (*id).to_owned()).collect::<Vec<_>>())))
            })
            .await?;
        let (ended, gone) = gone;
        let snapshots = self
            .afresh("delete snapshots", async |read_at| {
                let mut images = self.images().await?;
                images.retain(|image| !gone.contains(&image.id.to_string()));
                let loose = loose(self.snapshots().await?, &images);
                let loose: Vec<_> = loose.iter().map(|snapshot| (snapshot.id.as_str(), &snapshot.tags)).collect();
                self.delete_all(step, "snapshot", &loose, read_at).await
            })
            .await?;
        let deleted = ended + snapshots;
        Ok(told(deleted, "images and loose snapshots ended", "no image is beyond those kept"))
    }

    /// Ends one image of ours, with those snapshots of `run` that no image holds then.
    pub(super) async fn end_image(&self, step: &str, id: &ImageId, run: &str) -> Result<usize, Failure> {
        let ended = self
            .afresh("end an image", async |read_at| {
                let image = self.read("look at an image", async || self.clients.image(id).await).await?;
                let image: Vec<_> = image.iter().map(|image| (image.id.as_str(), &image.tags)).collect();
                self.delete_all(step, "image", &image, read_at).await
            })
            .await?;
        let snapshots = self
            .afresh("delete its snapshots", async |read_at| {
                let mut images = self.images().await?;
                images.retain(|image| image.id != *id);
                let mut loose = loose(self.snapshots().await?, &images);
                loose.retain(|snapshot| snapshot.tags.get(tags::RUN) == Some(run));
                let loose: Vec<_> = loose.iter().map(|snapshot| (snapshot.id.as_str(), &snapshot.tags)).collect();
                self.delete_all(step, "snapshot", &loose, read_at).await
            })
            .await?;
        Ok(ended + snapshots)
    }

    async fn images(&self) -> Result<Vec<Image>, Failure> {
        self.read("list this fleet's images", async || self.clients.images_of_fleet(&self.fleet.name).await).await
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>, Failure> {
        self.read("list this fleet's snapshots", async || self.clients.snapshots_of_fleet(&self.fleet.name).await).await
    }

    /// Looks and does what follows, anew while the look grows too old in the hands of it, AWS does not take a call, or what it
    /// needs is not seen yet.
    pub(super) async fn afresh<T>(
        &self,
        what: &str,
        mut work: impl AsyncFnMut(Timestamp) -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        let deadline = self.clock.now() + PATIENCE;
        loop {
            let read_at = self.clock.now();
            if let Some(done) = work(read_at).await? {
                return Ok(done);
            }
            if self.clock.now() > deadline {
                let minutes = PATIENCE.as_mins();
                return Err(Failure::new(
                    Exit::Unavailable,
                    format!("{what}: AWS did not take it within {minutes} minutes"),
                )
                .hint("the same command again tries again"));
            }
            self.pause(LOOK).await?;
        }
    }

    /// Passes things through the gate and deletes them one by one; how many there were. Gone already counts as not deleted;
    /// what is kept back is told. `None` when the look is too old or AWS took no call: look again.
    pub(super) async fn delete_all(
        &self,
        step: &str,
        kind: &str,
        things: &[(&str, &Tags)],
        read_at: Timestamp,
    ) -> Result<Option<usize>, Failure> {
        let mut deleted = 0;
        for (id, tags) in things {
            match self.delete_one(step, id, tags, read_at, kind).await? {
                Some(n) => deleted += n,
                None => return Ok(None),
            }
        }
        Ok(Some(deleted))
    }

    async fn delete_one(
        &self,
        step: &str,
        id: &str,
        tags: &Tags,
        read_at: Timestamp,
        kind: &str,
    ) -> Result<Option<usize>, Failure> {
        let candidate = Candidate { id: id.to_owned(), tags: tags.clone(), termination_protected: false };
        let Some(passed) = self.gate(vec![candidate], read_at)? else { return Ok(None) };
        for (id, reason) in &passed.kept {
            self.events.warn(format!("{kind} {id} is left alone: {reason}"));
        }
        let Some(owned) = passed.owned else { return Ok(Some(0)) };
        let what = format!("delete {kind} {id}");
        let clients = &self.clients;
        let sent = self
            .end_owned(
                step,
                &what,
                async || match kind {
                    "volume" => clients.draft_delete_volume(&owned).await,
                    "snapshot" => clients.draft_delete_snapshot(&owned).await,
                    "image" => clients.draft_deregister(&owned).await,
                    "queue" => clients.draft_delete_queue(&owned).await,
                    _ => clients.draft_delete_template(&owned).await,
                },
                async |permit| {
                    match kind {
                        "volume" => clients.delete_volume(permit).await?,
                        "snapshot" => clients.delete_snapshot(permit).await?,
                        "image" => clients.deregister(permit).await?,
                        "queue" => clients.delete_queue(permit).await?,
                        _ => clients.delete_template(permit).await?,
                    }
                    Ok(vec![id.to_owned()])
                },
            )
            .await;
        match sent {
            Err(failure) => match failure.fault.as_ref().map(|fault| fault.kind) {
                Some(FaultKind::Gone) => Ok(Some(0)),
                Some(FaultKind::Busy) => {
                    self.events.warn(format!("{kind} {id} is left alone: something uses it"));
                    Ok(Some(0))
                }
                _ => Err(failure),
            },
            sent => sent,
        }
    }

    /// Whether a thing carries this fleet's tag.
    fn carries(&self, tags: &Tags) -> bool {
        tags.get(tags::FLEET) == Some(self.fleet.name.as_str())
    }

    /// Everything of ours of a kind that still costs money or blocks a name, apart from what belongs to hosts that a person
    /// protected.
    async fn remaining(&self, kind: Kind, kept: &BTreeSet<InstanceId>) -> Result<Vec<Thing>, Failure> {
        let thing = |kind: &str, id: String| Thing { kind: kind.to_owned(), id };
        let name = &self.fleet.name;
        Ok(match kind {
            Kind::Hosts => {
                let hosts = self.read("look at hosts", async || self.clients.instances_of_fleet(name).await).await?;
                let left = |host: &Instance| host.state != InstanceState::Terminated && !kept.contains(&host.id);
                hosts.into_iter().filter(left).map(|host| thing("instance", host.id.to_string())).collect()
            }
            Kind::Volumes => {
                let volumes = self.read("look at volumes", async || self.clients.volumes_of_fleet(name).await).await?;
                let left = |volume: &Volume| !volume.attached_to.iter().any(|host| kept.contains(host));
                volumes.into_iter().filter(left).map(|volume| thing("volume", volume.id.to_string())).collect()
            }
            Kind::Template => {
                let (what, template) = ("look at the launch template", template_name(name.as_str()));
                let found = self.read(what, async || self.clients.launch_template(&template).await).await?;
                // A stranger's template may have our name: it was told and is none of ours.
                let found = found.filter(|template| self.carries(&template.tags));
                found.map(|template| thing("launch-template", template.id.to_string())).into_iter().collect()
            }
            Kind::Groups => {
                let mut things = Vec::new();
                for step in &self.plan.steps {
                    if let Action::GroupGone { group } = &step.action {
                        let found = self.group_now(group).await?.filter(|group| self.carries(&group.tags));
                        // One that holds nothing else stays with the hosts that a person keeps.
                        let found = found.filter(|group| !holds_only(group, kept));
                        things.extend(found.map(|group| thing(KIND, group.name)));
                    }
                }
                things
            }
            Kind::Queues => self.canary_queues().await?.into_iter().map(|(url, _)| thing("queue", url)).collect(),
        })
    }

    /// Looks until two looks in a row find nothing.
    pub(super) async fn sweep(&self, step: &str) -> Result<Done, Failure> {
        let begun = self.clock.now();
        let deadline = begun + PATIENCE;
        let kept = self.kept()?;
        let mut clean = 0;
        let mut kinds = Kind::ALL.to_vec();
        loop {
            let (mut things, mut left) = (Vec::new(), Vec::new());
            for kind in &kinds {
                let found = self.remaining(*kind, &kept).await?;
                left.extend((!found.is_empty()).then_some(*kind));
                things.extend(found);
            }
            // What was not there is not looked at again until the rest is gone, too: then all of it is, twice.
            if things.is_empty() && kinds.len() < Kind::ALL.len() {
                kinds = Kind::ALL.to_vec();
                continue;
            }
            kinds = if left.is_empty() { Kind::ALL.to_vec() } else { left };
            clean = if things.is_empty() { clean + 1 } else { 0 };
            if clean >= 2 && !kept.is_empty() {
                self.refuse_copied()?;
                return Err(protected(&kept, &self.kept_by_ec2()?));
            }
            if clean >= 2 {
                return Ok(Done::new(json!({}), "two looks in a row found nothing"));
            }
            if self.clock.now() > deadline {
                let list: Vec<String> = things.iter().map(ToString::to_string).collect();
                return Err(Failure::to(
                    Exit::Residue,
                    format!("see everything gone; still there: {}", list.join(", ")),
                )
                .leaving(Residue::Remaining(things))
                .hint("fleetwright down     # tries again"));
            }
            self.events.emit(crate::event::Event::StepProgress {
                step: step.to_owned(),
                done: clean,
                total: Some(2),
                note: if things.is_empty() { "clean".to_owned() } else { format!("{} still there", things.len()) },
            });
            if clean > 0 { self.pause(LOOK).await? } else { self.pause_longer(LOOK, begun).await? }
        }
    }
}

/// What a fleet may leave behind, images and their snapshots apart.
#[derive(Clone, Copy)]
enum Kind {
    Hosts,
    Volumes,
    Template,
    Groups,
    Queues,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Hosts, Self::Volumes, Self::Template, Self::Groups, Self::Queues];
}

/// All is gone but what a person protected, which goes on costing money.
fn protected(kept: &BTreeSet<InstanceId>, guarded: &BTreeSet<InstanceId>) -> Failure {
    let ids: Vec<&str> = kept.iter().map(InstanceId::as_str).collect();
    let things = ids.iter().map(|id| Thing { kind: "instance".to_owned(), id: (*id).to_owned() }).collect();
    let (n, list) = (ids.len(), ids.join(", "));
    let mut failure =
        Failure::new(Exit::Residue, format!("all is gone but {}, left running: {list}", count(n, "protected host")))
            .leaving(Residue::Remaining(things));
    if let Some(first) = kept.difference(guarded).next() {
        failure = failure.hint(format!("fleetwright protect {first} --off && fleetwright down"));
    }
    if let Some(first) = guarded.first() {
        failure = failure
            .hint(format!("aws ec2 modify-instance-attribute --instance-id {first} --no-disable-api-termination"))
            .hint("fleetwright down     # once EC2's own termination protection is off");
    }
    failure
}

/// Snapshots that none of these images holds. While an image is being made nobody can tell.
#[must_use]
pub fn loose(snapshots: Vec<Snapshot>, images: &[Image]) -> Vec<Snapshot> {
    let held = |snapshot: &Snapshot| {
        images.iter().any(|image| image.state == ImageState::Pending || image.snapshots.contains(&snapshot.id))
    };
    snapshots.into_iter().filter(|snapshot| !held(snapshot)).collect()
}

fn told(n: usize, some: &str, none: &str) -> Done {
    if n == 0 { Done::unchanged(json!({ "n": 0 }), none) } else { Done::new(json!({ "n": n }), format!("{n} {some}")) }
}
