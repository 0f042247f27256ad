//! Folds the lines of a page that are wider than the terminal, at blanks and under their own text.

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

/// Folded text is not squeezed below this: a few words fit.
const FEW_WORDS: usize = 24;

/// The page on a terminal of this width. A line with a command in it stays whole, so that it can be copied: the terminal
/// breaks it where it likes.
pub(super) fn fold(page: &str, width: u16) -> String {
    let width = usize::from(width);
    let mut folded = String::with_capacity(page.len());
    for line in page.lines() {
        if display_width(line) <= width || command(line) {
            folded.push_str(line);
        } else {
            let under = " ".repeat(hang(line, width));
            let options = Options::new(width)
                .break_words(false)
                .word_splitter(WordSplitter::NoHyphenation)
                .subsequent_indent(&under);
            folded.push_str(&textwrap::fill(line, options));
        }
        folded.push('\n');
    }
    folded
}

/// Whether people may want to copy it.
fn command(line: &str) -> bool {
    line.contains('`') || line.split_whitespace().any(|word| matches!(word, "fleetwright" | "aws"))
}

/// Where text goes on: below what follows the last gap of two blanks, if a few words fit there; else below the line's own
/// beginning.
fn hang(line: &str, width: usize) -> usize {
    let starts = line.match_indices("  ").map(|(at, gap)| at + gap.len());
    let begins = |at: &usize| !line[*at..].starts_with(' ');
    let column = |at| display_width(&line[..at]);
    let fits = |column: &usize| column + FEW_WORDS <= width;
    let own = line.len() - line.trim_start().len();
    starts.filter(begins).map(column).filter(fits).last().unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
launch crawl
  1. 8 hosts, spot first: m7i.large, m7a.large, m6i.large in four zones
  problem      fleet.size   the quota for spot takes 5 more hosts of this type, and 8 are wanted
  -> aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-34B43A08
arn:aws:iam::123456789012:role/a-name-that-is-longer-than-the-terminal-is-wide
";

    #[test]
    fn sixty_columns() {
        insta::assert_snapshot!(fold(PAGE, 60));
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(fold(PAGE, 200), PAGE);
        assert_eq!(fold("", 60), "");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost(page in "( {0,4}[a-z日]{1,12}){0,30}\n", width in 1..100_u16) {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            proptest::prop_assert_eq!(words(&fold(&page, width)), words(&page));
        }
    }
}
