//! The verify playbook on the template, and the proof that its worker starts on boot.

use super::Steps;
use super::reach::unreached;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::{HostResult, PlayKind};
use crate::plan::play::{HostFacts, render};
use crate::ssh::{Input, Limits, Marker, PlayEnd, Runner, Target};
use serde_json::json;
use std::time::{Duration, Instant};

/// Prints the command line of every process that holds the text on standard input; the text itself is in no command line.
const FIND_PROCESS: &str = r#"
IFS= read -r wanted
for dir in /proc/[0-9]*; do
    line=$(tr '\0' ' ' 2>/dev/null <"$dir/cmdline") || continue
    case $line in *"$wanted"*) printf '%s\n' "$line"; found=1;; esac
done
[ -n "${found:-}" ]
"#;

/// How long a worker may take to come up after the playbook's last step, wall time.
const COMES_UP: Duration = Duration::from_mins(1);

impl Steps {
    /// Runs the playbook's steps in order. After a reboot among them the worker's process must be there again: every process
    /// is newer than the boot, and the runner saw another boot id answer.
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
            region: self.fleet.region.clone(),
            release: None,
            queue_url: self.fleet.queue.as_ref().map(|queue| queue.url.clone()),
        };
        let files = super::push::files(playbook)?;
        let play = render(playbook, &std::collections::BTreeMap::new(), &facts, &files)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let reboots = play.steps.iter().any(|step| matches!(step.kind, PlayKind::Reboot { .. }));
        let target = Target::of(&host, &self.fleet.ssh.user);
        let runner = Runner::new(&self.reach.ssh, &target, &self.reach.template_trust);
        let begun = Instant::now();
        let report = runner.run(session, &play, None, Marker::None, &mut |_| {}).await;
        let n = report.steps.len();
        if report.end != PlayEnd::Done {
            let report = report.host_report(host.clone(), begun.elapsed());
            let stage = report.stage.unwrap_or_else(|| "connect".to_owned());
            let cause = report.cause.unwrap_or_default();
            let exit = if report.result == HostResult::Refused { Exit::Refused } else { Exit::Partial };
            return Err(Failure::to(exit, format!("check {}: step {stage:?} said no: {cause}", host.id))
                .hint("mend the template, then verify again; nothing was launched"));
        }
        let detail = match (&self.fleet.worker, reboots) {
            (Some(worker), true) => {
                let seen = self.find_process(&worker.process).await?;
                format!("{n} steps hold; rebooted, and the worker came up by itself: {seen}")
            }
            _ => format!("{n} steps hold"),
        };
        Ok(Done::new(json!({ "steps": n, "reboot_proof": reboots }), detail))
    }

    /// Waits until a process of the template holds the text in its command line.
    async fn find_process(&self, wanted: &str) -> Result<String, Failure> {
        let begun = Instant::now();
        let limits = Limits { timeout: Duration::from_secs(30), max_output: 16 * 1024 };
        loop {
            let (host, session) = self.enter_template().await?;
            let stdin = Input::Bytes(format!("{wanted}\n").into_bytes().into());
            let found = session.exec(FIND_PROCESS, stdin, limits).await.map_err(|fault| unreached(&host.id, &fault))?;
            session.close().await;
            if found.success() {
                let text = String::from_utf8_lossy(&found.stdout);
                return Ok(crate::ssh::output::line(text.lines().next().unwrap_or_default().trim_end()));
            }
            if begun.elapsed() > COMES_UP {
                return Err(Failure::to(
                    Exit::Partial,
                    format!(
                        "prove that the worker starts on boot: after the reboot of {} no process holds {wanted:?}",
                        host.id
                    ),
                )
                .hint("systemctl enable the worker's service on the template, then verify again"));
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
