//! Answers cut anywhere, garbled, in pages, refused: what is made of each.

use super::{FLEET, INSTANCES, fleet_request, permit};
use crate::aws::responder::{Canned, Responder, clients};
use crate::model::{FaultKind, InstanceState, Market, tags};
use aws_sdk_ec2::config::Credentials;
use jiff::Timestamp;

#[tokio::test]
async fn a_fleet_answer_cut_anywhere_is_never_success() {
    let whole = Canned::new(200, FLEET);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    let permit = permit(clients.draft_fleet(&fleet_request()).await.unwrap());
    for at in 0..FLEET.len() {
        server.answer(whole.cut(at));
        let fault = clients.create_fleet(&permit).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "truncated"), "cut at {at}: {fault}");
    }
    for at in (0..FLEET.len()).step_by(97) {
        server.answer(whole.torn(at));
        let fault = clients.create_fleet(&permit).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transport, "torn at {at}: {fault}");
    }
    server.answer(Canned::new(200, FLEET.replace("<instanceIds>", "<instanceIds")));
    let fault = clients.create_fleet(&permit).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "garbled"), "{fault}");
    let nothing = "<CreateFleetResponse><fleetId>fleet-1</fleetId></CreateFleetResponse>";
    server.answer(Canned::new(200, nothing));
    assert!(clients.create_fleet(&permit).await.unwrap_err().kind.outcome_unknown(), "neither hosts nor reasons");
    server.answer(whole);
    let given = clients.create_fleet(&permit).await.unwrap();
    let hosts: Vec<_> = given.hosts.iter().map(|host| (host.id.as_str(), host.market)).collect();
    assert_eq!(hosts, [("i-1", Market::Spot), ("i-2", Market::Spot), ("i-3", Market::OnDemand)]);
    assert_eq!((given.refused.len(), given.refused[0].kind), (1, FaultKind::Capacity));
}

#[tokio::test]
async fn a_list_cut_anywhere_is_never_taken_for_a_shorter_one() {
    let whole = Canned::new(200, INSTANCES);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    for at in 0..INSTANCES.len() {
        server.answer(whole.cut(at));
        let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "truncated"), "cut at {at}: {fault}");
    }
    server.answer(whole);
    let found = clients.instances_of_fleet(&"f".into()).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].state, found[0].market), (InstanceState::Running, Market::Spot));
    assert_eq!(found[0].tags.get(tags::FLEET), Some("f"));
}

#[tokio::test]
async fn a_queue_answer_cut_anywhere_is_never_success() {
    let text = r#"{"QueueUrl":"http://127.0.0.1/1/jobs"}"#;
    let whole = Canned::new(200, text);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    for at in 0..text.len() {
        server.answer(whole.cut(at));
        let fault = clients.queue_by_name("jobs").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Transport, "cut at {at}: {fault}");
    }
    server.answer(whole);
    assert_eq!(clients.queue_by_name("jobs").await.unwrap().as_deref(), Some("http://127.0.0.1/1/jobs"));
}

#[tokio::test]
async fn no_ids_no_call() {
    let server = Responder::start([Canned::new(200, INSTANCES)]).await;
    let clients = server.clients().await;
    assert_eq!(clients.instances_by_ids(&[]).await.unwrap(), []);
    assert_eq!(clients.subnets(&[]).await.unwrap(), []);
    assert!(clients.types_named(&[]).await.unwrap().is_empty());
    assert!(clients.offerings(&[], &[]).await.unwrap().is_empty());
    assert!(clients.list_prices(&[]).await.unwrap().is_empty());
    assert!(clients.spot_price_history(&[], Timestamp::UNIX_EPOCH).await.unwrap().is_empty());
    assert!(server.bodies().is_empty());
}

#[tokio::test]
async fn pages_are_followed_to_the_end() {
    let page = INSTANCES.replace("</reservationSet>", "</reservationSet><nextToken>more</nextToken>");
    let server = Responder::start([Canned::new(200, page), Canned::new(200, INSTANCES)]).await;
    let found = server.clients().await.instances_of_fleet(&"f".into()).await.unwrap();
    assert_eq!(found.len(), 4);
    assert!(server.bodies()[1].contains("NextToken=more"));
}

#[tokio::test]
async fn an_error_keeps_its_code_and_request_id() {
    let body = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message>\
                </Error></Errors><RequestID>req-7</RequestID></Response>";
    let whole = Canned::new(503, body);
    let server = Responder::start([whole.clone()]).await;
    let clients = server.clients().await;
    let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Throttled, "RequestLimitExceeded"));
    assert_eq!((fault.message.as_str(), fault.request_id.as_deref()), ("slow", Some("req-7")));
    for at in 0..body.len() {
        server.answer(whole.cut(at));
        let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
        assert!(fault.kind.outcome_unknown(), "cut at {at}: {fault:?}");
    }
    server.answer(Canned::new(502, "<html>\n<b>Bad gateway</b></html>"));
    let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
    assert_eq!(fault.to_string(), "DescribeInstances answered HTTP 502: <html> <b>Bad gateway</b></html>");
    let json = r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"none"}"#;
    server.answer(
        Canned::new(400, json).with_headers("x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n"),
    );
    assert_eq!(clients.queue_by_name("jobs").await.unwrap(), None);
}

#[tokio::test]
async fn a_reset_may_have_been_carried_out_and_a_refused_connection_says_where() {
    let server = Responder::start([]).await;
    let fault = server.clients().await.caller().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Transport, "{fault:?}");
    assert_eq!(server.bodies().len(), 1);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = clients(&format!("http://127.0.0.1:{port}"), Credentials::new("a", "b", None, None, "test")).await;
    let fault = gone.caller().await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Transport, "unreachable"), "{fault:?}");
}
