//! The operator with many units. Pods are simulated: a node without a machine reports each as running, at the address of
//! one real engine. Everything else is real: the API server, Envoy Gateway, its proxy, Services, routes and requests. The
//! scheduler does not bind these pods.

pub mod accepting;
pub mod account;
pub mod arrivals;
pub mod asking;
pub mod audit;
pub mod etcd;
pub mod gauges;
pub mod keeper;
pub mod life;
pub mod load;
pub mod meter;
pub mod number;
pub mod objects;
pub mod percentiles;
pub mod plan;
pub mod plots;
pub mod pools;
pub mod report;
pub mod restarts;
pub mod results;
pub mod site;
pub mod tables;
pub mod tail;
pub mod usage;
pub mod watches;

use std::time::Duration;

use tokio::task::JoinSet;

use k8s_openapi::jiff::Timestamp;

use self::{
    plan::Plan,
    report::{Machine, Report, Setup},
    results::Results,
    site::Site,
};
use crate::{
    attach::Cluster,
    fixture::with_fixture_alone,
    gateway::{changed_by, scale_controller},
};

/// How long the cluster is measured while nothing changes.
const IDLE: Duration = Duration::from_secs(10);

/// Runs the phases of a plan, prints their results, and writes them into its folder.
///
/// # Errors
/// If a phase does not complete in time. The results of the others are written.
pub async fn measure(plan: Plan) -> anyhow::Result<()> {
    let plan = plan.completed();
    let report = report(&plan).await?;
    let mut results = Results { report, folder: &plan.out };
    if plan.has_units() || plan.pools.is_some() || plan.delete_all {
        with_fixture_alone("scale", |fixture| async {
            let mut site = Box::pin(Site::open(fixture, &plan, true)).await?;
            results.report.setup.audit_log = site.audit.exists();
            let outcome = Box::pin(units(&mut site, &mut results)).await;
            let closed = site.close().await;
            outcome.and(closed)
        })
        .await?;
    }
    if let Some(count) = plan.bare {
        let cluster = Cluster::attach().await?;
        with_fixture_alone("bare", |fixture| async {
            let bare = async {
                let mut site = Box::pin(Site::open(fixture, &plan, false)).await?;
                scale_controller(&cluster, 0).await?;
                let _accepting = JoinSet::from_iter([accepting::accept(&site.fixture, &cluster)?]);
                let outcome = Box::pin(bare(&mut site, count, &mut results)).await;
                let closed = site.close().await;
                outcome.and(closed)
            };
            changed_by(&cluster, bare).await.map(drop)
        })
        .await?;
    }
    let report = &results.report;
    println!("## Summary\n\n{}\n{}", tables::preamble(report), tables::summary(&report.phases));
    println!("{}", tables::objects(report));
    eprintln!("results: {}", plan.out.display());
    Ok(())
}

async fn units(site: &mut Site, results: &mut Results<'_>) -> anyhow::Result<()> {
    let plan = site.plan.clone();
    results.add(load::idle(site, IDLE).await?)?;
    for total in &plan.fill {
        if let Some(phase) = load::fill(site, *total).await? {
            if let Some(unit) = site.lives.present().first() {
                results.report.setup.objects = objects::sizes(site, unit).await?;
            }
            results.add(phase)?;
        }
    }
    if plan.restart {
        results.add(restarts::operator(site).await?)?;
    }
    if plan.relist
        && let Some(phase) = restarts::api_server(site).await?
    {
        results.add(phase)?;
    }
    if let Some(arrivals) = plan.poisson {
        results.add(load::arrivals(site, arrivals).await?)?;
    }
    if let Some(count) = plan.burst {
        let name = format!("burst of {count} on top of {}", site.lives.present().len());
        results.add(load::burst(site, count, &name, |_| None).await?)?;
    }
    let names = site.lives.present();
    if plan.delete_all && !names.is_empty() {
        let name = format!("delete of {} at once", names.len());
        results.add(load::delete(site, names, &name).await?)?;
    }
    if let Some(count) = plan.pools {
        let mut phases = vec![];
        let outcome = pools::pools(site, count, &mut phases).await;
        phases.into_iter().try_for_each(|phase| results.add(phase))?;
        outcome?;
    }
    Ok(())
}

/// Units without probes, while Envoy Gateway's controller is stopped, and a stand-in accepts their routes.
async fn bare(site: &mut Site, count: usize, results: &mut Results<'_>) -> anyhow::Result<()> {
    // No proxy has their routes.
    site.plan.asked = 0;
    let note = "Probes are disabled, and Envoy Gateway's controller is stopped: a stand-in accepts each route with one request, and no \
                proxy has it.";
    if let Some(mut phase) = load::fill(site, count).await? {
        phase.name = format!("fill to {count} without Envoy Gateway");
        phase.kind = report::Kind::Burst;
        phase.notes.push(note.to_owned());
        results.add(phase)?;
        results.add(restarts::operator(site).await?)?;
    }
    let mut phase =
        load::delete(site, site.lives.present(), &format!("delete of {count} without Envoy Gateway")).await?;
    phase.notes.push(note.to_owned());
    results.add(phase)
}

async fn report(plan: &Plan) -> anyhow::Result<Report> {
    let cluster = Cluster::attach().await?;
    Ok(Report {
        started_at: Timestamp::now().to_string(),
        command: format!("bench-scale {}", std::env::args().skip(1).collect::<Vec<_>>().join(" ")).trim().to_owned(),
        machine: Machine::this(),
        setup: Setup {
            kubernetes: cluster.client().apiserver_version().await?.git_version,
            audit_log: false,
            through_proxy: plan.through_proxy,
            mode: format!("{:?}", plan.mode),
            proxies: cluster.proxies().await?.len(),
            window: plan.window,
            objects: vec![],
        },
        phases: vec![],
    })
}
