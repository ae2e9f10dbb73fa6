//! A lease is acquired when nobody holds it, or its holder has not renewed it for a full duration.

use std::time::Duration;

use http::Method;
use serde_json::json;
use tokio::time::timeout;

use super::{INTERNAL, LEASE, ONE_POLL, candidate, secs};
use crate::leader::{
    GATE, Lost,
    testing::{Candidate, End, Fate, after},
};

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
