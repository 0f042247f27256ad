//! The verify playbook on the template, and the proof that its worker starts on boot.

use super::Steps;
use super::reach::unreached;
use super::scan::as_root;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::{HostResult, InstanceId, PlayKind, PlayStep, count_is, shell_word};
use crate::plan::build;
use crate::plan::play::{HostFacts, render};
use crate::spec::fleet::Worker;
use crate::ssh::{Input, Limits, Marker, PlayEnd, Runner, Session, Target};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Prints id and command line of every process that holds the text on standard input; the text itself is in no command line.
pub(super) const FIND_PROCESS: &str = r#"
IFS= read -r wanted
for dir in /proc/[0-9]*; do
    line=$(tr '\0' ' ' 2>/dev/null <"$dir/cmdline") || continue
    case $line in *"$wanted"*) printf '%s %s\n' "${dir#/proc/}" "$line";; esac
done
exit 0
"#;

/// How long a worker may take to come up after the playbook's last step, and how long one process of it must then stay: world
/// time. One that is started again and again, 5 s apart or less, is never seen to stay.
const COMES_UP: SignedDuration = SignedDuration::from_mins(3);
const STAYS: SignedDuration = SignedDuration::from_secs(10);
/// Between two looks for it, world time.
const LOOK: Duration = Duration::from_secs(2);
/// Each small command on the template, wall time.
const SHORT: Limits = Limits { timeout: Duration::from_secs(30), max_output: 16 * 1024 };

impl Steps {
    /// Runs the playbook's steps in order. Before a reboot among them the worker's unit must be enabled; after it the worker's
    /// process must be there again, and stay: every process is newer than the boot, and the runner saw another boot id answer.
    pub(super) async fn checks(&self) -> Result<Done, Failure> {
        let playbook = self
            .verify
            .as_ref()
            .ok_or_else(|| Failure::new(Exit::Usage, "check: the spec names no `template.verify`"))?;
        let (host, session) = self.enter_template().await?;
        let facts = HostFacts {
            id: host.id.clone(),
            slot: 0,
            address: host.address.clone(),
            fleet: self.fleet.name.clone(),
            region: Some(self.fleet.region.clone()),
            release: None,
            queue_url: self.fleet.queue.as_ref().map(|queue| queue.url.clone()),
        };
        let files = super::push::files(playbook)?;
        let mut play = render(playbook, &BTreeMap::new(), &facts, &files)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let first_reboot = play.steps.iter().position(|step| matches!(step.kind, PlayKind::Reboot { .. }));
        if let (Some(worker), Some(at)) = (&self.fleet.worker, first_reboot) {
            play.steps.insert(at, enabled(&worker.service));
        }
        let target = Target::of(&host);
        let runner = Runner::new(&self.reach.ssh, &target, &self.reach.others_trust);
        let begun = Instant::now();
        let report = runner.run(session, &play, None, Marker::None, &mut |_| {}).await;
        let n = playbook.steps.len();
        if report.end != PlayEnd::Done {
            let report = report.host_report(host.clone(), begun.elapsed());
            let stage = report.stage.unwrap_or_else(|| "connect".to_owned());
            let cause = report.cause.unwrap_or_default();
            let exit = if report.result == HostResult::Refused { Exit::Refused } else { Exit::Partial };
            let (what, hint) = match self.plan.verb.as_str() {
                build::VERB => ("provision", "mend `template.build.playbook`, then run it again"),
                _ if self.fleet.build().is_some() => ("check", "mend what the template is built of, then run it again"),
                _ => ("check", "mend the template, then verify again; nothing was launched"),
            };
            return Err(Failure::to(exit, format!("{what} {}: step {stage:?} said no: {cause}", host.id)).hint(hint));
        }
        let hold = if n == 1 { "1 step holds".to_owned() } else { format!("{n} steps hold") };
        let detail = match (&self.fleet.worker, first_reboot) {
            (Some(worker), Some(_)) => {
                let seen = self.worker_stays(worker).await?;
                format!("{hold}; rebooted, and the worker came up by itself: {seen}")
            }
            _ if self.plan.verb == build::VERB => format!("{} done", count_is(n, "step")),
            _ => hold,
        };
        Ok(Done::new(json!({ "steps": n, "reboot_proof": first_reboot.is_some() }), detail))
    }

    /// Waits until one and the same process of the worker has been there for a while; tells its command line.
    async fn worker_stays(&self, worker: &Worker) -> Result<String, Failure> {
        let deadline = self.clock.now() + COMES_UP;
        let (host, session) = self.enter_template().await?;
        let mut first_seen: BTreeMap<String, Timestamp> = BTreeMap::new();
        loop {
            let stdin = Input::Bytes(format!("{}\n", worker.process).into_bytes().into());
            let found = session.exec(FIND_PROCESS, stdin, SHORT).await.map_err(|fault| unreached(&host.id, &fault))?;
            let now = self.clock.now();
            let text = String::from_utf8_lossy(&found.stdout).into_owned();
            let there: BTreeMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
            for pid in there.keys() {
                first_seen.entry((*pid).to_owned()).or_insert(now);
            }
            let stayed = there.iter().find(|(pid, _)| now.duration_since(first_seen[**pid]) >= STAYS);
            if let Some((_, line)) = stayed {
                session.close().await;
                return Ok(crate::ssh::output::line(line.trim_end()));
            }
            if now >= deadline {
                let seen = match first_seen.len() {
                    0 => format!("no process holds {:?}", worker.process),
                    1 => "its process did not stay".to_owned(),
                    n => format!("it was started again and again, {n} processes were seen"),
                };
                let says = self.unit_says(&host.id, &session, &worker.service).await?;
                return Err(Failure::to(
                    Exit::Partial,
                    format!("prove that the worker comes up by itself: after the reboot of {} {seen}; {says}", host.id),
                )
                .hint(format!(
                    "journalctl -u {} on the template tells more; mend it, then verify again",
                    worker.service
                )));
            }
            self.pause(LOOK).await?;
        }
    }

    /// What systemd says of a unit, and the unit's own last word.
    async fn unit_says(&self, id: &InstanceId, session: &Session, unit: &str) -> Result<String, Failure> {
        let word = shell_word(unit);
        let command = as_root(&format!("systemctl is-active {word}; journalctl -u {word} -n 5 --no-pager 2>/dev/null"));
        let asked = session.exec(&command, Input::Empty, SHORT).await.map_err(|fault| unreached(id, &fault))?;
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let state = crate::ssh::output::line(lines.next().unwrap_or("unknown"));
        Ok(match lines.next_back() {
            Some(last) => format!("{unit} is {state}, its last word: {}", crate::ssh::output::line(last)),
            None => format!("{unit} is {state}"),
        })
    }
}

/// Asks right before a reboot whether the worker would be there after it: a template that fails here is not rebooted.
fn enabled(service: &str) -> PlayStep {
    let word = shell_word(service);
    let script = format!(
        "state=$(systemctl is-enabled {word} 2>&1) && exit 0; code=$?\n\
         echo \"it is $state, so that no copy would start it; systemctl enable\" {word}; exit $code"
    );
    PlayStep {
        name: format!("{service} starts on boot"),
        timeout: SHORT.timeout,
        retries: 0,
        kind: PlayKind::Check { script },
    }
}
