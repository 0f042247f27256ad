//! The look at instance types and prices that a launch is planned from.

use super::context::Context;
use crate::engine::failure::Failure;
use crate::model::{FaultKind, Offers, Survey, Zone};
use crate::plan::types::{Wanted, wanted};
use crate::spec::fleet::HostsSpec;

impl Context {
    /// What the spec's types are, where they are offered and what they cost. Where the types can't be read for want of a
    /// permission, named ones are taken as they are.
    pub(super) async fn offers(
        &self,
        hosts: &HostsSpec,
        survey: &Survey,
        architecture: Option<&str>,
    ) -> Result<Option<Offers>, Failure> {
        let clients = self.clients().await?;
        let template: Vec<String> = survey.template.iter().map(|t| t.instance_type.clone()).collect();
        let wanted = wanted(hosts, &template, architecture);
        let mut zones: Vec<Zone> = survey.subnets.iter().map(|subnet| subnet.zone.clone()).collect();
        zones.sort();
        zones.dedup();
        let spot = hosts.spot_percent > 0;
        let read = self
            .read("look at instance types", async || {
                crate::survey::offers::offers(&clients, &wanted, &zones, spot).await
            })
            .await;
        let types = match (read, wanted) {
            (Ok(types), _) => types,
            (Err(failure), Wanted::Named(_)) if failure.fault.as_ref().is_some_and(|f| f.kind == FaultKind::Denied) => {
                let why = failure.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
                self.events.warn(format!("the types of the spec are not checked{why}"));
                return Ok(None);
            }
            (Err(failure), _) => return Err(failure),
        };
        let mut offers = Offers { types, ..Offers::default() };
        let addresses = survey.subnets.iter().any(|subnet| subnet.public_addresses);
        let now = self.clock.now();
        crate::survey::offers::price(&clients, &mut offers, &hosts.root.volume_type, addresses, now).await;
        Ok(Some(offers))
    }
}
