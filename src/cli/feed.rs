//! `fleetwright feed`

/// Put the items into the queue, paced
///
/// Where it got to is kept in the journal: the same command again goes on behind the last item that the queue
/// confirmed.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright feed
  fleetwright feed --timeout 2h")]
pub(super) struct FeedArgs {}
