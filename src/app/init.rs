//! `init`: a fleet.yaml to start from, its playbooks and a worker; nothing that is there is touched.

use super::context::talk;
use super::print;
use crate::cli::Global;
use crate::cli::request::Init;
use crate::engine::failure::Failure;
use crate::exit::Exit;
use crate::report::answer::{Initialised, Start, StartFile};
use crate::spec::starter::{self, Answers, StarterFile};
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Tries at an answer before the question is given up.
const TRIES: usize = 3;

pub(super) fn init(global: &Global, wanted: &Init) -> Result<Exit, Failure> {
    let dir = &wanted.dir;
    let cannot = |what: &str, error: &std::io::Error| Failure::to(Exit::State, format!("{what}: {error}"));
    let region = region(global)?;
    std::fs::create_dir_all(dir).map_err(|e| cannot(&format!("make {}", dir.display()), &e))?;
    let asks = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && !global.yes;
    let mut input = std::io::stdin().lock();
    let example = Answers::default();
    let account = match &wanted.account {
        Some(account) => account.clone(),
        None if asks => question(&mut input, "AWS account, 12 digits", &example.account, starter::account)?,
        None => example.account,
    };
    let instance = match &wanted.template {
        Some(instance) => instance.clone(),
        None if asks => question(&mut input, "Template instance", &example.instance, starter::instance)?,
        None => example.instance,
    };
    let answers = Answers { name: name(dir, wanted).unwrap_or(example.name), account, region, instance };
    let mut results = Vec::new();
    for file in starter::files(&answers) {
        let path = dir.join(file.path);
        let written = write(&path, &file).map_err(|e| {
            let done: Vec<&str> = results.iter().filter(|(_, new)| *new).map(|(path, _)| *path).collect();
            let failure = cannot(&format!("write {}", path.display()), &e);
            if done.is_empty() { failure } else { failure.hint(format!("written before: {}", done.join(", "))) }
        })?;
        results.push((file.path, written));
    }
    let start = |written: bool| if written { Start::Written } else { Start::Kept };
    let files = results.iter().map(|(path, new)| StartFile { path: (*path).to_owned(), result: start(*new) }).collect();
    let (dir, Answers { name, account, region, .. }) = (dir.display().to_string(), answers);
    print(global, &Initialised { dir, name, account, region, files })?;
    Ok(Exit::Done)
}

/// The fleet's name: the flag's, else one made of the folder's.
fn name(dir: &Path, wanted: &Init) -> Option<String> {
    let folder = || dir.canonicalize().ok()?.file_name().map(|name| name.to_string_lossy().into_owned());
    wanted.name.clone().or_else(|| starter::name_of(&folder()?))
}

/// The region: the flag's, else that of the AWS environment, else the example's.
fn region(global: &Global) -> Result<String, Failure> {
    let named = |name: &str| std::env::var(name).ok().filter(|region| !region.is_empty());
    let region = global.region.clone().or_else(|| named("AWS_REGION")).or_else(|| named("AWS_DEFAULT_REGION"));
    let Some(region) = region else { return Ok(Answers::default().region) };
    starter::region(&region).map_err(|wrong| {
        Failure::new(Exit::Usage, format!("init: the region {region:?} {wrong}")).hint("name it with --region")
    })
}

/// Asks until the answer is good; an empty one takes what stands in brackets, the end of input takes nothing.
fn question(
    input: &mut dyn BufRead,
    text: &str,
    example: &str,
    read: impl Fn(&str) -> Result<String, String>,
) -> Result<String, Failure> {
    for _ in 0..TRIES {
        talk(&format!("{text} [{example}]: "));
        let mut answer = String::new();
        if input.read_line(&mut answer).unwrap_or(0) == 0 {
            talk("\n");
            break;
        }
        match read(if answer.trim().is_empty() { example } else { answer.trim() }) {
            Ok(answer) => return Ok(answer),
            Err(wrong) => talk(&format!("It {wrong}.\n")),
        }
    }
    Err(Failure::new(Exit::Usage, "init: no answer, so nothing was written")
        .hint("--account and --template answer beforehand; --yes takes what stands in brackets"))
}

/// Writes a file whole or not at all, and never over another; tells whether it was written.
fn write(path: &Path, file: &StarterFile) -> std::io::Result<bool> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mode = if file.executable { 0o777 } else { 0o666 };
    let mut new = tempfile::Builder::new()
        .prefix(".fleetwright-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)?;
    new.write_all(file.text.as_bytes())?;
    new.as_file().sync_all()?;
    match new.persist_noclobber(path) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> StarterFile {
        StarterFile { path: "a/b", text: text.into(), executable: true }
    }

    #[test]
    fn files_are_whole_executable_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(write(&path, &file("first")).unwrap());
        assert!(!write(&path, &file("second")).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        assert_ne!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o100, 0);
        assert_eq!(std::fs::read_dir(dir.path().join("a")).unwrap().count(), 1, "nothing else is left there");
        std::os::unix::fs::symlink("/nowhere", dir.path().join("c")).unwrap();
        assert!(!write(&dir.path().join("c"), &file("x")).unwrap(), "a dangling link is there too");
    }

    #[test]
    fn questions_take_examples_and_are_asked_again() {
        let ask = |input: &str| question(&mut input.as_bytes(), "Account", "123456789012", starter::account);
        assert_eq!(ask("\n"), Ok("123456789012".into()));
        assert_eq!(ask("12\n 210987654321 \n"), Ok("210987654321".into()));
        assert_eq!(ask("").map_err(|e| e.exit), Err(Exit::Usage), "the end of input is no answer");
        assert_eq!(ask("1\n2\n3\n123456789012\n").map_err(|e| e.exit), Err(Exit::Usage));
    }
}
