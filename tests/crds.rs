//! The generated CRDs and API reference are up to date, and small enough for client-side apply.

use std::{fs, path::Path};

use computing_unit_api as api;
use computing_unit_operator::cli::{crd, reference};

fn assert_fresh(path: &str, expected: &str) {
    let found = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default();
    assert!(found == expected, "{path} is out of date: run `make generate` and commit the result");
}

#[test]
fn crds_are_up_to_date() {
    for definition in api::crds() {
        assert_fresh(&format!("crds/{}", crd::file_name(&definition)), &crd::yaml(&definition).unwrap());
    }
}

#[test]
fn api_reference_is_up_to_date() {
    assert_fresh("docs/api.md", &reference::markdown(&api::crds()));
}

#[test]
fn crds_fit_into_the_annotation_of_client_side_apply() {
    for definition in api::crds() {
        let size = serde_json::to_string(&definition).unwrap().len();
        assert!(size < 262_144, "{}: {size} bytes", crd::file_name(&definition));
    }
}
