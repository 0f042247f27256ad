//! Volumes and snapshots: looked up, deleted.

use super::Clients;
use super::convert::{filter, need, pages, read, tags};
use super::exact::{capture, send};
use super::images::one;
use crate::gate::OwnedIds;
use crate::journal::{Draft, Permit};
use crate::model::{Fault, FleetName, InstanceId, SnapshotId, Tags, VolumeId, tags as keys};

const DELETE_VOLUME: &str = "DeleteVolume";
const DELETE_SNAPSHOT: &str = "DeleteSnapshot";

/// One EBS volume: billed until deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// `vol-...`
    pub id: VolumeId,
    /// EC2's word: `creating`, `available`, `in-use`, `deleting`, `deleted`, `error`.
    pub state: String,
    /// The instances it is attached to.
    pub attached_to: Vec<InstanceId>,
    /// All its tags.
    pub tags: Tags,
}

/// One EBS snapshot: billed until deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// `snap-...`
    pub id: SnapshotId,
    /// EC2's word: `pending`, `completed`, `error`, `recoverable`, `recovering`.
    pub state: String,
    /// All its tags.
    pub tags: Tags,
}

impl Clients {
    /// Every volume that carries the fleet's tag.
    pub async fn volumes_of_fleet(&self, fleet: &FleetName) -> Result<Vec<Volume>, Fault> {
        const ACTION: &str = "DescribeVolumes";
        let wanted = filter(&format!("tag:{}", keys::FLEET), [fleet.as_str()]);
        let raw = pages(ACTION, |token| {
            let call = self.ec2().describe_volumes().filters(wanted.clone()).max_results(500).set_next_token(token);
            async {
                let answer = read(ACTION, call.send()).await?;
                Ok((answer.volumes.unwrap_or_default(), answer.next_token))
            }
        });
        let volume = |raw: aws_sdk_ec2::types::Volume| {
            Ok(Volume {
                state: raw.state.as_ref().map_or("unknown", |state| state.as_str()).to_owned(),
                attached_to: raw.attachments().iter().filter_map(|at| at.instance_id()).map(Into::into).collect(),
                tags: tags(raw.tags()),
                id: VolumeId::new(need(ACTION, "volume id", raw.volume_id)?),
            })
        };
        raw.await?.into_iter().map(volume).collect()
    }

    /// Every snapshot of our account that carries the fleet's tag.
    pub async fn snapshots_of_fleet(&self, fleet: &FleetName) -> Result<Vec<Snapshot>, Fault> {
        const ACTION: &str = "DescribeSnapshots";
        let wanted = self.of_fleet(fleet);
        let raw = pages(ACTION, |token| {
            let call = self.ec2().describe_snapshots().owner_ids("self").set_filters(Some(wanted.clone()));
            let call = call.max_results(1000).set_next_token(token);
            async {
                let answer = read(ACTION, call.send()).await?;
                Ok((answer.snapshots.unwrap_or_default(), answer.next_token))
            }
        });
        let snapshot = |raw: aws_sdk_ec2::types::Snapshot| {
            Ok(Snapshot {
                state: raw.state.as_ref().map_or("unknown", |state| state.as_str()).to_owned(),
                tags: tags(raw.tags()),
                id: SnapshotId::new(need(ACTION, "snapshot id", raw.snapshot_id)?),
            })
        };
        raw.await?.into_iter().map(snapshot).collect()
    }

    /// Drafts the end of one volume.
    ///
    /// # Errors
    ///
    /// `Invalid` unless there is exactly one id.
    pub async fn draft_delete_volume(&self, volume: &OwnedIds) -> Result<Draft, Fault> {
        let call = self.ec2().delete_volume().volume_id(one(DELETE_VOLUME, volume)?);
        capture(DELETE_VOLUME, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted volume; `Busy` while it is attached, `Gone` when it is deleted already.
    pub async fn delete_volume(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.ec2().delete_volume().customize();
        send(DELETE_VOLUME, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }

    /// Drafts the end of one snapshot.
    ///
    /// # Errors
    ///
    /// `Invalid` unless there is exactly one id.
    pub async fn draft_delete_snapshot(&self, snapshot: &OwnedIds) -> Result<Draft, Fault> {
        let call = self.ec2().delete_snapshot().snapshot_id(one(DELETE_SNAPSHOT, snapshot)?);
        capture(DELETE_SNAPSHOT, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Ends the drafted snapshot; `Busy` while an image uses it, `Gone` when it is deleted already.
    pub async fn delete_snapshot(&self, permit: &Permit) -> Result<(), Fault> {
        let call = self.ec2().delete_snapshot().customize();
        send(DELETE_SNAPSHOT, permit, |hook| call.interceptor(hook).send()).await.map(drop)
    }
}
