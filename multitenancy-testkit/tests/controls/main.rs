//! The suite tests adapters; these test the suite: stores that are broken on purpose, each caught by its case.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "tests fail by panicking")]

mod broken;
mod repositories;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use multitenancy_core::{
    Result, Store,
    mail::{Mailer, Message},
    memory::MemoryStore,
};
use multitenancy_testkit::{
    CASES, Case, DurableHarness, Harness, MailFailure, MailerHarness, MemoryMailer, durable, durable_suite,
    mailer,
};

use self::broken::{BrokenStore, Fault};

/// The fault, and the cases that must not pass with it.
macro_rules! controls {
    ($($fault:ident: $($case:literal)*;)*) => {
        $(#[test]
        #[expect(non_snake_case, reason = "named like the fault")]
        fn $fault() {
            for case in [$($case),*] {
                assert_caught(Fault::$fault, find(case));
            }
        })*

        /// The wrapper that breaks stores is no fault by itself.
        #[test]
        fn a_store_without_a_fault_passes() {
            for case in [$($($case,)*)*] {
                assert!(passes(Fault::None, find(case)), "{case}");
            }
        }
    };
}

controls! {
    FindsAnyAddress: "user::find_by_email_1_is_none_for_nobody" "isolation::one_address_is_a_user_on_each_plane";
    RotatesWhatItReadBefore: "session::rotate_1_lets_one_of_many_at_once_succeed";
    ClaimsPastHeldEvents: "outbox::claim_1_takes_the_first_of_each_aggregate_in_order"
        "outbox::race_of_writers_and_relays_loses_nothing";
    PollsByLastId: "outbox::retry_is_due_again_at_its_time" "outbox::race_of_writers_and_relays_loses_nothing"
        "outbox::claim_2_takes_what_was_held_too_long";
    ForgetsFencing: "outbox::delivered_1_is_false_for_a_late_worker";
    WritesInReads: "store::a_read_refuses_to_write";
    ReadsAreLive: "store::a_read_sees_one_snapshot";
    SignalsNothing: "store::commit_signals_what_it_publishes" "tenant::set_status_2_is_signalled_on_commit";
    MixesUpTenants: "isolation::one_address_is_a_user_on_each_plane" "isolation::hidden_rows_refuse_nothing"
        "isolation::many_tenants_at_once_see_their_own";
    SeesThePlatform: "isolation::a_user_is_nowhere_else";
    KeepsWhatIsDropped: "store::store_2_a_dropped_unit_leaves_nothing" "outbox::append_3_leaves_nothing_when_dropped"
        "consumed::record_3_leaves_nothing_when_dropped" "cancellation::writing";
    ListsOnePage: "tenant::list_gives_all_by_id_page_by_page";
    ComparesNoStatus: "tenant::set_status_1_compares_and_sets";
    CommitsInClosedTenants: "tenant::set_status_3_lets_nothing_commit_in_a_closed_tenant";
    LooksBeforeItCommits: "tenant::set_status_3_stands_in_every_race";
    CutsInstants: "user::insert_keeps_every_field";
    ConsumesAgain: "consumed::record_1_is_true_once" "consumed::record_1_is_true_for_one_of_many_at_once";
    ProvisionWipes: "store::provision_1_again_changes_nothing" "cancellation::provisioning";
    TakesAnyIsolation: "store::provision_2_refuses_an_unknown_isolation";
    LeavesItsLock: "cancellation::opening_to_write" "cancellation::writing" "cancellation::signing_out";
    SwallowsTheNextCommit: "cancellation::opening_to_write" "cancellation::writing" "cancellation::registering";
}

fn find(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name() == name).expect("a case of this name")
}

fn assert_caught(fault: Fault, case: &'static Case) {
    let said = run(fault, case).expect_err("a fault that is caught");
    // That the race was none would be another failure.
    assert!(
        fault != Fault::LooksBeforeItCommits || said.contains("committed after the suspension"),
        "{said}"
    );
}

fn passes(fault: Fault, case: &'static Case) -> bool {
    run(fault, case).is_ok()
}

/// What the case fails with.
fn run(fault: Fault, case: &'static Case) -> std::result::Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let store: Arc<dyn Store> = Arc::new(BrokenStore::new(Arc::new(MemoryStore::default()), fault));
    let ended = runtime.block_on(async { tokio::spawn(case.run(store)).await });
    ended.map_err(|error| match error.into_panic().downcast::<String>() {
        Ok(said) => *said,
        Err(_) => String::new(),
    })
}

/// A store that forgets everything with its process fails every durable case but the one of forgetting.
#[test]
fn a_forgetful_store_is_not_durable() {
    struct Forgetful;

    #[async_trait]
    impl Harness for Forgetful {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(MemoryStore::default())
        }
    }

    #[async_trait]
    impl DurableHarness for Forgetful {
        async fn reopen(&self, _store: Arc<dyn Store>) -> Arc<dyn Store> {
            self.open().await
        }
    }

    macro_rules! fails {
        ($($case:ident)*) => {$(
            let run = std::thread::spawn(|| {
                multitenancy_testkit::suite::block_on(durable::$case(&Forgetful));
            });
            assert!(run.join().is_err(), stringify!($case));
        )*};
    }
    fails! {
        users_and_sessions_last the_registry_lasts the_outbox_lasts sequences_rise_through_a_restart
        consumed_events_last provisioning_lasts suspensions_last local_secret_2_lasts
    }
}

/// The durable cases can be passed: by a store that has not ended.
struct Lasting;

#[async_trait]
impl Harness for Lasting {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::default())
    }
}

#[async_trait]
impl DurableHarness for Lasting {
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        store
    }
}

durable_suite!(Lasting);

/// A mailer that does not look at keys, and one that calls every failure a passing one.
#[test]
fn broken_mailers_are_caught() {
    #[derive(Clone, Default)]
    struct Broken(MemoryMailer, Arc<Mutex<Vec<Message>>>);

    #[async_trait]
    impl Mailer for Broken {
        async fn send(&self, message: &Message) -> Result<()> {
            let busy = |error: multitenancy_core::Error| {
                multitenancy_core::Error::overloaded(error.to_string(), std::time::Duration::from_secs(1))
            };
            self.0.send(message).await.map_err(busy)?;
            self.1.lock().unwrap().push(message.clone());
            Ok(())
        }
    }

    #[async_trait]
    impl MailerHarness for Broken {
        async fn open(&self) -> Arc<dyn Mailer> {
            Arc::new(self.clone())
        }

        async fn taken(&self) -> Vec<Message> {
            self.1.lock().unwrap().clone()
        }

        async fn fail_next(&self, failure: MailFailure) {
            self.0.fail_next(failure);
        }
    }

    macro_rules! fails {
        ($($case:ident)*) => {$(
            let run = std::thread::spawn(|| {
                multitenancy_testkit::suite::block_on(mailer::$case(&Broken::default()));
            });
            assert!(run.join().is_err(), stringify!($case));
        )*};
    }
    fails! { send_2_sends_each_key_once send_3_a_final_failure_is_not_retryable }
}
