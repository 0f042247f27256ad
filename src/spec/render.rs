//! Problems as people read them: the place, the line with its mark, and what to type instead.

use super::problem::{Problem, Problems, Severity, printable};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt::Write;

impl Problems {
    /// The whole report; ends with a count when there is more than one problem.
    pub fn render(&self, colour: bool) -> String {
        let mut out = String::new();
        for problem in self {
            render_one(&mut out, problem, colour);
            out.push('\n');
        }
        if self.more() > 0 {
            let errors = self.iter().filter(|p| p.severity == Severity::Error).count();
            writeln!(out, "{errors} errors shown, {} more problems not shown", self.more()).unwrap_or_default();
        } else if self.len() > 1 {
            writeln!(out, "{}", self.summary()).unwrap_or_default();
        } else {
            out.pop();
        }
        out
    }
}

fn render_one(out: &mut String, problem: &Problem, colour: bool) {
    let (level, ansi) = match problem.severity {
        Severity::Error => (Level::ERROR, "1;31"),
        Severity::Warning => (Level::WARNING, "1;33"),
    };
    let title = problem.to_string();
    if colour {
        writeln!(out, "\u{1b}[{ansi}m{title}\u{1b}[0m").unwrap_or_default();
    } else {
        writeln!(out, "{title}").unwrap_or_default();
    }
    let help = problem.help.as_ref().map(|help| help.split('\n').map(printable).collect::<Vec<_>>().join("\n"));
    let Some((excerpt, place)) = problem.excerpt.as_ref().zip(problem.place.as_ref()) else {
        for (n, line) in help.iter().flat_map(|help| help.split('\n')).enumerate() {
            writeln!(out, "  {}{line}", if n == 0 { "= help: " } else { "        " }).unwrap_or_default();
        }
        return;
    };
    let mut group = Group::with_level(level).element(
        Snippet::source(excerpt.text.as_str())
            .line_start(place.line)
            .line_numbering(!problem.file.starts_with("--set "))
            .annotation(AnnotationKind::Primary.span(excerpt.start..excerpt.end)),
    );
    if let Some(help) = &help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let shown = renderer.render(&[group]);
    for line in shown.lines() {
        writeln!(out, "{}", line.trim_end()).unwrap_or_default();
    }
}
