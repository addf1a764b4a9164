//! Evidence is of the moment it was given: what writes in its name looks again.

use multitenancy_core::{Role, access::RequestFacts, user::ProfileUpdate};

use crate::support::{ADA, App, code, organization};

fn renamed() -> ProfileUpdate {
    ProfileUpdate { full_name: Some("Ada".into()), ..ProfileUpdate::default() }
}

/// S66: a body that takes its time after the caller was let in writes nothing once the session has ended.
#[tokio::test]
async fn s66_evidence_of_an_ended_session_writes_nothing() {
    let app = App::new();
    let (ada, acme) = app.owner_of("acme").await;
    let (_, realm) = app.tenant("globex").await;
    let bob = app.caller(&realm, ADA).await;
    assert_eq!(app.tenancy.accounts().update_profile(&bob, renamed()).await.unwrap().roles, [Role::MEMBER]);
    app.tenancy.accounts().log_out(&bob).await.unwrap();
    let again = ProfileUpdate { phone: Some("1".into()), ..ProfileUpdate::default() };
    assert_eq!(code(app.tenancy.accounts().update_profile(&bob, again).await), "invalid_token");

    app.tenancy.accounts().log_out(&ada).await.unwrap();
    assert_eq!(
        code(app.tenancy.organizations().create(&ada, organization("initech")).await),
        "invalid_token"
    );
    let switched = app
        .tenancy
        .accounts()
        .switch(&ada, &acme.id.into(), &RequestFacts::default(), Default::default())
        .await;
    assert_eq!(code(switched), "invalid_token");
}
