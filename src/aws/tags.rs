//! Tags given after birth.

use super::Clients;
use super::convert::tag_list;
use super::exact::{capture, invalid, send};
use crate::journal::{Draft, Permit};
use crate::model::{Fault, Tags};

const ACTION: &str = "CreateTags";

impl Clients {
    /// Drafts tags for things that carry our fleet tag already; the same tags again change nothing.
    ///
    /// # Errors
    ///
    /// `Invalid` for no ids, no tags, or more than 1,000 ids (CreateTags' bound).
    pub async fn draft_tags(&self, ids: &[String], tags: &Tags) -> Result<Draft, Fault> {
        let list = tag_list(tags);
        if ids.is_empty() || list.is_empty() || ids.len() > 1000 {
            return Err(invalid(ACTION, &format!("{} tags for {} things", list.len(), ids.len())));
        }
        let call = self.ec2().create_tags().set_resources(Some(ids.to_vec())).set_tags(Some(list));
        capture(ACTION, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Sends the drafted tags.
    pub async fn create_tags(&self, permit: &Permit) -> Result<(), Fault> {
        send(ACTION, permit, |hook| self.ec2().create_tags().customize().interceptor(hook).send()).await.map(drop)
    }
}
