//! Platform administrators suspend, activate and cancel tenants; nobody else does.

use axum::http::Method;

use crate::support::{Call, Signed, World};

fn post(world: &World, user: &Signed, id: &str, verb: &str) -> Call {
    world.api.call(Method::POST, format!("/api/v1/tenants/{id}/{verb}")).token(&user.access)
}

#[tokio::test]
async fn administrator_moves_tenant_through_its_lifecycle() {
    let world = World::new().await;
    let (admin, acme) = (&world.bob, world.acme_id());
    world.api.make_administrator(admin).await;
    let me = || world.api.get("/users/me").token(&world.carol_in_acme.access);
    me().answered(200).await;

    let suspended = post(&world, admin, acme, "suspend").answered(200).await;
    assert_eq!((suspended["id"].as_str(), suspended["status"].as_str()), (Some(acme), Some("suspended")));
    me().refused(403, "tenant_inactive").await;
    post(&world, admin, acme, "suspend").refused(409, "invalid_transition").await;

    assert_eq!(post(&world, admin, acme, "activate").answered(200).await["status"], "active");
    me().answered(200).await;

    assert_eq!(post(&world, admin, acme, "cancel").answered(200).await["status"], "canceled");
    me().refused(403, "tenant_inactive").await;
    post(&world, admin, acme, "activate").refused(409, "invalid_transition").await;
}

#[tokio::test]
async fn other_users_cannot_change_a_status() {
    let world = World::new().await;
    let (acme, globex) = (world.acme_id(), world.globex_id());
    for verb in ["suspend", "activate", "cancel"] {
        for user in [&world.ada, &world.bob, &world.ada_in_acme, &world.carol_in_acme] {
            for id in [acme, globex, "nonsense"] {
                post(&world, user, id, verb).refused(403, "permission_denied").await;
            }
        }
    }
    world.api.make_administrator(&world.bob).await;
    for id in ["nonsense", "0190b6a4-7c5e-7d3c-8c6a-5e8f5b3f2a11"] {
        post(&world, &world.bob, id, "suspend").refused(404, "tenant_not_found").await;
    }
    world.api.get("/users/me").token(&world.carol_in_acme.access).answered(200).await;
}

/// A role that a tenant's user has been given counts in that tenant alone: it reaches no other tenant's status.
#[tokio::test]
async fn s80_tenant_role_reaches_no_tenant_status() {
    let world = World::new().await;
    world.api.set_user("acme", &world.carol_in_acme, &[multitenancy_core::Role::SUPER_ADMIN], true).await;
    for id in [world.acme_id(), world.globex_id()] {
        post(&world, &world.carol_in_acme, id, "suspend").refused(403, "wrong_scope").await;
    }
}
