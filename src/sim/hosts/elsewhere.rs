//! Systems without Linux's namespaces: real hosts are refused with a clear sentence.

use super::{HostAct, Hosts, HostsError, NewHost, Power, RealHostsOptions, Upcall};
use std::sync::{Arc, Weak};

/// Can't be made here.
#[derive(Debug)]
pub enum RealHosts {}

impl RealHosts {
    /// Refuses.
    ///
    /// # Errors
    ///
    /// Always [`HostsError::NotLinux`].
    pub fn start(_: RealHostsOptions) -> Result<Arc<Self>, HostsError> {
        Err(HostsError::NotLinux)
    }

    /// Never called.
    pub fn attach(&self, _: Weak<dyn Upcall>) {
        match *self {}
    }

    /// Never called.
    pub fn ssh_port(&self) -> u16 {
        match *self {}
    }
}

impl Hosts for RealHosts {
    fn create(&self, _: NewHost) {
        match *self {}
    }
    fn power(&self, _: &str, _: Power) {
        match *self {}
    }
    fn snapshot(&self, _: &str, _: &str) {
        match *self {}
    }
    fn forget_image(&self, _: &str) {
        match *self {}
    }
    fn console(&self, _: &str) -> String {
        match *self {}
    }
    fn act(&self, _: &str, _: HostAct) {
        match *self {}
    }
    fn shutdown(&self) {
        match *self {}
    }
}

/// Nothing to help with; exit code 125.
pub fn helper_main(_: &[String]) -> i32 {
    125
}
