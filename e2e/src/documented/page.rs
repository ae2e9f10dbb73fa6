//! The commands of a page of the documentation.
//!
//! A fenced block `bash` has commands. A block `bash fails` has commands of which the last one fails. A block `text` that
//! follows has their output. Blocks in other languages, such as `sh`, are not run. Pure.

use anyhow::{Context, ensure};

/// A block of commands.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence.
    pub line: usize,
    /// The commands.
    pub commands: String,
    /// Whether the last command fails.
    pub fails: bool,
    /// The output on the page.
    pub expected: Option<String>,
    /// The heading of its section, such as `## Clean up`.
    pub section: String,
}

/// The blocks of a page, in order.
///
/// # Errors
/// If a fence is not closed, or a block `text` follows no commands.
pub fn blocks(page: &str) -> anyhow::Result<Vec<Block>> {
    let mut blocks: Vec<Block> = vec![];
    let (mut section, mut follows) = (String::new(), false);
    let mut lines = page.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            if line.starts_with("## ") {
                line.clone_into(&mut section);
            }
            follows &= line.is_empty();
            continue;
        };
        let line = index + 1;
        let content: Vec<_> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
        ensure!(page.lines().nth(index + 1 + content.len()) == Some("```"), "line {line}: the fence is not closed");
        let content = content.join("\n");
        match language {
            "bash" | "bash fails" => {
                let fails = language != "bash";
                blocks.push(Block { line, commands: content, fails, expected: None, section: section.clone() });
            }
            "text" => {
                let block = blocks.last_mut().filter(|_| follows);
                block.with_context(|| format!("line {line}: output without commands"))?.expected = Some(content);
            }
            _ => {}
        }
        follows = matches!(language, "bash" | "bash fails");
    }
    Ok(blocks)
}

/// Compares an output with the one on the page, in which `...` stands for any text, and a line of `...` for any lines.
/// The number of spaces does not matter.
///
/// # Errors
/// If they differ.
pub fn compare(expected: &str, output: &str) -> anyhow::Result<()> {
    let words = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.filter(|line| !line.is_empty()).collect()
    };
    let (wanted, found) = (words(expected), words(output));
    ensure!(lines_match(&wanted, &found), "expected:\n{}\nfound:\n{}", wanted.join("\n"), found.join("\n"));
    Ok(())
}

fn lines_match(wanted: &[String], found: &[String]) -> bool {
    match wanted.split_first() {
        None => found.is_empty(),
        Some((any, rest)) if any == "..." => (0..=found.len()).any(|skipped| lines_match(rest, &found[skipped..])),
        Some((line, rest)) => {
            found.split_first().is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others))
        }
    }
}

fn line_matches(wanted: &str, found: &str) -> bool {
    let Some((start, rest)) = wanted.split_once("...") else { return wanted == found };
    let Some(found) = found.strip_prefix(start) else { return false };
    let ends = found.char_indices().map(|(index, _)| index).chain([found.len()]);
    ends.into_iter().any(|index| line_matches(rest, &found[index..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# A page\n\n```bash\nkubectl apply -f - <<EOF\n# a comment\nEOF\n```\n\n```text\npool \
                        created\n```\n\n```sh\nnot run\n```\n\n```bash fails\nfalse\n```\n\n## Clean \
                        up\n\n```bash\nrm x\n```\n\n## Next\n\n```bash\nls\n```\n";

    #[test]
    fn blocks_have_their_commands_and_outputs() {
        let all = blocks(PAGE).unwrap();
        let commands: Vec<_> = all.iter().map(|block| block.commands.as_str()).collect();
        assert_eq!(commands, ["kubectl apply -f - <<EOF\n# a comment\nEOF", "false", "rm x", "ls"]);
        assert_eq!(all[0].expected.as_deref(), Some("pool created"));
        assert_eq!(all.iter().map(|block| block.fails).collect::<Vec<_>>(), [false, true, false, false]);
        let sections: Vec<_> = all.iter().map(|block| block.section.as_str()).collect();
        assert_eq!(sections, ["", "", "## Clean up", "## Next"]);
        assert_eq!(all[0].line, 3);
    }

    #[test]
    fn page_with_a_mistake_is_rejected() {
        assert!(blocks("```bash\nls\n").is_err(), "an open fence");
        assert!(blocks("```text\nx\n```\n").is_err(), "output of no command");
        assert!(blocks("```bash\nls\n```\nwords\n```text\nx\n```\n").is_err(), "words between the two");
    }

    #[test]
    fn output_is_compared_by_lines_and_words() {
        for (expected, output) in [
            ("a   b", "a b\n"),
            ("a ... c", "a b c"),
            ("a...", "a"),
            ("a\n...\nc", "a\nb\nb\nc"),
            ("...\nc", "c"),
            ("200 ... OK ...", "200 x OK y"),
        ] {
            compare(expected, output).unwrap();
        }
        for (expected, output) in [("a", "a\nb"), ("a\nb", "a"), ("a ... c", "a b"), ("a\n...", "b"), ("", "a")] {
            assert!(compare(expected, output).is_err(), "{expected:?} {output:?}");
        }
    }
}
