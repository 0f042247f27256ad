//! What hosts leave behind: volumes, launch template, queues, images; and the second look that says it is all gone.

use super::Steps;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::gate::Candidate;
use crate::model::{FaultKind, Image, Residue, Tags, Thing};
use crate::plan::launch::template_name;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::time::Duration;

/// How long the second look waits for things that are on their way out.
const PATIENCE: SignedDuration = SignedDuration::from_mins(15);

impl Steps {
    /// Deletes volumes of ours that outlived their hosts.
    pub(super) async fn delete_volumes(&self, step: &str) -> Result<Done, Failure> {
        let read_at = self.clock.now();
        let volumes = self
            .read("list this fleet's volumes", async || self.clients.volumes_of_fleet(&self.fleet.name).await)
            .await?;
        let free: Vec<_> = volumes.into_iter().filter(|volume| volume.state == "available").collect();
        let mut deleted = 0;
        for volume in &free {
            match self.delete_one(step, volume.id.as_str(), &volume.tags, read_at, "volume").await? {
                Some(n) => deleted += n,
                None => return Box::pin(self.delete_volumes(step)).await,
            }
        }
        Ok(told(deleted, "volumes deleted", "no volume is left"))
    }

    /// Deletes the fleet's launch template.
    pub(super) async fn delete_template(&self, step: &str) -> Result<Done, Failure> {
        let name = template_name(self.fleet.name.as_str());
        let read_at = self.clock.now();
        let found = self.read("read the launch template", async || self.clients.launch_template(&name).await).await?;
        let deleted = match found {
            Some(template) => {
                match self.delete_one(step, template.id.as_str(), &template.tags, read_at, "launch-template").await? {
                    Some(n) => n,
                    None => return Box::pin(self.delete_template(step)).await,
                }
            }
            None => 0,
        };
        Ok(told(deleted, "launch template deleted", "no launch template is there"))
    }

    /// Deletes queues that runs of ours made (canaries that were cut short); the job's own queue is its owner's.
    pub(super) async fn delete_queues(&self, step: &str) -> Result<Done, Failure> {
        let prefix = format!("fleetwright-{}-canary-", self.fleet.name);
        let queues = self.read("list queues of ours", async || self.clients.queues_with_prefix(&prefix).await).await?;
        let mut deleted = 0;
        for url in queues {
            let read_at = self.clock.now();
            let tags = self.read("read a queue's tags", async || self.clients.queue_tags(&url).await).await?;
            match self.delete_one(step, &url, &tags, read_at, "queue").await? {
                Some(n) => deleted += n,
                None => return Box::pin(self.delete_queues(step)).await,
            }
        }
        Ok(told(deleted, "queues deleted", "no queue of ours is there"))
    }

    /// Ends images beyond the newest `keep` that no host of ours was started from.
    pub(super) async fn end_images(&self, step: &str, keep: u32) -> Result<Done, Failure> {
        let read_at = self.clock.now();
        let mut images = self
            .read("list this fleet's images", async || self.clients.images_of_fleet(&self.fleet.name).await)
            .await?;
        images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.name.cmp(&a.name)));
        let hosts = self
            .read("list this fleet's hosts", async || self.clients.instances_of_fleet(&self.fleet.name).await)
            .await?;
        let used = |image: &Image| hosts.iter().any(|host| host.state.live() && host.image == image.id);
        let keep = usize::try_from(keep).unwrap_or(usize::MAX);
        let mut ended = 0;
        for image in images.iter().skip(keep).filter(|image| !used(image)) {
            match self.delete_one(step, image.id.as_str(), &image.tags, read_at, "image").await? {
                Some(n) => ended += n,
                None => return Box::pin(self.end_images(step, u32::try_from(keep).unwrap_or(u32::MAX))).await,
            }
            for snapshot in &image.snapshots {
                // The image's tags, read moments ago, are its snapshots' from birth.
                let now = self.clock.now();
                self.delete_one(step, snapshot.as_str(), &image.tags, now, "snapshot").await?;
            }
        }
        Ok(told(ended, "images ended, with their snapshots", "no image is beyond those kept"))
    }

    /// Passes one thing through the gate and deletes it. Gone already and kept back count as not deleted, the latter is told.
    /// `None` when its tags were read too long ago: the caller reads again.
    async fn delete_one(
        &self,
        step: &str,
        id: &str,
        tags: &Tags,
        read_at: jiff::Timestamp,
        kind: &str,
    ) -> Result<Option<u32>, Failure> {
        let candidate = Candidate { id: id.to_owned(), tags: tags.clone(), termination_protected: false };
        let Some(passed) = self.gate(vec![candidate], read_at)? else { return Ok(None) };
        for (id, reason) in &passed.kept {
            self.events.warn(format!("{kind} {id} is left alone: {reason}"));
        }
        let Some(owned) = passed.owned else { return Ok(Some(0)) };
        let what = format!("delete {kind} {id}");
        let clients = &self.clients;
        let sent = self
            .change(
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
                    Ok((vec![id.to_owned()], Value::Null))
                },
            )
            .await;
        match sent {
            Ok(_) => Ok(Some(1)),
            Err(failure) => match failure.fault.as_ref().map(|fault| fault.kind) {
                Some(FaultKind::Gone | FaultKind::NotYetVisible) => Ok(Some(0)),
                _ => Err(failure),
            },
        }
    }

    /// Everything of ours that still costs money or blocks a name, images and their snapshots apart.
    async fn remaining(&self) -> Result<Vec<Thing>, Failure> {
        let thing = |kind: &str, id: String| Thing { kind: kind.to_owned(), id };
        let name = &self.fleet.name;
        let mut things = Vec::new();
        for host in self.read("look at hosts", async || self.clients.instances_of_fleet(name).await).await? {
            if host.state != crate::model::InstanceState::Terminated {
                things.push(thing("instance", host.id.to_string()));
            }
        }
        for volume in self.read("look at volumes", async || self.clients.volumes_of_fleet(name).await).await? {
            things.push(thing("volume", volume.id.to_string()));
        }
        let template = template_name(name.as_str());
        if let Some(found) =
            self.read("look at the launch template", async || self.clients.launch_template(&template).await).await?
        {
            things.push(thing("launch-template", found.id.to_string()));
        }
        let prefix = format!("fleetwright-{name}-canary-");
        for url in self.read("look at queues", async || self.clients.queues_with_prefix(&prefix).await).await? {
            things.push(thing("queue", url));
        }
        Ok(things)
    }

    /// Looks until two looks in a row find nothing.
    pub(super) async fn sweep(&self, step: &str) -> Result<Done, Failure> {
        let deadline = self.clock.now() + PATIENCE;
        let mut clean = 0;
        loop {
            let things = self.remaining().await?;
            clean = if things.is_empty() { clean + 1 } else { 0 };
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
            self.pause(Duration::from_secs(10)).await?;
        }
    }
}

fn told(n: u32, some: &str, none: &str) -> Done {
    if n == 0 { Done::unchanged(json!({ "n": 0 }), none) } else { Done::new(json!({ "n": n }), format!("{n} {some}")) }
}
