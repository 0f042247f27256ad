//! Quotes text as one word for POSIX shells.

/// The text as exactly one word: whatever sh, dash or bash does with it afterwards, the word is the text, byte for byte.
///
/// Words of harmless characters stay as they are, so that printed commands can be read; all others stand in single
/// quotes, within which a shell interprets nothing. NUL can't be in a shell word at all: the caller refuses it before.
pub fn shell_word(text: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(harmless) {
        return text.to_owned();
    }
    let mut word = String::with_capacity(text.len() + 2);
    word.push('\'');
    for c in text.chars() {
        match c {
            '\'' => word.push_str(r"'\''"),
            c => word.push(c),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    #[test]
    fn harmless_words_stay_readable() {
        assert_eq!(shell_word("/srv/app-1.2/bin"), "/srv/app-1.2/bin");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("{a,b}"), "'{a,b}'");
        assert_eq!(shell_word("~root"), "'~root'");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn arrives_literally_in_real_shells(text in "[^\0]{0,40}", nasty in r#"['"`$\\;&|<>(){}\[\]*?!~#\n\t \xa0=-]{0,12}"#) {
            let text = format!("{nasty}{text}");
            for shell in ["sh", "bash"] {
                let script = format!("printf %s {}", shell_word(&text));
                let run = Command::new(shell).arg("-c").arg(&script).output().unwrap();
                prop_assert_eq!(run.stdout, text.as_bytes(), "{} -c {}", shell, script);
            }
        }
    }
}
