//! The work goes on while the lease is renewed, and has stopped before another process can acquire it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{INTERNAL, LEASE, ONE_POLL, RENEW_DEADLINE, candidate, secs};
use crate::leader::{
    Lost,
    testing::{End, Fate, after},
};

#[tokio::test(start_paused = true)]
async fn works_while_it_holds_the_lease_and_releases_it() {
    let (server, me) = candidate();
    let story = async {
        me.works().await;
        assert_eq!(server.requests(), [Method::GET, Method::POST]);
        let first = server.lease();
        assert!(me.metrics.encode().unwrap().contains("_leader 1\n"));
        assert_eq!(me.gates.closed(), [""; 0]);
        after(secs(120)).await;
        assert!(me.is_working());
        let requests = server.requests();
        assert!(requests.iter().all(|method| method == Method::PUT), "a renewal is one request: {requests:?}");
        assert!((50..=75).contains(&requests.len()), "{}", requests.len());
        let (first, last) = (&first["spec"], &server.lease()["spec"]);
        assert_eq!((&last["holderIdentity"], &last["leaseDurationSeconds"]), (&json!("me"), &json!(15)));
        assert_eq!((&last["leaseTransitions"], &last["acquireTime"]), (&json!(0), &first["acquireTime"]));
        assert_ne!(last["renewTime"], first["renewTime"]);
        me.shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(me.lead(), story);
    assert_eq!(ended.unwrap(), Some("done"));
    assert_eq!(server.lease()["spec"]["holderIdentity"], "");
    assert!(me.metrics.encode().unwrap().contains("_leader 0\n"));
}

/// Each way in which renewals can fail, with the time at which the last one succeeded.
#[tokio::test(start_paused = true)]
async fn the_work_is_cancelled_at_the_renew_deadline_however_renewals_fail() {
    type Failing = fn(&Method) -> Fate;
    let unwritten: Failing = |method| match *method {
        Method::GET => Fate::default(),
        _ => End::Refused(StatusCode::CONFLICT).into(),
    };
    let cases: [(&str, Failing); 7] = [
        ("errors", |_| INTERNAL.into()),
        ("requests that hang", |_| End::Lost.into()),
        ("responses that are lost", |_| End::Unanswered.into()),
        ("slow responses", |_| Fate { after: secs(4), ..Fate::default() }),
        ("forbidden", |_| End::Refused(StatusCode::FORBIDDEN).into()),
        ("conflicts with unknown writers", unwritten),
        ("a deleted Lease that cannot be created", |method| match *method {
            Method::POST => INTERNAL.into(),
            _ => End::Refused(StatusCode::NOT_FOUND).into(),
        }),
    ];
    for (name, failing) in cases {
        let (_server, me) = candidate();
        let story = async {
            me.works().await;
            // Just after a renewal or two.
            after(Duration::from_millis(4500)).await;
            me.meets(failing);
            let took = me.stops().await;
            assert!(took <= RENEW_DEADLINE && took + ONE_POLL >= RENEW_DEADLINE, "{name}: {took:?}");
        };
        let (ended, ()) = tokio::join!(me.lead(), story);
        assert!(matches!(ended, Err(Lost::Expired(_))), "{name}: {ended:?}");
        assert!(me.metrics.encode().unwrap().contains("_leader 0\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_renew_deadline_is_counted_from_the_request_and_not_from_its_response() {
    let (_server, me) = candidate();
    me.meets(|method| match *method {
        Method::POST => Fate { after: secs(2), ..Fate::default() },
        Method::GET => Fate::default(),
        _ => End::Lost.into(),
    });
    let story = async {
        me.works().await;
        let took = me.stops().await;
        assert_eq!(took.as_secs(), 8, "{took:?}");
    };
    let (ended, ()) = tokio::join!(me.lead(), story);
    assert!(matches!(ended, Err(Lost::Expired(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn work_has_until_the_lease_expires_to_stop() {
    // How long the work takes to stop, and how long after the last renewal the process exits.
    for (stopping, exit) in [(secs(0), RENEW_DEADLINE), (secs(3), secs(13)), (secs(3600), LEASE)] {
        let (_server, me) = candidate();
        let renewed = Arc::new(Mutex::new(Instant::now()));
        let last = renewed.clone();
        me.meets(move |_| {
            *last.lock().unwrap() = Instant::now();
            Fate::default()
        });
        let story = async {
            after(secs(20)).await;
            me.meets(|_| INTERNAL.into());
            *renewed.lock().unwrap()
        };
        let work = |stop: CancellationToken| async move {
            stop.cancelled().await;
            after(stopping).await;
        };
        let (ended, last) = tokio::join!(me.lead_with(work), story);
        assert!(matches!(ended, Err(Lost::Expired(_))), "{ended:?}");
        assert_eq!(last.elapsed().as_secs(), exit.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_does_not_stop_the_work() {
    for end in [INTERNAL, End::Lost, End::Unanswered] {
        let (server, me) = candidate();
        let story = async {
            for _ in 0..10 {
                me.works().await;
                me.meets(move |_| end.into());
                after(secs(4)).await;
                me.meets(|_| Fate::default());
                after(secs(10)).await;
                assert!(me.is_working(), "{end:?}");
            }
            me.shutdown.cancel();
        };
        let (ended, ()) = tokio::join!(me.lead(), story);
        assert_eq!(ended.unwrap(), Some("done"));
        assert_eq!(server.holder(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn stops_when_another_process_holds_the_lease_or_it_was_released_by_hand() {
    for holder in ["other", ""] {
        let (server, me) = candidate();
        let story = async {
            me.works().await;
            server.hold(holder, 0);
            let took = me.stops().await;
            assert!(took < ONE_POLL, "{took:?}");
        };
        let (ended, ()) = tokio::join!(me.lead(), story);
        assert!(matches!(ended, Err(Lost::Taken(_))), "{ended:?}");
        assert_eq!(server.lease()["spec"]["holderIdentity"], holder, "it is not touched");
    }
}
