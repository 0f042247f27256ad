//! A later end for live hosts: one tag, on nothing but what carries this fleet's tag already, and never an earlier end.

use super::call::state;
use super::{Steps, past};
use crate::engine::failure::Failure;
use crate::engine::run::Done;
use crate::journal::History;
use crate::model::{Instance, Tags, count, tags};
use crate::plan::extend::expires;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Ids in one CreateTags call: EC2's bound.
const BATCH: usize = 1000;

/// What the step leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extended {
    /// Hosts that live at least until then.
    pub hosts: Vec<String>,
    /// When they power themselves off.
    pub until: Timestamp,
}

impl Steps {
    /// Pushes the end of every live host forward to this instant, where it is nearer.
    /// Hosts of a group carry no end: a group would replace what powers itself off.
    pub(super) async fn extend(&self, step: &str, until: Timestamp, grouped: bool) -> Result<Done, Failure> {
        self.may_change_tags("extend hosts")?;
        let seen = self
            .read("list this fleet's hosts", async || self.clients.instances_of_fleet(&self.fleet.name).await)
            .await?;
        let disguised = past::disguised(&History::read(&self.state).map_err(state)?, &self.fleet.name);
        let ours = |host: &&Instance| host.state.live() && self.may_tag(host) && !disguised(host);
        let ours: Vec<&Instance> = seen.iter().filter(ours).collect();
        let nearer = |host: &&&Instance| expires(host).map_or(!grouped, |at| at < until);
        let ids: Vec<String> = ours.iter().filter(nearer).map(|host| host.id.to_string()).collect();
        for chunk in ids.chunks(BATCH) {
            let later = Tags::default().with(tags::EXPIRES, until.to_string());
            self.change(
                step,
                "let hosts live longer",
                async || self.clients.draft_tags(chunk, &later).await,
                async |permit| self.clients.create_tags(permit).await.map(|()| (chunk.to_vec(), ())),
            )
            .await?;
        }
        let extended = Extended { hosts: ours.iter().map(|host| host.id.to_string()).collect(), until };
        let detail = format!("{}: until {until}", count(extended.hosts.len(), "host"));
        Ok(Done::new(super::output(&extended)?, detail))
    }
}
