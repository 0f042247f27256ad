//! One integration binary: real processes, real servers on loopback, the binary itself.

mod architecture;
mod capacity;
mod compile_fail;
mod conformance;
mod crash;
mod doubt;
mod env;
mod hosts;
mod house;
mod init;
mod items;
mod ownership;
mod play;
mod proof;
mod pushes;
mod reference;
mod rehearse;
mod schema;
mod sim_hosts;
mod source;
mod ssh;
mod sshd;
mod stage;
mod sync_order;
mod teach;
