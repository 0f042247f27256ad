//! fleetwright runs one big job on a fleet of EC2 hosts, from the first check to the last item done.

pub mod event;
pub mod exit;
pub mod feed;
pub mod gate;
pub mod journal;
pub mod model;
pub mod sim;
pub mod spec;
pub mod time;
