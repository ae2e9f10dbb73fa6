//! The lease is released when the work ends.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::time::Instant;

use super::{INTERNAL, candidate, secs};
use crate::leader::testing::{End, Fate, after};

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
