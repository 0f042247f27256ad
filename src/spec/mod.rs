//! fleet.yaml and playbooks: text in, checked types or every problem at once out.

pub mod fleet;
pub mod playbook;

pub use fleet::Fleet;
pub use playbook::{Playbook, Step};
