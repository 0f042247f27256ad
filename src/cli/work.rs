//! `fleetwright work`

use super::values;
use crate::work::Options;
use clap::ValueHint;
use std::time::Duration;

/// On a host: take items from the queue and run a command for each
///
/// The item is on the command's stdin and in $FLEETWRIGHT_ITEM, its id in $FLEETWRIGHT_ITEM_ID; with --batch the items
/// are on stdin, one JSON string a line. Exit 0 acknowledges; anything else leaves the item to the queue,
/// which gives it out again. While the command runs, the items are kept hidden from other workers. The first SIGTERM or
/// Ctrl-C finishes the item in hand; the second gives it back at once.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright work --queue-url https://sqs.us-east-1.amazonaws.com/123456789012/crawl -- ./worker.sh
  fleetwright work --queue-url \"$QUEUE\" --batch 100 --exit-when-empty -- ./worker.sh --many")]
pub(super) struct WorkArgs {
    /// URL of the SQS queue
    #[arg(long, value_name = "URL", env = "FLEETWRIGHT_QUEUE_URL", hide_env_values = true, value_hint = ValueHint::Url)]
    queue_url: String,
    /// Take up to N items at once and run the command once for all of them
    #[arg(long, value_name = "N", value_parser = values::whole::<u32>(1, 1000))]
    batch: Option<u32>,
    /// How long items stay hidden from others if this worker dies
    #[arg(long, value_name = "DURATION", default_value = "120s", value_parser = values::visibility)]
    visibility: Duration,
    /// How long a failed item stays hidden [default: the rest of --visibility]
    #[arg(long, value_name = "DURATION", value_parser = values::retry_after)]
    retry_after: Option<Duration>,
    /// Stop when the queue gives nothing; exit 11 when items failed
    #[arg(long)]
    exit_when_empty: bool,
    /// Stop after N items
    #[arg(long, value_name = "N", value_parser = values::whole::<u64>(1, u64::MAX))]
    max_items: Option<u64>,
    /// The command and its arguments, after --
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<String>,
}

impl WorkArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Options {
        Options {
            queue_url: self.queue_url,
            batch: self.batch,
            visibility: self.visibility,
            retry_after: self.retry_after,
            exit_when_empty: self.exit_when_empty,
            max_items: self.max_items,
            command: self.command,
        }
    }
}
