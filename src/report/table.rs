//! Tables as kubectl prints them: no borders, columns two blanks apart, cells wrapped to the terminal's width.

use super::escape;
use comfy_table::{ContentArrangement, Table, presets};

/// The narrowest width a table is squeezed into; below it, lines are left to the terminal to wrap.
const NARROWEST: u16 = 40;

/// The width of the terminal that stdout is, if it is one.
pub fn terminal_width() -> Option<u16> {
    Table::new().width()
}

/// Renders rows under upper-case headers; without headers, rows only. Cells are made safe to print.
///
/// `width` is the terminal's; without one nothing is wrapped, so that programs can cut columns.
pub fn render(headers: &[&str], rows: &[Vec<String>], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).force_no_tty();
    match width {
        Some(width) => {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(NARROWEST));
        }
        None => {
            table.set_content_arrangement(ContentArrangement::Disabled);
        }
    }
    if !headers.is_empty() {
        table.set_header(headers.iter().map(|header| header.to_uppercase()));
    }
    for row in rows {
        table.add_row(row.iter().map(|cell| escape::line(cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec!["i-0a".into(), "changed".into(), String::new()],
            vec!["i-0b".into(), "failed".into(), "restart: \x1b[31mexit status 3 of systemctl restart worker".into()],
        ]
    }

    #[test]
    fn columns_line_up() {
        insta::assert_snapshot!(render(&["host", "result", "reason"], &rows(), None), @r"
        HOST  RESULT   REASON
        i-0a  changed
        i-0b  failed   restart: \x1b[31mexit status 3 of systemctl restart worker
        ");
    }

    #[test]
    fn narrow_terminals_wrap() {
        let text = render(&["host", "result", "reason"], &rows(), Some(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.lines().count() > 3, "{text}");
    }
}
