//! CreateSnapshot, DescribeSnapshots, DeleteSnapshot.

use super::agenda::Due;
use super::filter::Filters;
use super::network::done;
use super::page::{Bounds, page};
use super::power::ok;
use super::records::{Making, Snapshot};
use super::spec::tags_for;
use super::tag::specifications;
use super::{Ask, Ec2, ids, when, write_tags};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;
use jiff::{SignedDuration, Timestamp};

/// How long a snapshot of one volume takes.
const TAKES: SignedDuration = SignedDuration::from_secs(30);

const KNOWN: [&str; 10] = [
    "snapshot-id",
    "status",
    "volume-id",
    "volume-size",
    "description",
    "owner-id",
    "encrypted",
    "start-time",
    "progress",
    "tag",
];

fn status(snapshot: &Snapshot) -> &'static str {
    match snapshot.made {
        Making::Pending => "pending",
        Making::Done => "completed",
        Making::Failed => "error",
    }
}

/// Grows evenly from the start to the end; a snapshot that is not done never shows 100 %.
fn progress(snapshot: &Snapshot, now: Timestamp) -> String {
    let percent = match snapshot.made {
        Making::Done => 100,
        Making::Pending | Making::Failed => {
            let whole = snapshot.due.duration_since(snapshot.started).as_secs().max(1);
            (now.duration_since(snapshot.started).as_secs() * 100 / whole).clamp(0, 99)
        }
    };
    format!("{percent}%")
}

/// One snapshot, as CreateSnapshot and DescribeSnapshots give it.
fn write(xml: &mut Xml, snapshot: &Snapshot, now: Timestamp) {
    let failed = snapshot.made == Making::Failed;
    xml.text("snapshotId", &snapshot.id)
        .text("volumeId", &snapshot.volume)
        .text("status", status(snapshot))
        .opt("statusMessage", failed.then_some("An internal error occurred"))
        .text("startTime", when(snapshot.started))
        .opt("completionTime", (snapshot.made == Making::Done).then(|| when(snapshot.due)))
        .text("progress", progress(snapshot, now))
        .text("ownerId", &snapshot.owner)
        .text("volumeSize", snapshot.size)
        .text("description", &snapshot.description)
        .text("encrypted", snapshot.encrypted)
        .text("storageTier", "standard");
    write_tags(xml, &snapshot.tags);
}

impl Ec2 {
    /// CreateSnapshot: of one volume, done half a minute later. There is no token, and each call makes another.
    pub(super) fn create_snapshot(&mut self, ask: &Ask) -> Handled {
        let id = ask.params.need("VolumeId")?;
        let seen = self.volumes.seen(id, &ask.eye).and_then(|_| self.volumes.get(id));
        let volume = seen.cloned().ok_or_else(|| ids::unknown("vol", id))?;
        let tags = specifications(&ask.params, &["snapshot"])?;
        let due = ask.now.saturating_add(TAKES).unwrap_or(Timestamp::MAX);
        let snapshot = Snapshot {
            id: self.ids.long("snap"),
            volume: volume.id,
            size: volume.size,
            owner: self.account.clone(),
            description: ask.params.string("Description").unwrap_or_default(),
            encrypted: volume.encrypted,
            started: ask.now,
            due,
            made: Making::Pending,
            image: String::new(),
            tags: tags_for(&tags, "snapshot"),
        };
        let mut xml = Xml::new();
        write(&mut xml, &snapshot, ask.now);
        let made = vec![snapshot.id.clone()];
        self.agenda.set(due, Due::Snapshot(snapshot.id.clone()));
        self.snapshots.insert(&made[0], ask.now, snapshot);
        Ok(Reply { body: xml.finish(), made, ..Reply::default() })
    }

    /// DescribeSnapshots.
    pub(super) fn describe_snapshots(&self, ask: &Ask) -> Handled {
        let filters = Filters::read(&ask.params, &KNOWN)?;
        let wanted = ask.wanted("SnapshotId", "snap", |id| self.snapshots.seen(id, &ask.eye).is_some())?;
        ask.not_paged(&wanted, "snapshotSet")?;
        let owners = ask.params.texts("Owner");
        let found = self.snapshots.all_seen(&ask.eye).filter(|(_, snapshot)| {
            wanted.takes(&snapshot.id)
                && self.owned(&snapshot.owner, &owners)
                && filters.pass(&snapshot.tags, |name| {
                    vec![match name {
                        "snapshot-id" => snapshot.id.clone(),
                        "status" => status(snapshot).to_owned(),
                        "volume-id" => snapshot.volume.clone(),
                        "volume-size" => snapshot.size.to_string(),
                        "description" => snapshot.description.clone(),
                        "owner-id" => snapshot.owner.clone(),
                        "encrypted" => snapshot.encrypted.to_string(),
                        "start-time" => when(snapshot.started),
                        _ => progress(snapshot, ask.now),
                    }]
                })
        });
        let page = page(&ask.params, "DescribeSnapshots", Bounds(5, 1000), found)?;
        let mut xml = Xml::new();
        xml.list("snapshotSet", &page.items, |xml, snapshot| write(xml, snapshot, ask.now));
        Ok(done(xml, page.next))
    }

    /// Refused while an image rests on it.
    pub(super) fn delete_snapshot(&mut self, ask: &Ask) -> Handled {
        let id = ask.params.need("SnapshotId")?;
        let seen = self.snapshots.seen(id, &ask.eye).and_then(|_| self.snapshots.get(id));
        let snapshot = seen.ok_or_else(|| ids::unknown("snap", id))?;
        if snapshot.owner != self.account {
            return Err(ApiError::new("OperationNotPermitted", format!("You are not the owner of snapshot '{id}'")));
        }
        let image = snapshot.image.clone();
        if self.images.get(&image).is_some() {
            return Err(ApiError::new(
                "InvalidSnapshot.InUse",
                format!("The snapshot {id} is currently in use by {image}"),
            ));
        }
        self.snapshots.remove(id, ask.now);
        self.forget_if_gone(&image);
        Ok(Reply { ended: vec![id.to_owned()], ..ok() })
    }

    /// An image's body may go once the image, its copies and all their snapshots are gone.
    pub(super) fn forget_if_gone(&self, image: &str) {
        let body = |id: &str| self.images.ever().find(|image| image.id == id).map(|image| image.body.as_str());
        let Some(gone) = body(image) else { return };
        let rests = self.images.all().any(|image| image.body == gone)
            || self.snapshots.all().any(|snapshot| body(&snapshot.image) == Some(gone));
        if !rests {
            self.hosts.forget_image(gone);
        }
    }

    /// Whether an owner is among those asked for.
    pub(super) fn owned(&self, owner: &str, owners: &[String]) -> bool {
        owners.is_empty()
            || owners.iter().any(|word| match word.as_str() {
                "self" => owner == self.account,
                "amazon" => owner == "amazon" || owner == super::image::AMAZON,
                other => owner == other,
            })
    }
}
