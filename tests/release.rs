//! What can be released, the notes of a release, and the names of images. `make release-check` installs a release.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use regex::Regex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Where the version stands, beside `Cargo.toml`.
const VERSIONED: [&str; 4] = [
    "charts/computing-unit-operator/Chart.yaml",
    "charts/texera-gateway/Chart.yaml",
    "clients/java/pom.xml",
    "Dockerfile",
];

/// A repository with what the scripts read. It is removed on drop.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release").join(name);
        let _ = fs::remove_dir_all(&folder);
        let this = Self(folder);
        for file in ["Cargo.toml", "release/lib.sh", "release/check.sh", "release/notes.sh"].iter().chain(&VERSIONED) {
            let to = this.0.join(file);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(Path::new(ROOT).join(file), to).expect("a copy");
        }
        fs::write(
            this.0.join("CHANGELOG.md"),
            format!("## [Unreleased]\n\n## [{VERSION}] - 2026-01-01\n\n- A change.\n"),
        )
        .expect("a changelog");
        this.git(&["init", "--quiet"]);
        this.commit();
        this
    }

    fn git(&self, args: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false"];
        let mut git = Command::new("git");
        // A hook of git that runs the tests sets such variables.
        git.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE");
        let done = git.arg("-C").arg(&self.0).args(identity).args(args).output().expect("git");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "all"]);
    }

    fn tag(&self, tag: &str) {
        self.git(&["-c", "tag.gpgSign=false", "tag", "--force", tag]);
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(path, text.replace(from, to)).expect("a file");
    }

    /// The version that can be released, or why none can be.
    fn check(&self, args: &[&str]) -> Result<String, String> {
        let mut check = Command::new(self.0.join("release/check.sh"));
        check.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE");
        answer(check.args(args).output().expect("check.sh"))
    }

    fn notes(&self, section: &str) -> Result<String, String> {
        answer(Command::new(self.0.join("release/notes.sh")).arg(section).output().expect("notes.sh"))
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn answer(done: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

fn rejected(checkout: &Checkout, why: &str) {
    let error = checkout.check(&[]).expect_err("it cannot be released");
    assert!(error.contains(why), "{error}");
}

#[test]
fn release_needs_the_tag_of_its_version_on_a_clean_tree() {
    let checkout = Checkout::new("tag");
    rejected(&checkout, &format!("HEAD has no tag v{VERSION}"));
    checkout.tag("v999.0.0");
    rejected(&checkout, &format!("HEAD has no tag v{VERSION}"));
    checkout.tag(&format!("v{VERSION}"));
    assert_eq!(checkout.check(&[]), Ok(VERSION.to_owned()));

    fs::write(checkout.0.join("new"), "").expect("a file");
    rejected(&checkout, "changes that are not committed");
    checkout.commit();
    rejected(&checkout, &format!("HEAD has no tag v{VERSION}"));
    checkout.tag(&format!("v{VERSION}"));
    checkout.replace("Dockerfile", "FROM scratch", "FROM other");
    rejected(&checkout, "changes that are not committed");
}

#[test]
fn snapshot_is_marked() {
    let checkout = Checkout::new("snapshot");
    let version = checkout.check(&["--snapshot"]).expect("a version");
    let commit = version.strip_prefix(&format!("{VERSION}-snapshot.g")).expect(&version);
    assert!(commit.len() == 9 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{version}");
    fs::write(checkout.0.join("new"), "").expect("a file");
    assert_eq!(checkout.check(&["--snapshot"]), Ok(format!("{version}.dirty")));
}

#[test]
fn all_parts_have_the_same_version() {
    for file in VERSIONED {
        let checkout = Checkout::new(&file.replace('/', "-"));
        checkout.check(&["--snapshot"]).expect("the repository has one version");
        checkout.replace(file, VERSION, "999.0.0");
        let error = checkout.check(&["--snapshot"]).expect_err(file);
        assert!(error.contains(&format!("Cargo.toml has version {VERSION}, but {file} has '999.0.0'")), "{error}");
    }
    let checkout = Checkout::new("app-version");
    checkout.replace(VERSIONED[0], &format!("appVersion: \"{VERSION}\""), "appVersion: \"999.0.0\"");
    checkout.check(&["--snapshot"]).expect_err("another version of the program");
}

#[test]
fn notes_are_the_section_of_the_changelog() {
    let checkout = Checkout::new("notes");
    checkout.tag(&format!("v{VERSION}"));
    let changelog = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-01\n\n### Added\n\n- [A page](docs/a.md), [a \
                     site](https://example.org).\n\n## [1.1.0]\n\n- Old.\n\n[1.1.0]: https://example.org\n";
    fs::write(checkout.0.join("CHANGELOG.md"), changelog).expect("a changelog");
    let notes = "### Added\n\n- A page (`docs/a.md`), [a site](https://example.org).";
    assert_eq!(checkout.notes("1.2.0").as_deref(), Ok(notes));
    assert_eq!(checkout.notes("1.1.0").as_deref(), Ok("- Old."));
    for none in ["Unreleased", "1.2", "1.3.0"] {
        let error = checkout.notes(none).expect_err("no text");
        assert!(error.contains(&format!("no text for [{none}]")), "{error}");
    }

    checkout.commit();
    checkout.tag(&format!("v{VERSION}"));
    rejected(&checkout, &format!("no text for [{VERSION}]"));
}

#[test]
fn changelog_has_what_is_not_released() {
    let done = Command::new(Path::new(ROOT).join("release/notes.sh")).arg("Unreleased").output().expect("notes.sh");
    assert!(answer(done).is_ok_and(|notes| notes.contains("### Added")));
}

/// The text files below a path, without what is built or generated from others.
fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        if path.file_name().is_some_and(|name| name == "target" || name == "node_modules") {
            return;
        }
        for entry in fs::read_dir(path).expect("a folder") {
            files(&entry.expect("an entry").path(), found);
        }
    } else if path
        .extension()
        .is_some_and(|end| ["yaml", "md", "tpl", "sh", "json", "txt"].iter().any(|text| end == *text))
    {
        found.push(path.to_owned());
    }
}

/// Whether nobody can register the registry of a reference: the node itself, or a domain that is reserved (RFC 2606).
fn is_reserved(reference: &str) -> bool {
    let host = reference.split_once('/').map_or("", |(host, _)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let name = host.strip_suffix(".example.org").map_or(host, |_| "example.org");
    matches!(name, "localhost" | "example.org" | "example.com")
        || host.ends_with(".invalid")
        || host.ends_with(".example")
}

/// The references of images in a text: values of `image` and `repository`, in YAML and on command lines. Templates, placeholders
/// of users, and names in a pool's list of images are none.
fn references(text: &str) -> Vec<&str> {
    let value = Regex::new(r#"(?:\bimage|\brepository|_IMAGE)"?(?::[ ]+|=)["']?([A-Za-z0-9][^\s"',}|`\\)]*)"#)
        .expect("a pattern");
    let found = value.captures_iter(text).filter_map(|found| found.get(1)).map(|found| found.as_str());
    found.filter(|value| value.contains(['/', ':']) && !value.contains("://")).collect()
}

#[test]
fn references_are_found() {
    let text = "image: nginx:1\n- image: \"a/b\"\nimage: {repository: \"\"}\n --set image.repository=docker.io/c --set \
                units.pool.image=d/e@sha256:1\n image: {{ .x }}\nimage: <repository>:1\nimage: curated\n\
                repository: file://x\nOPERATOR_IMAGE=quay.io/f:1 image: localhost:5000/g";
    assert_eq!(references(text), ["nginx:1", "a/b", "docker.io/c", "d/e@sha256:1", "quay.io/f:1", "localhost:5000/g"]);
    let reserved: Vec<_> = references(text).into_iter().filter(|reference| is_reserved(reference)).collect();
    assert_eq!(reserved, ["localhost:5000/g"]);
    assert!(is_reserved("registry.example.org/a:1") && is_reserved("registry.invalid/a"));
    assert!(!is_reserved("notexample.org/a") && !is_reserved("localhost") && !is_reserved("example.org.evil.io/a"));
}

/// A default or an example that names somebody's account in a registry runs what they publish.
#[test]
fn no_image_is_named_that_somebody_else_could_publish() {
    let mut found = vec![];
    for part in
        ["charts", "config", "crds", "docs", "hack", "integrations", "clients", "kubectl", "e2e/manifests", "README.md"]
    {
        files(&Path::new(ROOT).join(part), &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    let mut foreign = vec![];
    let mut count = 0;
    for file in found {
        let text = fs::read_to_string(&file).expect("text");
        for reference in references(&text) {
            count += 1;
            if !is_reserved(reference) {
                foreign.push(format!("{}: {reference}", file.display()));
            }
        }
    }
    assert!(count > 15, "only {count} references are found");
    assert!(foreign.is_empty(), "{foreign:#?}");
}
