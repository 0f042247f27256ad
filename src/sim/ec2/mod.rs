//! EC2: placeholder until the service is merged; knows no action.

use super::api::{ApiError, Call, Handled};
use super::faults::Control;
use super::hosts::{HostAct, Metadata, SharedHosts};
use super::seed::Seed;
use jiff::Timestamp;

/// The EC2 service and its state.
pub(crate) struct Ec2;

impl Ec2 {
    pub(crate) fn new(_: &Seed, _: u64, _: SharedHosts, _: Timestamp) -> Self {
        Self
    }

    pub(crate) fn handle(&mut self, call: &Call, _: &Control) -> Handled {
        Err(ApiError::new("InvalidAction", format!("The action {} is not valid for this web service.", call.action)))
    }

    pub(crate) fn advance(&mut self, _: Timestamp) {}

    pub(crate) fn world(&self, _: Timestamp) -> serde_json::Value {
        serde_json::json!({"instances": []})
    }

    pub(crate) fn act(&mut self, id: &str, _: HostAct, _: Timestamp) -> Result<(), ApiError> {
        Err(ApiError::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist")))
    }

    pub(crate) fn metadata(&self, _: &str, _: Timestamp) -> Option<Metadata> {
        None
    }

    pub(crate) fn powered_off(&mut self, _: &str, _: Timestamp) {}

    pub(crate) fn rebooted(&mut self, _: &str, _: Timestamp) {}

    pub(crate) fn resource_cost(_: &Call) -> Option<(&'static str, u32)> {
        None
    }
}
