//! One integration binary: real processes, real servers on loopback, the binary itself.

mod architecture;
mod compile_fail;
mod house;
mod play;
mod rehearse;
mod sim_hosts;
mod source;
mod ssh;
mod sshd;
