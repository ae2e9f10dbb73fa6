//! Whatever the API server accepts by the CRDs, the operator can deserialize. Otherwise it would leave the object alone.

use std::fmt;

use anyhow::{Context, ensure};
use computing_unit_api::{ComputingUnit, ComputingUnitPool, Quantity, crds};
use e2e::{fixture::Fixture, units::with};
use futures::StreamExt;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};

use super::with_fixture;

/// How many requests are sent at a time.
const CONCURRENCY: usize = 16;
const TIMESTAMPS: &[&str] = &[
    "2030-01-01T00:00:00Z",
    "2030-01-01t00:00:00z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9998-12-31T23:59:59.999999999-23:59",
    "9999-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-23:59",
    "2030-01-01T00:00:00+24:00",
    "2030-01-01T00:00:00+25:59",
    "2030-01-01T00:00:00+10:60",
    "2030-01-01T00:00:00+99:99",
    "2030-01-01T23:59:60Z",
    "2030-01-01T00:00:00x5Z",
    "2030-01-01T00:00:00.1234567890Z",
    "2030-02-30T00:00:00Z",
    "",
];
const AMOUNTS: &[&str] = &[
    "1",
    "0",
    "-1",
    "+1",
    ".5",
    "5.",
    "1e3",
    "1E-3",
    "1e1.5",
    "1e99",
    "1e999",
    "1e99999999999",
    "1Ki",
    "1Ei",
    "1n",
    "1gb",
    "",
    ".",
    "a",
    "999999999999999999999999999999",
];
const TEXTS: &[&str] = &[
    "a",
    "",
    "1",
    "-1",
    "1s",
    "0s",
    "99999h99999h99999h99999h",
    "1.5h",
    "1d",
    "/",
    "/a",
    "//",
    "/..",
    "/<a>",
    "/%zz",
    "/\u{e9}",
    "/a?b",
    "/a#b",
    "a b",
    "A",
    "a.b",
    "a-",
    "-a",
    "http://a",
    "https://a:65535",
    "http://[::1]:80",
    "http://[",
    "http://:::",
    "http://a/b",
    "\u{e9}",
    "\u{0}",
    "9999-12-31T23:59:59Z",
    "@daily",
    "0 20 * * 1-5",
    "99 99 99 99 99",
];

/// One step of the path to a field.
#[derive(Clone)]
enum Segment {
    Field(String),
    /// An element of a list.
    Item,
    /// An entry of a map.
    Entry,
}

/// A field without fields of its own.
struct Leaf {
    path: Vec<Segment>,
    schema: Value,
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.iter().try_for_each(|segment| match segment {
            Segment::Field(name) => write!(f, ".{name}"),
            Segment::Item => f.write_str("[]"),
            Segment::Entry => f.write_str("{}"),
        })
    }
}

fn collect(schema: &Value, path: &[Segment], leaves: &mut Vec<Leaf>) {
    let next = |segment| [path, &[segment]].concat();
    if let Some(fields) = schema["properties"].as_object() {
        for (name, field) in fields {
            collect(field, &next(Segment::Field(name.clone())), leaves);
        }
    } else if schema["items"].is_object() {
        collect(&schema["items"], &next(Segment::Item), leaves);
    } else if schema["additionalProperties"].is_object() {
        collect(&schema["additionalProperties"], &next(Segment::Entry), leaves);
    } else if schema["type"] != "object" {
        leaves.push(Leaf { path: path.to_vec(), schema: schema.clone() });
    }
}

fn is_amount(schema: &Value) -> bool {
    schema["x-kubernetes-int-or-string"] == true
}

/// Values at and beyond the bounds of a field.
fn values(schema: &Value) -> Vec<Value> {
    let texts = |all: &[&str]| all.iter().map(|text| json!(text)).collect::<Vec<_>>();
    let numbers = vec![
        json!(-1),
        json!(1),
        json!(i64::from(i32::MAX) + 1),
        json!(i64::MAX),
        json!(1.5),
        json!(1e30),
        schema["minimum"].clone(),
        schema["maximum"].clone(),
    ];
    let numbers = numbers.into_iter().filter(|number| !number.is_null());
    match schema["type"].as_str() {
        _ if is_amount(schema) => texts(AMOUNTS).into_iter().chain(numbers).collect(),
        Some("boolean") => vec![json!(true), json!(false), json!("true")],
        Some("integer" | "number") => numbers.collect(),
        Some("string") if schema["format"] == "date-time" => texts(TIMESTAMPS),
        Some("string") if schema["enum"].is_array() => {
            schema["enum"].as_array().into_iter().flatten().cloned().chain([json!("x"), json!("")]).collect()
        }
        // Any string can be deserialized.
        _ if schema["pattern"].is_null() => texts(&["a", ""]),
        _ => texts(TEXTS),
    }
}

/// A value that a schema accepts, without optional fields.
fn sample(schema: &Value) -> Value {
    if !schema["default"].is_null() {
        return schema["default"].clone();
    }
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    match schema["type"].as_str() {
        _ if is_amount(schema) => json!(1),
        Some("boolean") => json!(true),
        Some("integer" | "number") => json!(1),
        Some("array") => json!([]),
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect()
        }
        _ if schema["format"] == "date-time" => json!(TIMESTAMPS[0]),
        _ if schema["enum"].is_array() => schema["enum"][0].clone(),
        _ if pattern.contains("(h|m|s|ms)") => json!("1s"),
        _ if pattern.starts_with("^/") => json!("/a"),
        _ if pattern.starts_with("^https") => json!("http://a"),
        _ => json!("a"),
    }
}

/// Sets the value at a path. What the path needs is created.
fn set(object: &mut Value, schema: &Value, path: &[Segment], value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        *object = value.clone();
        return;
    };
    let (inner, inner_schema) = match first {
        Segment::Field(name) => (&mut object[name], &schema["properties"][name]),
        Segment::Entry => (&mut object["a"], &schema["additionalProperties"]),
        Segment::Item => {
            if object[0].is_null() {
                *object = json!([null]);
            }
            (&mut object[0], &schema["items"])
        }
    };
    if inner.is_null() {
        *inner = sample(inner_schema);
    }
    set(inner, inner_schema, rest, value);
}

/// A kind, and objects of it that between them have a place for every field.
struct Kind {
    api: Api<DynamicObject>,
    schema: Value,
    bases: Vec<Value>,
    deserialize: fn(&Value) -> Result<(), serde_json::Error>,
}

impl Kind {
    /// The stored form of an object with that value, if the API server accepts it.
    async fn accepted(&self, base: &Value, leaf: &Leaf, value: &Value) -> anyhow::Result<Option<Value>> {
        let mut object = base.clone();
        set(&mut object, &self.schema, &leaf.path, value);
        let in_status = matches!(leaf.path.first(), Some(Segment::Field(name)) if name == "status");
        let answer = if in_status {
            let name = base["metadata"]["name"].as_str().context("a name")?;
            let params = PatchParams { dry_run: true, ..PatchParams::default() };
            self.api.patch_status(name, &params, &Patch::Merge(json!({"status": object["status"]}))).await
        } else {
            let params = PostParams { dry_run: true, ..PostParams::default() };
            object["metadata"]["name"] = json!("other");
            self.api.create(&params, &serde_json::from_value(object)?).await
        };
        match answer {
            Ok(stored) => Ok(Some(serde_json::to_value(stored)?)),
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("{leaf} = {value}")),
        }
    }

    /// The base that has a place for the field, if any.
    async fn base(&self, leaf: &Leaf) -> anyhow::Result<Option<&Value>> {
        for base in &self.bases {
            for value in [sample(&leaf.schema), json!("/a"), json!("1s"), json!("Always"), json!("@daily")] {
                if self.accepted(base, leaf, &value).await?.is_some() {
                    return Ok(Some(base));
                }
            }
        }
        Ok(None)
    }

    async fn check(&self, leaf: &Leaf) -> anyhow::Result<()> {
        let base = self.base(leaf).await?.with_context(|| format!("{leaf}: no value is accepted"))?;
        for value in values(&leaf.schema) {
            let Some(stored) = self.accepted(base, leaf, &value).await? else { continue };
            (self.deserialize)(&stored).with_context(|| format!("{leaf} = {value}"))?;
            if let Some(amount) = value.as_str().filter(|_| is_amount(&leaf.schema))
                && leaf.schema["pattern"].is_string()
            {
                ensure!(Quantity(amount.to_owned()).value().is_some(), "{leaf} = {value}");
            }
        }
        Ok(())
    }
}

fn kinds(fixture: &Fixture) -> anyhow::Result<Vec<Kind>> {
    let api = |resource| Api::namespaced_with(fixture.cluster.client(), &fixture.namespace, &resource);
    let schema = |index: usize| -> anyhow::Result<Value> {
        Ok(serde_json::to_value(&crds()[index])?["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
    };
    let pool = json!(fixture.pool(e2e::units::Mode::Query));
    let pool = with(&pool, &json!({"spec": {"restartBackoff": null}}));
    let routing = |routing: Value| with(&pool, &json!({"spec": {"routing": routing}}));
    let times = json!({"timeZone": "Etc/UTC", "suspend": ["@daily"], "resume": ["@daily"]});
    let scheduled = json!({"spec": {"lifecycle": {"schedule": times}}});
    let host = json!({"query": {"lookup": "Host", "lookupDomain": "units.internal"}});
    Ok(vec![
        Kind {
            api: api(ApiResource::erase::<ComputingUnit>(&())),
            schema: schema(0)?,
            bases: vec![json!(fixture.unit("ada")), with(&json!(fixture.unit("ada")), &scheduled)],
            deserialize: |object| serde_json::from_value::<ComputingUnit>(object.clone()).map(drop),
        },
        Kind {
            api: api(ApiResource::erase::<ComputingUnitPool>(&())),
            schema: schema(1)?,
            bases: vec![
                pool.clone(),
                routing(json!({"type": "Path", "isolation": "None", "query": null, "path": {"prefix": "/a"}})),
                routing(json!({"type": "Host", "query": null, "host": {"domain": "example.org"}})),
                with(&routing(host), &json!({"spec": {"activator": {}}})),
                with(&pool, &scheduled),
            ],
            deserialize: |object| serde_json::from_value::<ComputingUnitPool>(object.clone()).map(drop),
        },
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_server_accepts_can_be_deserialized() -> anyhow::Result<()> {
    with_fixture("schema", |fixture| async move {
        let mut all = vec![];
        for kind in kinds(&fixture)? {
            kind.api.create(&PostParams::default(), &serde_json::from_value(kind.bases[0].clone())?).await?;
            let mut leaves = vec![];
            for part in ["spec", "status"] {
                collect(&kind.schema["properties"][part], &[Segment::Field(part.to_owned())], &mut leaves);
            }
            let kind = &kind;
            let checks = leaves.iter().map(|leaf| kind.check(leaf));
            let results: Vec<_> = futures::stream::iter(checks).buffer_unordered(CONCURRENCY).collect().await;
            all.extend(results.into_iter().filter_map(|result| Some(format!("{:#}", result.err()?))));
            println!("{} fields", leaves.len());
        }
        ensure!(all.is_empty(), "{}", all.join("\n"));
        Ok(())
    })
    .await
}
