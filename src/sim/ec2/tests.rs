//! The rules of the rehearsal cloud's EC2, one test each.

use super::testing::{IMAGE, TEMPLATE, World, run, texts};
use crate::sim::faults::{DieAfter, PoolPattern, StuckState};
use crate::sim::hosts::HostAct;
use crate::sim::seed::SeedPool;
use proptest::{prop_assert_eq, proptest};

fn pool(kind: &str, zone: &str, market: &str, free: u32) -> SeedPool {
    SeedPool { instance_type: kind.into(), zone: zone.into(), market: market.into(), free }
}

#[test]
fn a_token_launches_once_and_only_for_the_same_request() {
    let mut world = World::new();
    let asked = [("ClientToken", "t"), ("MaxCount", "3")];
    let first = world.run(&asked);
    world.pass(30);
    assert_eq!(world.run(&asked), first);
    assert!(world.ok("RunInstances", &run(&asked)).contains("<name>running</name>"));
    let other = [("ClientToken", "t"), ("MaxCount", "4")];
    assert_eq!(world.fails("RunInstances", &run(&other)).code, "IdempotentParameterMismatch");
    assert_eq!(world.made(), 3);
    world.ok("TerminateInstances", &[("InstanceId.1", &first[0])]);
    assert_eq!(world.run(&asked), first, "two of three still live");
    world.ok("TerminateInstances", &[("InstanceId.1", &first[1]), ("InstanceId.2", &first[2])]);
    world.pass(30);
    assert_eq!(world.fails("RunInstances", &run(&asked)).code, "IdempotentInstanceTerminated");
    assert_eq!(world.made(), 3);
}

#[test]
fn a_token_counts_in_its_zone_only() {
    let mut world = World::new();
    let here = world.run(&[("ClientToken", "t"), ("SubnetId", "subnet-aaa")]);
    let there = world.run(&[("ClientToken", "t"), ("SubnetId", "subnet-bbb")]);
    assert_ne!(here, there);
    assert_eq!(world.run(&[("ClientToken", "t"), ("SubnetId", "subnet-aaa")]), here);
    let error = world.fails("RunInstances", &run(&[("ClientToken", "t"), ("SubnetId", "subnet-ccc")]));
    assert_eq!(error.code, "IdempotentParameterMismatch", "another subnet of the same zone");
}

proptest! {
    /// However calls repeat, there are never more instances than distinct committed requests asked for.
    #[test]
    fn repeats_never_launch_more(calls in proptest::collection::vec((0_u8..4, 1_u32..4), 1..20)) {
        let mut world = World::new();
        let mut wanted = std::collections::BTreeMap::new();
        for (token, count) in calls {
            let (token, count) = (format!("t{token}"), count);
            let first = *wanted.entry(token.clone()).or_insert(count);
            let text = count.to_string();
            let asked = run(&[("ClientToken", &token), ("MinCount", &text), ("MaxCount", &text)]);
            prop_assert_eq!(world.call("RunInstances", &asked).is_ok(), first == count);
        }
        prop_assert_eq!(world.made(), wanted.values().sum::<u32>() as usize);
    }

    /// Launches and terminations in any order never overdraw a pool, and what ended can be had again.
    #[test]
    fn capacity_is_conserved(steps in proptest::collection::vec((0_u32..4, 0_usize..6), 1..16)) {
        let mut world = World::with(|seed| seed.pools = vec![pool("m7i.large", "us-east-1a", "on-demand", 5)]);
        let mut live: Vec<String> = Vec::new();
        for (launch, end) in steps {
            for _ in 0..launch {
                let asked = run(&[("SubnetId", "subnet-aaa")]);
                match world.call("RunInstances", &asked) {
                    Ok(reply) => live.extend(texts(&reply.body, "instanceId")),
                    Err(error) => prop_assert_eq!((error.code.as_str(), error.status, live.len()), ("InsufficientInstanceCapacity", 500, 5)),
                }
            }
            for id in live.drain(..end.min(live.len())).collect::<Vec<_>>() {
                world.ok("TerminateInstances", &[("InstanceId.1", &id)]);
            }
            world.pass(60);
            let running = world.ok("DescribeInstances", &[("Filter.1.Name", "owner-id"), ("Filter.1.Value.1", "123456789012"), ("Filter.2.Name", "instance-state-name"), ("Filter.2.Value.1", "running")]);
            prop_assert_eq!(texts(&running, "instanceId").len(), live.len() + 1, "and the template");
        }
    }
}

#[test]
fn pools_fill_partly_and_quotas_count() {
    let mut world = World::with(|seed| {
        seed.pools = vec![pool("m7i.large", "*", "*", 3)];
        seed.on_demand_vcpus = 10;
    });
    let subnet = ("SubnetId", "subnet-aaa");
    assert_eq!(world.run(&[subnet, ("MaxCount", "9")]).len(), 3);
    let error = world.fails("RunInstances", &run(&[subnet]));
    assert_eq!((error.code.as_str(), error.status), ("InsufficientInstanceCapacity", 500));
    assert_eq!(world.run(&[("SubnetId", "subnet-bbb"), ("MaxCount", "9")]).len(), 1, "ten vCPUs, template included");
    assert_eq!(world.fails("RunInstances", &run(&[("SubnetId", "subnet-bbb")])).code, "VcpuLimitExceeded");
    let spot = ("InstanceMarketOptions.MarketType", "spot");
    let short = [("SubnetId", "subnet-ccc"), ("MinCount", "3"), ("MaxCount", "3"), spot];
    assert_eq!(world.fails("RunInstances", &run(&short)).code, "InsufficientFreeAddressesInSubnet");
    let cheap = [spot, ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.001")];
    assert_eq!(world.fails("RunInstances", &run(&cheap)).code, "SpotMaxPriceTooLow");
    world.control.empty_pools =
        vec![PoolPattern { instance_type: "*".into(), zone: "us-east-1b".into(), market: "spot".into() }];
    let dry = [("SubnetId", "subnet-bbb"), spot];
    assert_eq!(world.fails("RunInstances", &run(&dry)).code, "InsufficientInstanceCapacity");
}

#[test]
fn what_a_launch_names_must_exist() {
    let mut world = World::new();
    let long = "A".repeat(24_000);
    for (pairs, code) in [
        ([("ImageId", "ami-00000000000000000")], "InvalidAMIID.NotFound"),
        ([("ImageId", "base")], "InvalidAMIID.Malformed"),
        ([("InstanceType", "x9.huge")], "InvalidParameterValue"),
        ([("InstanceType", "m7g.large")], "InvalidParameterValue"),
        ([("KeyName", "nobody")], "InvalidKeyPair.NotFound"),
        ([("SecurityGroupId.1", "sg-0123456789abcdef0")], "InvalidGroup.NotFound"),
        ([("SubnetId", "subnet-0123456789abcdef0")], "InvalidSubnetID.NotFound"),
        ([("IamInstanceProfile.Name", "nobody")], "InvalidParameterValue"),
        ([("UserData", "%%%")], "InvalidUserData.Malformed"),
        ([("UserData", &long)], "InvalidParameterValue"),
        ([("MinCount", "2")], "InvalidParameterValue"),
        ([("MinCount", "")], "MissingParameter"),
        ([("BlockDeviceMapping.1.DeviceName", "/dev/sdb")], ""),
    ] {
        match world.call("RunInstances", &run(&pairs)) {
            Ok(_) => assert_eq!(code, "", "{pairs:?}"),
            Err(error) => assert_eq!(error.code, code, "{pairs:?}: {}", error.message),
        }
    }
    assert_eq!(world.made(), 1);
    assert_eq!(world.fails("RunInstance", &[]).message, "The action RunInstance is not valid for this web service.");
}

#[test]
fn states_move_on_the_worlds_clock() {
    let mut world = World::new();
    let id = world.run(&[]).remove(0);
    let one = [("InstanceId.1", id.as_str())];
    assert_eq!(world.fails("StopInstances", &one).code, "IncorrectInstanceState");
    world.pass(15);
    assert_eq!(world.state(&id), "running");
    world.ok("RebootInstances", &one);
    assert!(world.ok("StopInstances", &one).contains("<code>64</code><name>stopping</name>"));
    assert_eq!(world.fails("StartInstances", &one).code, "IncorrectInstanceState");
    world.pass(12);
    assert_eq!(world.state(&id), "stopped");
    assert_eq!(world.fails("RebootInstances", &one).code, "IncorrectInstanceState");
    world.ok("StartInstances", &one);
    world.pass(15);
    assert_eq!(world.state(&id), "running");
    world.ok("TerminateInstances", &one);
    assert_eq!(world.state(&id), "shutting-down");
    world.pass(12);
    assert!(world.ok("TerminateInstances", &one).contains("<previousState><code>48</code>"));
    assert_eq!(world.fails("StartInstances", &one).code, "IncorrectInstanceState");
    let asked: Vec<String> = world.hosts.about(&id).iter().map(|line| line[..6].to_owned()).collect();
    assert_eq!(asked, ["create", "On i-0", "Reboot", "Off i-", "On i-0", "Off i-", "Destro"]);
    let volumes =
        world.ok("DescribeVolumes", &[("Filter.1.Name", "attachment.instance-id"), ("Filter.1.Value.1", &id)]);
    assert!(texts(&volumes, "volumeId").is_empty(), "the root volume went with it");
    world.pass(3600);
    assert_eq!(world.fails("DescribeInstances", &one).code, "InvalidInstanceID.NotFound");
}

#[test]
fn scripted_deaths_stuck_states_and_interruptions() {
    let mut world = World::new();
    world.control.die_after_launch =
        Some(DieAfter { share_percent: 100, after_seconds: 3, reason: "Client.VolumeLimitExceeded: too many".into() });
    let dead = world.run(&[]).remove(0);
    world.control.die_after_launch = None;
    world.control.stuck = vec![StuckState { state: "pending".into(), share_percent: 100 }];
    let stuck = world.run(&[]).remove(0);
    world.control.stuck.clear();
    let spot = world.run(&[("InstanceMarketOptions.MarketType", "spot")]).remove(0);
    world.pass(60);
    assert_eq!((world.state(&dead), world.state(&stuck)), ("terminated".into(), "pending".into()));
    assert!(
        world.ok("DescribeInstances", &[("InstanceId.1", &dead)]).contains("<code>Client.VolumeLimitExceeded</code>")
    );
    assert_eq!(world.ec2.act(TEMPLATE, HostAct::Interrupt, world.now).unwrap_err().code, "UnsupportedOperation");
    world.ec2.act(&spot, HostAct::Interrupt, world.now).unwrap();
    let notice = world.ec2.metadata(&spot, world.now).unwrap().spot_action.unwrap();
    assert_eq!(notice, r#"{"action":"terminate","time":"2026-03-01T12:03:00Z"}"#);
    world.pass(119);
    assert_eq!(world.state(&spot), "running");
    world.pass(20);
    assert_eq!(world.state(&spot), "terminated");
    let told = world.ok("DescribeInstances", &[("InstanceId.1", &spot)]);
    assert!(told.contains("<code>Server.SpotInstanceTermination</code>"), "{told}");
    assert!(world.ec2.metadata(&spot, world.now).is_none());
}

#[test]
fn a_host_that_powers_itself_off_ends_as_it_was_told() {
    let mut world = World::new();
    let stays = world.run(&[]).remove(0);
    let ends = world.run(&[("InstanceInitiatedShutdownBehavior", "terminate")]).remove(0);
    world.pass(20);
    world.ok("DescribeInstances", &[]);
    for id in [&stays, &ends] {
        world.ec2.powered_off(id, world.now);
    }
    world.pass(20);
    assert_eq!((world.state(&stays), world.state(&ends)), ("stopped".into(), "terminated".into()));
}

#[test]
fn terminate_is_all_or_nothing_and_protection_spares_a_zone() {
    let mut world = World::new();
    let near = world.run(&[("SubnetId", "subnet-aaa"), ("MaxCount", "2")]);
    let far = world.run(&[("SubnetId", "subnet-bbb")]).remove(0);
    let bad = [("InstanceId.1", near[0].as_str()), ("InstanceId.2", "i-00000000000000000")];
    let error = world.fails("TerminateInstances", &bad);
    assert_eq!(error.code, "InvalidInstanceID.NotFound");
    assert!(error.message.contains("i-00000000000000000"));
    assert_eq!(world.fails("TerminateInstances", &[("InstanceId.1", "i-x")]).code, "InvalidInstanceID.Malformed");
    assert_eq!(world.fails("TerminateInstances", &[]).code, "MissingParameter");
    assert_eq!(world.state(&near[0]), "pending");
    world.ok("ModifyInstanceAttribute", &[("InstanceId", &near[0]), ("DisableApiTermination.Value", "true")]);
    let all = [("InstanceId.1", near[0].as_str()), ("InstanceId.2", &near[1]), ("InstanceId.3", &far)];
    assert_eq!(world.fails("TerminateInstances", &all).code, "OperationNotPermitted");
    let states = [world.state(&near[0]), world.state(&near[1]), world.state(&far)];
    assert_eq!(states, ["pending", "pending", "shutting-down"]);
}

#[test]
fn describe_filters_pages_and_refuses() {
    let mut world = World::new();
    let tags = [
        ("TagSpecification.1.ResourceType", "instance"),
        ("TagSpecification.1.Tag.1.Key", "fleet"),
        ("TagSpecification.1.Tag.1.Value", "crawl-1"),
    ];
    let ids = world.run(&[("MaxCount", "12"), ("ClientToken", "t"), tags[0], tags[1], tags[2]]);
    let by_tag = [("Filter.1.Name", "tag:fleet"), ("Filter.1.Value.1", "nothing"), ("Filter.1.Value.2", "crawl-?")];
    assert_eq!(texts(&world.ok("DescribeInstances", &by_tag), "instanceId"), ids);
    let by_token = [("Filter.1.Name", "client-token"), ("Filter.1.Value.1", "t"), ("MaxResults", "5")];
    let mut got = Vec::new();
    let mut token = String::new();
    loop {
        let mut asked = by_token.to_vec();
        asked.extend((!token.is_empty()).then_some(("NextToken", token.as_str())));
        let body = world.ok("DescribeInstances", &asked);
        let page = texts(&body, "instanceId");
        assert!(page.len() <= 5);
        got.extend(page);
        let Some(next) = texts(&body, "nextToken").pop() else { break };
        token = next;
    }
    assert_eq!(got, ids);
    for (asked, code) in [
        (vec![("Filter.1.Name", "colour"), ("Filter.1.Value.1", "x")], "InvalidParameterValue"),
        (vec![("MaxResults", "4")], "InvalidParameterValue"),
        (vec![("NextToken", "xx"), ("MaxResults", "5")], "InvalidNextToken"),
        (vec![("InstanceId.1", ids[0].as_str()), ("MaxResults", "5")], "InvalidParameterCombination"),
    ] {
        assert_eq!(world.fails("DescribeInstances", &asked).code, code);
    }
}

#[test]
fn with_lag_a_new_instance_is_unknown_for_a_while() {
    let mut world = World::new();
    world.control.lag_seconds = 300;
    let ids = world.run(&[("MaxCount", "20")]);
    let seen = |world: &mut World| {
        ids.iter().filter(|id| world.call("DescribeInstances", &[("InstanceId.1", id)]).is_ok()).count()
    };
    let early = seen(&mut world);
    assert!(early < 20, "{early}");
    let late = ids.iter().find(|id| world.call("DescribeInstances", &[("InstanceId.1", id)]).is_err()).unwrap().clone();
    assert_eq!(world.fails("TerminateInstances", &[("InstanceId.1", &late)]).code, "InvalidInstanceID.NotFound");
    world.ok("DescribeInstances", &[("InstanceId.1", TEMPLATE)]);
    world.pass(301);
    assert_eq!(seen(&mut world), 20);
}

#[test]
fn an_image_is_made_once_a_name_and_holds_its_snapshots() {
    let mut world = World::new();
    let asked = [
        ("InstanceId", TEMPLATE),
        ("Name", "crawl-1"),
        ("TagSpecification.1.ResourceType", "snapshot"),
        ("TagSpecification.1.Tag.1.Key", "run"),
        ("TagSpecification.1.Tag.1.Value", "r1"),
    ];
    let image = texts(&world.ok("CreateImage", &asked), "imageId").remove(0);
    assert_eq!(world.fails("CreateImage", &asked).code, "InvalidAMIName.Duplicate");
    let asked_of_host = world.hosts.about(TEMPLATE);
    assert_eq!(
        asked_of_host[2..],
        [format!("Off {TEMPLATE}"), format!("snapshot {TEMPLATE} {image}"), format!("On {TEMPLATE}")]
    );
    assert_eq!(world.fails("RunInstances", &run(&[("ImageId", &image)])).code, "InvalidAMIID.Unavailable");
    world.pass(30);
    let by_tag = [("Filter.1.Name", "tag:run"), ("Filter.1.Value.1", "r1")];
    let pending = world.ok("DescribeSnapshots", &by_tag);
    assert!(pending.contains("<status>pending</status>") && !pending.contains("<progress>100%"), "{pending}");
    world.pass(50);
    assert!(world.ok("DescribeImages", &[("ImageId.1", &image)]).contains("<imageState>available</imageState>"));
    let snapshot = texts(&world.ok("DescribeSnapshots", &by_tag), "snapshotId").remove(0);
    assert_eq!(world.fails("DeleteSnapshot", &[("SnapshotId", &snapshot)]).code, "InvalidSnapshot.InUse");
    world.ok("DeregisterImage", &[("ImageId", &image)]);
    assert_eq!(world.fails("DescribeImages", &[("ImageId.1", &image)]).code, "InvalidAMIID.NotFound");
    assert!(!world.hosts.about(&image).contains(&format!("forget {image}")));
    world.ok("DeleteSnapshot", &[("SnapshotId", &snapshot)]);
    assert!(world.hosts.about(&image).contains(&format!("forget {image}")));
    world.control.image_fails = true;
    let failed = texts(&world.ok("CreateImage", &asked), "imageId").remove(0);
    world.pass(90);
    let told = world.ok("DescribeImages", &[("ImageId.1", &failed)]);
    assert!(told.contains("<imageState>failed</imageState><") && told.contains("<stateReason>"), "{told}");
    world.ok("DeregisterImage", &[("ImageId", &failed), ("DeleteAssociatedSnapshots", "true")]);
    assert!(!world.ok("DescribeSnapshots", &by_tag).contains("<snapshotId>"));
}

#[test]
fn tags_change_only_what_is_there() {
    let mut world = World::new();
    let tag = |id: &str, key: &str| {
        vec![
            ("ResourceId.1".to_owned(), id.to_owned()),
            ("Tag.1.Key".to_owned(), key.to_owned()),
            ("Tag.1.Value".to_owned(), "v".to_owned()),
        ]
    };
    for (id, key, code) in [
        ("i-00000000000000000", "a", "InvalidInstanceID.NotFound"),
        ("ami-00000000000000000", "a", "InvalidAMIID.NotFound"),
        ("nonsense", "a", "InvalidID"),
        (TEMPLATE, "aws:a", "InvalidParameterValue"),
    ] {
        let pairs = tag(id, key);
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(world.fails("CreateTags", &pairs).code, code, "{id}");
    }
    let many: Vec<(String, String)> = (1..=50).map(|n| (format!("Tag.{n}.Key"), format!("k{n}"))).collect();
    let mut pairs: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    pairs.push(("ResourceId.1", TEMPLATE));
    assert_eq!(world.fails("CreateTags", &pairs).code, "TagLimitExceeded", "with its Name");
    world.ok(
        "CreateTags",
        &[("ResourceId.1", TEMPLATE), ("ResourceId.2", IMAGE), ("Tag.1.Key", "a"), ("Tag.1.Value", "1")],
    );
    world.ok("DeleteTags", &[("ResourceId.1", TEMPLATE), ("Tag.1.Key", "a"), ("Tag.1.Value", "2")]);
    let all = world.ok("DescribeTags", &[("Filter.1.Name", "key"), ("Filter.1.Value.1", "a")]);
    assert_eq!(texts(&all, "resourceId"), [TEMPLATE, IMAGE], "another value is another tag");
    world.ok("DeleteTags", &[("ResourceId.1", TEMPLATE), ("Tag.1.Key", "a")]);
    let all = world.ok("DescribeTags", &[("Filter.1.Name", "tag:a"), ("Filter.1.Value.1", "1")]);
    assert_eq!(texts(&all, "resourceId"), [IMAGE]);
}

#[test]
fn tags_of_an_interface_go_with_its_instance() {
    let mut world = World::new();
    let tags = [
        ("TagSpecification.1.ResourceType", "network-interface"),
        ("TagSpecification.1.Tag.1.Key", "a"),
        ("TagSpecification.1.Tag.1.Value", "1"),
    ];
    let id = world.run(&tags).remove(0);
    let tagged = |world: &mut World| {
        let all = world.ok("DescribeTags", &[("Filter.1.Name", "key"), ("Filter.1.Value.1", "a")]);
        texts(&all, "resourceType").len()
    };
    assert_eq!(tagged(&mut world), 1);
    world.ok("TerminateInstances", &[("InstanceId.1", &id)]);
    world.pass(600);
    assert_eq!((world.state(&id).as_str(), tagged(&mut world)), ("terminated", 0));
}

#[test]
fn decoys_are_told_apart_only_in_the_ground_truth() {
    let world = World::with(|seed| seed.decoys = true);
    let truth = world.ec2.world(world.now);
    let all = truth["instances"].as_array().unwrap();
    assert_eq!(all.iter().filter(|one| one["owner"] == "decoy" && one["image"] == IMAGE).count(), 6);
    assert_eq!(truth["cost_usd"], 0.0);
}

#[test]
fn cost_is_by_the_second_with_a_minute_at_least() {
    let mut world = World::new();
    let id = world.run(&[]).remove(0);
    world.pass(20);
    assert_eq!(world.state(&id), "running");
    // 0.10 dollars an hour for 60 seconds, in millionths.
    assert_eq!(world.ec2.world(world.now)["cost_usd"], 0.001_666);
    world.pass(3600);
    let cost = world.ec2.world(world.now)["cost_usd"].as_f64().unwrap();
    assert!((0.100..0.1005).contains(&cost), "{cost}");
}
