mod sim_hosts;
mod ssh;
mod sshd;
