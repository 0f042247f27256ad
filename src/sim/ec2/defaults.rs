//! What holds for the account in this region: the default key of EBS, and whether images may be made public.

use super::Ec2;
use crate::sim::api::Reply;
use crate::sim::kms::EBS_ALIAS;
use crate::sim::partition;
use crate::sim::xml::Xml;

impl Ec2 {
    /// GetEbsDefaultKmsKeyId: AWS's own by its alias, a customer's by its ARN.
    pub(super) fn get_ebs_default_kms_key_id(&self) -> Reply {
        let key = match &self.control.account.ebs_default_key {
            Some(id) => {
                format!("arn:{}:kms:{}:{}:key/{id}", partition::of(&self.region), self.region, self.account)
            }
            None => EBS_ALIAS.to_owned(),
        };
        let mut xml = Xml::new();
        xml.text("kmsKeyId", key);
        Reply { body: xml.finish(), ..Reply::default() }
    }

    /// Whether a subnet has IPv6 addresses only.
    pub(super) fn lacks_ipv4(&self, subnet: &str) -> bool {
        self.control.account.ipv6_only_subnets.iter().any(|id| id == subnet)
    }

    /// GetImageBlockPublicAccessState.
    pub(super) fn get_image_block_public_access_state(&self) -> Reply {
        let open = self.control.account.images_may_be_public;
        let mut xml = Xml::new();
        xml.text("imageBlockPublicAccessState", if open { "unblocked" } else { "block-new-sharing" });
        xml.text("managedBy", "account");
        Reply { body: xml.finish(), ..Reply::default() }
    }
}
