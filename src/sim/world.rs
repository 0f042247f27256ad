//! The one shared world: what every connection, every host and the control port read and change.

use super::api::{ApiError, Call, Handled, Payload};
use super::audit::Audit;
use super::autoscaling::AutoScaling;
use super::buckets::Buckets;
use super::clock::WorldClock;
use super::draw;
use super::ec2::{self, Ec2};
use super::faults::{Control, Fault, FaultScript, Faults, HostEvents, Instance};
use super::gates::Gates;
use super::hosts::{HostAct, Metadata, SharedHosts, Upcall};
use super::s3::S3;
use super::seed::Seed;
use super::sqs::Sqs;
use super::{iam, kms, pricing, quotas, sts};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What changes together.
struct State {
    ec2: Ec2,
    /// EC2 in other regions that were called, by region.
    abroad: BTreeMap<String, Ec2>,
    groups: AutoScaling,
    sqs: Sqs,
    s3: S3,
    /// By region.
    buckets: BTreeMap<String, Buckets>,
    faults: Faults,
    events: HostEvents,
    control: Control,
    /// World time up to which everything that was due has happened.
    settled: Timestamp,
}

/// What the world was made from.
pub(crate) struct Origin {
    /// What exists before the first call.
    pub(crate) seed: Seed,
    /// Seed of every draw.
    pub(crate) rng_seed: u64,
    /// The fault script it starts with.
    pub(crate) faults: FaultScript,
    /// `http://address:port`.
    pub(crate) endpoint: String,
    /// Where bodies come from.
    pub(crate) hosts: SharedHosts,
    /// Whether these are real.
    pub(crate) real_hosts: bool,
}

/// The world.
pub(crate) struct World {
    pub(crate) origin: Origin,
    pub(crate) clock: WorldClock,
    pub(crate) gates: Gates,
    audit: Mutex<Audit>,
    /// What webhooks were told.
    hooks: Mutex<Vec<Value>>,
    state: Mutex<State>,
    /// Counts requests, for their ids.
    requests: Mutex<u64>,
    /// Changes whenever something happened that a waiting receive wants to know.
    queues_changed: watch::Sender<()>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("endpoint", &self.origin.endpoint).finish_non_exhaustive()
    }
}

/// What became of an attempt to carry a call out.
pub(crate) enum Attempt {
    /// It is done; this is the answer.
    Done(Handled),
    /// A receive found nothing and wants to wait until then at the latest.
    Again(Timestamp),
}

impl State {
    fn new(origin: &Origin, script: FaultScript, now: Timestamp) -> Self {
        let mut sqs = Sqs::new(&origin.seed, origin.rng_seed, &origin.endpoint, now);
        sqs.set_lag(script.queue_lag_seconds);
        Self {
            ec2: Ec2::new(&origin.seed, origin.rng_seed, origin.hosts.clone(), now),
            groups: AutoScaling::new(&origin.seed, origin.rng_seed),
            sqs,
            abroad: BTreeMap::new(),
            buckets: BTreeMap::new(),
            s3: S3::new(&origin.seed.buckets, &origin.seed.region),
            events: HostEvents::new(&script, now),
            control: script.control(origin.seed.lag_seconds),
            faults: Faults::new(script, origin.rng_seed),
            settled: now,
        }
    }

    /// Does what is due by now. A jump of the clock passes through the time of every host event on its way, so that what
    /// follows from one has happened, too, when the jump ends.
    fn advance(&mut self, now: Timestamp) {
        for at in self.events.due_between(self.settled, now) {
            self.happen(at);
        }
        self.happen(now);
        self.settled = self.settled.max(now);
    }

    /// Life cycles up to a time, then the host events of that time.
    fn happen(&mut self, now: Timestamp) {
        self.pass(now);
        if !self.events.any_due(now) {
            return;
        }
        let instances = Instance::list(&self.ec2.world(now));
        for (id, act) in self.events.take(now, &instances) {
            if let Err(error) = self.ec2.act(&id, act, now) {
                tracing::warn!(%id, ?act, code = error.code, message = error.message, "host event failed");
            }
        }
    }

    /// Life cycles of instances and groups up to a time, in the order in which they happen.
    fn pass(&mut self, now: Timestamp) {
        while let Some(at) = self.next_due()
            && at <= now
        {
            // What was due before is done at the present time, not in the past.
            let at = at.max(self.settled);
            self.ec2.advance(at);
            self.groups.advance(at, &mut self.ec2, &self.control);
        }
        self.ec2.advance(now);
        self.groups.advance(now, &mut self.ec2, &self.control);
        for ec2 in self.abroad.values_mut() {
            ec2.advance(now);
        }
    }

    /// When the next thing happens by itself; copies in other regions wait for nothing here.
    fn next_due(&self) -> Option<Timestamp> {
        [self.ec2.next_due(), self.groups.next_due()].into_iter().flatten().min()
    }

    /// EC2 in this region.
    fn ec2_in(&mut self, origin: &Origin, region: &str, now: Timestamp) -> &mut Ec2 {
        if region == origin.seed.region {
            return &mut self.ec2;
        }
        let new = || Ec2::abroad(&origin.seed, region, origin.rng_seed, now);
        self.abroad.entry(region.to_owned()).or_insert_with(new)
    }

    /// Carries a call to EC2 out in its region, with the image that it copies from another.
    fn in_region(&mut self, origin: &Origin, call: &Call) -> Handled {
        let from = ec2::source_region(call).unwrap_or(&call.region);
        let offered = if from == origin.seed.region {
            self.ec2.offer(call)
        } else {
            self.abroad.get(from).and_then(|ec2| ec2.offer(call))
        };
        let control = self.control.clone();
        self.ec2_in(origin, &call.region, call.now).handle(call, offered, &control)
    }

    /// Carries a call out that has come this far. The flag tells whether the service was asked at all.
    fn carry_out(&mut self, origin: &Origin, call: &Call) -> (Handled, bool) {
        let to_ec2 = call.service == "ec2";
        if to_ec2
            && self.faults.script().throttle
            && let Err(error) =
                self.buckets.entry(call.region.clone()).or_default().take(call, Ec2::resource_cost(call))
        {
            return (Err(error), false);
        }
        if let Some(refusal) = self.faults.denied(call, &origin.seed) {
            return (Err(refusal), false);
        }
        let handled = match call.service.as_str() {
            "ec2" => self.in_region(origin, call),
            "autoscaling" => self.groups.handle(call, &mut self.ec2),
            "sqs" => self.sqs.handle(call),
            "s3" => self.s3.handle(call),
            "pricing" => pricing::handle(call, &origin.seed, origin.rng_seed),
            "sts" => sts::handle(call, &origin.seed),
            "iam" => iam::handle(call, &origin.seed, &self.control.account, self.ec2.profiles()),
            "kms" => kms::handle(call, &origin.seed, &self.control.account),
            "servicequotas" => quotas::handle(call, &origin.seed, &self.control.quotas),
            other => Err(ApiError::new("InvalidAction", format!("the rehearsal cloud has no service {other}"))),
        };
        (handled, true)
    }
}

/// Whether an EC2 call only asks whether it might.
pub(crate) fn is_dry(call: &Call) -> bool {
    let Payload::Query(pairs) = &call.payload else { return false };
    pairs.iter().any(|(name, value)| name == "DryRun" && value.eq_ignore_ascii_case("true"))
}

impl World {
    /// A world at its start.
    pub(crate) fn new(origin: Origin, speed: f64) -> Self {
        let clock = WorldClock::new(origin.seed.start, speed);
        let state = State::new(&origin, origin.faults.clone(), clock.now());
        Self {
            origin,
            clock,
            gates: Gates::default(),
            audit: Mutex::default(),
            hooks: Mutex::default(),
            state: Mutex::new(state),
            requests: Mutex::new(0),
            queues_changed: watch::Sender::new(()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or fills the audit.
    pub(crate) fn audit<T>(&self, act: impl FnOnce(&mut Audit) -> T) -> T {
        act(&mut self.audit.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps what a webhook is told.
    pub(crate) fn hook(&self, name: &str, told: &Value) {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(json!({"name": name, "told": told}));
    }

    /// What webhooks were told.
    pub(crate) fn hooked(&self) -> Value {
        json!(*self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The region that everything begins in.
    pub(crate) fn region(&self) -> &str {
        &self.origin.seed.region
    }

    /// The id of the next request.
    pub(crate) fn request_id(&self) -> String {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests += 1;
        draw::uuid(self.origin.rng_seed, &["request", &requests.to_string()])
    }

    /// Does what is due.
    pub(crate) fn tick(&self) {
        let mut state = self.state();
        let now = self.clock.now();
        state.advance(now);
    }

    /// The fault that the script has for a call.
    pub(crate) fn meet(&self, call: &Call) -> Option<Fault> {
        if is_dry(call) { None } else { self.state().faults.meet(call) }
    }

    /// Tells of changes that a waiting receive wants to know.
    pub(crate) fn queue_changes(&self) -> watch::Receiver<()> {
        self.queues_changed.subscribe()
    }

    /// Carries a call out, atomically, at the present world time, and notes it.
    pub(crate) fn attempt(&self, call: &mut Call, seq: u64, began: Timestamp) -> Attempt {
        let handled = {
            let mut state = self.state();
            call.now = self.clock.now();
            state.advance(call.now);
            let (handled, asked) = state.carry_out(&self.origin, call);
            if let Some(at) = state.sqs.look_again(call, began, &handled) {
                return Attempt::Again(at);
            }
            self.audit(|audit| {
                let commit = (asked && handled.is_ok()).then(|| audit.next_commit());
                audit.fill(seq, &call.request_id, |entry| {
                    entry.commit = commit;
                    entry.commit_time = commit.map(|_| call.now);
                    if let Ok(reply) = &handled {
                        entry.made.clone_from(&reply.made);
                        entry.ended.clone_from(&reply.ended);
                    }
                });
            });
            if asked && handled.is_ok() {
                state.events.called(&call.action);
                state.advance(call.now);
            }
            handled
        };
        if call.service == "sqs" && call.action != "ReceiveMessage" {
            self.queues_changed.send_replace(());
        }
        Attempt::Done(handled)
    }

    /// The ground truth.
    pub(crate) fn truth(&self) -> Value {
        let mut state = self.state();
        let reading = self.clock.reading();
        state.advance(reading.now);
        let mut truth = Map::new();
        truth.insert("now".to_owned(), json!(reading.now));
        truth.insert("speed".to_owned(), json!(reading.speed));
        truth.insert("account".to_owned(), json!(self.origin.seed.account));
        truth.insert("region".to_owned(), json!(self.origin.seed.region));
        if let Value::Object(ec2) = state.ec2.world(reading.now) {
            truth.extend(ec2);
        }
        let abroad = state.abroad.iter().map(|(region, ec2)| (region.clone(), ec2.world(reading.now)));
        truth.insert("abroad".to_owned(), Value::Object(abroad.collect()));
        truth.insert("groups".to_owned(), state.groups.world());
        truth.insert("queues".to_owned(), state.sqs.world(reading.now));
        truth.insert("buckets".to_owned(), state.s3.world());
        truth.insert("rules".to_owned(), state.faults.fired());
        drop(state);
        truth.insert("calls".to_owned(), self.audit(|audit| json!(audit.calls())));
        Value::Object(truth)
    }

    /// The fault script at work.
    pub(crate) fn script(&self) -> FaultScript {
        self.state().faults.script().clone()
    }

    /// Replaces the fault script, which starts counting anew.
    pub(crate) fn set_script(&self, script: FaultScript) {
        let mut state = self.state();
        state.events = HostEvents::new(&script, self.clock.now());
        state.control = script.control(self.origin.seed.lag_seconds);
        state.sqs.set_lag(script.queue_lag_seconds);
        state.faults = Faults::new(script, self.origin.rng_seed);
    }

    /// A host's private address and console so far.
    pub(crate) fn host(&self, id: &str) -> Option<Value> {
        let address = self.state().ec2.metadata(id, self.clock.now())?.local_ipv4;
        Some(json!({"id": id, "private_ip": address, "console": self.origin.hosts.console(id)}))
    }

    /// Does something to a host from outside.
    pub(crate) fn act(&self, id: &str, act: HostAct) -> Result<(), ApiError> {
        let mut state = self.state();
        let now = self.clock.now();
        state.advance(now);
        state.ec2.act(id, act, now)
    }

    /// Tags an instance as AWS itself would.
    pub(crate) fn stamp(&self, id: &str, tags: BTreeMap<String, String>) -> Result<(), ApiError> {
        let now = self.clock.now();
        self.state().ec2.stamp(id, tags, now)
    }

    /// Begins again: seed, clock, fault script, audit and gates as at the start.
    pub(crate) fn reset(&self) {
        let mut state = self.state();
        self.clock.reset(self.origin.seed.start);
        *state = State::new(&self.origin, self.origin.faults.clone(), self.clock.now());
        self.audit(|audit| *audit = Audit::default());
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        drop(state);
        self.gates.release(&super::gates::Release::All { all: true });
        self.queues_changed.send_replace(());
    }
}

/// Hosts call up from threads of their own, never from inside a call down: the lock is free then or soon.
impl Upcall for World {
    fn metadata(&self, id: &str) -> Option<Metadata> {
        let mut state = self.state();
        let now = self.clock.now();
        state.advance(now);
        let target_state = state.groups.target_state(id).map(str::to_owned);
        state.ec2.metadata(id, now).map(|facts| Metadata { target_state, ..facts })
    }

    fn powered_off(&self, id: &str) {
        let mut state = self.state();
        let now = self.clock.now();
        state.ec2.powered_off(id, now);
    }

    fn rebooted(&self, id: &str) {
        let mut state = self.state();
        let now = self.clock.now();
        state.ec2.rebooted(id, now);
    }
}
