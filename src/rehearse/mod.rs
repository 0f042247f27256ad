//! A campaign on the rehearsal cloud: starts this same binary as `sim serve` and as each verb, breaks things on purpose, and
//! judges the result by itself.

mod cloud;
mod control;
mod items;
mod records;
mod release;
mod verbs;
pub mod world;

use cloud::Cloud;
pub use control::Control;
pub use items::{Chosen, choose};
pub use records::{Compared, compare};
pub use release::build as build_release;
pub use verbs::{Finished, Verbs};

use crate::engine::failure::Failure;
use crate::event::{Event, Events, StepEnd};
use crate::exit::Exit;
use crate::model::Money;
use crate::spec::Fleet;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a rehearsal was asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The spec's file.
    pub spec: PathBuf,
    /// `--set` of the command line.
    pub sets: Vec<String>,
    /// Hosts.
    pub hosts: u32,
    /// Items to feed by range of the real files; the spec's own feed if absent.
    pub items: Option<Chosen>,
    /// Decides what goes wrong where.
    pub seed: u64,
    /// Fault script instead of the built-in one.
    pub faults: Option<PathBuf>,
    /// World seconds per second.
    pub speed: f64,
    /// Everything that the rehearsal writes is below this folder, which is its alone.
    pub work: PathBuf,
    /// Leave cloud and hosts running.
    pub keep: bool,
    /// Global flags about display, handed on to each verb.
    pub display: Vec<String>,
}

/// First line of `sim serve -o json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Served {
    /// Base URL of every service.
    pub endpoint: String,
    /// Its process.
    pub pid: u32,
    /// What to export.
    pub env: BTreeMap<String, String>,
    /// `--set` pairs that the world needs: port, identity, known hosts.
    #[serde(default)]
    pub set: Vec<String>,
    /// Folders behind the hosts' mounts.
    #[serde(default)]
    pub mounts: BTreeMap<String, PathBuf>,
    /// What stands in for things that can't be had on a laptop.
    #[serde(default)]
    pub replaced: Vec<String>,
}

/// One verb of the campaign, as it came out.
#[derive(Clone, Debug)]
pub struct Act {
    /// The verb.
    pub verb: String,
    /// Its exit code.
    pub code: Option<i32>,
    /// Wall seconds.
    pub seconds: f64,
}

/// Everything that a rehearsal found out.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Each verb in order.
    pub acts: Vec<Act>,
    /// `wait`'s own summary.
    pub waited: Value,
    /// `push`'s own summary.
    pub pushed: Value,
    /// Hosts that were broken on purpose, and how.
    pub sabotaged: BTreeMap<String, &'static str>,
    /// Workers killed in the middle of an item.
    pub killed: Vec<String>,
    /// Items that came back after their worker died.
    pub redelivered: u64,
    /// Records held against recomputed digests, where the spec has any.
    pub compared: Option<Compared>,
    /// Ground truth at the end.
    pub world: Value,
    /// What the campaign cost by its own bill, as the last verb that asked told it.
    pub cost: Option<Money>,
    /// Calls per action.
    pub calls: BTreeMap<String, u64>,
    /// Hosts launched in all.
    pub launched: u64,
    /// World seconds from the first call to the last.
    pub world_seconds: f64,
    /// What stood in for things that can't be had on a laptop.
    pub replaced: Vec<String>,
    /// What each webhook was told, instead of those behind it.
    pub notified: Vec<String>,
    /// Everything that did not go as foretold; empty when all did.
    pub surprises: Vec<String>,
}

/// Runs the campaign. `Outcome::surprises` says what did not go as foretold.
///
/// # Errors
///
/// When the rehearsal itself could not be carried on.
pub async fn run(fleet: &Fleet, wanted: &Wanted, events: &Events) -> Result<Outcome, Failure> {
    let mut cloud = Cloud::start(wanted).await?;
    let result = campaign(fleet, wanted, &cloud.served, events).await;
    if wanted.keep {
        cloud.leave();
    } else {
        cloud.stop().await;
    }
    result
}

/// The campaign's state while it runs.
struct Stage<'a> {
    verbs: Verbs,
    control: Control,
    events: &'a Events,
    outcome: Outcome,
}

impl Stage<'_> {
    /// Runs a verb and notes it when it does not end as foretold.
    async fn act(&mut self, name: &str, arguments: &[&str], foretold: Exit) -> Result<Finished, Failure> {
        let step = format!("rehearse.{name}");
        self.events
            .emit(Event::StepStarted { step: step.clone(), title: format!("fleetwright {}", arguments.join(" ")) });
        let begun = Instant::now();
        let finished = self.verbs.run(arguments).await.map_err(|e| broken(name, &e))?;
        self.note_act(name, &finished, begun, foretold);
        Ok(finished)
    }

    fn note_act(&mut self, name: &str, finished: &Finished, begun: Instant, foretold: Exit) {
        let seconds = begun.elapsed().as_secs_f64();
        self.outcome.acts.push(Act { verb: name.to_owned(), code: finished.code, seconds });
        let good = finished.is(foretold);
        let end = if good { StepEnd::Done } else { StepEnd::Failed };
        let code = finished.code.map_or("killed".to_owned(), |code| format!("exit {code}"));
        if !good {
            self.outcome.surprises.push(format!("{name} ended with {code}, not {}", foretold.code()));
        }
        self.events.emit(Event::StepFinished {
            step: format!("rehearse.{name}"),
            end,
            detail: format!("{code}, {seconds:.1} s"),
        });
    }

    fn world(&self) -> Result<Value, Failure> {
        self.control.world().map_err(|e| broken("look at the world", &e))
    }
}

fn broken(what: &str, error: &std::io::Error) -> Failure {
    Failure::to(Exit::Bug, format!("{what}: {error}"))
}

async fn campaign(fleet: &Fleet, wanted: &Wanted, served: &Served, events: &Events) -> Result<Outcome, Failure> {
    let mut sets = wanted.sets.clone();
    sets.extend(served.set.iter().cloned());
    sets.push(format!("fleet.size={}", wanted.hosts));
    // Loopback answers at once: a black hole need not cost the ten seconds that a network may take.
    sets.push("ssh.timeout=3s".to_owned());
    if fleet.fleet.as_ref().is_some_and(|hosts| hosts.accept_min > wanted.hosts) {
        sets.push(format!("fleet.accept.min={}", wanted.hosts));
    }
    if fleet.release.is_some() {
        let archive = wanted.work.join("release-1.tar.gz");
        release::build(fleet, "1\n", &archive).map_err(|e| broken("make the first release", &e))?;
        sets.push(format!("release.from={}", quoted(&archive)));
    }
    let verbs = Verbs {
        binary: std::env::current_exe().map_err(|e| broken("find this binary", &e))?,
        spec: wanted.spec.clone(),
        state_dir: wanted.work.join("state"),
        env: served.env.clone(),
        sets,
        display: wanted.display.clone(),
    };
    let control = Control::new(&served.endpoint);
    let outcome = Outcome { replaced: served.replaced.clone(), ..Outcome::default() };
    let mut stage = Stage { verbs, control, events, outcome };
    if let Some(chosen) = &wanted.items {
        let file = wanted.work.join("items.txt");
        std::fs::write(&file, chosen.items.join("\n") + "\n").map_err(|e| broken("write the items", &e))?;
        stage.verbs.sets.push(format!("feed.from={{lines: {}}}", quoted(&file)));
    }
    parts(fleet, wanted, served, &mut stage).await?;
    stage.outcome.launched = hosts_of(&stage.world()?, fleet).len() as u64;
    if !wanted.keep {
        stage.act("down", &["down", "--images"], Exit::Done).await?;
    }
    let runs = stage.verbs.run(&["runs", "list"]).await.map_err(|e| broken("list the runs", &e))?;
    let mut outcome = stage.outcome;
    let mut newest_first = runs.json["runs"].as_array().into_iter().flatten();
    outcome.cost = newest_first.find_map(|run| serde_json::from_value(run["cost"].clone()).ok());
    outcome.world = stage.control.world().map_err(|e| broken("look at the world", &e))?;
    let audit = stage.control.audit().map_err(|e| broken("read the audit", &e))?;
    for call in &audit {
        let action = call.get("action").and_then(Value::as_str).unwrap_or("?");
        *outcome.calls.entry(action.to_owned()).or_default() += 1;
    }
    outcome.notified = notified(&stage.control.hooks().map_err(|e| broken("ask what webhooks were told", &e))?);
    outcome.world_seconds = span(&audit);
    if !wanted.keep {
        outcome.surprises.extend(leftovers(&outcome.world, fleet));
    }
    Ok(outcome)
}

/// The campaign's parts in order; the first that does not end as foretold is the last.
async fn parts(fleet: &Fleet, wanted: &Wanted, served: &Served, stage: &mut Stage<'_>) -> Result<(), Failure> {
    if fleet.template.is_some() {
        for verb in ["verify", "bake"] {
            if !stage.act(verb, &[verb], Exit::Done).await?.is(Exit::Done) {
                return Ok(());
            }
        }
    }
    if !stage.act("launch", &["launch"], Exit::Done).await?.is(Exit::Done) {
        return Ok(());
    }
    if fleet.release.is_some() {
        push(fleet, wanted, stage).await?;
    }
    if fleet.queue.is_some() && fleet.feed.is_some() {
        if !stage.act("feed", &["feed"], Exit::Done).await?.is(Exit::Done) {
            return Ok(());
        }
        wait(stage).await?;
        judge(wanted, served, stage)?;
    }
    Ok(())
}

/// What was posted to webhooks, one a line.
fn notified(hooks: &Value) -> Vec<String> {
    let line = |hook: &Value| {
        let told = &hook["told"];
        let word = |field: &str| told[field].as_str().unwrap_or("?").to_owned();
        format!("${{{}}}: {} {}", hook["name"].as_str().unwrap_or("?"), word("verb"), word("event"))
    };
    hooks.as_array().into_iter().flatten().map(line).collect()
}

/// A path as a YAML scalar.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "''"))
}

/// World seconds between the first call and the last.
fn span(audit: &[Value]) -> f64 {
    let times: Vec<jiff::Timestamp> =
        audit.iter().filter_map(|call| call.get("time")?.as_str()?.parse().ok()).collect();
    match (times.iter().min(), times.iter().max()) {
        (Some(first), Some(last)) => last.duration_since(*first).as_secs_f64(),
        _ => 0.0,
    }
}

/// Ground truth: instances of this fleet by its tag, decoys left out.
fn hosts_of<'a>(world: &'a Value, fleet: &Fleet) -> Vec<&'a Value> {
    let tag = |instance: &Value| instance["tags"][crate::model::tags::FLEET].as_str() == Some(fleet.name.as_str());
    let decoy = |instance: &Value| instance["owner"].as_str() == Some("decoy");
    world["instances"]
        .as_array()
        .map(|all| all.iter().filter(|instance| tag(instance) && !decoy(instance)).collect())
        .unwrap_or_default()
}

/// What is still there after `down`, by the ground truth; and foreign things that are not there any more.
fn leftovers(world: &Value, fleet: &Fleet) -> Vec<String> {
    let mut found = Vec::new();
    let template = Fleet { name: crate::plan::build::key(&fleet.key()).name, ..fleet.clone() };
    for host in hosts_of(world, fleet).into_iter().chain(hosts_of(world, &template)) {
        let state = host["state"].as_str().unwrap_or("?");
        if state != "terminated" {
            found.push(format!("{} is still {state} after down", host["id"].as_str().unwrap_or("?")));
        }
    }
    for instance in world["instances"].as_array().into_iter().flatten() {
        if instance["owner"].as_str() == Some("decoy") && instance["state"].as_str() != Some("running") {
            found.push(format!("{} was somebody else's and is not running any more", instance["id"]));
        }
    }
    for template in world["launch_templates"].as_array().into_iter().flatten() {
        found.push(format!("launch template {} is still there after down", template["id"]));
    }
    found
}

/// Breaks two hosts, pushes, and holds what push said against what was done to them.
async fn push(fleet: &Fleet, wanted: &Wanted, stage: &mut Stage<'_>) -> Result<(), Failure> {
    let archive = wanted.work.join("release-2.tar.gz");
    release::build(fleet, "2\n", &archive).map_err(|e| broken("make the second release", &e))?;
    stage.verbs.sets.push(format!("release.from={}", quoted(&archive)));
    let world = stage.world()?;
    let running: Vec<String> = hosts_of(&world, fleet)
        .into_iter()
        .filter(|host| host["state"].as_str() == Some("running"))
        .filter_map(|host| host["id"].as_str().map(str::to_owned))
        .collect();
    // The canary wave stays whole; two hosts of the others are broken, which ones is the seed's choice.
    let canary = fleet.release.as_ref().map_or(1, |release| usize::try_from(release.canary).unwrap_or(1));
    let mut victims: Vec<String> = by_slot(stage, &running).await?.into_iter().skip(canary).collect();
    let turn = usize::try_from(wanted.seed).unwrap_or(0) % victims.len().max(1);
    victims.rotate_left(turn);
    let mut victims = victims.into_iter();
    let mut broken_hosts = 0;
    if running.len() > canary + 2 {
        if let Some(rejecting) = victims.next() {
            // Its marker directory becomes a file: whatever the playbook is, this host can't take a release.
            let spoil = "rm -rf /var/lib/fleetwright && : > /var/lib/fleetwright";
            stage.act("exec", &["exec", "--only", &rejecting, "--", spoil], Exit::Done).await?;
            stage.outcome.sabotaged.insert(rejecting, "failed");
            broken_hosts += 1;
        }
        if let Some(silent) = victims.next() {
            stage.control.host(&silent, "blackhole").map_err(|e| broken("black-hole a host", &e))?;
            stage.outcome.sabotaged.insert(silent, "unreachable");
            broken_hosts += 1;
        }
    }
    let max_fail = broken_hosts.to_string();
    let pushed = stage.act("push", &["push", "--max-fail", &max_fail], Exit::Done).await?;
    for (id, foretold) in &stage.outcome.sabotaged {
        if foretold == &"unreachable" {
            stage.control.host(id, "restore").map_err(|e| broken("end a black hole", &e))?;
        }
    }
    let results: BTreeMap<&str, &str> = pushed.json["push"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some((entry["host"].as_str()?, entry["result"].as_str()?)))
        .collect();
    for id in &running {
        let said = results.get(id.as_str()).copied().unwrap_or("nothing");
        let right = match stage.outcome.sabotaged.get(id) {
            Some(foretold) => said == *foretold,
            None => said == "changed" || said == "ok",
        };
        if !right {
            stage.outcome.surprises.push(format!("push said {said} of {id}"));
        }
    }
    stage.outcome.pushed = pushed.json;
    Ok(())
}

/// Running hosts in slot order, as `status` gives them.
async fn by_slot(stage: &mut Stage<'_>, running: &[String]) -> Result<Vec<String>, Failure> {
    let status = stage.act("status", &["status"], Exit::Done).await?;
    let mut slots: Vec<(u64, String)> = status.json["hosts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|host| Some((host["slot"].as_u64()?, host["id"].as_str()?.to_owned())))
        .filter(|(_, id)| running.contains(id))
        .collect();
    slots.sort();
    Ok(slots.into_iter().map(|(_, id)| id).collect())
}

/// How long the cloud may take to read what a worker sent before it was killed, wall time; a local socket holds it.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Waits for the verdict; meanwhile a spot worker is killed in the middle of an item.
async fn wait(stage: &mut Stage<'_>) -> Result<(), Failure> {
    let step = "rehearse.wait".to_owned();
    stage.events.emit(Event::StepStarted { step, title: "fleetwright wait".to_owned() });
    let begun = Instant::now();
    let child = stage.verbs.start(&["wait"]).map_err(|e| broken("wait", &e))?;
    let finishing = Verbs::finish(child);
    tokio::pin!(finishing);
    let mut beat = tokio::time::interval(Duration::from_millis(20));
    let finished = loop {
        tokio::select! {
            finished = &mut finishing => break finished.map_err(|e| broken("wait", &e))?,
            _ = beat.tick(), if stage.outcome.killed.is_empty() => {
                let world = stage.world()?;
                if let Some(victim) = busy_spot_host(&world) {
                    stage.control.host(&victim, "kill").map_err(|e| broken("kill a worker", &e))?;
                    // It may have acknowledged its item just before, and the cloud may yet read that off the dead worker's
                    // connection: then the kill proves nothing, and another one must.
                    tokio::time::sleep(LAST_WORDS).await;
                    let world = stage.world()?;
                    if holds(&world, &victim) || redelivered(&world) > 0 {
                        stage.events.note(format!("killed the worker on {victim} in the middle of an item"));
                        stage.outcome.killed.push(victim);
                    }
                }
            }
        }
    };
    stage.note_act("wait", &finished, begun, Exit::Done);
    stage.outcome.waited = finished.json;
    Ok(())
}

/// How often an item was taken once more, by the queues' ground truth.
fn redelivered(world: &Value) -> u64 {
    world["queues"].as_array().into_iter().flatten().filter_map(|queue| queue["redelivered"].as_u64()).sum()
}

/// Whether a host's worker holds an item, by the queues' ground truth.
fn holds(world: &Value, host: &str) -> bool {
    let mut queues = world["queues"].as_array().into_iter().flatten();
    queues.any(|queue| queue["holders"].as_array().is_some_and(|all| all.iter().any(|holder| holder == host)))
}

/// A running spot host whose worker holds an item right now, by the queues' ground truth.
fn busy_spot_host(world: &Value) -> Option<String> {
    let spot = |id: &str| {
        world["instances"].as_array().is_some_and(|all| {
            all.iter()
                .any(|i| i["id"] == id && i["market"] == "spot" && i["state"] == "running" && i["owner"] != "decoy")
        })
    };
    world["queues"]
        .as_array()?
        .iter()
        .flat_map(|queue| queue["holders"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .find(|holder| spot(holder))
        .map(str::to_owned)
}

/// Recomputes what the workers should have written.
fn judge(wanted: &Wanted, served: &Served, stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.outcome.redelivered = redelivered(&stage.world()?);
    let Some(chosen) = &wanted.items else { return Ok(()) };
    let Some(results) = served.mounts.get("/srv/results") else { return Ok(()) };
    let compared =
        records::compare(&chosen.items, &chosen.base, results).map_err(|e| broken("read the records", &e))?;
    if !compared.all_equal() {
        stage.outcome.surprises.push(format!("{} of {} records equal", compared.equal, compared.expected));
    }
    if !stage.outcome.killed.is_empty() && stage.outcome.redelivered == 0 {
        stage.outcome.surprises.push("a worker was killed in the middle of an item, and no item came back".to_owned());
    }
    stage.outcome.compared = Some(compared);
    Ok(())
}
