//! S35: a password of any length costs no work that grows with it.

use std::time::Duration;

use multitenancy_core::{auth::PasswordPolicy, environment::monotonic};
use multitenancy_testkit::{failure, fixtures::email};
use secrecy::SecretString;

use crate::support::{ADA, App, credentials};

/// S35: a new password of 10 MiB is refused before any work that grows with it.
#[test]
fn s35_a_huge_new_password_costs_nothing() {
    let _alone = crate::MACHINE.blocking_lock();
    let policy = PasswordPolicy::default();
    let huge: SecretString = "x".repeat(10 * 1024 * 1024).into();
    let quickest = (0..5).map(|_| {
        let started = monotonic();
        failure(policy.check(&huge, &email(ADA), &[]));
        started.elapsed()
    });
    let quickest = quickest.min().unwrap_or_default();
    assert!(quickest < Duration::from_millis(5), "10 MiB took {quickest:?}");
}

/// S35: a password that can be nobody's is not worked on at sign-in either.
#[tokio::test]
async fn s35_a_huge_password_costs_nothing_at_sign_in() {
    let _alone = crate::MACHINE.lock().await;
    let app = App::new();
    let realm = app.platform().await;
    app.register(&realm, ADA).await;
    for length in [1025, 10 * 1024 * 1024] {
        let attempt = credentials(ADA, &"x".repeat(length));
        let started = monotonic();
        let refused = app.tenancy.accounts().log_in(&realm, attempt, Default::default()).await;
        assert_eq!(failure(refused).code(), "invalid_credentials");
        // Wiping the text from memory is what takes the time, and only where nothing is optimised.
        assert!(started.elapsed() < Duration::from_millis(500), "{length} took {:?}", started.elapsed());
    }
}
