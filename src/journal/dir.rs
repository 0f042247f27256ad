//! The state directory: where each fleet's lock and each run's files are.

use super::depot::{If, Team};
use super::error::JournalError;
use super::fetch;
use super::frame::TornTail;
use super::lease::{self, Lease};
use super::lock::{self, Claim, ClaimError, Holder};
use super::log::{self, Journal};
use super::record::{Begun, Fold};
use super::shared::SharedStore;
use super::store::{self, FileStore, Store};
use crate::model::{FleetKey, InstanceId, RunId};
use etcetera::BaseStrategy;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The directory of one fleet: `<base>/<account>-<region>-<fleet>`.
#[derive(Clone, Debug)]
pub struct FleetDir {
    root: PathBuf,
    /// With whom its state is shared; none while it is on this machine only.
    team: Option<Arc<Team>>,
}

impl FleetDir {
    /// Finds the directory of a fleet below `base` (`--state-dir`), or else below `$XDG_STATE_HOME/fleetwright`
    /// (`~/.local/state/fleetwright`). Makes nothing.
    ///
    /// # Errors
    ///
    /// When there is neither base nor home, or when the fleet's key can't be a directory's name.
    pub fn locate(base: Option<&Path>, fleet: &FleetKey) -> Result<Self, JournalError> {
        let base = match base {
            Some(base) => base.to_owned(),
            None => etcetera::choose_base_strategy()
                .ok()
                .and_then(|strategy| strategy.state_dir())
                .ok_or(JournalError::Homeless)?
                .join("fleetwright"),
        };
        let name = fleet.to_string();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.starts_with('.') || !name.chars().all(plain) {
            return Err(JournalError::Name { name });
        }
        Ok(Self { root: base.join(name), team: None })
    }

    /// The same with its state shared: claims hold among machines, and journals are everybody's.
    #[must_use]
    pub fn shared(self, team: Arc<Team>) -> Self {
        Self { team: Some(team), ..self }
    }

    /// Fetches what other machines wrote. While a process of this machine has the fleet, all is here already.
    ///
    /// # Errors
    ///
    /// When it can't be read or written, or when what is shared has a gap.
    pub fn fetch(&self) -> Result<(), JournalError> {
        let Some(team) = &self.team else { return Ok(()) };
        self.ensure()?;
        let _alone = self.fetching()?;
        if lock::holder(&self.root.join("lock"))?.is_some() { Ok(()) } else { fetch::fetch(self, team, false) }
    }

    /// Kept while files are replaced, so that nobody who claims the fleet meanwhile opens one that is.
    fn fetching(&self) -> Result<File, JournalError> {
        let path = self.root.join("fetch.lock");
        let file = store::options().write(true).create(true).open(&path).map_err(JournalError::io("open", &path))?;
        store::check_file(&path, &file)?;
        file.lock().map_err(JournalError::io("lock", &path))?;
        Ok(file)
    }

    /// What this directory is known by among machines; made up when it is first asked for.
    fn machine(&self, team: &Team) -> Result<String, JournalError> {
        let path = self.root.join("machine");
        match store::read_only(&path) {
            Ok(bytes) if !bytes.is_empty() => {
                Ok(format!("{} on {}", String::from_utf8_lossy(&bytes).trim(), team.host))
            }
            Ok(_) => Err(JournalError::untrusted(&path, "it is empty")),
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                store::replace(&path, team.id.as_bytes())?;
                Ok(format!("{} on {}", team.id, team.host))
            }
            Err(error) => Err(error),
        }
    }

    /// The directory; perhaps not made yet.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Makes the directory (0700) where it is missing.
    ///
    /// # Errors
    ///
    /// When it can't be made or trusted.
    pub fn ensure(&self) -> Result<(), JournalError> {
        if let Some(base) = self.root.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(base).map_err(JournalError::io("create", base))?;
        }
        store::ensure_directory(&self.root)
    }

    /// Claims the fleet for this process, making the directory (0700) where it is missing.
    ///
    /// # Errors
    ///
    /// [`ClaimError::Held`] when another process has it; else when the directory can't be made, used or trusted.
    pub fn claim(&self, holder: &Holder) -> Result<Claim, ClaimError> {
        self.ensure()?;
        let mut claim = Claim::take(&self.root.join("lock"), holder)?;
        if let Some(team) = &self.team {
            claim.lease = Some(Arc::new(Lease::take(team, &self.machine(team)?, holder)?));
            let _alone = self.fetching()?;
            fetch::fetch(self, team, true)?;
        }
        Ok(claim)
    }

    /// Who holds the fleet now, if anybody does. Changes nothing and claims nothing.
    ///
    /// # Errors
    ///
    /// When the lock file is there and can't be read or trusted.
    pub fn holder(&self) -> Result<Option<Holder>, JournalError> {
        match (lock::holder(&self.root.join("lock"))?, &self.team) {
            (None, Some(team)) => {
                self.ensure()?;
                Ok(lease::holder(team, &self.machine(team)?)?)
            }
            (holder, _) => Ok(holder),
        }
    }

    /// Begins a run: makes its directory and its journal, whose first record is durable when this returns.
    ///
    /// # Errors
    ///
    /// When the run exists already, or when something can't be made or trusted.
    pub fn begin(&self, claim: &Claim, run: RunId, begun: Begun) -> Result<(RunDir, Journal), JournalError> {
        let runs = self.root.join("runs");
        store::ensure_directory(&runs)?;
        let directory = self.run(run);
        store::ensure_directory(&directory.path)?;
        let store = directory.over(claim, FileStore::create(&directory.journal())?, 0);
        let journal = Journal::create(store, begun)?;
        claim.at(run)?;
        Ok((directory, journal))
    }

    /// Makes the directory of a run that changes nothing: it has events and no journal, so that nobody goes on with it.
    ///
    /// # Errors
    ///
    /// When something can't be made or trusted.
    pub fn observe(&self, run: RunId) -> Result<RunDir, JournalError> {
        self.ensure()?;
        store::ensure_directory(&self.root.join("runs"))?;
        let directory = self.run(run);
        store::ensure_directory(&directory.path)?;
        Ok(directory)
    }

    /// The directory of a run; perhaps not there.
    pub fn run(&self, run: RunId) -> RunDir {
        RunDir { run, path: self.root.join("runs").join(run.to_string()), team: self.team.clone() }
    }

    /// All runs, newest first (run ids sort by time). None when the fleet has no directory yet.
    ///
    /// # Errors
    ///
    /// When the directory can't be listed or trusted.
    pub fn runs(&self) -> Result<Vec<RunDir>, JournalError> {
        let path = self.root.join("runs");
        let entries = match path.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(JournalError::io("list", &path)(error)),
        };
        store::check_directory(&self.root)?;
        store::check_directory(&path)?;
        let mut runs = Vec::new();
        for entry in entries {
            let name = entry.map_err(JournalError::io("list", &path))?.file_name();
            if let Some(run) = name.to_str().and_then(RunId::parse) {
                runs.push(self.run(run));
            }
        }
        runs.sort_by_key(|run| std::cmp::Reverse(run.run));
        Ok(runs)
    }
}

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDir {
    run: RunId,
    path: PathBuf,
    team: Option<Arc<Team>>,
}

impl RunDir {
    /// The run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its journal.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// Its plan, for people and tools; the journal holds the one that counts.
    pub fn plan(&self) -> PathBuf {
        self.path.join("plan.json")
    }

    /// Its events.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// Its report.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Keeps what its items are known by, durable when this returns; what was kept before is replaced.
    ///
    /// # Errors
    ///
    /// When it can't be written or trusted.
    pub fn keep_items(&self, digests: &[u8]) -> Result<(), JournalError> {
        if let Some(team) = &self.team {
            team.depot.put(&fetch::items(&self.run.to_string()), digests, &If::Any)?;
        }
        store::replace(&self.items_path(), digests)
    }

    /// Where [`Self::keep_items`] keeps it.
    pub(super) fn items_path(&self) -> PathBuf {
        self.path.join("items")
    }

    /// What [`Self::keep_items`] kept.
    ///
    /// # Errors
    ///
    /// When it can't be read or trusted.
    pub fn items(&self) -> Result<Vec<u8>, JournalError> {
        store::read_only(&self.items_path())
    }

    /// Keeps what the operator told it while it was at work, durable when this returns.
    ///
    /// # Errors
    ///
    /// When it can't be written or trusted.
    pub fn keep_orders(&self, orders: &[u8]) -> Result<(), JournalError> {
        store::replace(&self.path.join("orders.json"), orders)
    }

    /// What [`Self::keep_orders`] kept last, if anything.
    ///
    /// # Errors
    ///
    /// When it can't be read or trusted.
    pub fn orders(&self) -> Result<Option<Vec<u8>>, JournalError> {
        match store::read_only(&self.path.join("orders.json")) {
            Ok(orders) => Ok(Some(orders)),
            Err(JournalError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Where the output of its hosts goes.
    pub fn hosts(&self) -> PathBuf {
        self.path.join("hosts")
    }

    /// Where the output of one host goes.
    pub fn host_log(&self, host: &InstanceId) -> PathBuf {
        self.hosts().join(format!("{host}.log"))
    }

    /// Makes the folder for its hosts' output, 0700.
    ///
    /// # Errors
    ///
    /// When it can't be made or trusted.
    pub fn ensure_hosts(&self) -> Result<PathBuf, JournalError> {
        let hosts = self.hosts();
        store::ensure_directory(&hosts)?;
        Ok(hosts)
    }

    /// Opens its journal to go on with it; see [`Journal::open`].
    ///
    /// # Errors
    ///
    /// When it can't be read, written or trusted.
    pub fn resume(&self, claim: &Claim) -> Result<(Journal, Option<TornTail>), JournalError> {
        claim.at(self.run)?;
        let segments = match &self.team {
            Some(team) => fetch::segments(&*team.depot, &self.run.to_string())?,
            None => 0,
        };
        Journal::open(self.over(claim, FileStore::open(&self.journal())?, segments))
    }

    /// The file, and where its batches go before they count.
    fn over(&self, claim: &Claim, file: FileStore, segments: u64) -> Box<dyn Store> {
        match (&self.team, claim.lease()) {
            (Some(team), Some(lease)) => {
                let (depot, lease) = (Arc::clone(&team.depot), Arc::clone(lease));
                Box::new(SharedStore::new(file, depot, lease, self.run.to_string(), segments))
            }
            (Some(_), None) | (None, _) => Box::new(file),
        }
    }

    /// What its journal adds up to, without changing it; a last batch that is not complete is left out.
    ///
    /// # Errors
    ///
    /// When it can't be read or trusted.
    pub fn peek(&self) -> Result<Fold, JournalError> {
        let path = self.journal();
        let bytes = store::read_only(&path)?;
        let fold = log::fold_bytes(&path.display().to_string(), &bytes)?.fold;
        // Its intents would open the gate for what is not this fleet's.
        let of = fold.begun.as_ref().map(|begun| begun.fleet.to_string());
        let here = self.path.ancestors().nth(2).and_then(Path::file_name);
        match of.filter(|of| here.is_none_or(|here| here != of.as_str())) {
            Some(fleet) => Err(JournalError::Foreign { place: path.display().to_string(), fleet }),
            None => Ok(fold),
        }
    }
}
