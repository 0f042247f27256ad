//! Who calls.

use super::Clients;
use super::convert::{need, read};
use crate::model::{Caller, Fault};

impl Clients {
    /// Asks STS whose credentials these are; needs no permission. The answer holds for these clients as long as they live.
    pub async fn caller(&self) -> Result<Caller, Fault> {
        const ACTION: &str = "GetCallerIdentity";
        let ask = || async {
            let answer = read(ACTION, self.sts().get_caller_identity().send()).await?;
            let account = need(ACTION, "account", answer.account())?;
            Ok(Caller { account: account.into(), arn: need(ACTION, "ARN", answer.arn)? })
        };
        self.whose().get_or_try_init(ask).await.cloned()
    }
}
