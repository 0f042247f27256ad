//! The world clock of a rehearsal cloud, read from its control port.

use super::{BoxFuture, Clock};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `GET /_sim/clock` answers.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Reading {
    now: Timestamp,
    speed: f64,
    /// It goes to the instant that it is told by `{"until": ..}`, so nobody need wait.
    #[serde(default)]
    leaps: bool,
}

/// The last reading and the moment it was taken.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    taken: Instant,
    reading: Reading,
}

/// Follows the clock at `FLEETWRIGHT_CLOCK`; the only place where a rehearsal differs from the real world.
#[derive(Debug)]
pub struct EndpointClock {
    authority: String,
    path: String,
    anchor: Mutex<Anchor>,
}

/// How long a reading is trusted: the clock can be set, held or sped up at any time.
const FRESH: Duration = Duration::from_millis(100);

impl EndpointClock {
    /// Connects to `http://host:port/path` and takes the first reading.
    ///
    /// # Errors
    ///
    /// When the URL is not plain HTTP or nobody answers there as a clock.
    pub fn connect(url: &str) -> std::io::Result<Self> {
        let bad =
            || std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("{url} is not http://host:port/path"));
        let rest = url.strip_prefix("http://").ok_or_else(bad)?;
        let (authority, path) = rest.split_once('/').ok_or_else(bad)?;
        let (authority, path) = (authority.to_owned(), format!("/{path}"));
        let reading = ask(&authority, &path, None)?;
        let anchor = Mutex::new(Anchor { taken: Instant::now(), reading });
        Ok(Self { authority, path, anchor })
    }

    /// The present reading; an endpoint that is gone leaves the clock running at its last speed, one that was held at that
    /// of the wall, so that nobody waits for ever.
    fn anchor(&self) -> Anchor {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        if anchor.taken.elapsed() > FRESH {
            let before = *anchor;
            *anchor = match ask(&self.authority, &self.path, None) {
                Ok(reading) => Anchor { taken: Instant::now(), reading },
                Err(_) => Anchor {
                    taken: Instant::now(),
                    reading: Reading {
                        now: before.at(before.taken.elapsed()),
                        speed: if before.reading.speed > 0.0 { before.reading.speed } else { 1.0 },
                        leaps: false,
                    },
                },
            };
        }
        *anchor
    }

    /// Tells the clock what is waited for; a clock that is gone is noticed by the next reading.
    fn leap(&self, until: Timestamp) {
        let mut anchor = self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        match ask(&self.authority, &self.path, Some(until)) {
            Ok(reading) => *anchor = Anchor { taken: Instant::now(), reading },
            Err(_) => anchor.reading.leaps = false,
        }
    }
}

impl Anchor {
    /// World time this long after the reading.
    fn at(&self, elapsed: Duration) -> Timestamp {
        let passed = SignedDuration::try_from_secs_f64(elapsed.as_secs_f64() * self.reading.speed).unwrap_or_default();
        self.reading.now.saturating_add(passed).unwrap_or(Timestamp::MAX)
    }
}

/// One blocking request on loopback, with what is waited for, if anything: well under a millisecond, bounded by two seconds.
fn ask(authority: &str, path: &str, until: Option<Timestamp>) -> std::io::Result<Reading> {
    let wrong = |what: String| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let address = authority.parse().map_err(|_| wrong(format!("{authority} is not an address and a port")))?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let (method, order) = match until {
        Some(until) => ("POST", format!("{{\"until\": \"{until}\"}}")),
        None => ("GET", String::new()),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n");
    stream.write_all(format!("{head}content-length: {}\r\n\r\n{order}", order.len()).as_bytes())?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).ok_or_else(|| wrong("no body".to_owned()))?;
    serde_json::from_str(body).map_err(|e| wrong(format!("{authority}{path} is no clock: {e}")))
}

impl Clock for EndpointClock {
    fn now(&self) -> Timestamp {
        let anchor = self.anchor();
        anchor.at(anchor.taken.elapsed())
    }

    fn sleep_until(&self, instant: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let anchor = self.anchor();
                let left = instant.duration_since(anchor.at(anchor.taken.elapsed()));
                if left <= SignedDuration::ZERO {
                    return;
                }
                if anchor.reading.leaps {
                    self.leap(instant);
                    // All else that is ready goes first, as it would while time passes.
                    tokio::task::yield_now().await;
                    continue;
                }
                // A held clock (speed 0) is looked at again after one nap.
                let wall = left.as_secs_f64() / anchor.reading.speed.max(1e-9);
                let nap = wall.clamp(0.001, 2.0 * FRESH.as_secs_f64());
                tokio::time::sleep(Duration::from_secs_f64(nap)).await;
            }
        })
    }
}
