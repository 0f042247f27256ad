//! Tags given after birth.

use super::Clients;
use super::convert::tag_list;
use super::exact::{capture, invalid, send};
use crate::journal::{Draft, Permit};
use crate::model::{Fault, Tags};
use aws_sdk_ec2::types::Tag;

const ACTION: &str = "CreateTags";
const DELETE: &str = "DeleteTags";

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

    /// Drafts the end of one tag of one thing, whatever its value; one that is not there changes nothing.
    pub async fn draft_untag(&self, id: &str, key: &str) -> Result<Draft, Fault> {
        let call = self.ec2().delete_tags().resources(id).tags(Tag::builder().key(key).build());
        capture(DELETE, None, |hook| call.customize().interceptor(hook).send()).await
    }

    /// Takes the drafted tag off.
    pub async fn delete_tags(&self, permit: &Permit) -> Result<(), Fault> {
        send(DELETE, permit, |hook| self.ec2().delete_tags().customize().interceptor(hook).send()).await.map(drop)
    }
}
