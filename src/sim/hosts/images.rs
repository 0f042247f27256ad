//! The images that hosts boot from, and who has to wait until one is copied.

use super::root;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// How far an image's directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Copying,
    There,
    Failed,
}

/// All images by id.
#[derive(Debug)]
pub(super) struct Images {
    directory: PathBuf,
    known: Mutex<BTreeMap<String, watch::Receiver<Progress>>>,
}

/// The right to fill an image's directory; dropped without [`Making::done`] it counts as failed.
pub(super) struct Making {
    path: PathBuf,
    progress: watch::Sender<Progress>,
}

impl Images {
    /// Images below `directory`; each of `seeded` boots from the minimal base.
    ///
    /// # Errors
    ///
    /// When the base can't be written.
    pub(super) fn new(directory: PathBuf, seeded: &[String]) -> io::Result<Self> {
        let images = Self { directory, known: Mutex::default() };
        for image in seeded {
            let making = images.announce(image);
            root::base(&making.path)?;
            making.done();
        }
        Ok(images)
    }

    /// An image that will be there: whoever boots from it waits. Called in the order in which the world decides.
    pub(super) fn announce(&self, image: &str) -> Making {
        let (progress, watched) = watch::channel(Progress::Copying);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(image.to_owned(), watched);
        Making { path: self.directory.join(image), progress }
    }

    /// The image's directory, once it is complete.
    ///
    /// # Errors
    ///
    /// When there is no such image, or its making failed.
    pub(super) async fn path(&self, image: &str) -> io::Result<PathBuf> {
        let watched = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(image).cloned();
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no image {image} to boot from"));
        let mut watched = watched.ok_or_else(missing)?;
        let state = watched.wait_for(|progress| *progress != Progress::Copying).await.map(|progress| *progress);
        match state {
            Ok(Progress::There) => Ok(self.directory.join(image)),
            Ok(Progress::Copying | Progress::Failed) | Err(_) => Err(missing()),
        }
    }

    /// Takes an image away; its directory is returned for removal.
    pub(super) fn forget(&self, image: &str) -> Option<PathBuf> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(image);
        known.map(|_| self.directory.join(image))
    }
}

impl Making {
    /// Where to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory is complete.
    pub(super) fn done(&self) {
        self.progress.send_replace(Progress::There);
    }

    /// It never will be.
    pub(super) fn failed(&self) {
        self.progress.send_replace(Progress::Failed);
    }
}
