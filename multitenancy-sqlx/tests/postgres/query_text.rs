//! E5: the statement texts that PostgreSQL receives, and their readers. Values are bound, so the text contains none.

use multitenancy_core::{
    ControlContext, Environment, EventId, Isolation, Plane, Store, Tenant, UnitOfWork, UnitOfWorkExt, User,
    UserId,
    actor::Actor,
    audit::Action,
    auth::{Client, Session},
    event::{Aggregate, Envelope},
    page::PageRequest,
    store::change_status,
    tenant::{Membership, TenantKey, TenantSettings, TenantStatus},
    user::Profile,
};
use multitenancy_sqlx::PgStore;
use multitenancy_testkit::{
    fixtures::{
        self, after, context, email, instant, known_user, lease, password_hash, refresh_digest, session,
    },
    postgres::PostgresServer,
};
use serde_json::{Map, Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    migrator::migrations,
    server::url,
    stage::{APPLICATION, Stage, run, value},
};

/// A part of every value that has space for it.
const CANARY: &str = "canary";

fn text() -> Option<String> {
    Some(format!("{CANARY} it's \\' $1 \"{CANARY}\""))
}

fn object() -> Map<String, Value> {
    Map::from_iter([(text().unwrap(), json!([text()]))])
}

/// A member with every field set.
fn member(address: &str) -> User {
    let profile = Profile {
        username: text(),
        full_name: text(),
        first_name: text(),
        last_name: text(),
        display_name: text(),
        phone: text(),
        avatar_url: text(),
        metadata: object(),
    };
    User { profile, roles: vec!["canary_role".parse().unwrap()], ..known_user(address) }
}

fn event(plane: Plane) -> Envelope {
    Envelope {
        event_id: EventId::generate(&Environment::system()),
        event_type: "canary.sang".to_owned(),
        version: 1,
        occurred_at: instant(),
        tenant: plane.tenant(),
        aggregate: Aggregate::new(CANARY, CANARY),
        sequence: 0,
        actor: Actor::System { reason: CANARY.to_owned() },
        correlation_id: text(),
        payload: json!(object()),
    }
}

/// Calls every method that all planes have, and returns the values besides the canaries.
async fn use_plane(unit: &mut dyn UnitOfWork) -> Vec<String> {
    let plane = unit.plane();
    let user = member("canary@example.com");
    let users = unit.users();
    users.insert(&user, Some(&password_hash('a'))).await.unwrap();
    users.find(user.id).await.unwrap().unwrap();
    users.find_by_email(&email("Canary@Example.com")).await.unwrap().unwrap();
    users.find_by_platform_user(user.platform_user_id.unwrap()).await.unwrap().unwrap();
    users.find_for_update(user.id).await.unwrap().unwrap();
    assert!(users.update(&User { email: email("canary2@example.com"), ..user.clone() }).await.unwrap());
    assert!(users.set_password_hash(user.id, &password_hash('b')).await.unwrap());
    users.password_hash(user.id).await.unwrap().unwrap();
    assert!(users.record_login(user.id, after(1)).await.unwrap());

    let begun = Session { client: Client { ip: text(), user_agent: text() }, ..session(user.id) };
    let (spent, successor) = (refresh_digest(), refresh_digest());
    let sessions = unit.sessions();
    sessions.insert(&begun, &spent).await.unwrap();
    sessions.find(begun.id).await.unwrap().unwrap();
    sessions.rotate(&spent, &successor, after(2)).await.unwrap().unwrap();
    assert!(sessions.revoke(begun.id, after(3)).await.unwrap());

    let (delivered, parked, held) = (event(plane), event(plane), lease());
    let outbox = unit.outbox();
    outbox.append(&delivered).await.unwrap();
    assert_eq!(outbox.claim(held, instant(), after(10), 10).await.unwrap().events.len(), 1);
    assert!(outbox.retry(held, delivered.event_id, instant(), CANARY).await.unwrap());
    assert_eq!(outbox.claim(held, instant(), after(10), 10).await.unwrap().events.len(), 1);
    assert!(outbox.delivered(held, delivered.event_id).await.unwrap());
    outbox.append(&parked).await.unwrap();
    assert_eq!(outbox.claim(held, instant(), after(10), 10).await.unwrap().events.len(), 1);
    assert!(outbox.park(held, parked.event_id, after(1), CANARY).await.unwrap());
    assert_eq!((outbox.pending().await.unwrap(), outbox.parked(10).await.unwrap().len()), (0, 1));
    unit.record(Action::new(CANARY, CANARY, CANARY).detail(CANARY, CANARY)).await.unwrap();
    assert!(unit.consumed().record(CANARY, parked.event_id).await.unwrap());
    assert!(unit.consumed().contains(CANARY, parked.event_id).await.unwrap());

    let ids = [user.id.to_string(), begun.id.to_string(), delivered.event_id.to_string(), held.to_string()];
    let digests = [&spent, &successor].map(|digest| hex(digest.as_bytes()));
    ids.into_iter().chain(digests).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Registers a tenant in which every value is a canary, and calls every method of the registry.
async fn register(store: &PgStore, isolation: Isolation) -> (Tenant, Vec<String>) {
    let slug = format!("canary-{isolation}");
    let tenant = Tenant {
        name: text().unwrap().parse().unwrap(),
        domain: Some(format!("{slug}.example.com").parse().unwrap()),
        plan: "canary_plan".parse().unwrap(),
        settings: TenantSettings(object()),
        isolation,
        ..fixtures::tenant(store, &slug)
    };
    let mut unit = Store::control(store, &ControlContext::system(CANARY)).await.unwrap();
    let tenants = unit.tenants();
    tenants.insert(&tenant).await.unwrap();
    let withdrawn = fixtures::tenant(store, &format!("canary-withdrawn-{isolation}"));
    tenants.insert(&withdrawn).await.unwrap();
    assert!(tenants.withdraw(withdrawn.id).await.unwrap());
    for key in [
        TenantKey::Id(tenant.id),
        TenantKey::Slug(tenant.slug.clone()),
        TenantKey::Domain(tenant.domain.clone().unwrap()),
    ] {
        assert_eq!(tenants.find(&key).await.unwrap().as_ref(), Some(&tenant));
    }
    let page = PageRequest::first(10);
    tenants.list(Some(TenantStatus::Provisioning), &page.clone().after(withdrawn.id)).await.unwrap();
    let to = TenantStatus::Active;
    assert!(change_status(store, &mut *unit, &tenant, to, after(1)).await.unwrap().is_some());
    let member = Membership {
        tenant_id: tenant.id,
        user_id: UserId::generate(&Environment::system()),
        created_at: instant(),
    };
    let memberships = unit.memberships();
    memberships.insert(&member).await.unwrap();
    memberships.find(tenant.id, member.user_id).await.unwrap().unwrap();
    memberships.list(member.user_id, &page).await.unwrap();
    memberships.remove(tenant.id, member.user_id).await.unwrap();
    unit.commit().await.unwrap();
    store.provision(&tenant).await.unwrap();
    let values = vec![tenant.owner_id.to_string(), member.user_id.to_string()];
    (Tenant { status: to, ..tenant }, values)
}

/// The values that occur in the text; an id in either spelling.
fn standing<'a>(text: &str, values: &'a [String]) -> Vec<&'a str> {
    let text = text.to_lowercase();
    let stands = |value: &&String| text.contains(&***value) || text.contains(&value.replace('-', ""));
    values.iter().filter(stands).map(String::as_str).collect()
}

/// Every statement of every repository, on a server that logs all of them: no given value occurs in one, on any plane
/// and in any isolation. The exception is a tenant's id: BEGIN states the tenant of the transaction, COMMIT the
/// changed tenant, and its schema and its database are named by it.
#[tokio::test]
async fn e5_no_value_is_in_the_text_of_a_statement() {
    let server = PostgresServer::start(&["log_statement = 'all'", "log_parameter_max_length = 0"]).unwrap();
    let store = PgStore::builder(&server.url()).connect().await.unwrap();
    store.migrate().await.unwrap();
    let mut values: Vec<String> =
        [CANARY, "argon2", "c2fsdhnhbhrzywx0", "2026-03-04"].map(str::to_owned).into();
    let mut unit = Store::control(&store, &ControlContext::system(CANARY)).await.unwrap();
    values.extend(use_plane(&mut *unit).await);
    unit.commit().await.unwrap();
    let mut tenants = Vec::new();
    for isolation in [Isolation::Shared, Isolation::Schema, Isolation::Database] {
        let (tenant, more) = register(&store, isolation).await;
        values.extend(more);
        let mut unit = Store::begin(&store, &context(&tenant)).await.unwrap();
        values.extend(use_plane(&mut *unit).await);
        unit.commit().await.unwrap();
        tenants.push(tenant.id.to_string());
    }
    assert!(values.len() >= 30, "{values:?}");
    let log = server.log().unwrap();
    for statement in ["users", "sessions", "outbox", "audit", "consumed_events", "tenants", "memberships"] {
        assert!(log.contains(&format!("INSERT INTO multitenancy_{statement}")), "{statement} is not logged");
    }
    assert_eq!(standing(&log, &values), [""; 0]);
    assert_eq!(standing(&log, &tenants), tenants, "what stands there by design");

    // The control: a statement without binding.
    let mut connection = PgConnection::connect(&server.url()).await.unwrap();
    run(&mut connection, "SELECT 'Canary', '019F5D38-5b4c-7d0e-9a3f-0123456789ab'").await.unwrap();
    let values = [CANARY, "019f5d38-5b4c-7d0e-9a3f-0123456789ab"].map(str::to_owned);
    assert_eq!(standing(&server.log().unwrap(), &values), values);
}

/// What a unit of work sees of other sessions in pg_stat_activity: of another role only its existence; of the store's
/// own login the text of the last statement, also of another tenant, because PostgreSQL hides no session from its own
/// role. While values are bound, that text contains none. The control is a value that is not bound.
#[tokio::test]
async fn e5_other_sessions_show_no_values() {
    const SEEN: &str = "SELECT string_agg(query, E'\\n') FROM pg_stat_activity \
                        WHERE pid <> pg_backend_pid() AND datname = current_database()";
    let mut stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Shared).await);
    let globex = context(&stage.tenant("globex", Isolation::Schema).await);
    let (_, address) = stage.login("").await;
    let builder = PgStore::builder(&address).admin_url(&url(&stage.database)).reference_table("countries");
    let store = builder.tenant_migrations(migrations(APPLICATION)).connect().await.unwrap();
    let mut theirs = stage.connection().await;
    run(&mut theirs, format!("SELECT '{CANARY} of another role'")).await.unwrap();

    let mut tx = store.begin(&acme).await.unwrap();
    tx.users().insert(&member("canary@example.com"), Some(&password_hash('a'))).await.unwrap();
    let mut reading = store.read(&globex).await.unwrap();
    let seen: String = value(reading.conn(), SEEN).await.unwrap();
    assert!(seen.contains("<insufficient privilege>"), "another role's is hidden: {seen}");
    assert!(seen.contains("INSERT INTO multitenancy_users"), "the same login's is not: {seen}");
    assert!(!seen.contains(CANARY) && !seen.contains("argon2"), "{seen}");
    drop(reading);

    run(tx.conn(), format!("SELECT '{CANARY} inlined'")).await.unwrap();
    let mut reading = store.read(&globex).await.unwrap();
    let seen: String = value(reading.conn(), SEEN).await.unwrap();
    assert!(seen.contains("canary inlined") && !seen.contains("of another role"), "the control: {seen}");
}

/// The planner's statistics hold values of all tenants: no unit of work reads those of a guarded table. The row count
/// of a table, over all tenants, is visible to every role.
#[tokio::test]
async fn e5_statistics_show_no_values_of_others() {
    const VALUES: &str = "SELECT coalesce(string_agg(most_common_vals::text, ''), '') FROM pg_stats \
                          WHERE schemaname = 'tenants' AND tablename = 'projects'";
    let stage = Stage::new().await;
    let acme = context(&stage.tenant("acme", Isolation::Shared).await);
    let globex = context(&stage.tenant("globex", Isolation::Shared).await);
    let mut tx = stage.store.begin(&acme).await.unwrap();
    let many = format!("INSERT INTO projects (name) SELECT '{CANARY}' FROM generate_series(1, 100)");
    run(tx.conn(), many).await.unwrap();
    tx.commit().await.unwrap();
    let mut owner = stage.connection().await;
    run(&mut owner, "ANALYZE tenants.projects").await.unwrap();
    assert!(value::<String>(&mut owner, VALUES).await.unwrap().contains(CANARY), "the control");

    let mut reading = stage.store.read(&globex).await.unwrap();
    assert_eq!(value::<String>(reading.conn(), VALUES).await.unwrap(), "");
    let rows = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'tenants.projects'::regclass";
    assert_eq!(value::<i64>(reading.conn(), rows).await.unwrap(), 100);
    let refused = run(reading.conn(), "SELECT * FROM pg_statistic").await.unwrap_err();
    assert!(refused.to_string().contains("permission denied"), "{refused}");
}
