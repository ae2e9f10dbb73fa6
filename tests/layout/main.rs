//! The modules of each crate form a hierarchy without import cycles, and no file is too long to read at once.
//!
//! The sources are read as text. The import of a re-exported name counts as an import of the module that re-exports it. If
//! a test fails, move the shared item into a module that both sides can import.

mod source;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use source::{File, crates};

/// Longest file, in lines outside of tests.
const MAX_LINES: usize = 250;

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The imports between files. Imports of an ancestor are left out, because a `mod.rs` and its submodules belong together.
fn file_graph(files: &[File]) -> Graph {
    let by_module: BTreeMap<&[String], &File> = files.iter().map(|file| (file.module.as_slice(), file)).collect();
    let mut graph = Graph::new();
    for file in files {
        let targets = graph.entry(file.path.clone()).or_default();
        for path in &file.imports {
            let found = (0..=path.len()).rev().find_map(|length| by_module.get(&path[..length]));
            let Some(target) = found.filter(|target| !file.module.starts_with(&target.module)) else { continue };
            targets.insert(target.path.clone());
        }
    }
    graph
}

/// Whether a file holds the module that its folder is about.
fn is_root(file: &str) -> bool {
    matches!(file, "mod.rs" | "lib.rs" | "main.rs")
}

/// The imports between the direct children of each folder. A folder includes everything in it, except that its `mod.rs` is
/// left out among its children.
fn folder_graph(files: &Graph) -> Graph {
    let mut graph = Graph::new();
    for (from, targets) in files {
        for to in targets {
            let (a, b): (Vec<&str>, Vec<&str>) = (from.split('/').collect(), to.split('/').collect());
            let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            let part = |path: &[&str]| path[..=common].join("/");
            if !is_root(a[common]) && !is_root(b[common]) {
                graph.entry(part(&a)).or_default().insert(part(&b));
            }
        }
    }
    graph
}

/// The shortest cycle through `start`.
fn cycle(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut previous = BTreeMap::<&str, &str>::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.get(node).into_iter().flatten() {
            if next == start {
                let mut cycle = vec![start.to_owned()];
                let mut at = node;
                while at != start {
                    cycle.push(at.to_owned());
                    at = previous[at];
                }
                cycle.push(start.to_owned());
                cycle.reverse();
                return Some(cycle);
            }
            if !previous.contains_key(next.as_str()) {
                previous.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    None
}

/// One shortest cycle for each node that is in one, each cycle once.
fn cycles(graph: &Graph) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let found = graph.keys().filter_map(|start| cycle(graph, start));
    found.filter(|cycle| seen.insert(cycle.iter().cloned().collect::<BTreeSet<_>>())).map(|c| c.join(" -> ")).collect()
}

#[test]
fn files_import_each_other_without_cycles() {
    let cycles: Vec<_> = crates().iter().flat_map(|files| cycles(&file_graph(files))).collect();
    assert!(cycles.is_empty(), "import cycles:\n{}", cycles.join("\n"));
}

#[test]
fn folders_import_each_other_without_cycles() {
    let cycles: Vec<_> = crates().iter().flat_map(|files| cycles(&folder_graph(&file_graph(files)))).collect();
    assert!(cycles.is_empty(), "import cycles between the parts of a folder:\n{}", cycles.join("\n"));
}

#[test]
fn files_are_at_most_250_lines_long_without_tests() {
    let long: Vec<String> = crates()
        .iter()
        .flatten()
        .filter(|file| file.lines > MAX_LINES)
        .map(|file| format!("{}: {} lines", file.path, file.lines))
        .collect();
    assert!(long.is_empty(), "split these files:\n{}", long.join("\n"));
}

#[test]
fn cycle_is_found_and_printed_in_order() {
    let graph: Graph = [("a", vec!["b"]), ("b", vec!["c", "d"]), ("c", vec!["a"]), ("e", vec!["a"])]
        .into_iter()
        .map(|(from, to)| (from.to_owned(), to.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(cycles(&graph), ["a -> b -> c -> a"]);
}
