//! Reads the imports of Rust sources from their tokens.

use std::{fs, path::Path};

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// A source file that is not only for tests.
pub struct File {
    /// Relative to the folder of the crate's sources.
    pub path: String,
    pub module: Vec<String>,
    /// Lines outside of tests.
    pub lines: usize,
    /// Absolute paths of what it names, each starting at the crate. They may end with an item.
    pub imports: Vec<Vec<String>>,
}

/// The roots of the crates that are read: the operator's library, the API, and the kubectl plugin.
const ROOTS: [(&str, &str); 3] = [("src", "lib.rs"), ("api/src", "lib.rs"), ("kubectl/src", "main.rs")];

/// Every source file, by crate.
pub fn crates() -> Vec<Vec<File>> {
    let files = |(folder, root): (&str, &str)| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut found = vec![];
        collect(&folder, &folder.join(root), &[], &mut found);
        found
    };
    ROOTS.into_iter().map(files).collect()
}

/// Reads a file and the files of its modules.
fn collect(root: &Path, path: &Path, module: &[String], found: &mut Vec<File>) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let tokens = tokens(&text);
    let (tokens, removed) = without_tests(&tokens);
    let lines = text.lines().count() - removed;
    let children = children(&tokens);
    let imports = imports(&tokens, module, &children);
    let relative = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
    found.push(File { path: relative, module: module.to_vec(), lines, imports });
    let folder = module.iter().fold(root.to_owned(), |folder, name| folder.join(name));
    for child in children {
        let module: Vec<String> = module.iter().cloned().chain([child.clone()]).collect();
        let file = folder.join(format!("{child}.rs"));
        let path = if file.exists() { file } else { folder.join(&child).join("mod.rs") };
        collect(root, &path, &module, found);
    }
}

/// A token, with `::` as one. Literals have no text.
struct Token {
    text: String,
    first_line: usize,
    last_line: usize,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = vec![];
    flatten(text.parse().expect("Rust source"), &mut tokens);
    tokens
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(token(open, group.span_open()));
                flatten(group.stream(), tokens);
                tokens.push(token(close, group.span_close()));
            }
            TokenTree::Punct(first) if first.as_char() == ':' && first.spacing() == Spacing::Joint => {
                let second = trees.next_if(|next| matches!(next, TokenTree::Punct(next) if next.as_char() == ':'));
                tokens.push(token(if second.is_some() { "::" } else { ":" }, first.span()));
            }
            TokenTree::Literal(literal) => tokens.push(token("", literal.span())),
            TokenTree::Ident(_) | TokenTree::Punct(_) => tokens.push(token(&tree.to_string(), tree.span())),
        }
    }
}

fn token(text: &str, span: Span) -> Token {
    Token { text: text.to_owned(), first_line: span.start().line, last_line: span.end().line }
}

/// Removes the items under `#[cfg(test)]`. Returns the text of the other tokens, and how many lines were removed.
fn without_tests(tokens: &[Token]) -> (Vec<&str>, usize) {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut removed, mut at) = (vec![], 0, 0);
    while at < tokens.len() {
        let starts = tokens[at..].iter().map(|token| token.text.as_str()).take(ATTRIBUTE.len()).eq(ATTRIBUTE);
        if starts {
            let item = &tokens[at + ATTRIBUTE.len()..];
            let end = at + ATTRIBUTE.len() + item_length(item);
            removed += 1 + tokens[end - 1].last_line - tokens[at].first_line;
            at = end;
        } else {
            kept.push(tokens[at].text.as_str());
            at += 1;
        }
    }
    (kept, removed)
}

/// Number of tokens of the item at the start: up to its `;` or its closing brace.
fn item_length(tokens: &[Token]) -> usize {
    let is_use = tokens.first().is_some_and(|token| token.text == "use");
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && (token.text == ";" || token.text == "}" && !is_use) {
            return at + 1;
        }
    }
    tokens.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The names of the modules that are declared as files.
fn children(tokens: &[&str]) -> Vec<String> {
    let declared = tokens.windows(3).filter(|window| window[0] == "mod" && window[2] == ";");
    declared.map(|window| window[1].to_owned()).collect()
}

fn imports(tokens: &[&str], module: &[String], children: &[String]) -> Vec<Vec<String>> {
    let mut found = vec![];
    let mut at = 0;
    while at < tokens.len() {
        let first = at == 0 || tokens[at - 1] != "::";
        let local = children.iter().any(|child| child == tokens[at]);
        let starts = matches!(tokens[at], "crate" | "super" | "self") || local;
        if first && starts && tokens.get(at + 1) == Some(&"::") {
            let base = if tokens[at] == "crate" { &[] } else { module };
            path(tokens, &mut at, base.to_vec(), &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads a path, or the tree of an import, from `at` on.
fn path(tokens: &[&str], at: &mut usize, mut base: Vec<String>, found: &mut Vec<Vec<String>>) {
    loop {
        match tokens.get(*at) {
            Some(&"crate" | &"self") => {}
            Some(&"super") => drop(base.pop()),
            Some(&"{") => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| *token != "}") {
                    path(tokens, at, base.clone(), found);
                    // Past a comma, or `as` and a name.
                    while tokens.get(*at).is_some_and(|token| !matches!(*token, "," | "}")) {
                        *at += 1;
                    }
                    *at += usize::from(tokens.get(*at) == Some(&","));
                }
                *at += 1;
                return;
            }
            Some(name) if !name.is_empty() && name.chars().all(is_word) => base.push((*name).to_owned()),
            _ => break,
        }
        *at += 1;
        if tokens.get(*at) != Some(&"::") {
            break;
        }
        *at += 1;
    }
    found.push(base);
}

#[test]
fn imports_are_read_without_tests_comments_and_literals() {
    let text = r##"
        //! use crate::comment;
        use crate::{a::{self, B}, c as d};
        use super::e;
        mod child;
        const S: &str = "use crate::string; // '";
        const R: &str = r#"crate::raw"#;
        fn f<'a>(c: char) -> bool { c == '"' || crate::g::h(c) && child::i() }
        #[cfg(test)]
        mod tests { use crate::test; }
    "##;
    let tokens = tokens(text);
    let (tokens, removed) = without_tests(&tokens);
    let module = ["x".to_owned(), "y".to_owned()];
    let found: Vec<String> = imports(&tokens, &module, &children(&tokens)).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::B", "c", "x::e", "g::h", "x::y::child::i"]);
    assert_eq!(removed, 2, "the lines of the tests");
}
