//! `fleetwright doctor`

/// Tell what stands in the way, and the command that mends it
///
/// Looks at all that the spec needs: credentials and how long they hold, permissions (EC2's own answers to dry runs),
/// template and SSH, types, subnets, quotas, roles, keys, queue, proxy. Changes nothing, and says of what it could not see
/// that it was not checked. Exits 0 when nothing is wrong, else with the code of the worst problem: 8 another account, 5
/// permission, 2 the spec, 4 capacity or quota, 3 SSH, 6 AWS or the network down.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright doctor
  fleetwright doctor -o json | jq -r '.findings[] | select(.state == \"problem\") | .fix'
  fleetwright doctor --set fleet.size=400     # would that fit?")]
pub(super) struct DoctorArgs {}
