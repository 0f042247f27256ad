//! The world's clock: runs at a chosen speed, jumps forward, goes with whoever waits for it, or is held.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// World seconds per wall second at most: a tick of 20 ms is then half an hour.
pub(crate) const MAX_SPEED: f64 = 100_000.0;

/// A moment of both clocks.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    wall: Instant,
    world: Timestamp,
    speed: f64,
    /// The speed before a hold.
    before_hold: f64,
    /// Whether it jumps to what a client waits for.
    leap: bool,
}

impl Anchor {
    fn now(&self) -> Timestamp {
        let passed = self.wall.elapsed().as_secs_f64() * self.speed;
        let passed = SignedDuration::try_from_secs_f64(passed).unwrap_or(SignedDuration::MAX);
        self.world.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// What `/_sim/clock` answers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    /// World time.
    pub(crate) now: Timestamp,
    /// World seconds per wall second; 0 while held.
    pub(crate) speed: f64,
    /// Whether who waits for an instant tells it by `until`, instead of waiting.
    pub(crate) leaps: bool,
}

impl Reading {
    /// The same on a clock that is wrong by so much.
    pub(crate) fn off(self, off: SignedDuration) -> Self {
        Self { now: self.now.saturating_add(off).unwrap_or(self.now), ..self }
    }
}

/// What `POST /_sim/clock` takes; the fields are carried out in this order.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClockOrder {
    /// World seconds per wall second from now on, 0 to [`MAX_SPEED`].
    #[serde(default)]
    pub(crate) speed: Option<f64>,
    /// `true` stops the clock, `false` lets it run on at the speed it had.
    #[serde(default)]
    pub(crate) hold: Option<bool>,
    /// How far it jumps, for example `10m`.
    #[serde(default)]
    pub(crate) advance: Option<String>,
    /// Whether it jumps from now on to what a client waits for: what a client does is then a function of what it is answered,
    /// not of how fast the machine is. For one client at a time that waits for one thing at a time.
    #[serde(default)]
    pub(crate) leap: Option<bool>,
    /// What a client waits for: it is then, where the clock leaps and is not held.
    #[serde(default)]
    pub(crate) until: Option<Timestamp>,
}

/// A clock that many share. Its time never goes back but for a reset of the whole world.
#[derive(Clone, Debug)]
pub(crate) struct WorldClock {
    anchor: Arc<Mutex<Anchor>>,
    changes: Arc<watch::Sender<()>>,
}

impl WorldClock {
    /// A clock that starts at `start`, or at the present moment.
    pub(crate) fn new(start: Option<Timestamp>, speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.clamp(0.0, MAX_SPEED) } else { 1.0 };
        let world = start.unwrap_or_else(Timestamp::now);
        let anchor = Anchor { wall: Instant::now(), world, speed, before_hold: speed, leap: false };
        Self { anchor: Arc::new(Mutex::new(anchor)), changes: Arc::new(watch::Sender::new(())) }
    }

    /// World time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner).now()
    }

    /// World time and speed.
    pub(crate) fn reading(&self) -> Reading {
        let anchor = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        Reading { now: anchor.now(), speed: anchor.speed, leaps: anchor.leap && anchor.speed > 0.0 }
    }

    /// Carries an order out.
    ///
    /// # Errors
    ///
    /// With what is wrong with it; then nothing has changed.
    pub(crate) fn order(&self, order: &ClockOrder) -> Result<(), String> {
        let jump = match &order.advance {
            None => SignedDuration::ZERO,
            Some(text) => super::faults::span(text)
                .ok_or_else(|| format!("advance: {text} is not a time such as 10m or 90s, forward only"))?,
        };
        if let Some(speed) = order.speed.filter(|speed| !(0.0..=MAX_SPEED).contains(speed)) {
            return Err(format!("speed: {speed} is not between 0 and {MAX_SPEED}"));
        }
        self.change(|anchor| {
            if let Some(speed) = order.speed {
                (anchor.speed, anchor.before_hold) = (speed, speed);
            }
            match order.hold {
                Some(true) => anchor.speed = 0.0,
                Some(false) => anchor.speed = anchor.before_hold,
                None => {}
            }
            anchor.world = anchor.world.saturating_add(jump).unwrap_or(Timestamp::MAX);
            anchor.leap = order.leap.unwrap_or(anchor.leap);
            if let Some(until) = order.until.filter(|_| anchor.leap && anchor.speed > 0.0) {
                anchor.world = anchor.world.max(until);
            }
        });
        Ok(())
    }

    /// Begins a new world: time starts again, the speed stays.
    pub(crate) fn reset(&self, start: Option<Timestamp>) {
        self.change(|anchor| anchor.world = start.unwrap_or_else(Timestamp::now));
    }

    fn change(&self, with: impl FnOnce(&mut Anchor)) {
        {
            let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
            anchor.world = anchor.now();
            anchor.wall = Instant::now();
            with(&mut anchor);
        }
        self.changes.send_replace(());
    }

    /// Returns once world time has reached `instant`, however the clock is driven; dropping the future ends the wait.
    pub(crate) async fn sleep_until(&self, instant: Timestamp) {
        // Subscribed before the clock is read, so that no change falls between.
        let mut changes = self.changes.subscribe();
        loop {
            let Reading { now, speed, leaps: _ } = self.reading();
            let left = instant.duration_since(now);
            if left <= SignedDuration::ZERO {
                return;
            }
            // The sender lives as long as this clock, so a change is the only way on.
            if speed <= 0.0 {
                let _changed = changes.changed().await;
                continue;
            }
            let wall = Duration::try_from_secs_f64(left.as_secs_f64() / speed).unwrap_or(Duration::from_hours(1));
            tokio::select! {
                () = tokio::time::sleep(wall.max(Duration::from_millis(1))) => {}
                _changed = changes.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> ClockOrder {
        serde_json::from_str(text).expect(text)
    }

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn passed(clock: &WorldClock) -> i64 {
        clock.now().duration_since(START).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn it_runs_at_its_speed_jumps_and_holds() {
        let clock = WorldClock::new(Some(START), 60.0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(passed(&clock), 60);
        clock.order(&order(r#"{"hold": true, "advance": "10m"}"#)).expect("held");
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(passed(&clock), 660);
        clock.order(&order(r#"{"hold": false}"#)).expect("on");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(passed(&clock), 720);
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_with_who_waits_only_where_it_leaps_and_is_not_held() {
        let clock = WorldClock::new(Some(START), 1.0);
        let until = |second: i64| {
            let until = Timestamp::from_second(second).expect("a time");
            clock.order(&ClockOrder { until: Some(until), ..ClockOrder::default() }).expect("told");
            passed(&clock)
        };
        assert_eq!((clock.reading().leaps, until(60)), (false, 0));
        clock.order(&order(r#"{"leap": true}"#)).expect("it leaps");
        assert_eq!((clock.reading().leaps, until(60), until(30)), (true, 60, 60), "never back");
        clock.order(&order(r#"{"hold": true}"#)).expect("held");
        assert_eq!((clock.reading().leaps, until(90)), (false, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn sleepers_follow_every_change_of_the_clock() {
        let clock = WorldClock::new(Some(START), 0.0);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(START + SignedDuration::from_secs(100)).await }
        });
        tokio::time::sleep(Duration::from_secs(1000)).await;
        assert!(!sleeper.is_finished(), "a held clock wakes nobody");
        clock.order(&order(r#"{"advance": "99s"}"#)).expect("jump");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!sleeper.is_finished());
        clock.order(&order(r#"{"speed": 1}"#)).expect("run");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(sleeper.is_finished());
    }

    #[test]
    fn bad_orders_change_nothing() {
        let clock = WorldClock::new(Some(START), 0.0);
        for bad in [r#"{"speed": -1}"#, r#"{"advance": "soon"}"#, r#"{"advance": "-5m"}"#, r#"{"speed": 1e9}"#] {
            assert!(clock.order(&order(bad)).is_err(), "{bad}");
        }
        assert_eq!(passed(&clock), 0);
        assert!(serde_json::from_str::<ClockOrder>(r#"{"sped": 2}"#).is_err());
    }
}
