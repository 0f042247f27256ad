//! The worker on the template: stopped before an image is taken, started again after.

use super::Steps;
use super::scan::as_root;
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::exit::Exit;
use crate::model::shell_word;
use crate::spec::fleet::Worker;
use crate::ssh::{Input, Limits};
use jiff::SignedDuration;
use serde_json::json;
use std::time::Duration;

/// Stopping a worker may wait for the item in hand.
pub(super) const STOP: Limits = Limits { timeout: Duration::from_mins(5), max_output: 16 * 1024 };
/// How long the template may take to answer again after EC2 rebooted it for its image.
const BACK: SignedDuration = SignedDuration::from_mins(10);

impl Steps {
    pub(super) fn worker(&self) -> Result<&Worker, Failure> {
        self.fleet.worker.as_ref().ok_or_else(|| Failure::to(Exit::Usage, "find the worker: the spec names none"))
    }

    /// Stops the worker's service; it stays enabled, so that every copy starts it at boot.
    pub(super) async fn quiesce(&self) -> Result<Done, Failure> {
        let service = shell_word(&self.worker()?.service);
        let (host, session) = self.enter_template().await?;
        let command = as_root(&format!("systemctl is-enabled {service} && systemctl stop {service} && sync"));
        let what = format!("stop {}, which must be enabled", self.worker()?.service);
        self.on_template(&session, &host.id, &what, &command, Input::Empty, STOP).await?;
        session.close().await;
        Ok(Done::new(json!({}), format!("{} is stopped", self.worker()?.service)))
    }

    /// A bake that failed between stopping the template's worker and starting it again: where nobody goes on with the run the
    /// worker is started at once, and where that fails, or the run can be gone on with, it is said.
    pub async fn worker_left(&self, failure: Failure, resumable: bool) -> Failure {
        let stopped =
            self.journal.with_fold(|fold| fold.steps.contains_key("quiesce") && !fold.steps.contains_key("unquiesce"));
        let (true, Some(worker), Some(template)) = (stopped, &self.fleet.worker, self.fleet.template_instance()) else {
            return failure;
        };
        let by_hand = format!("sudo systemctl start {}     # on {template}: its worker is stopped", worker.service);
        if resumable {
            return failure.hint(by_hand);
        }
        match self.unquiesce().await {
            Ok(_) => {
                self.events.note(format!("the worker on {template} was started again"));
                failure
            }
            Err(why) => {
                self.events.warn(why.to_string());
                failure.hint(by_hand)
            }
        }
    }

    /// Starts the worker's service again, once the template answers.
    pub(super) async fn unquiesce(&self) -> Result<Done, Failure> {
        let service = shell_word(&self.worker()?.service);
        let deadline = self.clock.now() + BACK;
        loop {
            match self.enter_template().await {
                Ok((host, session)) => {
                    let command = as_root(&format!("systemctl start {service} && systemctl is-active {service}"));
                    let what = format!("start {}", self.worker()?.service);
                    self.on_template(&session, &host.id, &what, &command, Input::Empty, STOP).await?;
                    session.close().await;
                    return Ok(Done::new(json!({}), format!("{} runs", self.worker()?.service)));
                }
                Err(_) if self.template_gone().await? => {
                    return Ok(Done::unchanged(json!({}), "the template is gone, and its worker with it"));
                }
                Err(failure) if failure.exit == Exit::Refused || self.clock.now() > deadline => return Err(failure),
                Err(_) => {
                    self.pause(Duration::from_secs(5)).await?;
                }
            }
        }
    }
}
