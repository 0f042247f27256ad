//! One integration binary: real processes, real servers on loopback, the binary itself.

mod answers;
mod architecture;
mod capacity;
mod compile_fail;
mod conformance;
mod crash;
mod doubt;
mod env;
mod errors;
mod exits;
mod hosts;
mod house;
mod items;
mod ownership;
mod play;
mod proof;
mod pushes;
mod rehearse;
mod runs;
mod sim_hosts;
mod source;
mod ssh;
mod sshd;
mod stage;
mod sync_order;
mod terminal;
