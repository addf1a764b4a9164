//! S42: what a failed sign-in tells in time.

use multitenancy_core::{ControlContext, auth::Client, environment::monotonic};
use multitenancy_testkit::{ContextExt, SeededRandom, fixtures};

use crate::support::{App, code, credentials};

/// The middle one.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// How well the best threshold on one time tells two accounts apart: 0.5 not at all, 1 always.
fn auc(one: &[f64], other: &[f64]) -> f64 {
    let wins = one.iter().flat_map(|a| {
        other.iter().map(move |b| {
            if a < b {
                1.0
            } else if a == b {
                0.5
            } else {
                0.0
            }
        })
    });
    let share = wins.sum::<f64>() / (one.len() as f64 * other.len() as f64);
    share.max(1.0 - share)
}

/// S42: time does not tell an unknown address from a wrong password, nor an account without one. Samples are taken
/// in turns and by chance, and more of them as long as the noise of the machine is too loud to tell.
#[tokio::test(flavor = "multi_thread")]
async fn s42_time_tells_nothing() {
    const BATCH: usize = 75;
    const MOST: usize = 6;
    const STATES: [&str; 4] =
        ["unknown@example.com", "wrong@example.com", "none@example.com", "inactive@example.com"];
    let _alone = crate::MACHINE.lock().await;
    let app = App::new();
    let realm = app.platform().await;
    app.register(&realm, STATES[1]).await;
    fixtures::control().add_user(&app.store, &fixtures::user(STATES[2])).await;
    let inactive = app.register(&realm, STATES[3]).await.id;
    let mut unit = app.store.control(&ControlContext::system("test")).await.unwrap();
    let mut user = unit.users().find_for_update(inactive).await.unwrap().unwrap();
    user.is_active = false;
    unit.users().update(&user).await.unwrap();
    unit.commit().await.unwrap();

    let random = SeededRandom::from_env();
    let mut samples: [Vec<f64>; 4] = Default::default();
    for batch in 1..=MOST {
        for _ in 0..BATCH {
            let mut turns = [0, 1, 2, 3];
            random.shuffle(&mut turns);
            for state in turns {
                let attempt = credentials(STATES[state], "wrong password here");
                let started = monotonic();
                let refused = app.tenancy.accounts().log_in(&realm, attempt, Client::default()).await;
                samples[state].push(started.elapsed().as_secs_f64() * 1000.0);
                assert_eq!(code(refused), "invalid_credentials");
            }
        }
        let unknown = &samples[0];
        let told: Vec<_> = (1..4)
            .map(|state| ((median(&samples[state]) - median(unknown)).abs(), auc(unknown, &samples[state])))
            .collect();
        println!(
            "S42: {} samples each, median {:.2} ms; (difference in ms, AUC): {told:.3?}",
            unknown.len(),
            median(unknown)
        );
        if batch > 1 && told.iter().all(|(difference, auc)| *difference < 2.0 && *auc < 0.55) {
            // The yardstick itself: had one state answered 3 ms earlier, it would have been told apart.
            let early: Vec<_> = samples[1].iter().map(|time| time - 3.0).collect();
            assert!((median(&early) - median(unknown)).abs() > 2.0);
            return;
        }
    }
    panic!("time tells accounts apart");
}
