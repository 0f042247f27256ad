//! Where moto is not as AWS is, by name. The rehearsal cloud must be as AWS is in all of it; a gap of moto's that starts to
//! work, and a point outside the list that stops working, both fail.

use super::{Site, TYPES, all, first};
use crate::env::Cloud;
use std::collections::BTreeSet;

/// What moto 5.2.1 is known to do otherwise.
const GAPS: [&str; 24] = [
    "create-fleet-honours-client-tokens",
    "create-image-tags-snapshots",
    "create-tags-refuses-unknown-ids",
    "deleted-templates-are-not-found",
    "deregistered-images-are-not-found",
    "filter-client-token",
    "group-names-are-unique",
    "groups-do-instance-refreshes",
    "groups-log-what-they-launch",
    "groups-with-instances-are-not-deleted",
    "image-names-are-unique",
    "images-are-pending-first",
    "instances-are-pending-first",
    "malformed-ids-have-a-code-of-their-own",
    "no-action-starts-in-the-past",
    "pages-count-instances",
    "protection-can-be-asked-for-at-launch",
    "roots-have-the-size-of-their-snapshot",
    "run-instances-honours-client-tokens",
    "sizes-leave-the-mixed-policy",
    "source-versions-are-merged",
    "spot-instances-have-a-request",
    "terminated-instances-do-not-start",
    "unknown-filters-are-errors",
];

/// A point on which a cloud is as AWS is, or not.
type Point = fn(&Site) -> bool;

const POINTS: [(&str, Point); 32] = [
    ("create-fleet-honours-client-tokens", |site| {
        let form = fleet(site, "fleet-token");
        first(&site.done(&form), "fleetId") == first(&site.done(&form), "fleetId")
    }),
    ("create-fleet-takes-template-tags", |site| {
        let made = first(&first(&site.done(&fleet(site, "")), "instanceIds"), "item");
        shown(site, &made).contains("<key>from-template</key>")
    }),
    ("create-image-tags-snapshots", |site| {
        let form = format!(
            "Action=CreateImage&InstanceId={}&Name=tagged&TagSpecification.1.ResourceType=snapshot&\
             TagSpecification.1.Tag.1.Key=mark&TagSpecification.1.Tag.1.Value=x",
            running(site)
        );
        let made = site.ask(&form).0 == 200;
        made && site.done("Action=DescribeSnapshots&Filter.1.Name=tag:mark&Filter.1.Value.1=x").contains("<snapshotId>")
    }),
    ("create-tags-refuses-unknown-ids", |site| {
        let form = "Action=CreateTags&ResourceId.1=i-0fffffffffffffff1&Tag.1.Key=a&Tag.1.Value=b";
        refused(site, form, "InvalidInstanceID.NotFound")
    }),
    ("deleted-templates-are-not-found", |site| {
        let id = template(site, "deleted");
        site.done(&format!("Action=DeleteLaunchTemplate&LaunchTemplateId={id}"));
        let form = format!("Action=DescribeLaunchTemplates&LaunchTemplateId.1={id}");
        refused(site, &form, "InvalidLaunchTemplateId.NotFound")
    }),
    ("deregistered-images-are-not-found", |site| {
        let id = image(site, "deregistered");
        site.done(&format!("Action=DeregisterImage&ImageId={id}"));
        refused(site, &format!("Action=DescribeImages&ImageId.1={id}"), "InvalidAMIID.NotFound")
    }),
    ("dry-runs-change-nothing", |site| {
        let (status, body) = site.ask(&format!("{}&DryRun=true", site.launch()));
        status == 412 && body.contains("<Code>DryRunOperation</Code>")
    }),
    ("filter-client-token", |site| {
        let made = site.done(&format!("{}&ClientToken=filtered", site.launch()));
        let (status, found) = site.ask("Action=DescribeInstances&Filter.1.Name=client-token&Filter.1.Value.1=filtered");
        status == 200 && all(&found, "instanceId") == all(&made, "instanceId")
    }),
    ("group-names-are-unique", |site| {
        let form = grouped(site, "twice", 0);
        grouping(site, &form).0 == 200 && refused_of(&grouping(site, &form), "AlreadyExists")
    }),
    ("groups-do-instance-refreshes", |site| {
        grouping(site, &grouped(site, "refreshed", 0));
        grouping(site, "Action=StartInstanceRefresh&AutoScalingGroupName=refreshed").0 == 200
    }),
    ("groups-log-what-they-launch", |site| {
        grouping(site, &grouped(site, "logged", 1));
        let log = grouping(site, "Action=DescribeScalingActivities&AutoScalingGroupName=logged");
        log.0 == 200 && log.1.contains("Launching a new EC2 instance")
    }),
    ("groups-with-instances-are-not-deleted", |site| {
        grouping(site, &grouped(site, "kept", 1));
        refused_of(&grouping(site, "Action=DeleteAutoScalingGroup&AutoScalingGroupName=kept"), "ResourceInUse")
    }),
    ("image-names-are-unique", |site| {
        image(site, "twice");
        let form = format!("Action=CreateImage&InstanceId={}&Name=twice", running(site));
        refused(site, &form, "InvalidAMIName.Duplicate")
    }),
    ("images-are-pending-first", |site| {
        let id = image(site, "pending");
        let found = site.done(&format!("Action=DescribeImages&ImageId.1={id}"));
        found.contains("<imageState>pending</imageState>")
    }),
    ("instances-are-pending-first", |site| {
        let id = site.instance();
        site.state(&id) == "pending"
    }),
    ("launch-template-names-are-unique", |site| {
        template(site, "unique");
        let form = format!(
            "Action=CreateLaunchTemplate&LaunchTemplateName=unique&LaunchTemplateData.InstanceType={}",
            TYPES[0]
        );
        refused(site, &form, "InvalidLaunchTemplateName.AlreadyExistsException")
    }),
    ("malformed-ids-have-a-code-of-their-own", |site| {
        refused(site, "Action=DescribeInstances&InstanceId.1=i-nonsense", "InvalidInstanceID.Malformed")
    }),
    ("max-results-and-ids-exclude-each-other", |site| {
        let form = format!("Action=DescribeInstances&MaxResults=5&InstanceId.1={}", site.instance());
        refused(site, &form, "InvalidParameterCombination")
    }),
    ("no-action-starts-in-the-past", |site| {
        grouping(site, &grouped(site, "scheduled", 0));
        let form = "Action=PutScheduledUpdateGroupAction&AutoScalingGroupName=scheduled&ScheduledActionName=late\
                    &StartTime=2020-01-01T00:00:00Z&MinSize=0";
        refused_of(&grouping(site, form), "ValidationError")
    }),
    ("pages-count-instances", |site| {
        let made = site.done(&site.launch().replace("Count=1", "Count=7"));
        let reservation = first(&made, "reservationId");
        let form = format!(
            "Action=DescribeInstances&MaxResults=5&Filter.1.Name=reservation-id&Filter.1.Value.1={reservation}"
        );
        let (status, page) = site.ask(&form);
        status == 200 && all(&page, "amiLaunchIndex").len() == 5 && page.contains("<nextToken>")
    }),
    ("protected-instances-are-not-terminated", |site| {
        let id = site.instance();
        site.done(&format!("Action=ModifyInstanceAttribute&InstanceId={id}&DisableApiTermination.Value=true"));
        refused(site, &format!("Action=TerminateInstances&InstanceId.1={id}"), "OperationNotPermitted")
    }),
    ("protection-can-be-asked-for-at-launch", |site| {
        let id = first(&site.done(&format!("{}&DisableApiTermination=true", site.launch())), "instanceId");
        refused(site, &format!("Action=TerminateInstances&InstanceId.1={id}"), "OperationNotPermitted")
    }),
    ("roots-have-the-size-of-their-snapshot", |site| {
        let device = first(&site.done(&format!("Action=DescribeImages&ImageId.1={}", site.image)), "rootDeviceName");
        let root = "BlockDeviceMapping.1";
        site.ask(&format!("{}&{root}.DeviceName={device}&{root}.Ebs.VolumeType=gp3", site.launch())).0 == 200
    }),
    ("run-instances-honours-client-tokens", |site| {
        let form = format!("{}&ClientToken=run-token", site.launch());
        first(&site.done(&form), "instanceId") == first(&site.done(&form), "instanceId")
    }),
    ("run-instances-takes-template-tags", |site| {
        let id = template(site, "tags");
        let form = format!("Action=RunInstances&MinCount=1&MaxCount=1&LaunchTemplate.LaunchTemplateId={id}");
        let made = first(&site.done(&form), "instanceId");
        shown(site, &made).contains("<key>from-template</key>")
    }),
    ("sizes-leave-the-mixed-policy", |site| {
        let policy = "MixedInstancesPolicy.LaunchTemplate";
        let form =
            grouped(site, "mixed", 0).replace("&LaunchTemplate.", &format!("&{policy}.LaunchTemplateSpecification."));
        grouping(site, &format!("{form}&{policy}.Overrides.member.1.InstanceType={}", TYPES[0]));
        grouping(site, "Action=UpdateAutoScalingGroup&AutoScalingGroupName=mixed&MaxSize=1");
        let found = grouping(site, "Action=DescribeAutoScalingGroups&AutoScalingGroupNames.member.1=mixed");
        found.1.contains("<MixedInstancesPolicy>")
    }),
    ("source-versions-are-merged", |site| {
        let id = template(site, "merged");
        let form = format!(
            "Action=CreateLaunchTemplateVersion&LaunchTemplateId={id}&SourceVersion=1&LaunchTemplateData.InstanceType={}",
            TYPES[1]
        );
        site.done(&form).contains(&site.image)
    }),
    ("spot-instances-have-a-request", |site| {
        let made = site.done(&format!("{}&InstanceMarketOptions.MarketType=spot", site.launch()));
        made.contains("<instanceLifecycle>spot</instanceLifecycle>") && made.contains("<spotInstanceRequestId>")
    }),
    ("terminate-is-all-or-nothing", |site| {
        let id = site.instance();
        let form = format!("Action=TerminateInstances&InstanceId.1={id}&InstanceId.2=i-0fffffffffffffff1");
        refused(site, &form, "InvalidInstanceID.NotFound") && ["pending", "running"].contains(&site.state(&id).as_str())
    }),
    ("terminated-instances-do-not-start", |site| {
        let id = site.instance();
        site.done(&format!("Action=TerminateInstances&InstanceId.1={id}"));
        refused(site, &format!("Action=StartInstances&InstanceId.1={id}"), "IncorrectInstanceState")
    }),
    ("unknown-filters-are-errors", |site| {
        let form = "Action=DescribeInstances&Filter.1.Name=no-such-filter&Filter.1.Value.1=x";
        refused(site, form, "InvalidParameterValue")
    }),
    ("unknown-instances-are-not-found", |site| {
        refused(site, "Action=DescribeInstances&InstanceId.1=i-0fffffffffffffff1", "InvalidInstanceID.NotFound")
    }),
];

/// Holds both clouds to the list.
pub(super) fn check(cloud: &Cloud, reference: &Site, moto: &Site) {
    let otherwise = |site: &Site| -> BTreeSet<&str> {
        POINTS.iter().filter(|(_, point)| !point(site)).map(|(name, _)| *name).collect()
    };
    // A clock that stands still shows passing states for as long as one looks.
    let began = |running: &Site| {
        let template = running.instance();
        cloud.control("POST", "clock", &serde_json::json!({ "advance": "20s" }));
        assert_eq!(running.state(&template), "running");
    };
    cloud.control("POST", "clock", &serde_json::json!({ "hold": true }));
    began(reference);
    assert_eq!(otherwise(reference), BTreeSet::new(), "the rehearsal cloud is not as AWS is");
    let (found, named) = (otherwise(moto), BTreeSet::from(GAPS));
    let new: Vec<_> = found.difference(&named).collect();
    let closed: Vec<_> = named.difference(&found).collect();
    assert!(
        new.is_empty() && closed.is_empty(),
        "gaps of moto that no list names: {new:?}; gaps that are closed, to be taken off the list: {closed:?}"
    );
}

/// Whether a call is refused with this code.
fn refused(site: &Site, form: &str, code: &str) -> bool {
    refused_of(&site.ask(form), code)
}

fn refused_of((status, body): &(u16, String), code: &str) -> bool {
    (400..500).contains(status) && body.contains(&format!("<Code>{code}</Code>"))
}

/// One call to Auto Scaling.
fn grouping(site: &Site, form: &str) -> (u16, String) {
    crate::env::call_to("autoscaling", &site.authority, &format!("{form}&Version=2011-01-01"))
}

/// The making of a group of this size.
fn grouped(site: &Site, name: &str, size: u32) -> String {
    let id = template(site, &format!("group-{name}"));
    format!(
        "Action=CreateAutoScalingGroup&AutoScalingGroupName={name}&LaunchTemplate.LaunchTemplateId={id}\
         &LaunchTemplate.Version=1&MinSize=0&MaxSize=2&DesiredCapacity={size}&VPCZoneIdentifier={}",
        site.subnets[0]
    )
}

fn shown(site: &Site, instance: &str) -> String {
    site.done(&format!("Action=DescribeInstances&InstanceId.1={instance}"))
}

/// An instance that runs already.
fn running(site: &Site) -> String {
    let form = "Action=DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=running";
    first(&site.done(form), "instanceId")
}

/// A new image.
fn image(site: &Site, name: &str) -> String {
    first(&site.done(&format!("Action=CreateImage&InstanceId={}&Name={name}", running(site))), "imageId")
}

/// A new launch template whose instances carry the tag `from-template`.
fn template(site: &Site, name: &str) -> String {
    let data = "LaunchTemplateData";
    let form = format!(
        "Action=CreateLaunchTemplate&LaunchTemplateName={name}&{data}.ImageId={}&{data}.InstanceType={}&\
         {data}.TagSpecification.1.ResourceType=instance&{data}.TagSpecification.1.Tag.1.Key=from-template&\
         {data}.TagSpecification.1.Tag.1.Value=yes",
        site.image, TYPES[0]
    );
    first(&site.done(&form), "launchTemplateId")
}

/// An instant fleet of one instance from a template of its own.
fn fleet(site: &Site, token: &str) -> String {
    let id = template(site, &format!("fleet-{}", if token.is_empty() { "plain" } else { token }));
    let token = if token.is_empty() { String::new() } else { format!("&ClientToken={token}") };
    let specification = "LaunchTemplateConfigs.1.LaunchTemplateSpecification";
    format!(
        "Action=CreateFleet&Type=instant&{specification}.LaunchTemplateId={id}&{specification}.Version=1&\
         LaunchTemplateConfigs.1.Overrides.1.SubnetId={}&TargetCapacitySpecification.TotalTargetCapacity=1&\
         TargetCapacitySpecification.DefaultTargetCapacityType=on-demand{token}",
        site.subnets[0]
    )
}
