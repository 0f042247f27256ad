//! `fleetwright feed`

use super::request::{Rein, ReinRate, Verb};
use super::values;

/// Put the items into the queue, paced
///
/// Where it got to is kept in the journal: the same command again goes on behind the last item that the queue
/// confirmed. An item is fed once: of a source that grew, only what is new goes in.
///
/// With --pause, --resume or --rate nothing is fed: a feed that is at it, of this fleet and from this machine, is told.
/// It hears within two seconds, and a feed that is stopped and gone on with still knows.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright feed
  fleetwright feed --timeout 2h
  fleetwright feed --pause
  fleetwright feed --resume --rate 5/s")]
pub(super) struct FeedArgs {
    /// Hold the feed that is at it
    #[arg(long, conflicts_with = "resume")]
    pause: bool,
    /// Let it go on
    #[arg(long)]
    resume: bool,
    /// Let it go at this rate, for example 5/s or 200/m; `spec` for the spec's own again
    #[arg(long, value_name = "RATE", value_parser = values::rein_rate)]
    rate: Option<ReinRate>,
}

impl FeedArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Verb {
        let paused = match (self.pause, self.resume) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        match (paused, self.rate) {
            (None, None) => Verb::Feed,
            (paused, rate) => Verb::Rein(Rein { paused, rate }),
        }
    }
}
