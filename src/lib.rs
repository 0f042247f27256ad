//! fleetwright runs one big job on a fleet of EC2 hosts, from the first check to the last item done.
//!
//! ```text
//! argv ──────► cli ──► Request ─┐
//! fleet.yaml ► spec ─► Fleet ───┤
//! AWS, read ─► survey ► Survey ─┴► plan ─► Plan ─► lint ─► show + confirm
//!                                            │
//!                                            ▼
//!                  journal ◄── intent/outcome ── engine ──► steps ──► aws │ ssh │ queue │ feed
//!                                                  │
//!                                                  └──► events ──► report ──► Outcome ─► exit code
//! ```
//!
//! A module imports only lower ranks: `model`, then `time`, `event`, `exit`, then `spec`, `journal`, `gate`, then `plan`,
//! `aws`, `ssh`, then `survey`, then `engine`, `feed`, then `steps`, `report`, `work`, `sim`, then `cli`, `error`, then
//! `app`, `rehearse`.

pub mod app;
pub mod aws;
pub mod cli;
pub mod engine;
pub mod error;
pub mod event;
pub mod exit;
pub mod feed;
pub mod gate;
pub mod journal;
pub mod model;
pub mod plan;
pub mod rehearse;
pub mod report;
pub mod sim;
pub mod spec;
pub mod ssh;
pub mod steps;
pub mod survey;
pub mod time;
pub mod work;
