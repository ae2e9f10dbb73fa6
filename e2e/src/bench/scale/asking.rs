//! Requests for each unit from the time when its route is seen open, until its first 200.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use computing_unit_api::ComputingUnit;
use http::StatusCode;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use super::life::{Life, Lives};
use crate::{
    traffic::{Answer, Connection, Target},
    units::{self, Mode},
};

/// The interval of requests for one unit.
const TICK: Duration = Duration::from_millis(50);
/// The maximum number of requests in flight.
const IN_FLIGHT: usize = 32;
/// The deadline of a response.
const DEADLINE: Duration = Duration::from_secs(5);

/// Sends requests to one proxy.
#[derive(Clone)]
pub struct Asker {
    proxy: SocketAddr,
    mode: Mode,
    namespace: String,
    lives: Lives,
    limit: Arc<Semaphore>,
    /// Open connections.
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Asker {
    /// Sends requests for units in this namespace through this proxy.
    #[must_use]
    pub fn new(proxy: SocketAddr, mode: Mode, namespace: &str, lives: &Lives) -> Self {
        Self {
            proxy,
            mode,
            namespace: namespace.to_owned(),
            lives: lives.clone(),
            limit: Arc::new(Semaphore::new(IN_FLIGHT)),
            idle: Arc::default(),
        }
    }

    /// Starts with each unit whose route is open.
    pub async fn run(self, mut opened: mpsc::UnboundedReceiver<String>) {
        let mut asking = JoinSet::new();
        while let Some(name) = opened.recv().await {
            if self.lives.get(&name).is_some_and(|life| life.asked) {
                asking.spawn(self.clone().ask(name));
            }
            while asking.try_join_next().is_some() {}
        }
    }

    async fn ask(self, name: String) {
        // The name is that of the unit's address in every mode but Query, which has the number of the unit.
        let unit = units::unit(&self.namespace, &name, number(&name));
        let (host, path) = units::address(self.mode, &unit);
        let Ok(target) = Target::new(&host, &path) else { return };
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Ok(_permit) = self.limit.acquire().await else { return };
            let answer = timeout(DEADLINE, self.send(&target)).await.ok().flatten();
            let now = Instant::now();
            let mut done = false;
            self.lives.change(&name, |life| done = record(life, answer.as_ref(), now));
            if done || self.lives.get(&name).is_none_or(|life| life.deleted.is_some()) {
                return;
            }
        }
    }

    async fn send(&self, target: &Target) -> Option<Answer> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => Connection::open(self.proxy).await.ok()?,
        };
        if connection.closed().await {
            connection = Connection::open(self.proxy).await.ok()?;
        }
        let answer = connection.send(target).await.ok()?;
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        Some(answer)
    }
}

/// The routing key of a unit in Query mode, from its name, which ends with a number.
#[must_use]
pub fn number(name: &str) -> i64 {
    let digits = name.rsplit('-').next().unwrap_or_default();
    // Above the keys of tests, which have 31 bits.
    (1 << 40) + digits.parse::<i64>().unwrap_or_default()
}

/// A unit whose routing key follows from its name.
#[must_use]
pub fn unit(namespace: &str, name: &str) -> ComputingUnit {
    units::unit(namespace, name, number(name))
}

/// Counts an answer. Returns whether it is the first 200 of the unit's route.
fn record(life: &mut Life, answer: Option<&Answer>, now: Instant) -> bool {
    let route = answer.and_then(|answer| answer.by().route);
    match answer.map(|answer| answer.status) {
        _ if route.is_some() && life.uid.is_some() && route != life.uid => life.answers.foreign += 1,
        Some(StatusCode::OK) => {
            life.first_200 = Some(now);
            return true;
        }
        Some(status) if status.is_server_error() => life.answers.server_errors += 1,
        _ => life.answers.others += 1,
    }
    false
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use computing_unit_api::names::headers;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn only_a_200_of_the_own_route_is_the_first() {
        let answer = |status: u16, route: &'static str| Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::from_iter([(
                http::HeaderName::from_static(headers::UNIT),
                HeaderValue::from_static(route),
            )]),
            body: Bytes::new(),
            took: Duration::ZERO,
        };
        let mut life = Life { uid: Some("own".to_owned()), ..Life::default() };
        let now = Instant::now();
        for (answer, first) in [
            (Some(answer(200, "another")), false),
            (Some(answer(503, "own")), false),
            (Some(answer(404, "own")), false),
            (None, false),
            (Some(answer(200, "own")), true),
        ] {
            assert_eq!(record(&mut life, answer.as_ref(), now), first);
        }
        let counted = life.answers;
        assert_eq!((counted.foreign, counted.server_errors, counted.others), (1, 1, 2));
        assert!(life.first_200.is_some());
    }
}
