//! The one integration binary: real processes, real files, nothing of the user's own.

mod sim_hosts;
mod ssh;
mod sshd;
