//! Who calls.

use super::Clients;
use super::convert::{need, read};
use crate::model::{AccountId, Fault};

/// Whose credentials these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account that pays.
    pub account: AccountId,
    /// The user or assumed role.
    pub arn: String,
}

impl Clients {
    /// Asks STS whose credentials these are; needs no permission.
    pub async fn caller(&self) -> Result<Caller, Fault> {
        const ACTION: &str = "GetCallerIdentity";
        let answer = read(ACTION, self.sts().get_caller_identity().send()).await?;
        let account = need(ACTION, "account", answer.account())?;
        Ok(Caller { account: account.into(), arn: need(ACTION, "ARN", answer.arn)? })
    }
}
