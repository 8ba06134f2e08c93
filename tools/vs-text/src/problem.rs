// SPDX-License-Identifier: MIT OR Apache-2.0
//! A mistake in a text, its place, and the remedy.

use std::fmt;
use std::ops::Range;

/// One mistake in a text. The place is in bytes of that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The place of the mistake.
    pub span: Range<usize>,
    /// The mistake.
    pub message: String,
    /// The remedy.
    pub advice: String,
}

impl Problem {
    /// A problem at `span`.
    pub fn new(span: Range<usize>, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            advice: advice.into(),
        }
    }

    /// The problem moved to a larger text, in which its text begins at `offset`.
    pub fn moved(mut self, offset: usize) -> Self {
        self.span = self.span.start + offset..self.span.end + offset;
        self
    }
}

/// A problem together with the text it is in: prints as `FILE:LINE:COLUMN: …`, the line, a mark
/// below it, the advice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Name of the text, mostly a file's.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line itself.
    pub text: String,
    /// How many characters of it are marked, at least one.
    pub width: usize,
    /// The mistake.
    pub message: String,
    /// The remedy.
    pub advice: String,
}

impl Located {
    /// Finds the place of `problem` in `text`.
    pub fn new(name: &str, text: &str, problem: &Problem) -> Self {
        let at = floor_boundary(text, problem.span.start);
        let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[at..]
            .find('\n')
            .map_or(text.len(), |newline| at + newline);
        // the end of the line is not shown, and so not marked
        let end = start + text[start..end].trim_end_matches('\r').len();
        let at = at.min(end);
        let stop = floor_boundary(text, problem.span.end).clamp(at, end);
        Self {
            name: name.to_owned(),
            line: text[..at].matches('\n').count() + 1,
            column: text[start..at].chars().count() + 1,
            text: text[start..end].to_owned(),
            width: text[at..stop].chars().count().max(1),
            message: problem.message.clone(),
            advice: problem.advice.clone(),
        }
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}:{}:{}: {}",
            self.name, self.line, self.column, self.message
        )?;
        // a tab stays a tab, so that the mark stands below the text in a terminal
        let lead: String = self
            .text
            .chars()
            .take(self.column - 1)
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(f, "{:>5} | {}", self.line, self.text)?;
        writeln!(f, "      | {lead}{}", "^".repeat(self.width))?;
        write!(f, "  do: {}", self.advice)
    }
}

/// The last boundary between characters that is not behind `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len()))
        .rev()
        .find(|&n| text.is_char_boundary(n))
        .unwrap_or(0)
}

/// The word of `known` that is most like `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be put in, taken out or changed to make `b` of `a` (Levenshtein), a
/// swap of neighbours counting as one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for j in 0..=b.len() {
        rows[0][j] = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_line_and_column() {
        let text = "first\n\tsécond = x\nthird";
        let at = text.find('x').unwrap();
        let located = Located::new("a.toml", text, &Problem::new(at..at + 1, "no", "yes"));
        assert_eq!((located.line, located.column, located.width), (2, 11, 1));
        assert_eq!(
            located.to_string(),
            "a.toml:2:11: no\n    2 | \tsécond = x\n      | \t         ^\n  do: yes"
        );
    }

    #[test]
    fn a_place_outside_of_the_text_is_its_end() {
        let located = Located::new("-", "ab", &Problem::new(9..12, "m", "a"));
        assert_eq!((located.line, located.column, located.width), (1, 3, 1));
        // a place in the middle of a character means its beginning
        assert_eq!(
            Located::new("-", "aé", &Problem::new(2..2, "m", "a")).column,
            2
        );
    }

    #[test]
    fn nearest_is_near() {
        let known = ["cpu_weight", "cpu_cap", "parent"];
        assert_eq!(nearest("cpu_wieght", known), Some("cpu_weight"));
        assert_eq!(nearest("cpucap", known), Some("cpu_cap"));
        assert_eq!(nearest("colour", known), None);
    }
}
