//! `fleetwright adopt`

/// Rebuild this machine's journal from what carries the fleet's tags
///
/// For when the state directory is lost, or another machine launched the fleet and will not go on with it. Waits until
/// whatever that machine asked for must be visible, more than five minutes, then writes down what is there: status, scale,
/// push and down go on from it. Changes nothing in the account. `--adopt` of other verbs does it before the verb.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright adopt
  fleetwright adopt -o json")]
pub(super) struct AdoptArgs {}
