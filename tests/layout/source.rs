//! Reads the imports of Rust sources from their text.

use std::{fs, path::Path};

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
    let (code, lines) = without_tests(&blank(&text));
    let tokens = tokens(&code);
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

/// Replaces comments and the contents of literals by spaces, and keeps line breaks.
fn blank(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let length = match rest {
            ['/', '/', ..] => rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
            ['r', '"' | '#', ..] if at == 0 || !is_word(chars[at - 1]) => raw_string(rest),
            ['"', ..] => string(rest),
            ['\'', '\\', ..] => 3 + rest[3..].iter().position(|c| *c == '\'').expect("a character literal ends"),
            ['\'', _, '\'', ..] => 3,
            _ => 0,
        };
        if length == 0 {
            out.push(chars[at]);
        }
        out.extend(rest[..length].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at += length.max(1);
    }
    out
}

fn string(rest: &[char]) -> usize {
    let mut at = 1;
    while rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Length of the raw string at the start of `rest`; 0 if there is none.
fn raw_string(rest: &[char]) -> usize {
    let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
    if rest.get(1 + hashes) != Some(&'"') {
        return 0;
    }
    let end: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let start = 2 + hashes;
    start + rest[start..].windows(end.len()).position(|window| *window == end).expect("a raw string ends") + end.len()
}

/// Removes the items under `#[cfg(test)]`. Returns the rest and its number of lines.
fn without_tests(code: &str) -> (String, usize) {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let (mut out, mut rest, mut removed) = (String::new(), code, 0);
    while let Some(start) = rest.find(ATTRIBUTE) {
        let item = &rest[start + ATTRIBUTE.len()..];
        let length = item_length(item);
        out.push_str(&rest[..start]);
        removed += 1 + item[..length].matches('\n').count();
        rest = &item[length..];
    }
    out.push_str(rest);
    (out, code.lines().count() - removed)
}

/// Length of the item at the start of `text`: up to its `;` or its closing brace.
fn item_length(text: &str) -> usize {
    let is_use = text.trim_start().starts_with("use ");
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (c == ';' || c == '}' && !is_use) {
            return at + 1;
        }
    }
    text.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = vec![];
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
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
            Some(name) if name.chars().all(is_word) => base.push((*name).to_owned()),
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
    let (code, lines) = without_tests(&blank(text));
    let tokens = tokens(&code);
    let module = ["x".to_owned(), "y".to_owned()];
    let found: Vec<String> = imports(&tokens, &module, &children(&tokens)).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a", "a::B", "c", "x::e", "g::h", "x::y::child::i"]);
    assert_eq!(lines, 9, "all lines but the two of the tests");
}
