//! StartInstances, StopInstances, RebootInstances, GetConsoleOutput.

use super::lifecycle::Cause;
use super::params::missing;
use super::records::{Instance, Market, State};
use super::{Ask, Ec2, ids, launch, when};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::hosts::Power;
use crate::sim::xml::Xml;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `IncorrectInstanceState`.
pub(super) fn wrong_state(message: String) -> ApiError {
    ApiError::new("IncorrectInstanceState", message)
}

impl Ec2 {
    /// The instances that a call names: at least one, each visible to this reader, in the call's order, each once.
    pub(super) fn named(&self, ask: &Ask) -> Result<Vec<Instance>, ApiError> {
        let mut ids: Vec<String> = Vec::new();
        for id in ask.params.texts("InstanceId") {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.is_empty() {
            return Err(missing("InstanceId"));
        }
        // A wrong form is told before an unknown id, whatever their order.
        let unknown = |id: &&String| self.visible(id, ask).is_none();
        if let Some(bad) = ids.iter().filter(unknown).min_by_key(|id| ids::well_formed(id, "i")) {
            let absent: Vec<&str> = ids.iter().filter(unknown).map(String::as_str).collect();
            if absent.len() > 1 && ids::well_formed(bad, "i") {
                let list = absent.join(", ");
                return Err(ApiError::new(
                    "InvalidInstanceID.NotFound",
                    format!("The instance IDs '{list}' do not exist"),
                ));
            }
            return Err(ids::unknown("i", bad));
        }
        Ok(ids.iter().filter_map(|id| self.instances.get(id)).cloned().collect())
    }

    /// The one instance that a call names in a plain parameter.
    pub(super) fn named_one(&self, ask: &Ask) -> Result<Instance, ApiError> {
        let id = ask.params.need("InstanceId")?;
        let known = self.visible(id, ask).and_then(|_| self.instances.get(id));
        known.cloned().ok_or_else(|| ids::unknown("i", id))
    }

    /// StopInstances.
    pub(super) fn stop_instances(&mut self, ask: &Ask) -> Handled {
        let instances = self.named(ask)?;
        for instance in &instances {
            let id = &instance.id;
            if instance.guard.stop {
                return Err(ApiError::new(
                    "OperationNotPermitted",
                    format!(
                        "The instance '{id}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again."
                    ),
                ));
            }
            match instance.state {
                State::Running | State::Stopping | State::Stopped => {}
                State::Pending | State::ShuttingDown | State::Terminated => {
                    return Err(wrong_state(format!(
                        "This instance '{id}' is not in a state from which it can be stopped."
                    )));
                }
            }
            if instance.market == Market::Spot {
                return Err(ApiError::new(
                    "UnsupportedOperation",
                    format!(
                        "You can't stop the Spot Instance '{id}' because it is associated with a one-time Spot Instance \
                         request. You can only stop Spot Instances associated with persistent Spot Instance requests."
                    ),
                ));
            }
        }
        for instance in instances.iter().filter(|instance| instance.state == State::Running) {
            self.enter(&instance.id, State::Stopping, ask.now, &Cause::user());
        }
        Ok(self.changes(&instances))
    }

    /// StartInstances: takes capacity again, which may be gone.
    pub(super) fn start_instances(&mut self, ask: &Ask) -> Handled {
        let instances = self.named(ask)?;
        let mut wanted = Vec::new();
        for instance in &instances {
            match instance.state {
                State::Pending | State::Running => {}
                State::Stopped => wanted.push(instance),
                State::Stopping | State::ShuttingDown | State::Terminated => {
                    let id = &instance.id;
                    return Err(wrong_state(format!(
                        "The instance '{id}' is not in a state from which it can be started."
                    )));
                }
            }
        }
        let mut vcpus = 0;
        for (n, instance) in wanted.iter().enumerate() {
            let pool = Self::pool_of(instance);
            let before = wanted[..n].iter().filter(|other| Self::pool_of(other) == pool).count();
            if self.capacity.free(&pool, &self.control) as usize <= before {
                return Err(launch::no_capacity(&instance.instance_type, &instance.zone));
            }
            vcpus += instance.vcpus;
            if vcpus > self.quota_left(instance.market) {
                return Err(launch::over_quota(instance.market));
            }
        }
        for instance in wanted {
            self.enter(&instance.id, State::Pending, ask.now, &Cause::none());
        }
        Ok(self.changes(&instances))
    }

    /// RebootInstances: the state stays `running`.
    pub(super) fn reboot_instances(&mut self, ask: &Ask) -> Handled {
        let instances = self.named(ask)?;
        if let Some(bad) = instances.iter().find(|instance| instance.state != State::Running) {
            let (id, state) = (&bad.id, bad.state.word());
            return Err(wrong_state(format!(
                "The instance '{id}' is in state '{state}', from which it can't be rebooted."
            )));
        }
        for instance in &instances {
            self.power(instance, Power::Reboot);
        }
        Ok(ok())
    }

    /// GetConsoleOutput.
    pub(super) fn get_console_output(&mut self, ask: &Ask) -> Handled {
        let instance = self.named_one(ask)?;
        let console = match instance.state {
            // Nothing is printed before the boot, nothing is kept after the end.
            State::Pending | State::Terminated => String::new(),
            State::Running | State::Stopping | State::Stopped | State::ShuttingDown => self.hosts.console(&instance.id),
        };
        // EC2 keeps the last 64 KiB.
        let bytes = console.as_bytes();
        let kept = &bytes[bytes.len().saturating_sub(64 * 1024)..];
        let mut xml = Xml::new();
        xml.text("instanceId", &instance.id).text("timestamp", when(ask.now));
        if !kept.is_empty() {
            xml.text("output", STANDARD.encode(kept));
        }
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// Before and after of each instance.
    pub(super) fn changes(&self, before: &[Instance]) -> Reply {
        let mut xml = Xml::new();
        xml.list("instancesSet", before, |xml, instance| {
            let now = self.instances.get(&instance.id).map_or(instance.state, |now| now.state);
            xml.text("instanceId", &instance.id);
            write_state(xml, "currentState", now);
            write_state(xml, "previousState", instance.state);
        });
        Reply { body: xml.finish(), ..Reply::default() }
    }
}

/// A state with its number.
pub(super) fn write_state(xml: &mut Xml, name: &str, state: State) {
    xml.open(name, |xml| {
        xml.text("code", state.code()).text("name", state.word());
    });
}

/// `<return>true</return>`.
pub(super) fn ok() -> Reply {
    let mut xml = Xml::new();
    xml.text("return", true);
    Reply { body: xml.finish(), ..Reply::default() }
}
