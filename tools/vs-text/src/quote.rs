// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quoting in rules: a value with blanks, or with bytes that are no text, is written in double
//! quotes, with `\"`, `\\`, `\xNN`.
//!
//! Paths are bytes, not text, so values are bytes here.

use std::ops::Range;

/// One word of a rule: `name=value`, `=>` or a bare word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The place of the word.
    pub span: Range<usize>,
    /// The text before the `=`, or the whole word if there is none.
    pub name: String,
    /// The value behind the `=`, quotes resolved, and its place.
    pub value: Option<(Vec<u8>, Range<usize>)>,
}

/// A mistake in a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadWord {
    /// Its place.
    pub span: Range<usize>,
    /// The message.
    pub message: &'static str,
}

/// Splits a rule into words.
pub fn words(text: &str) -> Result<Vec<Word>, BadWord> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        if at == text.len() {
            return Ok(found);
        }
        let word = word(text, at)?;
        at = word.span.end;
        found.push(word);
    }
}

fn word(text: &str, start: usize) -> Result<Word, BadWord> {
    let blank = |at: usize| {
        text[at..]
            .find(char::is_whitespace)
            .map_or(text.len(), |n| at + n)
    };
    let end = blank(start);
    let bare = &text[start..end];
    // the arrow contains an `=` that separates nothing
    let equals = if bare.starts_with("=>") {
        None
    } else {
        bare.find('=')
    };
    let Some(equals) = equals else {
        return Ok(Word {
            span: start..end,
            name: bare.to_owned(),
            value: None,
        });
    };
    let name = bare[..equals].to_owned();
    let from = start + equals + 1;
    if text[from..].starts_with('"') {
        let (value, end) = unquote(text, from)?;
        if !text[end..].is_empty() && !text[end..].starts_with(char::is_whitespace) {
            return Err(BadWord {
                span: end..blank(end),
                message: "a blank must follow the closing quote",
            });
        }
        return Ok(Word {
            span: start..end,
            name,
            value: Some((value, from..end)),
        });
    }
    let value = text[from..end].as_bytes().to_vec();
    if let Some(quote) = value.iter().position(|b| *b == b'"') {
        let at = from + quote;
        return Err(BadWord {
            span: at..at + 1,
            message: "a quote can only begin a value",
        });
    }
    Ok(Word {
        span: start..end,
        name,
        value: Some((value, from..end)),
    })
}

/// Reads the quoted value that begins at `start`; returns it and its end.
fn unquote(text: &str, start: usize) -> Result<(Vec<u8>, usize), BadWord> {
    let bytes = text.as_bytes();
    let mut value = Vec::new();
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok((value, at + 1)),
            b'\\' => match bytes.get(at + 1) {
                Some(b @ (b'"' | b'\\')) => {
                    value.push(*b);
                    at += 2;
                }
                Some(b'x') => {
                    let digits = bytes
                        .get(at + 2..at + 4)
                        .and_then(|d| std::str::from_utf8(d).ok());
                    let byte = digits
                        .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                        .and_then(|d| u8::from_str_radix(d, 16).ok());
                    let Some(byte) = byte else {
                        return Err(BadWord {
                            span: at..at + 2,
                            message: "`\\x` takes two hexadecimal digits",
                        });
                    };
                    value.push(byte);
                    at += 4;
                }
                _ => {
                    return Err(BadWord {
                        span: at..at + 1,
                        message: "only `\\\"`, `\\\\` and `\\xNN` are known",
                    })
                }
            },
            byte => {
                value.push(*byte);
                at += 1;
            }
        }
    }
    Err(BadWord {
        span: start..text.len(),
        message: "the closing quote is missing",
    })
}

/// Prints a value so that `words` reads it: bare if that is possible.
pub fn quoted(value: &[u8]) -> String {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '"';
    if let Ok(text) = std::str::from_utf8(value) {
        if !text.is_empty() && text.chars().all(plain) {
            return text.to_owned();
        }
    }
    let mut out = String::from("\"");
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                // control characters have one or two bytes, and are invisible: they are written by
                // their bytes
                c if c.is_control() => c
                    .encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|b| out += &format!("\\x{b:02x}")),
                c => out.push(c),
            }
        }
        chunk
            .invalid()
            .iter()
            .for_each(|b| out += &format!("\\x{b:02x}"));
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits() {
        let words = words(r#"exec  path="/a b/\"\\\x00" => task=a"#).unwrap();
        let names: Vec<_> = words.iter().map(|w| w.name.as_str()).collect();
        assert_eq!(names, ["exec", "path", "=>", "task"]);
        assert_eq!(words[1].value.as_ref().unwrap().0, b"/a b/\"\\\0");
        assert_eq!(words[1].span, 6..26);
    }

    #[test]
    fn refuses() {
        for (text, at) in [
            (r#"a="x"#, 2..4),
            (r#"a="x"y z"#, 5..6),
            (r#"a=x"y"#, 3..4),
            (r#"a="\q""#, 3..4),
            (r#"a="\x1g""#, 3..5),
            (r#"a="\x1"#, 3..5),
        ] {
            assert_eq!(words(text).unwrap_err().span, at, "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(value: Vec<u8>) {
            let text = format!("path={} x", quoted(&value));
            let words = words(&text).unwrap();
            prop_assert_eq!(words.len(), 2);
            prop_assert_eq!(&words[0].value.as_ref().unwrap().0, &value);
        }

        #[test]
        fn any_text_is_survived(text in ".*") {
            if let Ok(words) = words(&text) {
                for word in words {
                    prop_assert!(text.get(word.span).is_some());
                }
            }
        }
    }
}
