//! `fleetwright man`, and the pages themselves.

use super::command;
use super::request::Man;
use crate::exit::Exit;
use clap::{Command, ValueHint};
use clap_mangen::roff::{Roff, bold, roman};
use std::io;
use std::path::PathBuf;

/// Print the manual page, or write one for each verb into a folder
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  fleetwright man | man -l -
  fleetwright man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Folder to write a page for each verb to; made if it is not there [default: one page to stdout]
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

impl ManArgs {
    /// The same, checked.
    pub(super) fn check(self) -> Man {
        Man { dir: self.dir }
    }
}

/// The manual pages with their file names, that of the whole program first.
///
/// # Errors
///
/// When a page can't be rendered.
pub fn man_pages() -> io::Result<Vec<(String, String)>> {
    let mut root = command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages)?;
    Ok(pages)
}

/// The pages of a command and of all below it, its own first.
fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> io::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    pages.push((format!("{name}.1"), page(command, &name)?));
    command.get_subcommands().try_for_each(|below| collect(below, pages))
}

/// One page. The sections that the command tree does not know are written here, so that `--help` and the page each have
/// them in their own form.
fn page(command: &Command, name: &str) -> io::Result<String> {
    let top = name == command.get_name();
    // A page has room for what `-h` leaves out.
    let whole = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let source = concat!("fleetwright ", env!("CARGO_PKG_VERSION"));
    let man = clap_mangen::Man::new(whole).title(name.to_uppercase()).source(source).manual("fleetwright");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    if top {
        exit_status().to_writer(&mut out)?;
    }
    if let Some(examples) = command.get_after_help() {
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        let text = examples.to_string();
        for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
            roff.text([roman(line.to_owned())]);
        }
        roff.control("fi", []);
        roff.to_writer(&mut out)?;
    }
    if !top {
        let mut roff = Roff::new();
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("fleetwright"), roman("(1), which lists the exit codes")]);
        roff.to_writer(&mut out)?;
    }
    String::from_utf8(out).map_err(io::Error::other)
}

fn exit_status() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
    roff
}
