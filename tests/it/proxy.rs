//! Proxies and partitions: calls to AWS's real names go through a real CONNECT proxy to a TLS server that stands for AWS,
//! with the rehearsal cloud behind it.

use crate::env::{Cloud, binary, expect};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A proxy, the server behind it, and what was asked of the proxy.
struct Middle {
    proxy: String,
    bundle: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Middle {
    /// Everything that is asked of the proxy ends at one TLS server with this certificate, and from there at the cloud.
    fn new(cloud: &Cloud, names: &[String]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names.to_vec()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("ca.pem");
        std::fs::write(&bundle, cert.pem()).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (server, proxy) = runtime.block_on(async {
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap())
        });
        let (front, address) = (server.local_addr().unwrap(), proxy.local_addr().unwrap());
        let back = cloud.authority().to_owned();
        runtime.spawn(async move {
            while let Ok((stream, _)) = server.accept().await {
                let (acceptor, back) = (acceptor.clone(), back.clone());
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(stream).await else { return };
                    let mut cloud = TcpStream::connect(back).await.unwrap();
                    drop(copy_bidirectional(&mut client, &mut cloud).await);
                });
            }
        });
        let seen = Arc::clone(&asked);
        runtime.spawn(async move {
            while let Ok((stream, _)) = proxy.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut client = BufReader::new(stream);
                    let mut first = String::new();
                    client.read_line(&mut first).await.unwrap();
                    seen.lock().unwrap().push(first.trim_end().to_owned());
                    let mut line = String::new();
                    while client.read_line(&mut line).await.is_ok_and(|n| n > 2) {
                        line.clear();
                    }
                    if !first.starts_with("CONNECT ") {
                        let refusal = "HTTP/1.1 405 only CONNECT\r\ncontent-length: 0\r\n\r\n";
                        client.write_all(refusal.as_bytes()).await.unwrap();
                        return;
                    }
                    let mut server = TcpStream::connect(front).await.unwrap();
                    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                    let early = client.buffer().to_vec();
                    server.write_all(&early).await.unwrap();
                    drop(copy_bidirectional(&mut client.into_inner(), &mut server).await);
                });
            }
        });
        Self { proxy: format!("http://{address}"), bundle, asked, _dir: dir, _runtime: runtime }
    }

    /// What was asked since the last look.
    fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap().drain(..).collect()
    }
}

/// A world in a region, whose spec has hosts and a queue.
fn world(region: &str, domain: &str) -> (Cloud, PathBuf, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("fleet.yaml");
    let text = format!(
        "version: 1\nname: far\naccount: \"123456789012\"\nregion: {region}\nfleet:\n  size: 2\n  spot: 50%\n  types: \
         [m7i.large]\n  subnets: [subnet-0aaa0000000000000, subnet-0bbb0000000000000]\n  security_groups: \
         [sg-0aaa0000000000000]\n  instance_profile: worker\nqueue: {{engine: sqs, url: \
         \"https://sqs.{region}.{domain}/123456789012/work\"}}\n"
    );
    std::fs::write(&spec, text).unwrap();
    (Cloud::start(spec.to_str().unwrap(), 60, &json!({})), spec, dir)
}

/// `doctor` with this cloud's credentials, without its endpoint and its NO_PROXY.
fn doctor(cloud: &Cloud, spec: &PathBuf, more: &[(&str, &str)]) -> Command {
    let mut command = binary();
    let kept = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED", "FLEETWRIGHT_CLOCK"];
    command.envs(cloud.env().iter().filter(|(name, _)| kept.contains(&name.as_str()))).envs(more.iter().copied());
    command.arg("-f").arg(spec).args(["-o", "json", "doctor"]);
    command
}

#[test]
fn calls_go_through_the_proxy_to_the_endpoints_of_the_partition() {
    for (region, domain, iam) in [
        ("us-east-1", "amazonaws.com", "iam.amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn", "iam.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "amazonaws.com", "iam.us-gov.amazonaws.com"),
    ] {
        let (cloud, spec, _dir) = world(region, domain);
        let middle = Middle::new(&cloud, &[format!("*.{region}.{domain}"), iam.to_owned()]);
        let bundle = middle.bundle.to_str().unwrap();
        let through = [("HTTPS_PROXY", middle.proxy.as_str()), ("AWS_CA_BUNDLE", bundle)];
        let answer: Value = serde_json::from_slice(&expect(&mut doctor(&cloud, &spec, &through), 0).stdout).unwrap();
        let proxy = answer["findings"].as_array().unwrap().iter().find(|f| f["check"] == "proxy").unwrap();
        assert!(proxy["found"].as_str().unwrap().contains(&middle.proxy), "{proxy}");
        let mut wanted: BTreeSet<String> = ["sts", "ec2", "sqs", "kms", "servicequotas"]
            .map(|service| format!("CONNECT {service}.{region}.{domain}:443 HTTP/1.1"))
            .into();
        wanted.insert(format!("CONNECT {iam}:443 HTTP/1.1"));
        assert_eq!(middle.asked(), wanted, "{region}");
        // Whose certificate nobody vouches for is not believed.
        expect(&mut doctor(&cloud, &spec, &[("HTTPS_PROXY", middle.proxy.as_str())]), 6);
    }
}

#[test]
fn what_no_proxy_excepts_is_reached_directly() {
    let (cloud, spec, _dir) = world("us-east-1", "amazonaws.com");
    let middle = Middle::new(&cloud, &["aws.test".to_owned()]);
    let bundle = middle.bundle.to_str().unwrap();
    let ask = |no_proxy: &str, code: i32| {
        let through = [
            ("HTTPS_PROXY", middle.proxy.as_str()),
            ("AWS_CA_BUNDLE", bundle),
            ("AWS_ENDPOINT_URL", "https://aws.test"),
            ("NO_PROXY", no_proxy),
        ];
        expect(&mut doctor(&cloud, &spec, &through), code);
        middle.asked()
    };
    assert_eq!(ask("", 0), BTreeSet::from(["CONNECT aws.test:443 HTTP/1.1".to_owned()]));
    // Nobody knows that name but the proxy.
    for no_proxy in ["aws.test", ".test", "example.com, test", "*"] {
        assert_eq!(ask(no_proxy, 6), BTreeSet::new(), "{no_proxy}");
    }
    assert!(!ask("ws.test", 0).is_empty());
}

/// The rehearsal cloud is on this machine, where no proxy could find it.
#[test]
fn loopback_goes_around_any_proxy() {
    let (cloud, spec, _dir) = world("us-east-1", "amazonaws.com");
    let middle = Middle::new(&cloud, &["aws.test".to_owned()]);
    let endpoint = format!("http://{}", cloud.authority());
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        let through = [(name, middle.proxy.as_str()), ("AWS_ENDPOINT_URL", endpoint.as_str())];
        expect(&mut doctor(&cloud, &spec, &through), 0);
        assert_eq!(middle.asked(), BTreeSet::new(), "{name}");
    }
}

/// Who is told how a verb ended is reached as AWS is, over TLS that the bundle vouches for.
#[test]
fn webhooks_are_told_through_the_proxy() {
    let (cloud, spec, dir) = world("us-east-1", "amazonaws.com");
    let middle = Middle::new(&cloud, &["hooks.test".to_owned()]);
    let down = |bundle: Option<&str>| {
        let mut command = binary();
        command.envs(cloud.env()).env_remove("NO_PROXY").env_remove("no_proxy").env("HTTPS_PROXY", &middle.proxy);
        command.env("HOOK", "https://hooks.test/_sim/hooks/HOOK").envs(bundle.map(|bundle| ("AWS_CA_BUNDLE", bundle)));
        command.arg("--state-dir").arg(dir.path()).arg("--set").arg("notify=[{webhook: '${HOOK}'}]");
        command.arg("-f").arg(&spec).args(["-o", "json", "--yes", "--local-state", "down"]);
        String::from_utf8(expect(&mut command, 0).stderr).unwrap()
    };
    let told = || cloud.control("GET", "hooks", &Value::Null).matches("\"event\":\"done\"").count();
    let talk = down(middle.bundle.to_str());
    assert_eq!((told(), talk.contains("was not told")), (1, false), "{talk}");
    assert_eq!(middle.asked(), BTreeSet::from(["CONNECT hooks.test:443 HTTP/1.1".to_owned()]));
    let talk = down(None);
    assert!(talk.contains("the webhook ${HOOK} was not told of `done`: ") && talk.contains("certificate"), "{talk}");
    assert_eq!(told(), 1, "whose certificate nobody vouches for is told nothing");
}

#[test]
fn a_bundle_without_certificates_is_refused() {
    let (cloud, spec, dir) = world("us-east-1", "amazonaws.com");
    let bundle = dir.path().join("empty.pem");
    std::fs::write(&bundle, "").unwrap();
    let output = expect(&mut doctor(&cloud, &spec, &[("AWS_CA_BUNDLE", bundle.to_str().unwrap())]), 2);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert!(talk.contains("no certificate is in it") && talk.contains("unset AWS_CA_BUNDLE"), "{talk}");
}
