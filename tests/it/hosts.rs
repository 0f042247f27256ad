//! Real hosts on their own: one that has expired ends itself, one whose key was swapped is not trusted.

use crate::env::{Cloud, IMAGE, expect};
use serde_json::json;
use std::time::{Duration, Instant};

/// A worker of nobody's make, with an item in hand: at SIGTERM it finishes that one and takes no more.
const WORKER: &str = r#"cat >/root/crawl.sh <<'END'
trap 'last=1' TERM
: >/root/in-hand
while [ -z "$last" ]; do sleep 0.1; done
sleep 0.2
mv /root/in-hand /root/finished
END
cat >/etc/systemd/system/crawl.service <<'END'
[Service]
ExecStart=/bin/sh /root/crawl.sh
Restart=always
END
systemctl start crawl && until test -e /root/in-hand; do sleep 0.02; done"#;

#[test]
fn an_interrupted_host_gives_its_item_back_and_an_expired_one_ends_itself() {
    let cloud = Cloud::with_hosts("tests/specs/it/crawl.yaml", 60, &json!({}), "real");
    expect(&mut cloud.cli("laptop", &["launch", "--unattested", "--image", IMAGE, "--until", "ssh"]), 0);
    // The same unit that hosts run by themselves every five seconds looks at once when it is started anew; by then it takes the
    // worker for an old one.
    let begin =
        format!("systemctl is-active fleetwright-host && sed -i 's/age=/age=99/' /opt/fleetwright/host && {WORKER}");
    expect(&mut cloud.cli("laptop", &["exec", "--", &begin]), 0);
    let look = |id: &str, after: &str| {
        let line = format!("systemctl restart fleetwright-host; {after}");
        cloud.cli("laptop", &["exec", "--only", id, "--", &line]).output().unwrap()
    };
    let hosts = cloud.live("crawl");
    let (taken, expired) = (&hosts[0], &hosts[1]);
    // A worker that has been up for too long is restarted once it has finished what it has.
    let fresh = "until test -e /root/finished -a -e /root/in-hand; do sleep 0.02; done; systemctl is-active crawl";
    let output = look(expired, fresh);
    assert!(output.status.success(), "{output:?}");
    cloud.control("POST", "clock", &json!({ "hold": true }));
    cloud.control("POST", &format!("hosts/{taken}"), &json!({ "do": "interrupt" }));
    let output = look(
        taken,
        &format!("until test -e /run/fleetwright/drained; do sleep 0.02; done; grep -qx {taken} /root/drained"),
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(cloud.live("crawl").len(), 2, "a host that is taken back is left to EC2");
    let kept = |host: &str| {
        let put = cloud.calls("PutObject").into_iter().filter(|call| call["principal"] == host);
        let keys: Vec<String> = put.map(|call| call["parameters"]["Key"].as_str().unwrap().to_owned()).collect();
        assert!(keys.len() == 1 && keys[0].starts_with(&format!("hosts/crawl/{host}/2")), "{keys:?}");
    };
    kept(taken);
    expect(&mut cloud.cli("laptop", &["exec", "--only", expired, "--", "test -e /root/in-hand"]), 0);
    let expire = format!(
        "Action=CreateTags&Version=2016-11-15&ResourceId.1={expired}&Tag.1.Key=fleetwright%3Aexpires&Tag.1.Value=2001-01-01T00%3A00%3A00Z"
    );
    cloud.ec2(&expire);
    // The connection may be cut by what this does.
    let output = look(expired, "true");
    cloud.control("POST", "clock", &json!({ "hold": false, "advance": "2m" }));
    let begun = Instant::now();
    while !cloud.live("crawl").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", String::from_utf8_lossy(&output.stderr));
        std::thread::sleep(Duration::from_millis(50));
    }
    kept(expired);
    assert!(cloud.calls("TerminateInstances").is_empty(), "nobody but EC2 and the host acted");
}

#[test]
fn a_host_whose_key_was_swapped_is_refused() {
    let cloud = Cloud::with_hosts("tests/specs/it/five.yaml", 60, &json!({}), "real");
    let sets = ["--set", "fleet.size=2", "--set", "fleet.key_name=rehearsal"];
    let launch = ["launch", "--unattested", "--image", IMAGE, "--until", "ssh"];
    expect(&mut cloud.cli("laptop", &[&sets[..], &launch[..]].concat()), 0);
    let swapped = cloud.live("five").pop().unwrap();
    cloud.control("POST", &format!("hosts/{swapped}"), &json!({ "do": "rekey" }));
    let output = expect(&mut cloud.cli("laptop", &["exec", "--", "true"]), 3);
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for host in summary["hosts"].as_array().unwrap() {
        let wanted = if host["host"] == swapped.as_str() { "refused" } else { "ok" };
        assert_eq!(host["result"], wanted, "{host}");
    }
    // The swap is not forgotten by trying again.
    expect(&mut cloud.cli("laptop", &["exec", "--only", &swapped, "--", "true"]), 3);
}
