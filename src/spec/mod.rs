//! fleet.yaml and playbooks: text in, checked types or every problem at once out.

mod aws;
pub mod build;
mod check;
mod digest;
pub mod explain;
pub mod fields;
pub mod fleet;
pub mod image;
mod load;
pub mod named;
mod need;
pub mod nights;
pub mod notify;
pub mod origin;
mod parts;
pub mod playbook;
pub mod problem;
mod read;
mod region;
mod render;
pub mod schema;
mod section;
mod set;
pub mod starter;
mod syntax;
mod tame;
mod template;
mod tree;
mod value;
mod words;
mod yaml;

#[cfg(test)]
pub(crate) mod fuzz;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use fleet::{Fleet, Raise, Recycle, Window};
pub use load::{FILE, Loaded, Playbooks, find, load};
pub use need::{Need, require};
pub use origin::Value;
pub use playbook::{Playbook, Step};
pub use problem::{Place, Problem, Problems, Severity};
pub use set::{Set, SetBy};
pub(crate) use value::spell;
pub use value::{per_second, units};
pub(crate) use words::nearest;
