//! Subnets.

use super::Clients;
use super::convert::{FILTER_VALUES, filter, need, pages, read};
use crate::model::{Fault, Subnet, SubnetId, Zone};

const ACTION: &str = "DescribeSubnets";

impl Clients {
    /// The subnets with these ids, in the order asked for; those that AWS does not know are absent. No ids, no call.
    pub async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, Fault> {
        let mut found = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(FILTER_VALUES) {
            let wanted = filter("subnet-id", chunk.iter().map(SubnetId::as_str));
            let raw = pages(ACTION, |token| {
                let call =
                    self.ec2().describe_subnets().filters(wanted.clone()).max_results(1000).set_next_token(token);
                async {
                    let answer = read(ACTION, call.send()).await?;
                    Ok((answer.subnets.unwrap_or_default(), answer.next_token))
                }
            });
            for subnet in raw.await? {
                found.push(Subnet {
                    id: SubnetId::new(need(ACTION, "subnet id", subnet.subnet_id)?),
                    zone: Zone::new(need(ACTION, "availability zone", subnet.availability_zone)?),
                    public_addresses: subnet.map_public_ip_on_launch.unwrap_or(false),
                    ipv6_only: subnet.ipv6_native == Some(true),
                    free_addresses: subnet.available_ip_address_count.and_then(|count| u32::try_from(count).ok()),
                });
            }
        }
        found.sort_by_key(|subnet| ids.iter().position(|id| *id == subnet.id));
        Ok(found)
    }
}
