//! Ground truth for the control port: everything as it is, whoever can see it.

use super::Ec2;
use super::cost::{dollars, so_far};
use super::records::{Fleet, Image, Instance, Making, Origin, Snapshot, Template, Volume};
use jiff::Timestamp;
use serde_json::{Value, json};

fn made(making: Making, done: &'static str) -> &'static str {
    match making {
        Making::Pending => "pending",
        Making::Done => done,
        Making::Failed => "failed",
    }
}

impl Ec2 {
    /// The whole world; instances that ended stay in it for ever. `cost_usd` is what calls have made, without the
    /// template and the decoys, which cost the same with or without us.
    pub(crate) fn world(&self, now: Timestamp) -> Value {
        let ours = |instance: &&Instance| matches!(instance.origin, Origin::Call(_));
        let cost: u64 = self.instances.ever().filter(ours).map(|instance| so_far(instance, now)).sum();
        json!({
            "account": self.account,
            "region": self.region,
            "vpc": self.network.vpc,
            "instances": self.instances.ever().map(|one| self.instance_truth(one, now)).collect::<Vec<_>>(),
            "images": self.images.all().map(image_truth).collect::<Vec<_>>(),
            "snapshots": self.snapshots.all().map(snapshot_truth).collect::<Vec<_>>(),
            "launch_templates": self.templates.all().map(template_truth).collect::<Vec<_>>(),
            "volumes": self.volumes.all().map(volume_truth).collect::<Vec<_>>(),
            "subnets": self.network.subnets.all().map(|subnet| json!({
                "id": subnet.id, "zone": subnet.zone, "free_addresses": self.network.free(subnet), "tags": subnet.tags,
            })).collect::<Vec<_>>(),
            "fleets": self.fleets.all().map(fleet_truth).collect::<Vec<_>>(),
            "cost_usd": dollars(cost),
        })
    }

    fn instance_truth(&self, instance: &Instance, now: Timestamp) -> Value {
        json!({
            "id": instance.id,
            "state": instance.state.word(),
            "state_reason": instance.reason.as_ref().map(|reason| reason.code.clone()),
            "type": instance.instance_type,
            "zone": instance.zone,
            "subnet": instance.subnet,
            "vpc": self.network.vpc,
            "market": instance.market.word(),
            "pool": format!("{}/{}/{}", instance.market.word(), instance.instance_type, instance.zone),
            "image": instance.image,
            "tags": instance.tags,
            "launched": instance.launched,
            "ended": instance.ended,
            "private_ip": instance.address,
            "network_interface": instance.interface.id,
            "volumes": instance.devices.iter().map(|device| &device.volume).collect::<Vec<_>>(),
            "security_groups": instance.groups,
            "key_name": instance.key,
            "instance_profile": instance.profile,
            "metadata_options": {
                "http_tokens": instance.metadata.tokens,
                "hop_limit": instance.metadata.hops,
                "instance_metadata_tags": instance.metadata.tags,
            },
            "shutdown_behavior": instance.shutdown,
            "protected": instance.guard.terminate,
            "owner": instance.origin.word(),
            "token": instance.token,
            "reservation": instance.reservation,
            "fleet": instance.fleet,
            "interrupted_at": instance.notice,
            "cost_usd": dollars(so_far(instance, now)),
        })
    }
}

fn image_truth(image: &Image) -> Value {
    json!({
        "id": image.id, "name": image.name, "state": made(image.made, "available"), "owner": image.owner,
        "created": image.created, "source": image.source, "tags": image.tags,
        "copied_from": image.source_image.as_ref().filter(|_| image.source.is_none()).map(|(id, _)| id),
        "encrypted": image.devices.iter().all(|device| device.encrypted),
        "snapshots": image.devices.iter().filter_map(|device| device.snapshot.as_ref()).collect::<Vec<_>>(),
    })
}

fn snapshot_truth(snapshot: &Snapshot) -> Value {
    json!({
        "id": snapshot.id, "state": made(snapshot.made, "completed"), "image": snapshot.image, "volume": snapshot.volume,
        "size_gib": snapshot.size, "started": snapshot.started, "tags": snapshot.tags, "encrypted": snapshot.encrypted,
    })
}

fn template_truth(template: &Template) -> Value {
    let versions: Vec<Value> = template
        .versions
        .iter()
        .map(|version| {
            json!({
                "number": version.number, "description": version.description, "created": version.created,
                "image": version.data.text("ImageId"), "instance_type": version.data.text("InstanceType"),
            })
        })
        .collect();
    json!({
        "id": template.id, "name": template.name, "created": template.created, "default": template.default,
        "latest": template.latest(), "versions": versions, "tags": template.tags,
    })
}

fn volume_truth(volume: &Volume) -> Value {
    json!({
        "id": volume.id, "zone": volume.zone, "size_gib": volume.size, "type": volume.kind, "encrypted": volume.encrypted,
        "state": if volume.attached.is_some() { "in-use" } else { "available" },
        "instance": volume.attached.as_ref().map(|(instance, ..)| instance),
        "delete_on_termination": volume.attached.as_ref().map(|(_, _, ends, _)| ends),
        "owner": volume.origin.word(), "tags": volume.tags,
    })
}

fn fleet_truth(fleet: &Fleet) -> Value {
    json!({
        "id": fleet.id, "state": fleet.state, "token": fleet.token, "created": fleet.created, "target": fleet.total,
        "instances": fleet.instances().collect::<Vec<_>>(), "tags": fleet.tags,
    })
}
