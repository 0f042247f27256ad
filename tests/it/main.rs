mod play;
mod ssh;
mod sshd;
