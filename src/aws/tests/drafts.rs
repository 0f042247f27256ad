//! Drafts: nothing is sent before the permit, and then exactly these bytes, each time.

use super::{FLEET, fleet_request, owned, permit, template_request};
use crate::aws::queues::{QueueRequest, Redrive};
use crate::aws::responder::{Canned, Responder};
use crate::model::{FaultKind, FleetRequest, ImageRequest, InstanceId, Tags, tags};
use std::time::Duration;

#[tokio::test]
async fn nothing_is_sent_before_the_permit_and_then_exactly_the_draft_each_time() {
    let server = Responder::start([Canned::new(200, FLEET)]).await;
    let clients = server.clients().await;
    let draft = clients.draft_fleet(&fleet_request()).await.unwrap();
    assert_eq!(server.bodies().len(), 0);
    assert!(clients.calls().is_empty());
    assert_eq!(draft, server.clients().await.draft_fleet(&fleet_request()).await.unwrap(), "same request, same bytes");
    assert_eq!(draft.token.as_deref(), Some("fwtoken1"));
    assert!(draft.body.contains("&ClientToken=fwtoken1&"), "{}", draft.body);
    let permit = permit(draft.clone());
    for _ in 0..3 {
        clients.create_fleet(&permit).await.unwrap();
    }
    assert_eq!(server.bodies(), vec![draft.body; 3]);
    assert_eq!(clients.calls().get("CreateFleet"), Some(&3));
    // A permit for one action is none for another.
    let fault = clients.terminate(&permit).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert_eq!(server.bodies().len(), 3);
}

#[tokio::test]
async fn a_fleet_draft_says_what_is_wanted() {
    let server = Responder::start([]).await;
    let clients = server.clients().await;
    let body = clients.draft_fleet(&fleet_request()).await.unwrap().body;
    let mut fields: Vec<String> =
        form_urlencoded::parse(body.as_bytes()).map(|(key, value)| format!("{key}={value}")).collect();
    fields.retain(|field| !field.contains("TagSpecification.2") && !field.contains("TagSpecification.3"));
    insta::assert_snapshot!(fields.join("
"), @r"
    Action=CreateFleet
    Version=2016-11-15
    ClientToken=fwtoken1
    SpotOptions.AllocationStrategy=price-capacity-optimized
    OnDemandOptions.AllocationStrategy=prioritized
    LaunchTemplateConfigs.1.LaunchTemplateSpecification.LaunchTemplateId=lt-1
    LaunchTemplateConfigs.1.LaunchTemplateSpecification.Version=3
    LaunchTemplateConfigs.1.Overrides.1.InstanceType=m7i.large
    LaunchTemplateConfigs.1.Overrides.1.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.1.SubnetId=subnet-a
    LaunchTemplateConfigs.1.Overrides.1.Priority=0.0
    LaunchTemplateConfigs.1.Overrides.2.InstanceType=m7i.large
    LaunchTemplateConfigs.1.Overrides.2.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.2.SubnetId=subnet-b
    LaunchTemplateConfigs.1.Overrides.2.Priority=0.0
    LaunchTemplateConfigs.1.Overrides.3.InstanceType=m7a.large
    LaunchTemplateConfigs.1.Overrides.3.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.3.SubnetId=subnet-a
    LaunchTemplateConfigs.1.Overrides.3.Priority=1.0
    LaunchTemplateConfigs.1.Overrides.4.InstanceType=m7a.large
    LaunchTemplateConfigs.1.Overrides.4.MaxPrice=0.12
    LaunchTemplateConfigs.1.Overrides.4.SubnetId=subnet-b
    LaunchTemplateConfigs.1.Overrides.4.Priority=1.0
    TargetCapacitySpecification.TotalTargetCapacity=4
    TargetCapacitySpecification.OnDemandTargetCapacity=1
    TargetCapacitySpecification.SpotTargetCapacity=3
    TargetCapacitySpecification.DefaultTargetCapacityType=spot
    Type=instant
    TagSpecification.1.ResourceType=instance
    TagSpecification.1.Tag.1.Key=fleetwright:intent
    TagSpecification.1.Tag.1.Value=fwtoken1
    ");
    let without = vec![("m7i.large".to_owned(), "subnet-b".into()), ("m7a.large".to_owned(), "subnet-a".into())];
    let body = clients.draft_fleet(&FleetRequest { without, ..fleet_request() }).await.unwrap().body;
    assert_eq!((body.matches(".SubnetId=").count(), body.contains("Overrides.3.")), (2, false), "{body}");
    let nobody = FleetRequest { spot: 0, on_demand: 0, ..fleet_request() };
    assert_eq!(clients.draft_fleet(&nobody).await.unwrap_err().kind, FaultKind::Invalid);
    assert!(
        !clients.draft_fleet(&FleetRequest { spot: 0, ..fleet_request() }).await.unwrap().body.contains("SpotOptions")
    );
}

#[tokio::test]
async fn a_template_draft_has_what_is_no_choice() {
    let server = Responder::start([]).await;
    let clients = server.clients().await;
    let first = clients.draft_template(&template_request(None)).await.unwrap();
    assert_eq!((first.action.as_str(), first.token.as_deref()), ("CreateLaunchTemplate", Some("fwtoken2")));
    let second = clients.draft_template(&template_request(Some("lt-1".into()))).await.unwrap();
    assert_eq!(second.action, "CreateLaunchTemplateVersion");
    for draft in [first, second] {
        let fields: Vec<String> =
            form_urlencoded::parse(draft.body.as_bytes()).map(|(key, value)| format!("{key}={value}")).collect();
        for wanted in [
            "ClientToken=fwtoken2",
            "LaunchTemplateData.BlockDeviceMapping.1.Ebs.DeleteOnTermination=true",
            "LaunchTemplateData.BlockDeviceMapping.1.Ebs.Encrypted=true",
            "LaunchTemplateData.InstanceInitiatedShutdownBehavior=terminate",
            "LaunchTemplateData.MetadataOptions.HttpTokens=required",
            "LaunchTemplateData.MetadataOptions.InstanceMetadataTags=enabled",
            "LaunchTemplateData.TagSpecification.1.ResourceType=instance",
            "LaunchTemplateData.TagSpecification.1.Tag.1.Key=fleetwright:expires",
        ] {
            assert!(fields.iter().any(|field| field == wanted), "{wanted} is not in {fields:#?}");
        }
    }
}

#[tokio::test]
async fn every_draft_can_be_sent_by_an_empty_request() {
    let server = Responder::start([Canned::new(400, "")]).await;
    let clients = server.clients().await;
    let queue = QueueRequest {
        name: "jobs".to_owned(),
        visibility: Duration::from_secs(90),
        redrive: Some(Redrive { dead_letter_arn: "arn:aws:sqs:us-east-1:1:dead".to_owned(), max_receives: 3 }),
        tags: Tags::default().with(tags::FLEET, "f").with("b", "2").with("a", "1"),
    };
    let image = ImageRequest {
        name: "f-1".to_owned(),
        instance: InstanceId::from("i-1"),
        description: "x".to_owned(),
        no_reboot: false,
        tags: Tags::default().with(tags::FLEET, "f"),
    };
    let mut sent = Vec::new();
    macro_rules! round {
        ($draft:expr, $send:ident) => {
            let draft = $draft.await.unwrap();
            assert_eq!(draft, $draft.await.unwrap(), "same request, same bytes");
            sent.push(draft.body.clone());
            let fault = clients.$send(&permit(draft)).await.map(|_| ()).unwrap_err();
            assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Invalid, "HTTP 400"), "{fault}");
        };
    }
    round!(clients.draft_template(&template_request(None)), create_template);
    round!(clients.draft_template(&template_request(Some("lt-1".into()))), create_template);
    round!(clients.draft_fleet(&fleet_request()), create_fleet);
    round!(clients.draft_terminate(&owned(&["i-1", "i-2"])), terminate);
    round!(clients.draft_image(&image), create_image);
    round!(clients.draft_deregister(&owned(&["ami-1"])), deregister);
    round!(clients.draft_delete_snapshot(&owned(&["snap-1"])), delete_snapshot);
    round!(clients.draft_delete_volume(&owned(&["vol-1"])), delete_volume);
    round!(clients.draft_delete_template(&owned(&["lt-1"])), delete_template);
    round!(clients.draft_tags(&["i-1".to_owned()], &image.tags), create_tags);
    round!(clients.draft_create_queue(&queue), create_queue);
    round!(clients.draft_delete_queue(&owned(&["http://127.0.0.1/1/jobs"])), delete_queue);
    assert_eq!(server.bodies(), sent);
    assert_eq!(clients.draft_deregister(&owned(&["ami-1", "ami-2"])).await.unwrap_err().kind, FaultKind::Invalid);
}
