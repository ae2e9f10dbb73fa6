//! A key belongs to its holder: random histories of several units that need the same keys, in two namespaces behind one
//! Gateway. Every reconcile can be cut short, as by a crash, and the operator restarts at any time.

use std::{collections::BTreeMap, sync::Arc};

use computing_unit_api::{ComputingUnit, ComputingUnitPool, OperatingMode, names::FINALIZER};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::ToSpan};
use kube::ResourceExt;
use proptest::prelude::*;

use super::world::{NOW, World};
use crate::{
    controllers::{
        gateway_binding::GatewayBinding,
        unit::{
            build::{self, guard::is_guarded},
            plan::{Step, plan},
            snapshot::Snapshot,
            validate,
        },
        watches::sync::restore_keys,
    },
    routing::keys::{KeyIndex, RoutingKey},
    testing,
};

const UNITS: usize = 4;
const NAMESPACES: [&str; 2] = ["a", "b"];
const PARAMETERS: [&str; 2] = ["cuid", "id"];

#[derive(Clone, Debug)]
enum Event {
    Create {
        unit: usize,
        cuid: i64,
        offered: bool,
        suspended: bool,
    },
    EditImage {
        unit: usize,
        offered: bool,
    },
    EditMode {
        unit: usize,
        suspended: bool,
    },
    Delete {
        unit: usize,
    },
    /// Plans that many times, and applies at most that many steps of the last plan.
    Reconcile {
        unit: usize,
        rounds: usize,
        steps: usize,
    },
    /// Reconciles all units until nothing is left to do.
    Settle,
    CreatePool {
        namespace: usize,
        parameter: usize,
    },
    DeletePool {
        namespace: usize,
    },
    /// The operator restarts, or another replica becomes the leader.
    Restart,
}

fn events() -> impl Strategy<Value = Event> {
    let unit = || 0..UNITS;
    prop_oneof![
        4 => (unit(), 42_i64..44, any::<bool>(), any::<bool>())
            .prop_map(|(unit, cuid, offered, suspended)| Event::Create { unit, cuid, offered, suspended }),
        2 => (unit(), any::<bool>()).prop_map(|(unit, offered)| Event::EditImage { unit, offered }),
        2 => (unit(), any::<bool>()).prop_map(|(unit, suspended)| Event::EditMode { unit, suspended }),
        2 => unit().prop_map(|unit| Event::Delete { unit }),
        8 => (unit(), 1_usize..8, 0_usize..3).prop_map(|(unit, rounds, steps)| Event::Reconcile { unit, rounds, steps }),
        4 => Just(Event::Settle),
        2 => (0_usize..2, 0_usize..2).prop_map(|(namespace, parameter)| Event::CreatePool { namespace, parameter }),
        1 => (0_usize..2).prop_map(|namespace| Event::DeletePool { namespace }),
        2 => Just(Event::Restart),
    ]
}

#[derive(Default)]
struct Cluster {
    units: BTreeMap<usize, World>,
    pools: [Option<Arc<ComputingUnitPool>>; 2],
    keys: KeyIndex,
    created: usize,
}

/// Units 0 and 1 are in the first namespace, 2 and 3 in the second.
fn namespace_of(unit: usize) -> usize {
    unit / 2
}

impl Cluster {
    fn change(&mut self, event: Event) {
        match event {
            Event::Create { unit, cuid, offered, suspended } => {
                self.created += 1;
                let world = new_unit(unit, cuid, self.created);
                self.units.entry(unit).or_insert_with(|| {
                    world.unit(|object| {
                        set_image(object, offered);
                        set_mode(object, suspended);
                    })
                });
            }
            Event::EditImage { unit, offered } => self.edit(unit, |object| set_image(object, offered)),
            Event::EditMode { unit, suspended } => self.edit(unit, |object| set_mode(object, suspended)),
            Event::Delete { unit } => self.edit(unit, |object| {
                object.metadata.deletion_timestamp.get_or_insert_with(|| testing::time(NOW));
            }),
            Event::Reconcile { unit, rounds, steps } => {
                for round in 1..=rounds {
                    self.round(unit, if round < rounds { usize::MAX } else { steps });
                }
            }
            Event::Settle => {
                let mut rounds = 0;
                while (0..UNITS).fold(false, |busy, unit| self.round(unit, usize::MAX) | busy) {
                    rounds += 1;
                    assert!(rounds < 100, "the plans of the units do not converge");
                }
            }
            Event::CreatePool { namespace, parameter } => {
                self.created += 1;
                let created = self.created;
                self.pools[namespace].get_or_insert_with(|| new_pool(namespace, parameter, created));
            }
            Event::DeletePool { namespace } => self.pools[namespace] = None,
            Event::Restart => {
                self.keys = KeyIndex::default();
                let units: Vec<_> = self.units.values().map(|world| world.snapshot.unit.clone()).collect();
                let pools = &self.pools;
                restore_keys(&self.keys, &units, |unit| {
                    let namespace = NAMESPACES.iter().position(|name| unit.namespace().as_deref() == Some(*name))?;
                    pools[namespace].clone()
                });
                self.units.values_mut().for_each(|world| world.snapshot.probe = None);
            }
        }
    }

    fn edit(&mut self, unit: usize, change: impl FnOnce(&mut ComputingUnit)) {
        if let Some(world) = self.units.get_mut(&unit) {
            let object = Arc::make_mut(&mut world.snapshot.unit);
            object.metadata.generation = object.metadata.generation.map(|generation| generation + 1);
            change(object);
        }
    }

    /// Returns whether something happened.
    fn round(&mut self, unit: usize, limit: usize) -> bool {
        let Some(world) = self.units.get_mut(&unit) else { return false };
        let snapshot = &mut world.snapshot;
        let uid = snapshot.uid();
        snapshot.pool = self.pools[namespace_of(unit)].clone();
        let key = snapshot.pool.as_ref().map(|pool| RoutingKey::new(&snapshot.unit, pool));
        snapshot.has_other_keys = self.keys.has_others(&uid, key.as_ref());
        snapshot.key = key.map(|key| self.keys.reservation(&snapshot.unit, key));
        world.wanted = validate::of(&world.snapshot).map(|unit| build::children(&unit));
        let (assessment, status) = (world.assess(), world.status());
        let steps = plan(&world.snapshot, &world.wanted, &assessment, &status);
        let busy = if steps.is_empty() { world.pass_time() } else { true };
        for step in steps.into_iter().take(limit) {
            match step {
                Step::RequestKey(key) => self.keys.request(&world.snapshot.unit, &key),
                Step::ReleaseKeys { kept } => drop(self.keys.release(&uid, kept.as_ref())),
                step => world.take(step, true),
            }
        }
        let object = &world.snapshot.unit;
        if object.metadata.deletion_timestamp.is_some() && object.finalizers().is_empty() {
            self.units.remove(&unit);
            self.keys.release(&uid, None);
        }
        busy
    }

    /// The units that requests reach, by what the requests match.
    fn exposed(&self) -> BTreeMap<String, Vec<String>> {
        let mut exposed = BTreeMap::<_, Vec<_>>::new();
        for world in self.units.values() {
            if let Some(route) = world.snapshot.route.owned().filter(|route| !is_guarded(route)) {
                let matches = route.spec.rules.iter().flatten().flat_map(|rule| rule.matches.iter().flatten());
                let parameters: Vec<_> = matches.flat_map(|each| each.query_params.iter().flatten()).collect();
                exposed.entry(format!("{parameters:?}")).or_default().push(world.snapshot.unit.name_any());
            }
        }
        exposed
    }

    /// The units that hold the key that they need and are accepted, by UID.
    fn holders(&self) -> BTreeMap<String, RoutingKey> {
        let held = |world: &World| {
            let held = world.snapshot.held_key()?;
            let pool = self.pools.iter().flatten().find(|pool| pool.namespace() == world.snapshot.unit.namespace())?;
            let offered = world.snapshot.unit.spec.image.is_none() && !world.snapshot.terminating();
            (offered && held == RoutingKey::new(&world.snapshot.unit, pool)).then(|| (world.snapshot.uid(), held))
        };
        self.units.values().filter_map(held).collect()
    }
}

fn new_unit(unit: usize, cuid: i64, created: usize) -> World {
    let name = format!("unit-{unit}");
    // Later units have earlier timestamps, so that the order of creation differs from that of the requests.
    let time = testing::time(NOW).0.checked_sub(i64::try_from(created).unwrap_or_default().seconds()).unwrap();
    let mut object = testing::unit(&name, Some(cuid), NOW);
    object.metadata.creation_timestamp = Some(Time(time));
    object.metadata.namespace = Some(NAMESPACES[namespace_of(unit)].to_owned());
    object.metadata.uid = Some(format!("{name}-{created}"));
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    let mut world = World::new();
    let gateway: GatewayBinding = world.snapshot.gateway.take().unwrap();
    world.snapshot = Snapshot { gateway: Some(gateway), ..Snapshot::alone(Arc::new(object), testing::time(NOW).0) };
    world
}

fn new_pool(namespace: usize, parameter: usize, created: usize) -> Arc<ComputingUnitPool> {
    let mut routing = testing::query_routing();
    routing.query.as_mut().unwrap().parameter = PARAMETERS[parameter].to_owned();
    let mut pool = testing::pool(routing);
    pool.metadata.namespace = Some(NAMESPACES[namespace].to_owned());
    pool.metadata.uid = Some(format!("pool-{created}"));
    Arc::new(pool)
}

fn set_image(object: &mut ComputingUnit, offered: bool) {
    object.spec.image = (!offered).then(|| "not-offered".to_owned());
}

fn set_mode(object: &mut ComputingUnit, suspended: bool) {
    object.spec.operating_mode = if suspended { OperatingMode::Suspended } else { OperatingMode::Running };
}

proptest! {
    #[test]
    fn no_holder_loses_its_key_and_no_key_has_two_open_routes(history in prop::collection::vec(events(), 1..60)) {
        let mut cluster = Cluster::default();
        for namespace in 0..2 {
            cluster.change(Event::CreatePool { namespace, parameter: 0 });
        }
        for event in history {
            let before = cluster.holders();
            cluster.change(event.clone());
            for (request, units) in cluster.exposed() {
                prop_assert!(units.len() < 2, "{units:?} are reached by {request} after {event:?}");
            }
            let statuses: BTreeMap<_, _> =
                cluster.units.values().map(|world| (world.snapshot.uid(), world.snapshot.held_key())).collect();
            for (uid, key) in before {
                let lost = statuses.get(&uid).is_some_and(|held| held.as_ref() != Some(&key));
                let refused = cluster.units.values().any(|world| world.snapshot.uid() == uid && world.snapshot.unit.spec.image.is_some());
                prop_assert!(!lost || refused, "{uid} has lost {key} after {event:?}");
            }
        }
        // Whatever happened, the keys are in use again: a unit that may run is reachable, or another one is in its place.
        cluster.change(Event::Settle);
        let exposed = cluster.exposed();
        for world in cluster.units.values() {
            let object = &world.snapshot.unit;
            let runs = object.spec.image.is_none() && object.spec.operating_mode == OperatingMode::Running;
            let elsewhere = serde_json::to_string(&object.status).unwrap_or_default().contains("KeyConflict");
            let open = exposed.values().flatten().any(|name| *name == object.name_any());
            if runs && !world.snapshot.terminating() && world.snapshot.pool.is_some() {
                prop_assert!(open || elsewhere, "{object:?} is not reachable: {:?}", world.wanted.as_ref().err());
            }
        }
    }
}
