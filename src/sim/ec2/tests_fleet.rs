//! Launch templates and instant fleets, one test each rule.

use super::testing::{IMAGE, World, run, texts};
use crate::sim::seed::SeedPool;

type Pairs<'a> = Vec<(&'a str, &'a str)>;

fn template(world: &mut World) -> String {
    let asked = [
        ("LaunchTemplateName", "fleetwright-crawl"),
        ("LaunchTemplateData.ImageId", IMAGE),
        ("LaunchTemplateData.InstanceType", "m7i.large"),
        ("LaunchTemplateData.SecurityGroupId.1", "sg-workers"),
        ("LaunchTemplateData.MetadataOptions.HttpTokens", "required"),
        ("LaunchTemplateData.TagSpecification.1.ResourceType", "instance"),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Key", "fleet"),
        ("LaunchTemplateData.TagSpecification.1.Tag.1.Value", "crawl"),
        ("LaunchTemplateData.TagSpecification.2.ResourceType", "volume"),
        ("LaunchTemplateData.TagSpecification.2.Tag.1.Key", "fleet"),
        ("LaunchTemplateData.TagSpecification.2.Tag.1.Value", "crawl"),
        ("ClientToken", "lt"),
    ];
    let id = texts(&world.ok("CreateLaunchTemplate", &asked), "launchTemplateId").remove(0);
    assert_eq!(texts(&world.ok("CreateLaunchTemplate", &asked), "launchTemplateId")[0], id, "the token again");
    id
}

fn fleet<'a>(id: &'a str, total: &'a str, more: &[(&'a str, &'a str)]) -> Pairs<'a> {
    let mut pairs = vec![
        ("Type", "instant"),
        ("LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateId", id),
        ("LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version", "$Latest"),
        ("TargetCapacitySpecification.TotalTargetCapacity", total),
    ];
    pairs.extend(more);
    pairs
}

const TWO: [(&str, &str); 4] = [
    ("LaunchTemplateConfigs.1.Overrides.1.InstanceType", "m7i.large"),
    ("LaunchTemplateConfigs.1.Overrides.1.SubnetId", "subnet-aaa"),
    ("LaunchTemplateConfigs.1.Overrides.2.InstanceType", "m7a.large"),
    ("LaunchTemplateConfigs.1.Overrides.2.SubnetId", "subnet-bbb"),
];

fn ids(body: &str) -> Vec<String> {
    texts(body, "instanceIds").iter().flat_map(|set| texts(set, "item")).collect()
}

#[test]
fn versions_merge_move_and_go() {
    let mut world = World::new();
    let id = template(&mut world);
    let named = ("LaunchTemplateName", "fleetwright-crawl");
    let again = [named, ("LaunchTemplateData.ImageId", IMAGE)];
    assert_eq!(world.fails("CreateLaunchTemplate", &again).code, "InvalidLaunchTemplateName.AlreadyExistsException");
    let second =
        [named, ("SourceVersion", "1"), ("LaunchTemplateData.InstanceType", "m7a.large"), ("ClientToken", "v2")];
    for _ in 0..2 {
        let body = world.ok("CreateLaunchTemplateVersion", &second);
        assert!(body.contains("<versionNumber>2</versionNumber>"), "{body}");
        assert!(body.contains(IMAGE) && body.contains("<instanceType>m7a.large</instanceType>"), "{body}");
        assert!(body.contains("<securityGroupIdSet><item>sg-workers</item></securityGroupIdSet>"), "{body}");
    }
    let all = world.ok("DescribeLaunchTemplateVersions", &[named]);
    assert_eq!(texts(&all, "versionNumber"), ["2", "1"]);
    let alias = |word| [("LaunchTemplateId", id.as_str()), ("LaunchTemplateVersion.1", word)];
    for (word, number) in [("$Latest", "2"), ("$Default", "1"), ("1", "1")] {
        assert_eq!(texts(&world.ok("DescribeLaunchTemplateVersions", &alias(word)), "versionNumber"), [number]);
    }
    let error = world.fails("DescribeLaunchTemplateVersions", &alias("7"));
    assert_eq!(error.code, "InvalidLaunchTemplateId.VersionNotFound");
    world.ok("ModifyLaunchTemplate", &[("LaunchTemplateId", &id), ("SetDefaultVersion", "2")]);
    let gone =
        [named, ("LaunchTemplateVersion.1", "1"), ("LaunchTemplateVersion.2", "2"), ("LaunchTemplateVersion.3", "9")];
    let body = world.ok("DeleteLaunchTemplateVersions", &gone);
    assert_eq!(texts(&body, "versionNumber"), ["1", "2", "9"]);
    assert_eq!(texts(&body, "code"), ["unexpectedError", "launchTemplateVersionDoesNotExist"]);
    world.ok("DeleteLaunchTemplate", &[named]);
    assert_eq!(
        world.fails("DescribeLaunchTemplates", &[("LaunchTemplateId.1", &id)]).code,
        "InvalidLaunchTemplateId.NotFound"
    );
}

#[test]
fn a_launch_joins_template_and_call() {
    let mut world = World::new();
    let id = template(&mut world);
    let body = world.ok(
        "RunInstances",
        &[
            ("LaunchTemplate.LaunchTemplateId", &id),
            ("MinCount", "1"),
            ("MaxCount", "1"),
            ("InstanceType", "m7a.large"),
            ("MetadataOptions.InstanceMetadataTags", "enabled"),
            ("TagSpecification.1.ResourceType", "instance"),
            ("TagSpecification.1.Tag.1.Key", "intent"),
            ("TagSpecification.1.Tag.1.Value", "x"),
        ],
    );
    for part in [
        "m7a.large",
        IMAGE,
        "<key>fleet</key>",
        "<key>intent</key>",
        "<httpTokens>required</httpTokens>",
        "<instanceMetadataTags>enabled",
    ] {
        assert!(body.contains(part), "{part} in {body}");
    }
    let volumes = world.ok("DescribeVolumes", &[("Filter.1.Name", "tag:fleet"), ("Filter.1.Value.1", "crawl")]);
    assert_eq!(texts(&volumes, "attachmentSet").len(), 1);
    let wrong = world.fails("RunInstances", &run(&[("LaunchTemplate.LaunchTemplateName", "nobody")]));
    assert_eq!(wrong.code, "InvalidLaunchTemplateName.NotFoundException");
}

#[test]
fn an_instant_fleet_gives_what_there_is_and_says_what_not() {
    let mut world = World::with(|seed| {
        let dry = |kind: &str, market: &str, free| SeedPool {
            instance_type: kind.into(),
            zone: "*".into(),
            market: market.into(),
            free,
        };
        seed.pools = vec![dry("m7a.large", "spot", 3), dry("m7i.large", "spot", 0), dry("m7i.large", "on-demand", 9)];
    });
    let id = template(&mut world);
    let mut more = TWO.to_vec();
    more.extend([
        ("TargetCapacitySpecification.OnDemandTargetCapacity", "2"),
        ("TargetCapacitySpecification.DefaultTargetCapacityType", "spot"),
        ("ClientToken", "f"),
    ]);
    let asked = fleet(&id, "7", &more);
    let body = world.ok("CreateFleet", &asked);
    let made = ids(&body);
    assert_eq!(made.len(), 5, "{body}");
    assert_eq!(texts(&body, "errorCode"), ["InsufficientInstanceCapacity"; 2]);
    assert_eq!(ids(&world.ok("CreateFleet", &asked)), made);
    assert_eq!(world.made(), 5);
    let other = fleet(&id, "8", &more);
    assert_eq!(world.fails("CreateFleet", &other).code, "IdempotentParameterMismatch", "spent by a 200 with errors");
    let told = world.ok("DescribeInstances", &[("Filter.1.Name", "instance-lifecycle"), ("Filter.1.Value.1", "spot")]);
    assert_eq!(texts(&told, "spotInstanceRequestId").len(), 3);
    let fleet_id = texts(&body, "fleetId").remove(0);
    assert!(texts(&world.ok("DescribeFleets", &[]), "fleetId").is_empty(), "instant fleets are not listed");
    assert_eq!(texts(&world.ok("DescribeFleets", &[("FleetId.1", &fleet_id)]), "fleetId"), [fleet_id.as_str()]);
    world.ok("DeleteFleets", &[("FleetId.1", &fleet_id), ("TerminateInstances", "true")]);
    assert_eq!(world.state(&made[0]), "shutting-down");
    assert_eq!(world.fails("CreateFleet", &asked).code, "IdempotentInstanceTerminated");
}

#[test]
fn fleets_that_make_no_sense_are_refused() {
    let mut world = World::new();
    let id = template(&mut world);
    let same_zone = [TWO[0], TWO[1], TWO[2], ("LaunchTemplateConfigs.1.Overrides.2.SubnetId", "subnet-ccc")];
    assert_eq!(world.fails("CreateFleet", &fleet(&id, "2", &same_zone)).code, "InvalidFleetConfiguration");
    let tagged = [("TagSpecification.1.ResourceType", "spot-instances-request"), ("TagSpecification.1.Tag.1.Key", "a")];
    assert_eq!(world.fails("CreateFleet", &fleet(&id, "2", &tagged)).code, "InvalidParameterValue");
    let maintain = [("Type", "maintain")];
    assert_eq!(world.fails("CreateFleet", &fleet(&id, "2", &maintain)).code, "UnsupportedOperation");
    let over = [("TargetCapacitySpecification.SpotTargetCapacity", "3")];
    assert_eq!(world.fails("CreateFleet", &fleet(&id, "2", &over)).code, "InvalidParameterValue");
    assert_eq!(world.made(), 0);
}

#[test]
fn a_least_target_is_all_or_nothing_and_bids_count() {
    let mut world = World::with(|seed| {
        seed.pools = vec![SeedPool { instance_type: "*".into(), zone: "*".into(), market: "spot".into(), free: 3 }];
    });
    let id = template(&mut world);
    let spot = ("TargetCapacitySpecification.DefaultTargetCapacityType", "spot");
    let least =
        [spot, ("SpotOptions.MinTargetCapacity", "5"), ("SpotOptions.SingleInstanceType", "true"), TWO[0], TWO[1]];
    let body = world.ok("CreateFleet", &fleet(&id, "5", &least));
    assert!(ids(&body).is_empty() && body.contains("InsufficientInstanceCapacity"), "{body}");
    let bid = [spot, TWO[0], TWO[1], TWO[2], TWO[3], ("LaunchTemplateConfigs.1.Overrides.1.MaxPrice", "0.001")];
    let body = world.ok("CreateFleet", &fleet(&id, "5", &bid));
    assert_eq!(ids(&body).len(), 3);
    assert_eq!(texts(&body, "errorCode"), ["InsufficientInstanceCapacity", "SpotMaxPriceTooLow"]);
}
