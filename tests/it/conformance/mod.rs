//! The same campaign without hosts on the rehearsal cloud and on moto: what differs is ours, or moto's and named in `gaps`.

mod burst;
mod gaps;
mod moto;

use crate::env::{self, Cloud, binary, expect};
use moto::{Detour, Server};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// World seconds per second: moto has no clock, so both campaigns wait on the rehearsal cloud's. The gate wants tags that
/// were read within a minute of it: at this speed within a second, which moto needs.
const SPEED: u32 = 60;
/// Where both campaigns share their state, and the claim in it.
const STATE: &str = "s3://ops-state/fleetwright";
const LEASE: &str = "/ops-state/fleetwright/123456789012-us-east-1-both/lease.json";
const TYPES: [&str; 2] = ["m7i.large", "m6i.large"];

/// What a cloud has before the campaign: found by asking, since moto makes other ids each time.
struct Site {
    /// Where the raw calls of the test go.
    authority: String,
    image: String,
    group: String,
    subnets: Vec<String>,
}

impl Site {
    fn look(authority: &str) -> Self {
        let mut site =
            Self { authority: authority.to_owned(), image: String::new(), group: String::new(), subnets: Vec::new() };
        let images =
            site.done("Action=DescribeImages&Owner.1=amazon&Filter.1.Name=architecture&Filter.1.Value.1=x86_64");
        site.image = first(&images, "imageId");
        site.group = first(&site.done("Action=DescribeSecurityGroups"), "groupId");
        for zone in ["us-east-1a", "us-east-1b"] {
            let found = format!("Action=DescribeSubnets&Filter.1.Name=availability-zone&Filter.1.Value.1={zone}");
            site.subnets.push(first(&site.done(&found), "subnetId"));
        }
        site
    }

    /// One call to EC2: status and body.
    fn ask(&self, form: &str) -> (u16, String) {
        env::call(&self.authority, &format!("{form}&Version=2016-11-15"))
    }

    /// One that must be carried out.
    fn done(&self, form: &str) -> String {
        let (status, body) = self.ask(form);
        assert_eq!(status, 200, "{form}: {body}");
        body
    }

    /// One call to S3: status and body.
    fn object(&self, line: &str, headers: &str, body: &str) -> (u16, String) {
        env::signed("s3", &self.authority, line, headers, body)
    }

    /// The parameters of a launch of one instance.
    fn launch(&self) -> String {
        format!(
            "Action=RunInstances&MinCount=1&MaxCount=1&ImageId={}&InstanceType={}&SubnetId={}",
            self.image, TYPES[0], self.subnets[0]
        )
    }

    /// A new instance.
    fn instance(&self) -> String {
        first(&self.done(&self.launch()), "instanceId")
    }

    fn state(&self, instance: &str) -> String {
        let found = self.done(&format!("Action=DescribeInstances&InstanceId.1={instance}"));
        let states = ["pending", "running", "stopping", "stopped", "shutting-down", "terminated"];
        let state = states.into_iter().find(|state| found.contains(&format!("<name>{state}</name>")));
        state.unwrap_or_else(|| panic!("{found}")).to_owned()
    }
}

/// What the first element of that name holds; empty where there is none.
fn first(xml: &str, name: &str) -> String {
    all(xml, name).into_iter().next().unwrap_or_default()
}

/// What the elements of that name hold.
fn all(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| rest.split_once(&close)).map(|(text, _)| text.to_owned()).collect()
}

/// A machine that runs the campaign.
struct Machine<'a> {
    clock: &'a Cloud,
    endpoint: String,
    spec: PathBuf,
    dir: tempfile::TempDir,
}

impl<'a> Machine<'a> {
    /// With a spec for this site and template.
    fn new(clock: &'a Cloud, site: &Site, endpoint: &str, template: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("fleet.yaml");
        let text = format!(
            "version: 1\nname: both\naccount: \"123456789012\"\nregion: us-east-1\nstate: {STATE}\ntags: {{team: data}}\n\
             template: {{instance: {template}}}\nimage: {{name: both, keep: 1}}\n\
             fleet:\n  size: 3\n  spot: 34%\n  types: [{}]\n  subnets: [{}]\n  security_groups: [{}]\n",
            TYPES.join(", "),
            site.subnets.join(", "),
            site.group
        );
        std::fs::write(&spec, text).unwrap();
        Self { clock, endpoint: endpoint.to_owned(), spec, dir }
    }

    /// The same machine from now on with another fleet, in a group of its own.
    fn in_a_group(&mut self) {
        let text = std::fs::read_to_string(&self.spec).unwrap().replace("name: both", "name: flock");
        let text = text.replace("  size: 3", "  size: 3\n  mode: auto-scaling-group\n  root: {size: 8GiB}");
        self.spec = self.dir.path().join("group.yaml");
        std::fs::write(&self.spec, format!("{text}recycle: {{windows: [{{at: \"0 3 * * *\", surge: 1, for: 1h}}]}}\n"))
            .unwrap();
    }

    fn cli(&self, arguments: &[&str]) -> Command {
        self.on("state", arguments)
    }

    /// On a machine of this name.
    fn on(&self, machine: &str, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.envs(self.clock.env()).env_remove("AWS_ENDPOINT_URL").arg("-f").arg(&self.spec);
        command.args(["--endpoint-url", &self.endpoint, "--yes", "--local-state", "-o", "json", "--state-dir"]);
        command.arg(self.dir.path().join(machine)).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&expect(&mut self.cli(arguments), 0).stdout).unwrap()
    }
}

/// The campaign at one site, behind `authority`, on a template of its own.
fn campaign_at(clock: &Cloud, site: &Site, authority: &str) {
    assert_eq!(site.object("PUT /ops-state", "", "").0, 200);
    let template = site.instance();
    while site.state(&template) != "running" {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut machine = Machine::new(clock, site, &format!("http://{authority}"), &template);
    campaign(&machine, site, &template);
    machine.in_a_group();
    group_campaign(&machine, site);
}

/// Bake, launch, status, down; each twice where twice must be as good as once.
fn campaign(machine: &Machine<'_>, site: &Site, template: &str) {
    let baked = machine.json(&["bake", "--no-login"]);
    let image = baked["image"].as_str().unwrap().to_owned();
    let shown = site.done(&format!("Action=DescribeImages&ImageId.1={image}"));
    assert!(shown.contains("<key>fleetwright:fleet</key>"), "{shown}");
    assert!(shown.contains("<key>team</key>"), "{shown}");
    assert_eq!(machine.json(&["bake", "--no-login", "--if-changed"])["image"], image.as_str());
    expect(&mut machine.cli(&["launch", "--until", "running"]), 8);

    let launch = ["launch", "--unattested", "--until", "running"];
    for _ in 0..2 {
        assert_eq!(machine.json(&launch)["hosts"], json!({ "wanted": 3, "live": 3 }));
    }
    among_machines(machine, site, &launch);
    let status = machine.json(&["status"]);
    let hosts = status["hosts"].as_array().unwrap();
    let count = |key: &str, value: &str| hosts.iter().filter(|host| host[key] == value).count();
    assert_eq!((hosts.len(), count("state", "running")), (3, 3), "{status}");
    assert_eq!((count("market", "spot"), count("market", "on-demand")), (1, 2), "{status}");
    assert_eq!(status["unfinished"], json!([]));
    let ids: Vec<&str> = hosts.iter().map(|host| host["id"].as_str().unwrap()).collect();
    let shown = site.done(&format!("Action=DescribeInstances&InstanceId.1={}", ids[0]));
    for key in ["fleetwright:fleet", "fleetwright:epoch", "fleetwright:intent", "fleetwright:expires", "team"] {
        assert!(shown.contains(&format!("<key>{key}</key>")), "{key} in {shown}");
    }

    for _ in 0..2 {
        let down = machine.json(&["down"]);
        assert_eq!(down["remaining"], json!([]));
    }
    // Hosts that were ended a moment ago count as nothing.
    assert_eq!(machine.json(&launch)["hosts"], json!({ "wanted": 3, "live": 3 }));
    assert_eq!(machine.json(&["down"])["remaining"], json!([]));
    for id in ids {
        assert_eq!(site.state(id), "terminated");
    }
    assert_eq!(site.state(template), "running", "somebody else's");
    let templates = site.done("Action=DescribeLaunchTemplates");
    assert!(!templates.contains("<launchTemplateName>fleetwright-both</launchTemplateName>"), "{templates}");
    // `image.keep` is 1: of two images the older goes.
    let second = machine.json(&["bake", "--no-login"])["image"].as_str().unwrap().to_owned();
    assert_ne!(second, image);
    machine.json(&["down", "--images"]);
    let left = site.done("Action=DescribeImages&Owner.1=self");
    assert_eq!([&image, &second].into_iter().filter(|id| left.contains(*id)).count(), 1, "{left}");
}

/// The same in a group of the fleet's own: launched, sized, put on a schedule, ended; each twice where that must be as good.
fn group_campaign(machine: &Machine<'_>, site: &Site) {
    let launch = ["launch", "--unattested", "--image", &site.image, "--until", "running"];
    for _ in 0..2 {
        assert_eq!(machine.json(&launch)["hosts"], json!({ "wanted": 3, "live": 3 }));
    }
    let sized = |n: &str, live: usize| {
        let scale = ["scale", n, "--unattested", "--image", &site.image, "--until", "running", "--no-drain"];
        assert_eq!(machine.json(&scale)["hosts"]["live"], live, "scale {n}");
    };
    sized("4", 4);
    sized("2", 2);
    for (verb, actions) in [("apply", 3), ("apply", 3), ("list", 3), ("remove", 1), ("list", 1)] {
        let told = machine.json(&["recycle", verb]);
        assert_eq!(told["actions"].as_array().unwrap().len(), actions, "recycle {verb}: {told:#}");
    }
    for _ in 0..2 {
        assert_eq!(machine.json(&["down"])["remaining"], json!([]));
    }
    let form = "Action=DescribeAutoScalingGroups&Version=2011-01-01";
    let (status, groups) = env::call_to("autoscaling", &site.authority, form);
    assert!(status == 200 && !groups.contains("fleetwright-flock"), "{groups}");
}

/// The claim is refused while another machine holds it and taken over afterwards; every machine knows every run.
fn among_machines(machine: &Machine<'_>, site: &Site, launch: &[&str]) {
    let (status, paper) = site.object(&format!("GET {LEASE}"), "", "");
    assert!(status == 200 && paper.contains("\"holder\":null"), "given back: {status} {paper}");
    let theirs = |until: &str| {
        let holder =
            json!({"pid": 1, "verb": "down", "run": null, "started": "2026-01-01T00:00:00Z", "host": "laptop"});
        json!({"machine": "another", "holder": holder, "until": until}).to_string()
    };
    let put = |headers: &str, paper: &str| site.object(&format!("PUT {LEASE}"), headers, paper).0;
    assert_eq!(put("if-none-match: *\r\n", &theirs("2999-01-01T00:00:00Z")), 412);
    assert_eq!(put("", &theirs("2999-01-01T00:00:00Z")), 200);
    let refused = expect(&mut machine.cli(launch), 7);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("`down` (process 1 on laptop, since 2026-01-01T00:00:00Z) holds s3://ops-state"), "{told}");
    assert_eq!(put("", &theirs("2000-01-01T00:00:00Z")), 200);
    assert_eq!(machine.json(launch)["hosts"], json!({ "wanted": 3, "live": 3 }));
    let runs = |name: &str| {
        let listed = expect(&mut machine.on(name, &["runs", "list"]), 0);
        serde_json::from_slice::<Value>(&listed.stdout).unwrap()["runs"].clone()
    };
    assert!(!runs("elsewhere").as_array().unwrap().is_empty());
    assert_eq!(runs("elsewhere"), runs("state"));
}

#[test]
fn the_same_campaign_on_the_rehearsal_cloud_and_on_moto() {
    let moto = Server::moto();
    let cloud = Cloud::start("tests/specs/it/five.yaml", SPEED, &json!({ "throttle": false }));
    let (reference, (other, detour)) = std::thread::scope(|scope| {
        let reference = scope.spawn(|| {
            let site = Site::look(cloud.authority());
            campaign_at(&cloud, &site, cloud.authority());
            site
        });
        let other = scope.spawn(|| {
            let authority = moto.ready();
            let (site, detour) = (Site::look(&authority), Detour::start(&authority));
            campaign_at(&cloud, &site, detour.authority());
            (site, detour)
        });
        (reference.join().unwrap(), other.join().unwrap())
    });
    assert_eq!(detour.dropped(), 2, "both images went round the gap");
    gaps::check(&cloud, &reference, &other);
}
