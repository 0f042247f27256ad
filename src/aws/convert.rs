//! Between the SDK's types and the domain's, and pages into lists.

use super::classify;
use crate::model::{Fault, Tags};
use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use jiff::Timestamp;

/// Values that EC2 takes in one filter.
pub(super) const FILTER_VALUES: usize = 200;

/// Most pages that one question may take: 200,000 things at a thousand a page.
const PAGES: usize = 200;

/// One read, classified.
pub(super) async fn read<T, E>(
    action: &str,
    call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Box::pin(call).await.map_err(|error| classify::fault(action, &error))
}

/// All pages of a question, in order.
pub(super) async fn pages<T, F>(action: &str, page: impl Fn(Option<String>) -> F) -> Result<Vec<T>, Fault>
where
    F: Future<Output = Result<(Vec<T>, Option<String>), Fault>>,
{
    let mut all = Vec::new();
    let mut token = None;
    for _ in 0..PAGES {
        let (things, next) = Box::pin(page(token.take())).await?;
        all.extend(things);
        match next.filter(|next| !next.is_empty()) {
            Some(next) => token = Some(next),
            None => return Ok(all),
        }
    }
    Err(classify::garbled(action, &format!("more than {PAGES} pages")))
}

/// A field that AWS always sends; without it the answer can't be trusted.
pub(super) fn need<T>(action: &str, what: &str, field: Option<T>) -> Result<T, Fault> {
    field.ok_or_else(|| classify::garbled(action, &format!("the answer has no {what}")))
}

/// The SDK's tags as ours.
pub(super) fn tags(list: &[Tag]) -> Tags {
    list.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))).collect()
}

/// Our tags as the SDK's, in key order.
pub(super) fn tag_list(tags: &Tags) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect()
}

/// Tags for one kind of thing that a call makes; absent when there are none, since EC2 refuses an empty list.
pub(super) fn birth_tags(kind: ResourceType, tags: &Tags) -> Option<TagSpecification> {
    let list = Some(tag_list(tags)).filter(|list| !list.is_empty())?;
    Some(TagSpecification::builder().resource_type(kind).set_tags(Some(list)).build())
}

/// One filter; any of the values matches.
pub(super) fn filter(name: &str, values: impl IntoIterator<Item = impl Into<String>>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().map(Into::into).collect())).build()
}

/// The SDK's instant as ours.
pub(super) fn instant(time: &DateTime) -> Option<Timestamp> {
    Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).ok()?).ok()
}
