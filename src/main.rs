//! x
fn main() {
    for crd in computing_unit_operator::api::crds() {
        println!("---\n{}", serde_saphyr::to_string(&crd).unwrap());
    }
}
