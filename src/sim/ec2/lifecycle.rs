//! Moves instances, images and snapshots along on the world's clock.

use super::Ec2;
use super::agenda::Due;
use super::launch::holds;
use super::records::{Instance, Making, Origin, Reason, State};
use crate::sim::draw::hits;
use crate::sim::draw::number;
use crate::sim::hosts::Power;
use jiff::{SignedDuration, Timestamp};

/// Why an instance changes its state.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// StateReason.
    pub(super) reason: Option<Reason>,
    /// StateTransitionReason, without the time.
    pub(super) transition: &'static str,
}

impl Cause {
    /// It happens by itself: what was said about the change before stays.
    pub(super) fn none() -> Self {
        Self { reason: None, transition: "" }
    }

    /// Somebody called the API.
    pub(super) fn user() -> Self {
        Self::new("Client.UserInitiatedShutdown", "User initiated shutdown", "User initiated")
    }

    /// The operating system powered itself off.
    pub(super) fn inside() -> Self {
        Self::new("Client.InstanceInitiatedShutdown", "Instance initiated shutdown", "")
    }

    /// EC2 took a spot instance back.
    pub(super) fn spot() -> Self {
        let (code, message) = ("Server.SpotInstanceTermination", "Spot instance termination");
        Self::new(code, message, "Server.SpotInstanceTermination")
    }

    /// EC2's two fields: the code stands at the start of the message, too.
    fn new(code: &str, message: &str, transition: &'static str) -> Self {
        let message = format!("{code}: {message}");
        Self { reason: Some(Reason { code: code.to_owned(), message }), transition }
    }
}

impl Ec2 {
    /// Lets everything happen that is due by `now`. A clock that goes backwards changes nothing.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        while let Some((at, due)) = self.agenda.next(now) {
            self.now = self.now.max(at);
            match due {
                Due::Settle { id, step } => self.settle(&id, step, at),
                Due::Die { id, reason } => self.die(&id, reason, at),
                Due::Reclaim(id) => {
                    if self.instances.get(&id).is_some_and(|instance| instance.state.live()) {
                        self.enter(&id, State::ShuttingDown, at, &Cause::spot());
                    }
                }
                Due::Image(id) => self.images.change(&id, at, |image| {
                    image.made = if image.doomed { Making::Failed } else { Making::Done };
                }),
                Due::Snapshot(id) => {
                    let doomed = self
                        .snapshots
                        .get(&id)
                        .and_then(|snapshot| self.images.get(&snapshot.image))
                        .is_some_and(|image| image.doomed);
                    let made = if doomed { Making::Failed } else { Making::Done };
                    self.snapshots.change(&id, at, |snapshot| snapshot.made = made);
                }
            }
        }
        self.now = self.now.max(now);
    }

    /// The end of a passing state.
    fn settle(&mut self, id: &str, step: u64, at: Timestamp) {
        let Some(instance) = self.instances.get(id).filter(|instance| instance.step == step) else { return };
        let next = match instance.state {
            State::Pending => State::Running,
            State::Stopping => State::Stopped,
            State::ShuttingDown => State::Terminated,
            State::Running | State::Stopped | State::Terminated => return,
        };
        self.enter(id, next, at, &Cause::none());
    }

    fn die(&mut self, id: &str, reason: String, at: Timestamp) {
        if self.instances.get(id).is_some_and(|instance| instance.state.live()) {
            // A script may give code and message in one, as StateReason shows them.
            let code = reason.split(':').next().unwrap_or(&reason).trim().to_owned();
            let reason = Reason { code, message: reason };
            self.enter(id, State::Terminated, at, &Cause { reason: Some(reason), transition: "" });
        }
    }

    /// Changes the power of an instance that has a body.
    pub(super) fn power(&self, instance: &Instance, power: Power) {
        if instance.origin != Origin::Decoy {
            self.hosts.power(&instance.id, power);
        }
    }

    /// Sets the timer that ends a passing state: 5 to 15 seconds for `pending`, 8 to 12 for the ways down, by a hash of
    /// the instance; none when a fault script keeps it where it is.
    pub(super) fn settle_later(&mut self, id: &str, at: Timestamp) {
        let Some(instance) = self.instances.get(id) else { return };
        let (state, step) = (instance.state, instance.step);
        let (least, spread) = match state {
            State::Pending => (5, 11),
            State::Stopping | State::ShuttingDown => (8, 5),
            State::Running | State::Stopped | State::Terminated => return,
        };
        let word = number(self.seed, &["settle", id, &step.to_string()]);
        let stuck = self.control.stuck.iter().any(|stuck| {
            stuck.state == state.word() && hits(self.seed, stuck.share_percent, &["stuck", id, state.word()])
        });
        if !stuck {
            let seconds = least + i64::try_from(word % spread).unwrap_or_default();
            let due = at.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
            self.agenda.set(due, Due::Settle { id: id.to_owned(), step });
        }
    }

    /// Puts an instance into a state and does all that follows from it: billing, capacity, volumes, address, power.
    pub(super) fn enter(&mut self, id: &str, state: State, at: Timestamp, cause: &Cause) {
        let Some(before) = self.instances.get(id).cloned() else { return };
        self.instances.change(id, at, |instance| arrive(instance, state, at, cause));
        let pool = Self::pool_of(&before);
        if matches!(before.origin, Origin::Call(_)) {
            match (holds(before.state), holds(state)) {
                (true, false) => self.capacity.give_back(&pool),
                (false, true) => self.capacity.take(&pool),
                (true, true) | (false, false) => {}
            }
        }
        match state {
            State::Running => self.power(&before, Power::On),
            State::Stopping | State::ShuttingDown => self.power(&before, Power::Off),
            State::Terminated => {
                self.power(&before, Power::Destroy);
                self.network.give_back(before.address);
                for device in &before.devices {
                    if device.ends {
                        self.volumes.remove(&device.volume, at);
                    } else {
                        self.volumes.change(&device.volume, at, |volume| volume.attached = None);
                    }
                }
            }
            State::Pending | State::Stopped => {}
        }
        self.settle_later(id, at);
    }
}

fn arrive(instance: &mut Instance, state: State, at: Timestamp, cause: &Cause) {
    if instance.state == State::Running
        && let Some((_, end @ None)) = instance.billed.last_mut()
    {
        *end = Some(at);
    }
    match state {
        State::Running => {
            instance.billed.push((at, None));
            instance.reason = None;
            instance.transition = String::new();
        }
        State::Pending => {
            instance.launched = at;
            instance.reason = Some(Reason { code: "pending".to_owned(), message: "pending".to_owned() });
            instance.transition = String::new();
        }
        State::Terminated => instance.ended = Some(at),
        State::Stopping | State::Stopped | State::ShuttingDown => {}
    }
    if let Some(reason) = &cause.reason {
        instance.reason = Some(reason.clone());
    }
    if !cause.transition.is_empty() {
        instance.transition = format!("{} ({})", cause.transition, at.strftime("%Y-%m-%d %H:%M:%S GMT"));
    }
    instance.state = state;
    instance.since = at;
    instance.step += 1;
}
