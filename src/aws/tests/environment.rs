//! What the environment may change, and what it may not.

use super::{INSTANCES, fleet_request};
use crate::aws::responder::{Canned, Responder};
use crate::aws::{AwsSettings, Clients};
use crate::model::{FaultKind, Region};

/// Runs one of the ignored tests below in a process of its own, since an environment belongs to a whole process.
fn in_own_process(test: &str, url: &str, environment: &[(&str, &str)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("aws::tests::environment::{test}"), "--ignored", "--nocapture"])
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "eu-central-1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_attempt_whatever_the_environment_says() {
    let server = Responder::start([Canned::new(503, "")]).await;
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIDTEST"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_MAX_ATTEMPTS", "10"),
        ("AWS_RETRY_MODE", "adaptive"),
        ("AWS_NEW_RETRIES_2026", "true"),
    ];
    in_own_process("calls_once_with_the_environments_own_settings", server.url(), &environment);
    assert_eq!(server.bodies().len(), 3, "{:#?}", server.bodies());
}

#[tokio::test]
#[ignore = "run by one_attempt_whatever_the_environment_says"]
async fn calls_once_with_the_environments_own_settings() {
    let clients = Clients::connect(&AwsSettings::default()).await.unwrap();
    assert_eq!(clients.region(), &Region::from("eu-central-1"));
    assert_eq!(clients.caller().await.unwrap_err().kind, FaultKind::Server);
    assert_eq!(clients.instances_of_fleet(&"f".into()).await.unwrap_err().kind, FaultKind::Server);
    assert_eq!(clients.queue_by_name("jobs").await.unwrap_err().kind, FaultKind::Server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_nothing_is_sent_and_the_fault_says_so() {
    let server = Responder::start([Canned::new(200, INSTANCES)]).await;
    in_own_process("fails_for_want_of_credentials", server.url(), &[]);
    assert!(server.bodies().is_empty());
}

#[tokio::test]
#[ignore = "run by without_credentials_nothing_is_sent_and_the_fault_says_so"]
async fn fails_for_want_of_credentials() {
    let clients = Clients::connect(&AwsSettings::default()).await.unwrap();
    let fault = clients.instances_of_fleet(&"f".into()).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_str()), (FaultKind::Denied, "no-credentials"), "{fault:?}");
    assert!(fault.message.contains("no credentials in the environment"), "{fault}");
    assert!(clients.calls().is_empty());
    // A draft needs no credentials: it is only made, not sent.
    clients.draft_fleet(&fleet_request()).await.unwrap();
}
