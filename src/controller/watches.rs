//! The watches of the operator: which objects, what is kept of them, and which units their changes concern.

use std::{fmt::Debug, sync::Arc};

use k8s_openapi::api::{
    core::v1::{Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, NamespaceResourceScope, error_boundary::InvalidObject},
    runtime::{
        reflector::{
            Store,
            store::{Writer, store},
        },
        watcher::{self, Event},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::watch, task::JoinSet};

use super::{forget::Leavers, sync::Watched};
use crate::{
    api::{ComputingUnit, ComputingUnitPool},
    caches::{
        Caches, Scope,
        affected::{self, Units},
        endpoints::Endpoints,
        follow::{Follow, Progress},
        prune,
    },
    context::Context,
    gateway::{Gateway, GatewayClass, HTTPRoute},
    metrics::{Metrics, ProbeGoal, ProbeResult, Resource as Label},
    names,
    probe::{Goal, Measure, Stores},
    release,
};

/// What fills the caches.
pub struct Writers {
    scopes: Vec<ScopeWriters>,
    gateways: Vec<(Option<String>, Writer<Gateway>, Writer<EndpointSlice>)>,
    classes: Writer<GatewayClass>,
}

struct ScopeWriters {
    namespace: Option<String>,
    units: Writer<ComputingUnit>,
    pools: Writer<ComputingUnitPool>,
    pods: Writer<Pod>,
    services: Writer<Service>,
    routes: Writer<HTTPRoute>,
    endpoints: Arc<Endpoints>,
}

/// Empty caches for the namespaces of units and of gateways, and what fills them.
pub fn caches(scopes: &[Option<String>], gateways: &[Option<String>]) -> (Caches, Writers) {
    let (scopes, scope_writers) = scopes
        .iter()
        .map(|namespace| {
            let (units, units_writer) = store();
            let (pools, pools_writer) = store();
            let (pods, pods_writer) = store();
            let (services, services_writer) = store();
            let (routes, routes_writer) = store();
            let endpoints = Arc::<Endpoints>::default();
            let namespace = namespace.clone();
            let writers = ScopeWriters {
                namespace: namespace.clone(),
                units: units_writer,
                pools: pools_writer,
                pods: pods_writer,
                services: services_writer,
                routes: routes_writer,
                endpoints: endpoints.clone(),
            };
            (Scope { namespace, units, pools, pods, services, routes, endpoints }, writers)
        })
        .unzip();
    let mut readers: (Vec<Store<Gateway>>, Vec<Store<EndpointSlice>>) = Default::default();
    let gateway_writers = gateways
        .iter()
        .map(|namespace| {
            let (gateways, gateways_writer) = store();
            let (proxies, proxies_writer) = store();
            readers.0.push(gateways);
            readers.1.push(proxies);
            (namespace.clone(), gateways_writer, proxies_writer)
        })
        .collect();
    let (classes, classes_writer) = store();
    let caches = Caches { scopes, gateways: readers.0, classes, proxies: readers.1 };
    (caches, Writers { scopes: scope_writers, gateways: gateway_writers, classes: classes_writer })
}

/// Starts every watch.
pub fn follow(context: &Arc<Context>, writers: Writers, tasks: &mut JoinSet<()>) -> Watched {
    let mut start = Start { context, tasks, watched: vec![] };
    for scope in writers.scopes {
        start.scope(scope);
    }
    for (namespace, gateways, proxies) in writers.gateways {
        start.gateways(namespace.as_deref(), gateways, proxies);
    }
    start.classes(writers.classes);
    start.watched
}

/// What tells an event to whom it may concern.
type Heard<K> = Box<dyn Fn(&Event<K>) + Send>;
/// Which units an event concerns.
type Concerns<K> = Box<dyn Fn(Option<&K>, &Event<K>) -> Units + Send>;

struct Start<'a> {
    context: &'a Arc<Context>,
    tasks: &'a mut JoinSet<()>,
    watched: Watched,
}

impl Start<'_> {
    fn scope(&mut self, scope: ScopeWriters) {
        let namespace = scope.namespace.as_deref();
        let client = self.context.client.clone();
        self.units(namespace, scope.units);
        self.pools(namespace, scope.pools);
        let written = self.context.written.clone();
        let kept = Box::new(move |event: &Event<Pod>| written.pods.saw(event));
        self.children(Label::Pods, in_scope(&client, namespace), scope.pods, prune::pod, kept);
        let written = self.context.written.clone();
        let kept = Box::new(move |event: &Event<Service>| written.services.saw(event));
        self.children(Label::Services, in_scope(&client, namespace), scope.services, prune::service, kept);
        let written = self.context.written.clone();
        let kept = Box::new(move |event: &Event<HTTPRoute>| written.routes.saw(event));
        self.children(Label::HttpRoutes, in_scope(&client, namespace), scope.routes, prune::managed_fields, kept);

        let endpoints = scope.endpoints;
        let heard = Box::new(move |event: &Event<EndpointSlice>| endpoints.saw(event));
        let concerns = Box::new(|_: Option<&_>, event: &_| of_object(event, affected::slice));
        // Nobody reads this cache, but the watch needs one to know what a new list leaves out.
        let (_, writer) = store();
        let api = in_scope(&client, namespace);
        self.start(
            Label::EndpointSlices,
            api,
            Some(&names::children_selector()),
            writer,
            (heard, deaf()),
            prune::slice,
            concerns,
        );
    }

    fn units(&mut self, namespace: Option<&str>, writer: Writer<ComputingUnit>) {
        let context = self.context.clone();
        let (leavers, store) = (Leavers::default(), writer.as_reader());
        let heard = Box::new(move |event: &Event<ComputingUnit>| {
            leavers.saw(&context, &store, event);
        });
        let written = self.context.written.clone();
        let kept = Box::new(move |event: &Event<ComputingUnit>| written.units.saw(event));
        // Status and labels of a unit are no news to a reconcile.
        let told = |unit: &ComputingUnit| (unit.uid(), unit.metadata.generation, unit.metadata.finalizers.clone());
        let concerns = Box::new(move |before: Option<&ComputingUnit>, event: &Event<ComputingUnit>| {
            let changed = |unit: &ComputingUnit| before.is_none_or(|before| told(before) != told(unit));
            of_object(event, |unit| if changed(unit) { vec![unit.into()] } else { vec![] })
        });
        let api = in_scope(&self.context.client, namespace);
        self.start(Label::ComputingUnits, api, None, writer, (heard, kept), prune::managed_fields, concerns);
    }

    fn pools(&mut self, namespace: Option<&str>, writer: Writer<ComputingUnitPool>) {
        let caches = self.context.caches.clone();
        let concerns = changes(move |before, after| affected::pool(&caches, before, after));
        let api = in_scope(&self.context.client, namespace);
        self.start(Label::ComputingUnitPools, api, None, writer, (deaf(), deaf()), prune::managed_fields, concerns);
    }

    fn children<K>(
        &mut self,
        label: Label,
        api: Api<DeserializeGuard<K>>,
        writer: Writer<K>,
        prune: fn(&mut K),
        kept: Heard<K>,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let concerns = Box::new(|_: Option<&K>, event: &Event<K>| of_object(event, affected::namesake));
        self.start(label, api, Some(&names::children_selector()), writer, (deaf(), kept), prune, concerns);
    }

    fn gateways(&mut self, namespace: Option<&str>, gateways: Writer<Gateway>, proxies: Writer<EndpointSlice>) {
        let caches = self.context.caches.clone();
        let concerns = changes(move |before, after| affected::gateway(&caches, before, after));
        let api = in_scope(&self.context.client, namespace);
        self.start(Label::Gateways, api, None, gateways, (deaf(), deaf()), prune::managed_fields, concerns);
        // Whoever asks the proxies looks them up each time.
        let concerns = Box::new(|_: Option<&_>, _: &_| Units::new());
        let api = in_scope(&self.context.client, namespace);
        let selector = Some(Stores::selector());
        self.start(Label::EndpointSlices, api, selector, proxies, (deaf(), deaf()), prune::managed_fields, concerns);
    }

    fn classes(&mut self, writer: Writer<GatewayClass>) {
        let caches = self.context.caches.clone();
        let concerns = changes(move |before, after| affected::class(&caches, before, after));
        let api = Api::all(self.context.client.clone());
        self.start(Label::GatewayClasses, api, None, writer, (deaf(), deaf()), prune::managed_fields, concerns);
    }

    #[expect(clippy::too_many_arguments, reason = "each is one property of a watch")]
    fn start<K>(
        &mut self,
        label: Label,
        api: Api<DeserializeGuard<K>>,
        selector: Option<&str>,
        writer: Writer<K>,
        (heard, kept): (Heard<K>, Heard<K>),
        prune: fn(&mut K),
        concerns: Concerns<K>,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let (progress, state) = watch::channel(Progress::default());
        let (metrics, client) = (self.context.metrics.clone(), self.context.client.clone());
        let config = selector.iter().fold(watcher::Config::default(), |config, labels| config.labels(labels));
        let follow = Follow {
            api,
            config,
            writer,
            heard,
            kept,
            prune,
            concerns,
            waker: self.context.waker.clone(),
            progress,
            failed: Box::new(move |error| {
                metrics.watch_failed(label);
                tracing::warn!(resource = label.as_str(), %error, "a watch failed and will be started again");
            }),
            unreadable: Box::new(move |invalid| unreadable(label, invalid, &client)),
        };
        self.tasks.spawn(follow.run());
        self.watched.push((label.as_str(), state));
    }
}

fn in_scope<K>(client: &Client, namespace: Option<&str>) -> Api<DeserializeGuard<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn deaf<K>() -> Heard<K> {
    Box::new(|_| ())
}

fn of_object<K>(event: &Event<K>, units: impl Fn(&K) -> Units) -> Units {
    match event {
        Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) => units(object),
        Event::Init | Event::InitDone => Units::new(),
    }
}

/// Which units the change from one state of an object to another concerns.
fn changes<K: 'static>(units: impl Fn(Option<&K>, Option<&K>) -> Units + Send + 'static) -> Concerns<K> {
    Box::new(move |before, event| match event {
        Event::Apply(after) | Event::InitApply(after) => units(before, Some(after)),
        Event::Delete(last) => units(Some(before.unwrap_or(last)), None),
        Event::Init | Event::InitDone => Units::new(),
    })
}

/// Tells of an object that cannot be read, and lets a unit go that could not be let go otherwise.
fn unreadable(label: Label, invalid: &InvalidObject, client: &Client) {
    let (namespace, name) = (invalid.metadata.namespace.as_deref(), invalid.metadata.name.as_deref());
    tracing::warn!(
        resource = label.as_str(), namespace, name, error = %invalid.error,
        "an object cannot be read and is left alone: correct it, or see that the CRDs are those of this release"
    );
    if label == Label::ComputingUnits && invalid.metadata.deletion_timestamp.is_some() {
        let (client, metadata) = (client.clone(), invalid.metadata.clone());
        tokio::spawn(async move {
            if let Err(error) = release::unreadable(&client, metadata).await {
                tracing::warn!(%error, "cannot let go of a unit that cannot be read");
            }
        });
    }
}

/// Counts what probes do.
pub struct Measured(pub Arc<Metrics>);

impl Measure for Measured {
    fn asked(&self, _: Goal, _: &'static str) {}

    fn reached(&self, goal: Goal, after: std::time::Duration) {
        let goal = match goal {
            Goal::Guarded => ProbeGoal::Guarded,
            Goal::Open => ProbeGoal::Open,
            Goal::Closed => ProbeGoal::Closed,
        };
        self.0.probed(goal, ProbeResult::Reached, after);
    }
}
