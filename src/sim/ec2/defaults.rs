//! What holds for the account in this region: the default key of EBS, and whether images may be made public.

use super::Ec2;
use crate::sim::api::{Handled, Reply};
use crate::sim::kms::EBS_ALIAS;
use crate::sim::partition;
use crate::sim::xml::Xml;

impl Ec2 {
    /// GetEbsDefaultKmsKeyId: AWS's own by its alias, a customer's by its ARN.
    pub(super) fn get_ebs_default_kms_key_id(&self) -> Handled {
        let key = match &self.control.account.ebs_default_key {
            Some(id) => {
                format!("arn:{}:kms:{}:{}:key/{id}", partition::of(&self.region), self.region, self.account)
            }
            None => EBS_ALIAS.to_owned(),
        };
        let mut xml = Xml::new();
        xml.text("kmsKeyId", key);
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    /// GetImageBlockPublicAccessState.
    pub(super) fn get_image_block_public_access_state(&self) -> Handled {
        let open = self.control.account.images_may_be_public;
        let mut xml = Xml::new();
        xml.text("imageBlockPublicAccessState", if open { "unblocked" } else { "block-new-sharing" });
        xml.text("managedBy", "account");
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }
}
