//! S117: a tenant is suspended, activated and canceled by use cases, each with its event and its audit record.

use multitenancy_core::{
    Context, ControlContext, ErrorKind, TenantId, page::PageRequest, tenant::TenantStatus,
};
use multitenancy_testkit::fixtures;

use crate::support::{ADA, App, code, published, shown};

const OPERATOR: &str = "operator";

#[tokio::test]
async fn s117_suspension_ends_writes_until_activation() {
    let app = App::new();
    let (context, realm) = app.tenant("acme").await;
    app.register(&realm, ADA).await;
    let organizations = app.tenancy.organizations();
    let operator = ControlContext::system(OPERATOR);
    let open = app.store.begin(&context).await.unwrap();

    let suspended = organizations.suspend(&operator, context.tenant_id()).await.unwrap();
    assert_eq!(suspended.status, TenantStatus::Suspended);
    let refused = multitenancy_testkit::failure(open.commit().await);
    assert_eq!(refused.code(), "tenant_inactive", "a unit that was open commits nothing");
    assert_eq!(code(app.log_in(&realm, ADA).await), "tenant_inactive");

    let active = organizations.activate(&operator, context.tenant_id()).await.unwrap();
    assert_eq!(active.status, TenantStatus::Active);
    app.log_in(&realm, ADA).await.unwrap();
}

#[tokio::test]
async fn status_changes_publish_events_and_records() {
    let app = App::new();
    let (context, _) = app.tenant("acme").await;
    let id = context.tenant_id();
    let organizations = app.tenancy.organizations();
    let operator = ControlContext::system(OPERATOR);
    organizations.suspend(&operator, id).await.unwrap();
    organizations.activate(&operator, id).await.unwrap();
    organizations.cancel(&operator, id).await.unwrap();

    let expected = ["tenant.suspended", "tenant.activated", "tenant.canceled"];
    let control = Context::Control(ControlContext::system("test"));
    let events = published(&app.store, &control).await;
    let types: Vec<_> = events.iter().map(|event| event.event_type.as_str()).collect();
    assert_eq!(types, expected);
    let mut unit = app.store.read_control(&operator).await.unwrap();
    let records = unit.audit().list(&PageRequest::default()).await.unwrap().items;
    let mut actions: Vec<_> = records.iter().map(|record| record.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["tenant.activated", "tenant.canceled", "tenant.suspended"]);
    assert!(records.iter().all(|record| record.resource.id == id.to_string()));
}

#[tokio::test]
async fn forbidden_status_changes_are_refused() {
    let app = App::new();
    let (context, _) = app.tenant("acme").await;
    let id = context.tenant_id();
    let organizations = app.tenancy.organizations();
    let operator = ControlContext::system(OPERATOR);
    assert_eq!(code(organizations.activate(&operator, id).await), "invalid_transition", "it is active");
    organizations.cancel(&operator, id).await.unwrap();
    for outcome in [organizations.activate(&operator, id).await, organizations.suspend(&operator, id).await] {
        assert_eq!(shown(outcome).0, ErrorKind::Conflict, "canceled is final");
    }
    let unfinished = fixtures::tenant(&*app.store, "globex");
    fixtures::register(&*app.store, &unfinished).await;
    assert_eq!(code(organizations.activate(&operator, unfinished.id).await), "invalid_transition");
    let nowhere = TenantId::generate(app.store.environment());
    assert_eq!(code(organizations.suspend(&operator, nowhere).await), "tenant_not_found");
}
