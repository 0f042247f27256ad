//! TerminateInstances.

use super::lifecycle::Cause;
use super::records::State;
use super::{Ask, Ec2};
use crate::sim::api::{ApiError, Handled, Reply};
use std::collections::BTreeSet;

impl Ec2 {
    /// All or nothing on a bad id. A protected instance spares its whole zone while the other zones' instances end,
    /// and the call fails all the same: that is EC2's documented behaviour.
    pub(super) fn terminate_instances(&mut self, ask: &Ask) -> Handled {
        let instances = self.named(ask)?;
        let protected =
            |instance: &&super::records::Instance| instance.guard.terminate && instance.state != State::Terminated;
        let spared: BTreeSet<&String> = instances.iter().filter(protected).map(|instance| &instance.zone).collect();
        let mut ended = Vec::new();
        for instance in instances.iter().filter(|instance| instance.state.live() && !spared.contains(&instance.zone)) {
            self.enter(&instance.id, State::ShuttingDown, ask.now, &Cause::user());
            ended.push(instance.id.clone());
        }
        if let Some(first) = instances.iter().find(protected) {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try \
                     again.",
                    first.id
                ),
            ));
        }
        Ok(Reply { ended, ..self.changes(&instances) })
    }
}
