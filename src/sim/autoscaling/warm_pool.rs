//! Warm pools, as far as there is nothing in them: PutWarmPool, DescribeWarmPool, DeleteWarmPool.

use super::ask::{flag, invalid, whole};
use super::records::Group;
use super::{Ask, AutoScaling};
use crate::sim::api::{ApiError, Handled, Reply};
use crate::sim::xml::Xml;

/// A warm pool's sizes, as they were given.
#[derive(Clone, Copy, Debug)]
pub(super) struct WarmPool {
    /// MinSize.
    least: u32,
    /// MaxGroupPreparedCapacity; that of the group's largest size if absent.
    prepared: Option<u32>,
}

impl WarmPool {
    /// "The size of the warm pool is the difference between the maximum prepared capacity and the desired capacity", and
    /// `MinSize` at least.
    fn size(self, group: &Group) -> u32 {
        self.prepared.unwrap_or(group.max).saturating_sub(group.desired).max(self.least)
    }

    pub(super) fn write(self, xml: &mut Xml) {
        xml.open("WarmPoolConfiguration", |xml| {
            xml.opt("MaxGroupPreparedCapacity", self.prepared).text("MinSize", self.least).text("PoolState", "Stopped");
        });
    }
}

impl AutoScaling {
    pub(super) fn put_warm_pool(&mut self, ask: &mut Ask) -> Handled {
        let pool = WarmPool {
            least: whole(&ask.params, "MinSize")?.unwrap_or(0),
            prepared: match ask.params.text("MaxGroupPreparedCapacity") {
                None | Some("-1") => None,
                Some(_) => whole(&ask.params, "MaxGroupPreparedCapacity")?,
            },
        };
        let group = self.group(ask)?;
        if pool.size(group) > 0 {
            return Err(ApiError::new("UnsupportedOperation", "The rehearsal cloud keeps no instances in warm pools"));
        }
        group.warm_pool = Some(pool);
        Ok(Reply::default())
    }

    pub(super) fn describe_warm_pool(&mut self, ask: &mut Ask) -> Handled {
        let group = self.group(ask)?;
        let mut xml = Xml::new();
        if let Some(pool) = group.warm_pool {
            pool.write(&mut xml);
        }
        xml.open("Instances", |_| ());
        Ok(Reply { body: xml.finish(), ..Reply::default() })
    }

    pub(super) fn delete_warm_pool(&mut self, ask: &mut Ask) -> Handled {
        let _nothing_is_in_it = flag(&ask.params, "ForceDelete")?;
        let group = self.group(ask)?;
        match group.warm_pool.take() {
            Some(_) => Ok(Reply::default()),
            None => Err(invalid(format!("No warm pool found for Auto Scaling group {}.", group.name))),
        }
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
        assert_eq!(cloud.fails("PutWarmPool", &[web, ("MinSize", "1")]).code, "UnsupportedOperation");
        cloud.ok("PutWarmPool", &[web]);
        assert!(cloud.ok("DescribeAutoScalingGroups", &[]).contains("<PoolState>Stopped</PoolState>"));
        assert!(cloud.ok("DescribeWarmPool", &[web]).contains("<MinSize>0</MinSize>"));
        cloud.ok("DeleteWarmPool", &[web, ("ForceDelete", "true")]);
        assert!(!cloud.ok("DescribeAutoScalingGroups", &[]).contains("WarmPool"));
    }
}
