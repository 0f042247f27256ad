//! Machines named on the command line, read as the spec's `hosts` are; an error is what is wanted, in words.

use super::fleet::ForeignHost;
use super::read;

/// One tag, `KEY=VALUE`.
///
/// # Errors
///
/// What is wanted, in words.
pub fn tag(text: &str) -> Result<(String, String), String> {
    read::tag(text).map_err(|wrong| wrong.wanted)
}

/// The name of an Auto Scaling group.
///
/// # Errors
///
/// What is wanted, in words.
pub fn group(text: &str) -> Result<String, String> {
    read::group_name(text).map_err(|wrong| wrong.wanted)
}

/// One machine, `[user@]address[:port]`.
///
/// # Errors
///
/// What is wanted, in words.
pub fn machine(text: &str) -> Result<ForeignHost, String> {
    read::machine(text).map_err(|wrong| wrong.wanted)
}
