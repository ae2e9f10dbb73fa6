use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    GATE, Lost,
    testing::{Candidate, End, Fate, Server, after},
};

mod schedule;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LEASE: Duration = secs(15);
const RENEW_DEADLINE: Duration = secs(10);
/// The retry period with its jitter, and some milliseconds of timers.
const ONE_POLL: Duration = Duration::from_millis(2410);
const INTERNAL: End = End::Refused(StatusCode::INTERNAL_SERVER_ERROR);

fn candidate() -> (Server, Candidate) {
    let server = Server::default();
    let candidate = Candidate::new(&server, "me");
    (server, candidate)
}

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

#[tokio::test(start_paused = true)]
async fn stands_by_ready_and_takes_over_at_its_next_poll_after_a_release() {
    let (server, me) = candidate();
    server.hold("other", 0);
    let story = async {
        assert_eq!(me.gates.closed(), [GATE]);
        after(secs(1)).await;
        assert_eq!(me.gates.closed(), [""; 0], "a standby is ready");
        assert!(!me.is_working());
        server.edit(|lease| {
            lease["metadata"]["labels"] = json!({"theirs": "yes"});
            lease["spec"]["holderIdentity"] = json!("");
        });
        let took = me.works().await;
        assert!(took < ONE_POLL, "{took:?}");
        let lease = server.lease();
        assert_eq!(lease["spec"]["leaseTransitions"], 4);
        assert_eq!(lease["metadata"]["labels"], json!({"theirs": "yes"}));
        me.shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(me.lead(), story);
    assert_eq!(ended.unwrap(), Some("done"));
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_lease_is_taken_over_after_a_full_duration_whatever_the_clock_of_its_holder() {
    for skew in [-86_400, 0, 86_400] {
        let (server, me) = candidate();
        server.hold("other", skew);
        let story = async {
            let took = me.works().await;
            assert!((LEASE..LEASE + ONE_POLL).contains(&took), "{skew}: {took:?}");
            me.shutdown.cancel();
        };
        tokio::join!(me.lead(), story).0.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_not_taken_over_whatever_the_clock_of_its_holder() {
    for skew in [-86_400, 0, 86_400] {
        let (server, me) = candidate();
        let story = async {
            for _ in 0..30 {
                server.hold("other", skew);
                after(secs(10)).await;
                assert_eq!((me.is_working(), server.holder().as_deref()), (false, Some("other")), "{skew}");
            }
            server.hold("other", skew);
            let took = me.works().await;
            assert!((LEASE..LEASE + ONE_POLL * 2).contains(&took), "{skew}: {took:?}");
            me.shutdown.cancel();
        };
        tokio::join!(me.lead(), story).0.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_overtakes_a_slow_read_counts_from_the_response() {
    let (server, me) = candidate();
    server.hold("other", 0);
    let mut slow = true;
    me.meets(move |_| {
        let before = if std::mem::take(&mut slow) { Duration::from_millis(2400) } else { secs(0) };
        Fate { before, ..Fate::default() }
    });
    let story = async {
        after(Duration::from_millis(2300)).await;
        server.hold("other", 0);
        let took = me.works().await;
        assert!((LEASE..LEASE + ONE_POLL * 2).contains(&took), "{took:?}");
        me.shutdown.cancel();
    };
    tokio::join!(me.lead(), story).0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_metadata_does_not_prolong_a_lease() {
    let (server, me) = candidate();
    server.hold("other", 0);
    let story = async {
        let edits = async {
            for edit in 0.. {
                after(secs(1)).await;
                server.edit(|lease| lease["metadata"]["annotations"] = json!({"edit": edit.to_string()}));
            }
        };
        tokio::select! {
            took = me.works() => assert!(took < LEASE + ONE_POLL, "{took:?}"),
            () = edits => unreachable!(),
        }
        me.shutdown.cancel();
    };
    tokio::join!(me.lead(), story).0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_not_leadership() {
    for existing in [false, true] {
        let (server, me) = candidate();
        if existing {
            server.hold("", 0);
        }
        let other = server.clone();
        me.meets(move |method| {
            // Between the read and the write.
            if method != Method::GET && other.holder().is_none() {
                other.hold("other", 0);
            }
            Fate::default()
        });
        let story = async {
            assert!(timeout(LEASE, me.works()).await.is_err(), "{existing}");
            assert_eq!(server.holder().as_deref(), Some("other"));
            assert_eq!(me.gates.closed(), [""; 0]);
            me.shutdown.cancel();
        };
        let (ended, ()) = tokio::join!(me.lead(), story);
        assert_eq!(ended.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_received_after_the_process_was_suspended_is_not_leadership() {
    let (server, me) = candidate();
    me.meets(|method| match *method {
        Method::POST => End::Suspended.into(),
        Method::PUT => End::Lost.into(),
        _ => Fate::default(),
    });
    let story = async {
        assert!(timeout(secs(120), me.works()).await.is_err());
        assert_eq!(server.holder().as_deref(), Some("me"), "the write succeeded");
        me.meets(|_| Fate::default());
        me.works().await;
        me.meets(|_| End::Suspended.into());
        me.stops().await;
    };
    let (ended, ()) = tokio::join!(me.lead(), story);
    assert!(matches!(ended, Err(Lost::Expired(_))), "{ended:?}");
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

#[tokio::test(start_paused = true)]
async fn is_not_ready_while_it_cannot_determine_the_leader() {
    let (server, me) = candidate();
    let story = async {
        for _ in 0..2 {
            me.meets(|_| INTERNAL.into());
            after(secs(60)).await;
            assert_eq!((me.gates.closed(), me.is_working()), (vec![GATE], false));
            server.hold("other", 0);
            me.meets(|_| Fate::default());
            after(ONE_POLL).await;
            assert_eq!(me.gates.closed(), [""; 0]);
        }
        me.shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(me.lead(), story);
    assert_eq!(ended.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_after_an_edit_and_if_the_work_fails() {
    let (server, me) = candidate();
    let work = |_| async {
        // After the last renewal: the release meets a conflict.
        server.edit(|lease| lease["metadata"]["annotations"] = json!({"edited": "yes"}));
        Err::<(), _>("failed")
    };
    assert_eq!(me.lead_with(work).await.unwrap(), Some(Err("failed")));
    assert_eq!(server.lease()["spec"]["holderIdentity"], "");
    assert_eq!(server.lease()["metadata"]["annotations"], json!({"edited": "yes"}));
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_another_holder_is_not_released() {
    let (server, me) = candidate();
    let work = |_| async { server.hold("other", 0) };
    assert_eq!(me.lead_with(work).await.unwrap(), Some(()));
    assert_eq!(server.holder().as_deref(), Some("other"));
    server.delete();
    let work = |_| async { server.delete() };
    assert_eq!(me.lead_with(work).await.unwrap(), Some(()));
    assert!(server.lease().is_null());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_fails_does_not_hold_up_the_end_of_the_process() {
    for end in [INTERNAL, End::Lost, End::Refused(StatusCode::CONFLICT)] {
        let (server, me) = candidate();
        let work = |_| async {
            server.requests();
            me.meets(move |method| if method == Method::GET { Fate::default() } else { end.into() });
            Instant::now()
        };
        let ended = me.lead_with(work).await.unwrap().unwrap();
        assert!(ended.elapsed() < secs(3), "{:?}", ended.elapsed());
        assert!(server.requests().len() <= 1, "one retry");
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_during_the_acquisition_releases_the_lease() {
    let (server, me) = candidate();
    me.meets(|_| Fate { after: secs(1), ..Fate::default() });
    let story = async {
        after(Duration::from_millis(1500)).await;
        assert_eq!(server.holder().as_deref(), Some("me"));
        me.shutdown.cancel();
    };
    let (ended, ()) = tokio::join!(me.lead(), story);
    assert_eq!(ended.unwrap(), None);
    assert_eq!(server.lease()["spec"]["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn its_own_lease_is_acquired_at_once_with_a_write() {
    let (server, me) = candidate();
    server.hold("me", -86_400);
    let before = server.lease();
    let story = async {
        let took = me.works().await;
        assert!(took < secs(1), "{took:?}");
        assert_eq!(server.requests(), [Method::GET, Method::PUT]);
        for same in ["leaseTransitions", "acquireTime"] {
            assert_eq!(server.lease()["spec"][same], before["spec"][same]);
        }
        me.shutdown.cancel();
    };
    tokio::join!(me.lead(), story).0.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_created_again_by_the_leader_and_not_by_a_standby() {
    let (server, leader) = candidate();
    let standby = Candidate::new(&server, "standby");
    let (started, start) = tokio::sync::oneshot::channel();
    let later = async {
        start.await.unwrap();
        standby.lead().await
    };
    let story = async {
        leader.works().await;
        started.send(()).unwrap();
        after(secs(5)).await;
        // Until the leader notices, the standby polls.
        leader.meets(|_| INTERNAL.into());
        server.delete();
        after(secs(5)).await;
        assert!(server.lease().is_null() && !standby.is_working());
        leader.meets(|_| Fate::default());
        after(ONE_POLL).await;
        assert_eq!(server.holder().as_deref(), Some("me"));
        assert_eq!(server.lease()["spec"]["leaseTransitions"], 0);
        after(secs(60)).await;
        assert!(leader.is_working() && !standby.is_working());
        leader.meets(|_| INTERNAL.into());
        server.delete();
        let (stopped, took) = (leader.stops().await, standby.works().await);
        assert!(stopped + took >= LEASE, "{stopped:?} {took:?}");
        standby.shutdown.cancel();
    };
    let (_, ended, ()) = tokio::join!(leader.lead(), later, story);
    assert_eq!(ended.unwrap(), Some("done"));
}
