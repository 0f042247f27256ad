//! Tables as kubectl prints them: no borders, columns two blanks apart, fitted to the terminal's width.
//!
//! A table that is too wide first loses its spare columns, the last of them first, and says so; then its free text is
//! wrapped. Ids, states and other words that people copy are never broken. Widths are those of the terminal, where one
//! character may take two columns or none (UAX #11).

use super::escape;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

/// The narrowest width a table is squeezed into; below it, lines are left to the terminal to wrap.
const NARROWEST: usize = 40;

/// Free text is not squeezed below this: a few words fit.
const FEW_WORDS: usize = 16;

/// Blanks between two columns.
const GAP: usize = 2;

/// How a column gives way on a narrow terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Give {
    Never,
    Wrap,
    Leave,
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    head: &'a str,
    give: Give,
}

impl<'a> Column<'a> {
    /// Always whole.
    pub fn keep(head: &'a str) -> Self {
        Self { head, give: Give::Never }
    }

    /// Free text: wrapped where it does not fit.
    pub fn wrap(head: &'a str) -> Self {
        Self { head, give: Give::Wrap }
    }

    /// Left out where it does not fit.
    pub fn spare(head: &'a str) -> Self {
        Self { head, give: Give::Leave }
    }
}

/// The width of the terminal that stdout is, if it is one. Some (a serial line, a fresh pseudo-terminal) say 0, and mean that
/// nobody told them.
pub fn terminal_width() -> Option<u16> {
    Table::new().width().filter(|columns| *columns > 0)
}

/// Renders rows under upper-case headers; under columns without a head, rows only. Cells are made safe to print.
///
/// `width` is the terminal's; without one nothing is wrapped or left out, so that programs can cut columns.
pub fn render(columns: &[Column<'_>], rows: &[Vec<String>], width: Option<u16>) -> String {
    let heads: Vec<String> = columns.iter().map(|column| column.head.to_uppercase()).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escape::line(cell).into_owned()).collect()).collect();
    let width = width.map(|width| usize::from(width).max(NARROWEST));
    let shown = fitting(columns, &widths(&heads, &rows), width);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty().set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        // The last column's gap lies beyond the edge.
        table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(u16::try_from(width + GAP).unwrap_or(u16::MAX));
    }
    let pick = |cells: &[String]| shown.iter().filter_map(|index| cells.get(*index).cloned()).collect::<Vec<_>>();
    if heads.iter().any(|head| !head.is_empty()) {
        table.set_header(pick(&heads));
    }
    for row in &rows {
        table.add_row(pick(row));
    }
    for (column, index) in table.column_iter_mut().zip(&shown) {
        column.set_padding((0, u16::try_from(GAP).unwrap_or(0)));
        if columns[*index].give != Give::Wrap {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let left: Vec<&str> =
        (0..columns.len()).filter(|index| !shown.contains(index)).map(|index| heads[index].as_str()).collect();
    if !left.is_empty() {
        text.push_str("(-o json also has ");
        text.push_str(&left.join(", "));
        text.push_str(")\n");
    }
    text
}

/// How wide each column is when nothing gives way.
fn widths(heads: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let cell = |row: &Vec<String>, index: usize| row.get(index).map_or(0, |cell| cell.width());
    heads
        .iter()
        .enumerate()
        .map(|(index, head)| rows.iter().map(|row| cell(row, index)).fold(head.width(), usize::max))
        .collect()
}

/// The columns that stay: as long as they do not fit, the last spare one goes.
fn fitting(columns: &[Column<'_>], widths: &[usize], width: Option<usize>) -> Vec<usize> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let Some(width) = width else { return shown };
    let least = |index: usize| match columns[index].give {
        Give::Wrap => widths[index].min(FEW_WORDS),
        Give::Never | Give::Leave => widths[index],
    };
    while shown.iter().map(|index| least(*index) + GAP).sum::<usize>() > width + GAP {
        let Some(last) = shown.iter().rposition(|index| columns[*index].give == Give::Leave) else { break };
        shown.remove(last);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> [Column<'static>; 4] {
        [Column::keep("host"), Column::keep("result"), Column::spare("zone"), Column::wrap("reason")]
    }

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
        vec![
            row(["i-0123456789abcdef0", "changed", "us-east-1a", ""]),
            row(["i-0fedcba9876543210", "failed", "us-east-1b", "restart: \x1b[31mexit status 3 of 日本語 worker"]),
        ]
    }

    #[test]
    fn columns_line_up() {
        insta::assert_snapshot!(render(&columns(), &rows(), None), @r"
        HOST                 RESULT   ZONE        REASON
        i-0123456789abcdef0  changed  us-east-1a
        i-0fedcba9876543210  failed   us-east-1b  restart: \x1b[31mexit status 3 of 日本語 worker
        ");
    }

    #[test]
    fn narrow_terminals_wrap_text_and_leave_out_what_is_spare() {
        insta::assert_snapshot!(render(&columns(), &rows(), Some(60)), @r"
        HOST                 RESULT   ZONE        REASON
        i-0123456789abcdef0  changed  us-east-1a
        i-0fedcba9876543210  failed   us-east-1b  restart:
                                                  \x1b[31mexit
                                                  status 3 of 日本語
                                                  worker
        ");
        insta::assert_snapshot!(render(&columns(), &rows(), Some(50)), @r"
        HOST                 RESULT   REASON
        i-0123456789abcdef0  changed
        i-0fedcba9876543210  failed   restart:
                                      \x1b[31mexit status
                                      3 of 日本語 worker
        (-o json also has ZONE)
        ");
        for width in 40..120 {
            let text = render(&columns(), &rows(), Some(width));
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            // Ids and results are never broken, so a terminal of fewer columns than they need has to wrap them itself.
            assert!(widest <= usize::from(width).max(46), "{width}: {text}");
            assert!(text.contains("i-0123456789abcdef0") && text.contains("i-0fedcba9876543210"), "{width}: {text}");
        }
    }

    #[test]
    fn rows_without_heads() {
        let rows = vec![vec!["run".to_owned(), "0195".to_owned()], vec!["verdict".to_owned(), "done".to_owned()]];
        let text = render(&[Column::keep(""), Column::wrap("")], &rows, Some(60));
        assert_eq!(text, "run      0195\nverdict  done\n");
    }
}
