//! One integration binary: real processes, real servers on loopback, the binary itself.

mod compile_fail;
mod play;
mod rehearse;
mod sim_hosts;
mod ssh;
mod sshd;
