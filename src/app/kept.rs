//! What is asked before a host is chosen: which hosts EC2 keeps.

use super::context::Context;
use crate::engine::failure::Failure;
use crate::model::InstanceId;
use crate::steps::all_guarded;
use std::collections::BTreeSet;

impl Context {
    /// Which of these hosts have EC2's termination protection; no list tells it.
    pub(super) async fn guarded(&self, ids: &[InstanceId]) -> Result<BTreeSet<InstanceId>, Failure> {
        let told = all_guarded(&self.tools, &self.clients().await?, ids).await?;
        Ok(told.into_iter().filter_map(|(id, on)| on.then_some(id)).collect())
    }
}
