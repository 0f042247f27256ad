//! Where a journal's bytes live, and the file that they live in by default.

use super::error::JournalError;
use nix::fcntl::OFlag;
use nix::unistd::geteuid;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Keeps the bytes of one journal. What was appended may be lost in a crash until `sync` has returned.
pub trait Store: Send {
    /// File name or URL, for messages.
    fn place(&self) -> String;
    /// Everything there is.
    ///
    /// # Errors
    ///
    /// When it can't be read whole.
    fn read(&mut self) -> io::Result<Vec<u8>>;
    /// Adds bytes at the end; after an error some of them may be there.
    ///
    /// # Errors
    ///
    /// When not all of them could be written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything appended so far survives a crash of the machine (fdatasync).
    ///
    /// # Errors
    ///
    /// When that can't be promised.
    fn sync(&mut self) -> io::Result<()>;
    /// Drops everything from byte `len` on.
    ///
    /// # Errors
    ///
    /// When it can't be dropped.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A journal in a file of its own: 0600, ours, no link of any kind.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    file: File,
}

impl FileStore {
    /// Makes the file; it must not be there yet. Its directory entry is durable afterwards.
    ///
    /// # Errors
    ///
    /// When the file exists, can't be made, or its directory can't be trusted.
    pub fn create(path: &Path) -> Result<Self, JournalError> {
        let directory = parent(path);
        check_directory(directory)?;
        let file = options().create_new(true).append(true).open(path).map_err(JournalError::io("create", path))?;
        sync_directory(directory)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Opens the file to go on with it.
    ///
    /// # Errors
    ///
    /// When it can't be opened, or it or its directory can't be trusted.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        check_directory(parent(path))?;
        let file = options().append(true).open(path).map_err(JournalError::io("open", path))?;
        check_file(path, &file)?;
        Ok(Self { path: path.to_owned(), file })
    }
}

impl Store for FileStore {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.rewind()?;
        self.file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

/// Reads a file that may belong to another run, without the means to change it.
pub(super) fn read_only(path: &Path) -> Result<Vec<u8>, JournalError> {
    let mut file = options().open(path).map_err(JournalError::io("open", path))?;
    check_file(path, &file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(JournalError::io("read", path))?;
    Ok(bytes)
}

/// Writes a whole file anew, durable when this returns; who reads it meanwhile sees the old one or the new one.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let directory = parent(path);
    check_directory(directory)?;
    let new = path.with_extension("new");
    let mut file = options().write(true).create(true).open(&new).map_err(JournalError::io("create", &new))?;
    check_file(&new, &file)?;
    let written = file.set_len(0).and_then(|()| file.write_all(bytes)).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(&new, path)).map_err(JournalError::io("write", path))?;
    sync_directory(directory)
}

/// Readable, mode 0600 when made, never through a symbolic link, never inherited by a child, never blocking on a FIFO.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    options.read(true).mode(0o600).custom_flags(flags.bits());
    options
}

/// Refuses an open file that somebody else could have put there or could change.
pub(super) fn check_file(path: &Path, file: &File) -> Result<(), JournalError> {
    let metadata = file.metadata().map_err(JournalError::io("look at", path))?;
    let wrong = if metadata.is_file() {
        // A second name for our file may lie in a directory that others can write.
        if metadata.nlink() > 1 { Some("it has a second name (hard link)") } else { not_ours_alone(&metadata) }
    } else {
        Some("it is not a regular file")
    };
    wrong.map_or(Ok(()), |why| Err(JournalError::untrusted(path, why)))
}

/// Refuses a directory in which somebody else could replace our files.
pub(super) fn check_directory(path: &Path) -> Result<(), JournalError> {
    let metadata = path.symlink_metadata().map_err(JournalError::io("look at", path))?;
    let wrong = if metadata.is_dir() { not_ours_alone(&metadata) } else { Some("it is not a directory") };
    wrong.map_or(Ok(()), |why| Err(JournalError::untrusted(path, why)))
}

fn not_ours_alone(metadata: &Metadata) -> Option<&'static str> {
    if metadata.uid() != geteuid().as_raw() {
        return Some("it belongs to another user");
    }
    (metadata.permissions().mode() & 0o022 != 0).then_some("others may write to it")
}

/// Makes a directory, 0700, and its entry durable; one that is there must be trustworthy.
pub(super) fn ensure_directory(path: &Path) -> Result<(), JournalError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_directory(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check_directory(path),
        Err(error) => Err(JournalError::io("create", path)(error)),
    }
}

/// Makes a directory and the one above it.
pub(super) fn ensure_path(path: &Path) -> Result<(), JournalError> {
    ensure_directory(parent(path))?;
    ensure_directory(path)
}

/// Makes the entries of a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), JournalError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(JournalError::io("sync", path))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
