//! Shared state in S3: the bucket behind `state:`, asked from wherever the journal must be durable.

use super::context::{Context, STATE_DIR, state};
use crate::aws::{AwsSettings, Clients, Only};
use crate::engine::failure::Failure;
use crate::engine::tools::Tools;
use crate::exit::Exit;
use crate::journal::lease::RENEWAL;
use crate::journal::{Depot, DepotError, FleetDir, Found, If, Lease, Team};
use crate::model::{Fault, FleetKey};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;
use tokio_util::task::AbortOnDropHandle;

/// A bucket and its own runtime: whoever commits to a journal blocks until the bucket has answered, as for a disk, and that
/// must not depend on the threads that are blocked.
pub(super) struct Bucket {
    name: String,
    prefix: String,
    settings: AwsSettings,
    tools: Tools,
    clients: OnceCell<Clients>,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bucket").field("name", &self.name).field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // Dropping it would wait for its threads, which nobody may do inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Bucket {
    /// One call, repeated while that may help.
    async fn ask<T>(&self, what: &str, call: impl AsyncFn(&Clients) -> Result<T, Fault>) -> Result<T, Failure> {
        let clients = self.clients.get_or_try_init(|| self.connect()).await?;
        self.tools.read(what, async || call(clients).await).await
    }

    /// Clients of the region that the bucket is in, which need not be the fleet's.
    async fn connect(&self) -> Result<Clients, Failure> {
        let here = Clients::connect(&self.settings).await.map_err(|fault| Failure::call("reach AWS", fault))?;
        let what = format!("find the region of s3://{}", self.name);
        let region = self.tools.read(&what, async || here.bucket_region(&self.name).await).await?;
        Ok(region.map_or_else(|| here.clone(), |region| here.in_region(&region)))
    }

    /// Calls so far, by action.
    fn calls(&self) -> BTreeMap<String, u64> {
        self.clients.get().map(Clients::calls).unwrap_or_default()
    }
}

/// The part of a bucket that belongs to one fleet.
#[derive(Clone, Debug)]
struct Folder {
    bucket: Arc<Bucket>,
    /// What its keys begin with; ends in a slash.
    prefix: String,
}

impl Folder {
    /// Carries one call out on the bucket's own threads and waits for it.
    fn wait<T: Send + 'static, F: Future<Output = Result<T, Failure>>>(
        &self,
        call: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, DepotError> {
        let (told, answer) = mpsc::channel();
        if let Some(runtime) = &self.bucket.runtime {
            let handle = runtime.handle().clone();
            drop(runtime.spawn_blocking(move || told.send(handle.block_on(call())).unwrap_or_default()));
        }
        let gone = || Failure::to(Exit::Bug, "ask the bucket: its thread is gone");
        answer.recv().map_err(|_| gone()).and_then(|answer| answer).map_err(|failure| {
            let fault = failure.fault.as_ref().map(|fault| format!(": {fault}")).unwrap_or_default();
            DepotError {
                exit: failure.exit,
                message: format!("{}{fault}", failure.message.trim_start_matches("failed to ")),
                hint: failure.hints.first().cloned().unwrap_or_default(),
            }
        })
    }
}

impl Depot for Folder {
    fn place(&self, name: &str) -> String {
        format!("s3://{}/{}{name}", self.bucket.name, self.prefix)
    }

    fn put(&self, name: &str, bytes: &[u8], only: &If) -> Result<Option<String>, DepotError> {
        let only = match only {
            If::Any => Only::Always,
            If::New => Only::New,
            If::Over(version) => Only::Over(version.clone()),
        };
        let (bucket, what) = (Arc::clone(&self.bucket), format!("write {}", self.place(name)));
        let (key, bytes) = (format!("{}{name}", self.prefix), bytes.to_vec());
        self.wait(move || async move {
            bucket.ask(&what, async |s3| s3.put_object(&bucket.name, &key, &bytes, &only).await).await
        })
    }

    fn get(&self, name: &str) -> Result<Option<Found>, DepotError> {
        let (bucket, what) = (Arc::clone(&self.bucket), format!("read {}", self.place(name)));
        let key = format!("{}{name}", self.prefix);
        let got = self
            .wait(move || async move { bucket.ask(&what, async |s3| s3.get_object(&bucket.name, &key).await).await })?;
        Ok(got.map(|got| Found { bytes: got.bytes, version: got.etag }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, u64)>, DepotError> {
        let (bucket, what) = (Arc::clone(&self.bucket), format!("list {}", self.place(prefix)));
        let key = format!("{}{prefix}", self.prefix);
        let listed =
            self.wait(
                move || async move { bucket.ask(&what, async |s3| s3.list_objects(&bucket.name, &key).await).await },
            )?;
        let name = |(key, size): (String, u64)| Some((key.strip_prefix(&self.prefix)?.to_owned(), size));
        Ok(listed.into_iter().filter_map(name).collect())
    }
}

impl Context {
    /// The bucket behind `state:`, where the spec names one.
    pub(super) fn bucket(&self) -> Result<Option<Arc<Bucket>>, Failure> {
        let Some(shared) = &self.fleet.state else { return Ok(None) };
        if let Some(bucket) = self.bucket.get() {
            return Ok(Some(Arc::clone(bucket)));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|e| Failure::to(Exit::Bug, format!("start a runtime for the bucket: {e}")))?;
        let bucket = Bucket {
            name: shared.bucket.clone(),
            prefix: shared.prefix.clone(),
            settings: self.settings(),
            tools: self.tools.clone(),
            clients: OnceCell::new(),
            runtime: Some(runtime),
        };
        Ok(Some(Arc::clone(self.bucket.get_or_init(|| Arc::new(bucket)))))
    }

    /// Calls to the bucket so far, by action.
    pub(super) fn bucket_calls(&self) -> BTreeMap<String, u64> {
        self.bucket.get().map(|bucket| bucket.calls()).unwrap_or_default()
    }

    /// The state directory of a fleet of this account and region; perhaps not made yet.
    pub(super) fn dir_of(&self, key: &FleetKey) -> Result<FleetDir, Failure> {
        let of_env = || std::env::var_os(STATE_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
        let told = self.global.state_dir.clone().or_else(of_env);
        let dir = FleetDir::locate(told.as_deref(), key).map_err(state)?;
        let Some(bucket) = self.bucket()? else { return Ok(dir) };
        let prefix = format!("{}{key}/", bucket.prefix);
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        Ok(dir.shared(Arc::new(Team {
            depot: Arc::new(Folder { bucket, prefix }),
            clock: Arc::clone(&self.clock),
            host: host.unwrap_or_else(|| "a machine without a name".to_owned()),
            id: uuid::Uuid::new_v4().to_string(),
        })))
    }

    /// Fetches what other machines wrote; nothing where state is on this machine only.
    pub(super) async fn fetch(&self) -> Result<(), Failure> {
        if self.fleet.state.is_none() {
            return Ok(());
        }
        // A wrong account is told as such, not by what its credentials may not read.
        Box::pin(self.check_account()).await?;
        let dir = self.state_dir()?;
        blocking(move || dir.fetch()).await?.map_err(state)
    }

    /// Renews a lease until the handle is dropped; one that can't be renewed is told, and stops the run by its own check.
    pub(super) fn lease_kept(&self, lease: Arc<Lease>) -> AbortOnDropHandle<()> {
        let tools = self.tools.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                crate::time::sleep(&*tools.clock, RENEWAL).await;
                let lease = Arc::clone(&lease);
                match blocking(move || lease.renew()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tools.events.warn(format!("failed to {error}"));
                        if error.exit == Exit::Locked {
                            return;
                        }
                    }
                    Err(failure) => tools.events.warn(failure.to_string()),
                }
            }
        }))
    }
}

/// Does what waits for disk and bucket beside the verb, so that Ctrl-C and `--timeout` are heard meanwhile.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::to(Exit::Bug, format!("look after the state: {e}")))
}
