use std::sync::{Arc, Mutex};

use multitenancy_core::{
    ControlContext, ControlTransaction, ErrorKind, Store, Tenant, TenantId,
    page::PageRequest,
    store::change_status,
    tenant::{Membership, TenantKey, TenantSettings, TenantStatus},
};
use tokio::task::JoinSet;

use crate::{
    assert_fails,
    fixtures::{after, instant, moment, odd_object, register, tenant},
    retrying, rounds, within_limit,
};

/// Everything known of a tenant comes back as it was stored, to the microsecond, and so does nothing at all.
pub async fn insert_keeps_every_field(store: Arc<dyn Store>) {
    let known = Tenant {
        name: "Acme & Söhne, 株式会社 \"'".parse().expect("a name"),
        domain: Some("crm.bücher.example".parse().expect("a domain")),
        plan: "my_own-plan2".parse().expect("a plan"),
        settings: TenantSettings(odd_object()),
        updated_at: after(3) + moment(),
        ..tenant(&*store, "acme")
    };
    for stored in [known, tenant(&*store, "globex")] {
        register(&*store, &stored).await;
        assert_eq!(find(&store, stored.id).await, Some(stored));
    }
}

/// `insert` 1: a taken slug is `slug_taken`, whatever the status of the tenant that has it.
pub async fn insert_1_refuses_a_taken_slug(store: Arc<dyn Store>) {
    for (slug, status) in [
        ("acme", TenantStatus::Provisioning),
        ("globex", TenantStatus::Active),
        ("initech", TenantStatus::Suspended),
        ("umbrella", TenantStatus::Canceled),
    ] {
        let first = Tenant { status, ..tenant(&*store, slug) };
        register(&*store, &first).await;
        let mut unit = control(&store).await;
        let outcome = unit.tenants().insert(&tenant(&*store, slug)).await;
        assert_fails(outcome, ErrorKind::Conflict, "slug_taken");
    }
    let mut unit = control(&store).await;
    unit.tenants().insert(&tenant(&*store, "hooli")).await.unwrap();
    let twice = unit.tenants().insert(&tenant(&*store, "hooli")).await;
    assert_fails(twice, ErrorKind::Conflict, "slug_taken");
}

/// `insert` 1: a taken domain is `domain_taken`. Any number of tenants have none.
pub async fn insert_1_refuses_a_taken_domain(store: Arc<dyn Store>) {
    let with_domain = |slug: &str| Tenant {
        domain: Some("crm.acme.example".parse().expect("a domain")),
        ..tenant(&*store, slug)
    };
    register(&*store, &with_domain("acme")).await;
    register(&*store, &tenant(&*store, "globex")).await;
    register(&*store, &tenant(&*store, "initech")).await;
    let mut unit = control(&store).await;
    let outcome = unit.tenants().insert(&with_domain("umbrella")).await;
    assert_fails(outcome, ErrorKind::Conflict, "domain_taken");
}

/// `insert` 1: of many who want one slug at once, one gets it (S115).
pub async fn insert_1_gives_a_slug_to_one_of_many_at_once(store: Arc<dyn Store>) {
    for round in 0..rounds(5) {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (store, tenant) = (store.clone(), tenant(&*store, &format!("wanted-{round}")));
            tasks.spawn(async move {
                let insert = || async {
                    let mut unit = store.control(&ControlContext::system("test")).await?;
                    unit.tenants().insert(&tenant).await?;
                    tokio::task::yield_now().await;
                    unit.commit().await
                };
                retrying(insert).await
            });
        }
        let outcomes = within_limit("inserting", tasks.join_all()).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_fails(outcome, ErrorKind::Conflict, "slug_taken");
        }
    }
}

/// `insert` 2: the row is visible to later units once the unit commits, and not before.
pub async fn insert_2_is_visible_once_committed(store: Arc<dyn Store>) {
    let (kept, dropped) = (tenant(&*store, "acme"), tenant(&*store, "globex"));
    let mut unit = control(&store).await;
    unit.tenants().insert(&kept).await.unwrap();
    assert_eq!(unit.tenants().find(&kept.id.into()).await.unwrap().as_ref(), Some(&kept), "to itself");
    assert_eq!(find(&store, kept.id).await, None, "before the commit");
    unit.commit().await.unwrap();
    assert_eq!(find(&store, kept.id).await, Some(kept), "after it");
    let mut unit = control(&store).await;
    unit.tenants().insert(&dropped).await.unwrap();
    drop(unit);
    assert_eq!(find(&store, dropped.id).await, None, "dropped");
}

/// `find` 1: `None` when there is none. A tenant of any status is found by each of its names.
pub async fn find_1_is_none_for_none(store: Arc<dyn Store>) {
    for (slug, status) in [
        ("acme", TenantStatus::Provisioning),
        ("globex", TenantStatus::Active),
        ("initech", TenantStatus::Suspended),
        ("umbrella", TenantStatus::Canceled),
    ] {
        let stored = Tenant {
            status,
            domain: Some(format!("{slug}.example").parse().expect("a domain")),
            ..tenant(&*store, slug)
        };
        register(&*store, &stored).await;
        let domain = stored.domain.clone().expect("just set");
        for key in [stored.id.into(), TenantKey::Slug(stored.slug.clone()), TenantKey::Domain(domain)] {
            assert_eq!(find(&store, key).await.as_ref(), Some(&stored));
        }
    }
    assert_eq!(find(&store, tenant(&*store, "hooli").id).await, None);
    assert_eq!(find(&store, TenantKey::Slug("hooli".parse().expect("a slug"))).await, None);
    assert_eq!(find(&store, TenantKey::Domain("hooli.example".parse().expect("a domain"))).await, None);
}

/// `find` 2: slugs and domains match exactly, and never each other.
pub async fn find_2_matches_exactly(store: Arc<dyn Store>) {
    let stored = Tenant {
        domain: Some("crm.acme.example".parse().expect("a domain")),
        ..tenant(&*store, "acme-corp")
    };
    register(&*store, &stored).await;
    for slug in ["acme", "corp", "acme-corp-2", "acme-cor", "acmexcorp"] {
        assert_eq!(find(&store, TenantKey::Slug(slug.parse().expect("a slug"))).await, None, "{slug}");
    }
    for domain in
        ["acme.example", "m.acme.example", "x.crm.acme.example", "acme-corp.example", "crm-acme.example"]
    {
        let key = TenantKey::Domain(domain.parse().expect("a domain"));
        assert_eq!(find(&store, key).await, None, "{domain}");
    }
}

/// `set_status` 1: a compare-and-set: `false`, and nothing happens, when the stored status is not `from`.
pub async fn set_status_1_compares_and_sets(store: Arc<dyn Store>) {
    use TenantStatus::{Active, Canceled, Provisioning, Suspended};
    let (stored, bystander) = (tenant(&*store, "acme"), tenant(&*store, "globex"));
    register(&*store, &stored).await;
    register(&*store, &bystander).await;
    let moves = [
        (Active, Suspended, false),
        (Provisioning, Active, true),
        (Provisioning, Active, false),
        (Active, Suspended, true),
        (Suspended, Canceled, true),
        (Active, Suspended, false),
    ];
    let mut expected = stored;
    for (index, (from, to, moved)) in (1..).zip(moves) {
        let mut unit = control(&store).await;
        let tenant = Tenant { status: from, ..expected.clone() };
        let changed = change_status(&*store, &mut *unit, &tenant, to, after(index)).await.unwrap();
        assert_eq!(changed.is_some(), moved);
        unit.commit().await.unwrap();
        if moved {
            (expected.status, expected.updated_at) = (to, after(index));
        }
        assert_eq!(find(&store, expected.id).await.as_ref(), Some(&expected), "{from} to {to}");
    }
    assert_eq!(find(&store, bystander.id).await, Some(bystander));
    let mut unit = control(&store).await;
    let nobody = Tenant { status: Active, ..tenant(&*store, "hooli") };
    let changed = change_status(&*store, &mut *unit, &nobody, Suspended, instant()).await.unwrap();
    assert!(changed.is_none());
}

/// `set_status` 2: on commit the change is signalled, before the commit returns; a dropped unit signals nothing.
pub async fn set_status_2_is_signalled_on_commit(store: Arc<dyn Store>) {
    let stored = tenant(&*store, "acme");
    register(&*store, &stored).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = heard.clone();
    store.signals().on_tenant_changed(move |changed| hearing.lock().unwrap().extend(changed));
    for keep in [false, true] {
        let mut unit = control(&store).await;
        let to = TenantStatus::Active;
        assert!(change_status(&*store, &mut *unit, &stored, to, after(1)).await.unwrap().is_some());
        assert_eq!(*heard.lock().unwrap(), [], "before the commit");
        if keep {
            unit.commit().await.unwrap();
            assert!(heard.lock().unwrap().contains(&stored.id), "after the commit");
        }
    }
}

/// `withdraw` 1: `false`, and nothing happens, unless the stored status is `provisioning`.
pub async fn withdraw_1_spares_what_has_become_active(store: Arc<dyn Store>) {
    for (slug, status) in [
        ("acme", TenantStatus::Active),
        ("globex", TenantStatus::Suspended),
        ("initech", TenantStatus::Canceled),
    ] {
        let stored = Tenant { status, ..tenant(&*store, slug) };
        register(&*store, &stored).await;
        let mut unit = control(&store).await;
        assert!(!unit.tenants().withdraw(stored.id).await.unwrap());
        unit.commit().await.unwrap();
        assert_eq!(find(&store, stored.id).await, Some(stored));
    }
    let mut unit = control(&store).await;
    assert!(!unit.tenants().withdraw(tenant(&*store, "hooli").id).await.unwrap());
}

/// `withdraw` 2: the tenant's memberships go with it, no other's, and its slug and domain are free again.
pub async fn withdraw_2_takes_memberships_and_frees_the_slug(store: Arc<dyn Store>) {
    let domain = Some("crm.acme.example".parse().expect("a domain"));
    let withdrawn = Tenant { domain: domain.clone(), ..tenant(&*store, "acme") };
    let other = tenant(&*store, "globex");
    let mut unit = control(&store).await;
    for tenant in [&withdrawn, &other] {
        unit.tenants().insert(tenant).await.unwrap();
        unit.memberships().insert(&owner_of(tenant)).await.unwrap();
    }
    unit.commit().await.unwrap();
    let mut unit = control(&store).await;
    assert!(unit.tenants().withdraw(withdrawn.id).await.unwrap());
    assert!(!unit.tenants().withdraw(withdrawn.id).await.unwrap(), "only once");
    unit.commit().await.unwrap();
    let mut unit = control(&store).await;
    assert_eq!(unit.tenants().find(&withdrawn.id.into()).await.unwrap(), None);
    let gone = unit.memberships().find(withdrawn.id, withdrawn.owner_id).await.unwrap();
    assert_eq!(gone, None);
    let kept = unit.memberships().find(other.id, other.owner_id).await.unwrap();
    assert_eq!(kept, Some(owner_of(&other)));
    let next = Tenant { domain, ..tenant(&*store, "acme") };
    unit.tenants().insert(&next).await.unwrap();
    unit.commit().await.unwrap();
}

/// `list` gives all tenants, or those of one status, in the order of their ids: 250 of them, in pages of any size.
pub async fn list_gives_all_by_id_page_by_page(store: Arc<dyn Store>) {
    let mut unit = control(&store).await;
    let mut tenants = Vec::new();
    for index in 0..250 {
        let status = if index % 5 == 0 { TenantStatus::Suspended } else { TenantStatus::Active };
        let tenant = Tenant { status, ..tenant(&*store, &format!("tenant-{index}")) };
        unit.tenants().insert(&tenant).await.unwrap();
        tenants.push(tenant);
    }
    unit.commit().await.unwrap();
    tenants.sort_by_key(|tenant| tenant.id);
    assert_eq!(list_all(&store, None, 100).await, tenants);
    for (status, size) in
        [(None, 7), (None, 50), (Some(TenantStatus::Suspended), 25), (Some(TenantStatus::Active), 99)]
    {
        let wanted = tenants.iter().filter(|tenant| status.is_none_or(|status| status == tenant.status));
        let expected: Vec<TenantId> = wanted.map(|tenant| tenant.id).collect();
        let found = list_all(&store, status, size).await;
        assert_eq!(found.iter().map(|tenant| tenant.id).collect::<Vec<_>>(), expected, "{status:?}, {size}");
    }
    assert_eq!(list_all(&store, Some(TenantStatus::Canceled), 10).await, []);
}

async fn list_all(store: &Arc<dyn Store>, status: Option<TenantStatus>, size: u32) -> Vec<Tenant> {
    let mut all = Vec::new();
    let mut page = PageRequest::first(size);
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    loop {
        let found = unit.tenants().list(status, &page).await.unwrap();
        assert!(found.items.len() <= size as usize);
        all.extend(found.items);
        match found.next {
            Some(key) => page = page.after(key),
            None => return all,
        }
    }
}

fn owner_of(tenant: &Tenant) -> Membership {
    Membership { tenant_id: tenant.id, user_id: tenant.owner_id, created_at: instant() }
}

async fn find(store: &Arc<dyn Store>, key: impl Into<TenantKey>) -> Option<Tenant> {
    let mut unit = store.read_control(&ControlContext::system("test")).await.unwrap();
    unit.tenants().find(&key.into()).await.unwrap()
}

async fn control(store: &Arc<dyn Store>) -> Box<dyn ControlTransaction> {
    store.control(&ControlContext::system("test")).await.unwrap()
}
