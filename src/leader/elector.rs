//! The requests of an election: reads the Lease, and writes it under the precondition that it did not change since.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    Lost,
    record::{self, Pace, Timing, View},
};
use computing_unit_api::names::FIELD_MANAGER;

use crate::config::Election;

/// Why a request was not successful.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no response within {0:?}")]
    Timeout(Duration),
    #[error("the Lease is changed by others at the same time")]
    Conflict,
    #[error(transparent)]
    Request(#[from] kube::Error),
}

/// The Lease, as this process wrote it last.
#[derive(Debug)]
pub(super) struct Held {
    lease: Lease,
    /// When the request of the last successful write was sent. No standby can have observed that write earlier.
    renewed: Instant,
}

/// The outcome of an attempt to acquire the Lease.
pub(super) enum Attempt {
    Acquired(Box<Held>),
    /// Another process holds the Lease.
    HeldBy(String),
    /// Another process wrote the Lease first.
    Conflict,
}

/// A candidate for one Lease.
pub(super) struct Elector {
    /// Namespace and name, for logs.
    pub(super) label: String,
    pub(super) identity: String,
    pub(super) timing: Timing,
    leases: Api<Lease>,
    name: String,
}

impl Elector {
    pub(super) fn new(client: &Client, election: &Election) -> Self {
        let namespace = election.namespace().unwrap_or(client.default_namespace());
        Self {
            label: format!("{namespace}/{}", election.lease()),
            identity: election.identity().to_owned(),
            timing: Timing::new(Duration::from_secs(election.seconds().into())),
            leases: Api::namespaced(client.clone(), namespace),
            name: election.lease().to_owned(),
        }
    }

    /// Acquires the Lease if it is free, or if its holder has not renewed it for the whole duration.
    pub(super) async fn acquire(&self, view: &mut View) -> Result<Attempt, Failure> {
        let lease = self.read().await?;
        let now = Instant::now();
        view.observe(lease.as_ref().map(spec).as_ref(), now);
        if let Some(leader) = view.current_leader(&self.identity, now) {
            return Ok(Attempt::HeldBy(leader.to_owned()));
        }
        let next = match &lease {
            Some(lease) => self.next(lease),
            None => self.first(None),
        };
        Ok(self.write(&next).await?.map_or(Attempt::Conflict, |held| Attempt::Acquired(Box::new(held))))
    }

    /// Renews the Lease until it is lost.
    pub(super) async fn keep(&self, held: &mut Held) -> Lost {
        let mut pace = Pace::new(&self.identity, self.timing.retry_period);
        loop {
            let deadline = held.renewed + self.timing.renew_deadline;
            // The deadline also ends a request that is under way.
            match timeout_at(deadline, self.renewed(held, &mut pace)).await {
                Ok(Some(renewed)) => *held = renewed,
                Ok(None) => return Lost::Taken(self.label.clone()),
                Err(_) => return Lost::Expired(self.label.clone()),
            }
        }
    }

    /// When a standby may take the Lease over at the earliest, if it is not renewed again.
    pub(super) fn expiry(&self, held: &Held) -> Instant {
        held.renewed + self.timing.lease_duration
    }

    /// Releases the Lease, so that a standby does not have to wait until it expires.
    pub(super) async fn release(&self, held: Held) {
        match self.released(held.lease).await {
            Ok(()) => tracing::info!(lease = self.label, "released the Lease"),
            Err(error) => tracing::warn!(lease = self.label, %error, "cannot release the Lease; it will expire"),
        }
    }

    /// The Lease after the next successful renewal; `None` if this process is no longer its holder.
    async fn renewed(&self, held: &Held, pace: &mut Pace) -> Option<Held> {
        loop {
            sleep_until(Instant::now() + pace.next()).await;
            match self.renew(held).await {
                Ok(outcome) => return outcome,
                Err(error) => tracing::warn!(lease = self.label, %error, "cannot renew the Lease; retrying"),
            }
        }
    }

    async fn renew(&self, held: &Held) -> Result<Option<Held>, Failure> {
        if let Some(held) = self.write(&self.next(&held.lease)).await? {
            return Ok(Some(held));
        }
        // An earlier renewal succeeded without a response, or the Lease was edited, deleted or taken over.
        let next = match self.read().await? {
            Some(lease) if !self.holds(&lease) => return Ok(None),
            Some(lease) => self.next(&lease),
            None => self.first(Some(&held.lease)),
        };
        self.write(&next).await?.map(Some).ok_or(Failure::Conflict)
    }

    async fn released(&self, lease: Lease) -> Result<(), Failure> {
        if self.write(&released(lease)).await?.is_some() {
            return Ok(());
        }
        // As for a renewal. What another process holds is left alone.
        let Some(changed) = self.read().await?.filter(|lease| self.holds(lease)) else {
            return Ok(());
        };
        self.write(&released(changed)).await?.map(drop).ok_or(Failure::Conflict)
    }

    fn holds(&self, lease: &Lease) -> bool {
        record::holder(&spec(lease)) == Some(&self.identity)
    }

    /// `lease`, acquired or renewed. It keeps the resource version and the UID, which are the precondition of the write.
    fn next(&self, lease: &Lease) -> Lease {
        let record = self.record(Some(&spec(lease)));
        Lease { metadata: lease.metadata.clone(), spec: Some(record) }
    }

    /// A Lease to be created. `deleted` is the one that this process held.
    fn first(&self, deleted: Option<&Lease>) -> Lease {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        Lease { metadata, spec: Some(self.record(deleted.map(spec).as_ref())) }
    }

    fn record(&self, previous: Option<&LeaseSpec>) -> LeaseSpec {
        record::held(previous, &self.identity, self.timing.lease_duration, Timestamp::now())
    }

    async fn read(&self) -> Result<Option<Lease>, Failure> {
        self.limited(self.leases.get_opt(&self.name)).await
    }

    /// Creates `lease`, or updates it if it was read from the API server. `None` if it changed in the meantime.
    async fn write(&self, lease: &Lease) -> Result<Option<Held>, Failure> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let sent = Instant::now();
        let exists = lease.metadata.resource_version.is_some();
        let written = if exists {
            self.limited(self.leases.replace(&self.name, &params, lease)).await
        } else {
            self.limited(self.leases.create(&params, lease)).await
        };
        match written {
            Ok(lease) => Ok(Some(Held { lease, renewed: sent })),
            // The 404 of a create is about the namespace.
            Err(Failure::Request(kube::Error::Api(status))) if status.code == 409 || (status.code == 404 && exists) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The response of `request`, if it is received in time: after the process was suspended, it is not.
    async fn limited<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let limit = self.timing.request_timeout;
        let end = Instant::now() + limit;
        match timeout_at(end, request).await {
            Ok(response) if Instant::now() <= end => Ok(response?),
            _ => Err(Failure::Timeout(limit)),
        }
    }
}

/// `lease` without a holder, with the same precondition as a renewal.
fn released(lease: Lease) -> Lease {
    let record = record::released(&spec(&lease), Timestamp::now());
    Lease { spec: Some(record), ..lease }
}

fn spec(lease: &Lease) -> LeaseSpec {
    lease.spec.clone().unwrap_or_default()
}
