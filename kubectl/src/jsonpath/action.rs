//! One action of a template: what is between `{` and `}`.

use super::{
    Error,
    path::{Path, Step, member},
};

/// An action.
pub struct Action {
    pub content: Content,
    /// Whether it ends a range.
    pub end: bool,
}

/// What an action prints.
pub enum Content {
    Text(String),
    Path(Path),
    /// The rest of the template up to `{end}` is printed for each value.
    Range(Path),
}

/// Parses an action up to its closing brace. Returns its length with the brace.
pub fn parse(input: &str) -> Result<(Action, usize), Error> {
    let mut steps: Vec<Step> = vec![];
    let (mut text, mut range, mut end) = (None, false, false);
    let mut at = 0;
    loop {
        let rest = &input[at..];
        let Some(first) = rest.chars().next().filter(|first| *first != '\n') else {
            return Err(Error("unclosed action".to_owned()));
        };
        at += match first {
            '}' => {
                at += 1;
                break;
            }
            _ if rest.starts_with("[?(") => {
                let length = filter_length(rest)?;
                steps.push(Step::filter(&rest[3..length - 2])?);
                length
            }
            '.' if rest.starts_with("..") => {
                let (name, length) = member(&rest[2..]);
                steps.push(Step::descendants(&name)?);
                2 + length
            }
            // The current object.
            ' ' | '@' | '$' => 1,
            '[' => {
                let length = rest.find(']').ok_or_else(|| Error("unterminated array".to_owned()))? + 1;
                steps.extend(Step::brackets(&rest[1..length - 1])?);
                length
            }
            '"' | '\'' => {
                let (literal, length) = quoted(rest, first)?;
                text = Some(literal);
                length
            }
            '.' => {
                let (name, length) = member(&rest[1..]);
                steps.extend(Step::member(&name)?);
                1 + length
            }
            other if other.is_alphanumeric() || matches!(other, '_' | '+' | '-') => {
                let (word, length) = member(rest);
                match word.as_str() {
                    "range" => range = true,
                    "end" => end = true,
                    literal if literal.parse::<f64>().is_ok() || matches!(literal, "true" | "false") => {
                        text = Some(word);
                    }
                    _ => return Err(Error(format!("unrecognized identifier {word}"))),
                }
                length
            }
            other => return Err(Error(format!("unrecognized character in action: {other:?}"))),
        };
    }
    let path = Path(steps);
    let content = match text {
        Some(text) => Content::Text(text),
        None if range => Content::Range(path),
        None => Content::Path(path),
    };
    Ok((Action { content, end }, at))
}

/// The length of `[?(...)]`. Parentheses in a quoted string do not end it.
fn filter_length(text: &str) -> Result<usize, Error> {
    let mut quote = None;
    for (at, c) in text.char_indices().skip(3) {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c && !text[..at].ends_with('\\') => quote = None,
            (None, ')') if text[at + 1..].starts_with(']') => return Ok(at + 2),
            (None, ')') => return Err(Error("unclosed array expect ]".to_owned())),
            _ => {}
        }
    }
    Err(Error("unterminated filter".to_owned()))
}

/// The content of a quoted string, and its length with the quotes.
fn quoted(text: &str, quote: char) -> Result<(String, usize), Error> {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => content.push('\n'),
                Some('t') => content.push('\t'),
                Some('r') => content.push('\r'),
                Some(escaped) => content.push(escaped),
                None => break,
            },
            c if c == quote => return Ok((content, at + 1)),
            c => content.push(c),
        }
    }
    Err(Error("unterminated quoted string".to_owned()))
}
