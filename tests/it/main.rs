//! One integration binary: real processes, real servers on loopback, the binary itself.

mod architecture;
mod capacity;
mod compile_fail;
mod conformance;
mod crash;
mod doubt;
mod env;
mod foreign;
mod hostile;
mod hosts;
mod house;
mod items;
mod ownership;
mod play;
mod proof;
mod pushes;
mod rehearse;
mod sim_hosts;
mod source;
mod ssh;
mod sshd;
mod stage;
mod sync_order;
