//! `fleetwright sim`

use super::request::{HostsKind, SimServe};
use super::values;
use clap::{Subcommand, ValueEnum, ValueHint};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Run the rehearsal cloud by itself
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright sim serve")]
pub(super) struct SimArgs {
    #[command(subcommand)]
    command: SimCommand,
}

/// What the rehearsal cloud can do.
#[derive(Subcommand, Clone, Debug)]
enum SimCommand {
    Serve(ServeArgs),
}

/// Serve the rehearsal cloud until it is stopped
///
/// Answers on loopback as AWS would, for this program, the aws CLI and boto3 alike, and prints the `export` lines that
/// point them at it.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright sim serve --hosts none
  fleetwright sim serve --listen 127.0.0.1:5000 --spec fleet.yaml --speed 60")]
struct ServeArgs {
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0", value_parser = loopback)]
    listen: SocketAddr,
    /// Make the world from this spec
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    spec: Option<PathBuf>,
    /// What instances are
    #[arg(long, value_name = "KIND", value_enum, default_value_t = HostsArg::Real)]
    hosts: HostsArg,
    /// World seconds that pass in a second
    #[arg(long, value_name = "FACTOR", value_parser = values::speed)]
    speed: Option<f64>,
    /// Same seed, same decisions on what goes wrong
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Script of what goes wrong, and when
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    faults: Option<PathBuf>,
}

/// What instances are.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum HostsArg {
    /// Real processes on this machine with SSH servers of their own
    Real,
    /// Nothing answers on them
    None,
}

/// The cloud has no authentication worth the name: it never listens on anything but loopback.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected an address such as 127.0.0.1:5000".to_owned())?;
    if address.ip().is_loopback() { Ok(address) } else { Err(format!("{} is not a loopback address", address.ip())) }
}

impl SimArgs {
    /// The same, checked.
    pub(super) fn check(self) -> SimServe {
        let SimCommand::Serve(serve) = self.command;
        SimServe {
            listen: serve.listen,
            spec: serve.spec,
            hosts: match serve.hosts {
                HostsArg::Real => HostsKind::Real,
                HostsArg::None => HostsKind::None,
            },
            speed: serve.speed,
            seed: serve.seed,
            faults: serve.faults,
        }
    }
}
