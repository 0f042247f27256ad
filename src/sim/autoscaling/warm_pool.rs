//! Warm pools, as far as there is never anything in them: PutWarmPool, DescribeWarmPool, DeleteWarmPool.

use super::ask::{flag, invalid, whole};
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

/// A warm pool that nothing is ever in. "The size of the warm pool is the difference between the maximum prepared capacity
/// and the desired capacity", and `MinSize` at least: with both 0 it is empty whatever becomes of the group.
pub(super) fn write(xml: &mut Xml) {
    xml.open("WarmPoolConfiguration", |xml| {
        xml.text("MaxGroupPreparedCapacity", 0).text("MinSize", 0).text("PoolState", "Stopped");
    });
}

impl AutoScaling {
    pub(super) fn put_warm_pool(&mut self, ask: &mut Ask) -> Handled {
        let unsupported =
            |what: &str| Err(ApiError::new("UnsupportedOperation", format!("The rehearsal cloud has no {what}")));
        let prepared = match ask.params.text("MaxGroupPreparedCapacity") {
            None | Some("-1") => None,
            Some(_) => whole(&ask.params, "MaxGroupPreparedCapacity")?,
        };
        if prepared != Some(0) || whole(&ask.params, "MinSize")?.unwrap_or(0) > 0 {
            return unsupported("instances in warm pools: MaxGroupPreparedCapacity must be 0, and so must MinSize");
        }
        match ask.params.text("PoolState") {
            None | Some("Stopped") => {}
            Some("Running" | "Hibernated") => return unsupported("warm pools but those of stopped instances"),
            Some(other) => return Err(invalid(format!("'{other}' is not a valid PoolState"))),
        }
        if let Some(policy) = ask.params.at("InstanceReusePolicy")
            && flag(policy, "ReuseOnScaleIn")? == Some(true)
        {
            return unsupported("instances that go back to a warm pool");
        }
        self.group(ask)?.warm_pool = true;
        Ok(Reply::default())
    }

    pub(super) fn describe_warm_pool(&mut self, ask: &mut Ask) -> Handled {
        let group = self.group(ask)?;
        let mut xml = Xml::new();
        if group.warm_pool {
            write(&mut xml);
        }
        xml.open("Instances", |_| ());
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn delete_warm_pool(&mut self, ask: &mut Ask) -> Handled {
        let _nothing_is_in_it = flag(&ask.params, "ForceDelete")?;
        let group = self.group(ask)?;
        if !std::mem::take(&mut group.warm_pool) {
            return Err(invalid(format!("No warm pool found for Auto Scaling group {}.", group.name)));
        }
        Ok(Reply::default())
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::autoscaling::testing::Cloud;
    use serde_json::json;

    #[test]
    fn a_warm_pool_is_there_until_it_is_deleted() {
        let cloud = Cloud::new(7, json!({}));
        cloud.group("0", "2", "2", &[]);
        let web = ("AutoScalingGroupName", "web");
        assert_eq!(cloud.fails("DeleteWarmPool", &[web]).code, "ValidationError");
        let empty = ("MaxGroupPreparedCapacity", "0");
        for more in [
            &[][..],
            &[("MaxGroupPreparedCapacity", "2")],
            &[empty, ("MinSize", "1")],
            &[empty, ("PoolState", "Running")],
            &[empty, ("InstanceReusePolicy.ReuseOnScaleIn", "true")],
        ] {
            let asked = [&[web], more].concat();
            assert_eq!(cloud.fails("PutWarmPool", &asked).code, "UnsupportedOperation", "{more:?}");
        }
        assert_eq!(cloud.fails("PutWarmPool", &[web, empty, ("PoolState", "Warm")]).code, "ValidationError");
        cloud.ok("PutWarmPool", &[web, empty, ("PoolState", "Stopped")]);
        assert!(cloud.ok("DescribeAutoScalingGroups", &[]).contains("<PoolState>Stopped</PoolState>"));
        assert!(cloud.ok("DescribeWarmPool", &[web]).contains("<MinSize>0</MinSize>"));
        cloud.ok("DeleteWarmPool", &[web, ("ForceDelete", "true")]);
        assert!(!cloud.ok("DescribeAutoScalingGroups", &[]).contains("WarmPool"));
    }
}
