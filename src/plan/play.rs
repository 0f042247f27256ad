//! Renders a playbook for one host into plain steps; values are quoted for the shell by construction.

use super::shelltext::ShellText;
use crate::model::{Address, FleetName, InstanceId, Play, PlayKind, PlayStep, Region, shell_word};
use crate::spec::playbook::{Action, Command, FACTS, PutContent, Text};
use crate::spec::{Playbook, Step};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, UndefinedBehavior, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// Contents of the local files that `put` steps name, by the path written in the playbook; read once for all hosts.
pub type Files = BTreeMap<PathBuf, Arc<[u8]>>;

/// What templates may ask about the host, beside the playbook's own variables.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// `instance_id`
    pub id: InstanceId,
    /// `slot`: a number, 0..N-1.
    pub slot: u32,
    /// `address`: its host part; the port is left out.
    pub address: Address,
    /// `fleet`
    pub fleet: FleetName,
    /// `region`: undefined where the spec names none.
    pub region: Option<Region>,
    /// `release`: SHA-256 of the release archive, hex; undefined without a release.
    pub release: Option<String>,
    /// `queue_url`: undefined without a queue.
    pub queue_url: Option<String>,
}

/// Why a playbook can't be rendered for a host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RenderError {
    /// A variable has the name of a fact.
    #[error("use the variable {0}: it has the name of a fact that every playbook knows; rename it")]
    Hidden(String),
    /// The template engine said no.
    #[error("render step {step}: {message}")]
    Template {
        /// The step's name.
        step: String,
        /// The engine's message.
        message: String,
    },
    /// A value stands where quoting can't protect it.
    #[error(
        "render step {step}: a value stands {place}; values are quoted already, so write them bare, or hand them on as \
         arguments: sh -c 'echo \"$1\"' sh {{{{ value }}}}"
    )]
    Place {
        /// The step's name.
        step: String,
        /// Where it stands.
        place: &'static str,
    },
    /// Text with NUL can't be handed to a shell.
    #[error("render step {step}: a NUL byte can't be part of a command or path")]
    Nul {
        /// The step's name.
        step: String,
    },
    /// A path on the host is not absolute.
    #[error("render step {step}: {path:?} is not an absolute path")]
    Relative {
        /// The step's name.
        step: String,
        /// The path as rendered.
        path: String,
    },
    /// Not the name of a systemd unit.
    #[error("render step {step}: {name:?} is not the name of a service")]
    Service {
        /// The step's name.
        step: String,
        /// The name as rendered.
        name: String,
    },
    /// `when` is neither true nor false.
    #[error("render step {step}: when must be true or false, not {value:?}")]
    When {
        /// The step's name.
        step: String,
        /// What it rendered to.
        value: String,
    },
    /// A `put` file was not read.
    #[error("render step {step}: {file} was not read")]
    File {
        /// The step's name.
        step: String,
        /// The file.
        file: PathBuf,
    },
    /// `unpack` without a release archive.
    #[error("render step {step}: there is no release to unpack; set release.from")]
    NoRelease {
        /// The step's name.
        step: String,
    },
}

/// Renders every step for one host. `vars` override the playbook's own; `files` holds what `put` steps name.
///
/// Fails on undefined names, on values inside shell quotes and on anything that could not be carried out literally.
pub fn render(
    playbook: &Playbook,
    vars: &BTreeMap<String, String>,
    facts: &HostFacts,
    files: &Files,
) -> Result<Play, RenderError> {
    let engine = Engine::new(playbook, vars, facts)?;
    let mut steps = Vec::with_capacity(playbook.steps.len());
    for step in &playbook.steps {
        if engine.wanted(step)? {
            let kind = engine.kind(step, facts, files)?;
            steps.push(PlayStep { name: step.name.clone(), timeout: step.timeout, retries: step.retries, kind });
        }
    }
    let digest = digest(&steps, facts.release.as_deref());
    Ok(Play { steps, digest, release: facts.release.clone() })
}

/// The template engine, set up for one host.
struct Engine {
    plain: Environment<'static>,
    shell: Environment<'static>,
    /// Values that the shell formatter met, in order; the text holds `mark` + index + `;` in their place.
    values: Arc<Mutex<Vec<String>>>,
    mark: String,
    context: Value,
}

impl Engine {
    fn new(playbook: &Playbook, vars: &BTreeMap<String, String>, facts: &HostFacts) -> Result<Self, RenderError> {
        let mut context: BTreeMap<String, Value> = BTreeMap::new();
        for (name, value) in playbook.vars.iter().chain(vars) {
            if FACTS.contains(&name.as_str()) {
                return Err(RenderError::Hidden(name.clone()));
            }
            context.insert(name.clone(), Value::from(value.as_str()));
        }
        // A mark that no text of ours can hold: it is made from all of them.
        let mut hash = Sha256::new();
        for text in context.values() {
            field(&mut hash, text.as_str().unwrap_or_default().as_bytes());
        }
        field(&mut hash, format!("{playbook:?}{facts:?}").as_bytes());
        let mark = format!("\u{1}{}:", hex(hash));

        context.insert("instance_id".into(), Value::from(facts.id.as_str()));
        context.insert("slot".into(), Value::from(facts.slot));
        context.insert("address".into(), Value::from(facts.address.host.as_str()));
        context.insert("fleet".into(), Value::from(facts.fleet.as_str()));
        let region = facts.region.as_ref().map(Region::as_str);
        let (release, queue_url) = (facts.release.as_deref(), facts.queue_url.as_deref());
        for (name, fact) in [("region", region), ("release", release), ("queue_url", queue_url)] {
            if let Some(fact) = fact {
                context.insert(name.into(), Value::from(fact));
            }
        }

        let values = Arc::new(Mutex::new(Vec::new()));
        let mut shell = environment();
        let (store, sign) = (Arc::clone(&values), mark.clone());
        shell.set_formatter(move |out, _, value| {
            let text = shown(value);
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            // What `set` and macros captured holds marks itself: they stand for the bare values there.
            let text = pieces(&text, &sign, &store, str::to_owned).concat();
            store.push(text);
            out.write_fmt(format_args!("{sign}{};", store.len() - 1))
                .map_err(|_| minijinja::Error::from(minijinja::ErrorKind::WriteFailure))
        });
        let mut plain = environment();
        plain.set_formatter(|out, _, value| {
            let text = shown(value);
            out.write_str(&text).map_err(|_| minijinja::Error::from(minijinja::ErrorKind::WriteFailure))
        });
        Ok(Self { plain, shell, values, mark, context: Value::from(context) })
    }

    fn wanted(&self, step: &Step) -> Result<bool, RenderError> {
        let Some(when) = &step.when else { return Ok(true) };
        match self.text(step, when)?.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(RenderError::When { step: step.name.clone(), value: other.to_owned() }),
        }
    }

    fn kind(&self, step: &Step, facts: &HostFacts, files: &Files) -> Result<PlayKind, RenderError> {
        Ok(match &step.action {
            Action::Put { content, to, mode, owner } => PlayKind::Put {
                bytes: match content {
                    PutContent::File(file) => files
                        .get(file)
                        .map(Arc::clone)
                        .ok_or_else(|| RenderError::File { step: step.name.clone(), file: file.clone() })?,
                    PutContent::Text(text) => self.text(step, text)?.into_bytes().into(),
                },
                path: self.path(step, to)?,
                mode: *mode,
                owner: owner.as_ref().map(|owner| self.word(step, owner)).transpose()?,
            },
            Action::Unpack { to } => {
                if facts.release.is_none() {
                    return Err(RenderError::NoRelease { step: step.name.clone() });
                }
                PlayKind::Unpack { to: self.path(step, to)? }
            }
            Action::Run(command) => PlayKind::Run { script: self.script(step, command)? },
            Action::Check(command) => PlayKind::Check { script: self.script(step, command)? },
            Action::Link { to, at } => PlayKind::Link { to: self.word(step, to)?, at: self.path(step, at)? },
            Action::Restart(service) => {
                let name = self.word(step, service)?;
                let valid = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
                if name.is_empty() || name.starts_with('-') || !name.chars().all(valid) {
                    return Err(RenderError::Service { step: step.name.clone(), name });
                }
                PlayKind::Restart { service: name }
            }
            Action::Reboot { within } => PlayKind::Reboot { within: *within },
        })
    }

    fn script(&self, step: &Step, command: &Command) -> Result<String, RenderError> {
        match command {
            Command::Shell(text) => self.shell_text(step, text),
            Command::Words(words) => {
                let words: Result<Vec<_>, _> =
                    words.iter().map(|word| Ok(shell_word(&self.word(step, word)?))).collect();
                Ok(words?.join(" "))
            }
        }
    }

    fn shell_text(&self, step: &Step, text: &Text) -> Result<String, RenderError> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let rendered = render_with(&self.shell, step, text, &self.context)?;
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = ShellText::new();
        let mut script = String::with_capacity(rendered.len());
        for piece in split(&rendered, &self.mark) {
            match piece {
                Piece::Literal(text) => {
                    reader.literal(text);
                    script.push_str(text);
                }
                Piece::Value(index) => {
                    reader.value().map_err(|place| RenderError::Place { step: step.name.clone(), place })?;
                    script.push_str(&shell_word(values.get(index).map_or("", String::as_str)));
                }
            }
        }
        no_nul(step, script)
    }

    fn text(&self, step: &Step, text: &Text) -> Result<String, RenderError> {
        render_with(&self.plain, step, text, &self.context)
    }

    fn word(&self, step: &Step, text: &Text) -> Result<String, RenderError> {
        no_nul(step, self.text(step, text)?)
    }

    fn path(&self, step: &Step, text: &Text) -> Result<String, RenderError> {
        let path = self.word(step, text)?;
        let steps_up = Path::new(&path).components().any(|part| part == Component::ParentDir);
        let trimmed = path.trim_end_matches('/');
        if trimmed.starts_with('/') && !steps_up {
            return Ok(trimmed.to_owned());
        }
        Err(RenderError::Relative { step: step.name.clone(), path })
    }
}

/// Text as it is, truth as shells and YAML write it.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.kind() == ValueKind::Bool => value.is_true().to_string(),
        None => value.to_string(),
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(false);
    // A file is written as its playbook says, its last line feed too.
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    // Only delimiters of one's own can be refused.
    environment.set_syntax(syntax.unwrap_or_default());
    for filter in ["safe", "escape", "e"] {
        environment.remove_filter(filter);
    }
    environment
}

fn render_with(env: &Environment<'_>, step: &Step, text: &Text, context: &Value) -> Result<String, RenderError> {
    env.render_str(&text.0, context).map_err(|error| {
        let message = error.detail().map_or_else(|| error.kind().to_string(), |d| format!("{}: {d}", error.kind()));
        RenderError::Template { step: step.name.clone(), message }
    })
}

fn no_nul(step: &Step, text: String) -> Result<String, RenderError> {
    if text.contains('\0') { Err(RenderError::Nul { step: step.name.clone() }) } else { Ok(text) }
}

enum Piece<'a> {
    Literal(&'a str),
    Value(usize),
}

fn split<'a>(text: &'a str, mark: &str) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    for (i, part) in text.split(mark).enumerate() {
        match part.split_once(';').and_then(|(index, rest)| Some((index.parse().ok()?, rest))) {
            Some((index, rest)) if i > 0 => {
                pieces.push(Piece::Value(index));
                pieces.push(Piece::Literal(rest));
            }
            _ => pieces.push(Piece::Literal(part)),
        }
    }
    pieces
}

fn pieces(text: &str, mark: &str, values: &[String], value: impl Fn(&str) -> String) -> Vec<String> {
    let one = |piece: &Piece<'_>| match piece {
        Piece::Literal(text) => (*text).to_owned(),
        Piece::Value(index) => values.get(*index).map(|text| value(text)).unwrap_or_default(),
    };
    split(text, mark).iter().map(one).collect()
}

fn field(hash: &mut Sha256, bytes: &[u8]) {
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
}

fn hex(hash: Sha256) -> String {
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

/// What a step looks like matters, how long it may take does not: a new time-out is no new release.
fn digest(steps: &[PlayStep], release: Option<&str>) -> String {
    let mut hash = Sha256::new();
    field(&mut hash, b"fleetwright play 1");
    field(&mut hash, release.unwrap_or_default().as_bytes());
    for step in steps {
        let (word, fields): (&str, Vec<&[u8]>) = match &step.kind {
            PlayKind::Put { bytes, path, mode, owner } => {
                field(&mut hash, &mode.to_be_bytes());
                ("put", vec![bytes, path.as_bytes(), owner.as_deref().unwrap_or_default().as_bytes()])
            }
            PlayKind::Unpack { to } => ("unpack", vec![to.as_bytes()]),
            PlayKind::Run { script } => ("run", vec![script.as_bytes()]),
            PlayKind::Check { script } => ("check", vec![script.as_bytes()]),
            PlayKind::Link { to, at } => ("link", vec![to.as_bytes(), at.as_bytes()]),
            PlayKind::Restart { service } => ("restart", vec![service.as_bytes()]),
            PlayKind::Reboot { .. } => ("reboot", Vec::new()),
        };
        field(&mut hash, word.as_bytes());
        for bytes in fields {
            field(&mut hash, bytes);
        }
    }
    hex(hash)
}

#[cfg(test)]
#[path = "play_tests.rs"]
mod tests;
