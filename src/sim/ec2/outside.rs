//! What happens to instances from outside the API: the control port, the metadata service, the hosts themselves.

use super::agenda::Due;
use super::lifecycle::Cause;
use super::records::{Instance, Market, State, Tags};
use super::{Ec2, ids};
use crate::sim::api::ApiError;
use crate::sim::hosts::{HostAct, Metadata, Power};
use jiff::{SignedDuration, Timestamp};

/// A spot notice comes two minutes before the end.
const NOTICE: SignedDuration = SignedDuration::from_secs(120);

impl Ec2 {
    /// Does something to an instance from outside.
    ///
    /// # Errors
    ///
    /// When it is not there, not running, or no spot instance where only those can be interrupted.
    pub(crate) fn act(&mut self, id: &str, act: HostAct, now: Timestamp) -> Result<(), ApiError> {
        self.advance(now);
        let instance = self.instances.get(id).ok_or_else(|| ids::unknown("i", id))?;
        if instance.state != State::Running {
            let state = instance.state.word();
            return Err(ApiError::new(
                "IncorrectInstanceState",
                format!("The instance '{id}' is {state}, not running"),
            ));
        }
        match act {
            HostAct::Interrupt => {
                if instance.market != Market::Spot {
                    let message = format!("The instance '{id}' is no spot instance: it can't be interrupted");
                    return Err(ApiError::new("UnsupportedOperation", message));
                }
                if instance.notice.is_none() {
                    let end = now.saturating_add(NOTICE).unwrap_or(Timestamp::MAX);
                    self.instances.change(id, now, |instance| instance.notice = Some(end));
                    self.agenda.set(end, Due::Reclaim(id.to_owned()));
                }
            }
            HostAct::Reboot => self.hosts.power(id, Power::Reboot),
            HostAct::Kill | HostAct::Blackhole | HostAct::Restore | HostAct::Rekey => self.hosts.act(id, act),
        }
        Ok(())
    }

    /// Tags an instance as AWS itself does, with keys that no user may set.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub(crate) fn stamp(&mut self, id: &str, tags: Tags, now: Timestamp) -> Result<(), ApiError> {
        self.instances.get(id).ok_or_else(|| ids::unknown("i", id))?;
        self.instances.change(id, now, |instance| instance.tags.extend(tags));
        Ok(())
    }

    /// What the metadata service tells an instance about itself; nothing once it is gone or the service is switched off.
    pub(crate) fn metadata(&self, id: &str, now: Timestamp) -> Option<Metadata> {
        let instance = self.instances.get(id).filter(|instance| instance.state != State::Terminated)?;
        (instance.metadata.endpoint == "enabled").then(|| Metadata {
            instance_id: instance.id.clone(),
            ami_id: instance.image.clone(),
            instance_type: instance.instance_type.clone(),
            zone: instance.zone.clone(),
            region: self.region.clone(),
            account: self.account.clone(),
            local_ipv4: instance.address.to_string(),
            life_cycle: instance.market.word().to_owned(),
            tags: (instance.metadata.tags == "enabled").then(|| instance.tags.clone()),
            spot_action: instance.notice.and_then(|end| notice(end, now)),
            // "It is possible for the rebalance recommendation signal to arrive along with the two-minute interruption notice."
            rebalance: instance.notice.and_then(|end| advice(end, now)),
            target_state: None,
            instance_profile: instance.profile.clone(),
        })
    }

    /// The host powered itself off: InstanceInitiatedShutdownBehavior says what that means. A one-time spot instance
    /// can't be stopped, so it ends.
    pub(crate) fn powered_off(&mut self, id: &str, now: Timestamp) {
        self.advance(now);
        let Some(instance) = self.instances.get(id).filter(|instance| instance.state == State::Running) else { return };
        let ends = instance.shutdown == "terminate" || instance.market == Market::Spot;
        let state = if ends { State::ShuttingDown } else { State::Stopping };
        self.enter(id, state, now, &Cause::inside());
    }

    /// The host asked for a reboot from inside.
    pub(crate) fn rebooted(&mut self, id: &str, now: Timestamp) {
        self.advance(now);
        if self.instances.get(id).is_some_and(|instance| instance.state == State::Running) {
            self.hosts.power(id, Power::Reboot);
        }
    }

    /// The pool an instance was taken from.
    pub(super) fn pool_of(instance: &Instance) -> super::capacity::Pool {
        super::capacity::Pool {
            instance_type: instance.instance_type.clone(),
            zone: instance.zone.clone(),
            market: instance.market.word(),
        }
    }
}

/// `spot/instance-action`, from the notice until two minutes past it.
fn notice(end: Timestamp, now: Timestamp) -> Option<String> {
    began(end, now).map(|_| serde_json::json!({"action": "terminate", "time": stamp(end)}).to_string())
}

/// `events/recommendations/rebalance`, at the same time as the notice here.
fn advice(end: Timestamp, now: Timestamp) -> Option<String> {
    began(end, now).map(|from| serde_json::json!({"noticeTime": stamp(from)}).to_string())
}

/// When the notice of this end came, if it did.
fn began(end: Timestamp, now: Timestamp) -> Option<Timestamp> {
    Some(end.saturating_sub(NOTICE).unwrap_or(Timestamp::MIN)).filter(|from| now >= *from)
}

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
