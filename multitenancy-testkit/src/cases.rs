//! The names of all cases. A macro, because names are made into tests where the suites are run.

/// Hands the names of all cases to the macro `$then`, after what it is given `$with`.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ([$($then:tt)*] $($with:tt)*) => {
        $($then)* ! { $($with)*
            tenant {
                insert_keeps_every_field insert_1_refuses_a_taken_slug insert_1_refuses_a_taken_domain
                insert_1_gives_a_slug_to_one_of_many_at_once insert_2_is_visible_once_committed
                find_1_is_none_for_none find_2_matches_exactly set_status_1_compares_and_sets
                set_status_2_is_signalled_on_commit set_status_3_lets_nothing_commit_in_a_closed_tenant
                set_status_3_counts_when_it_is_committed set_status_3_stands_in_every_race
                set_status_4_lets_commit_again close_1_can_be_repeated
                reopen_1_leaves_a_suspended_tenant_closed withdraw_1_spares_what_has_become_active
                withdraw_2_takes_memberships_and_frees_the_slug list_gives_all_by_id_page_by_page
            }
            membership {
                insert_keeps_every_field insert_1_keeps_the_old_one find_1_is_none_for_none
                remove_1_of_none_succeeds list_gives_a_users_tenants_by_id
            }
            user {
                insert_keeps_every_field insert_1_refuses_a_taken_address
                insert_1_gives_an_address_to_one_of_many_at_once insert_2_does_not_mind_another_plane
                find_1_is_none_for_nobody find_by_email_matches_any_spelling
                find_by_email_1_is_none_for_nobody find_by_platform_user_1_is_none_for_nobody
                find_for_update_1_is_none_for_nobody find_for_update_loses_no_change
                update_stores_all_but_address_and_creation update_1_is_false_for_nobody
                password_hash_1_is_none_without_a_password set_password_hash_1_is_false_for_nobody
                record_login_1_sets_the_last_login_alone record_login_2_is_false_for_nobody
            }
            session {
                insert_keeps_every_field find_1_is_none_for_no_session rotate_exchanges_the_token
                rotate_1_lets_one_of_many_at_once_succeed rotate_2_is_none_for_a_spent_token
                rotate_2_is_none_for_a_revoked_session rotate_2_is_none_for_an_expired_session
                revoke_1_ends_the_refresh_token revoke_2_is_false_when_there_is_nothing_to_end
            }
            outbox {
                claim_takes_at_most_its_limit claim_counts_attempts
                claim_1_takes_the_first_of_each_aggregate_in_order claim_1_tells_aggregates_apart
                claim_2_leaves_another_lease_alone claim_2_takes_what_was_held_too_long
                claim_3_next_due_is_none_when_nothing_is_left claim_3_next_due_is_the_end_of_a_lease
                claim_3_next_due_is_when_a_failed_event_is_due append_keeps_every_field
                append_1_is_due_at_once append_2_gives_rising_sequences append_3_leaves_nothing_when_dropped
                pending_counts_what_is_not_parked race_of_writers_and_relays_loses_nothing
                delivered_lets_the_next_go delivered_1_is_false_for_a_late_worker
                retry_1_is_false_for_a_late_worker park_1_is_false_for_a_late_worker
                retry_is_due_again_at_its_time retry_holds_back_its_own_aggregate_only
                park_2_keeps_the_event_aside parked_gives_the_oldest_first claim_leaves_nothing_when_dropped
            }
            audit {
                append_keeps_every_field append_1_is_kept_by_the_commit list_gives_all_by_id_page_by_page
            }
            consumed {
                record_1_is_true_once record_1_is_true_for_one_of_many_at_once record_2_keeps_consumers_apart
                record_3_leaves_nothing_when_dropped contains_tells_what_is_recorded
            }
            store {
                a_read_refuses_to_write a_read_refuses_to_write_the_registry a_read_sees_one_snapshot
                a_read_does_not_wait_for_a_writer ping_succeeds migrate_1_again_changes_nothing
                provision_1_again_changes_nothing provision_1_many_at_once_make_one
                provision_2_refuses_an_unknown_isolation deprovision_removes_everything
                deprovision_1_of_nothing_succeeds a_tenant_of_any_status_opens
                local_secret_2_is_the_same_at_every_call a_unit_tells_where_it_is
                store_2_a_dropped_unit_leaves_nothing store_3_writers_take_turns
                store_3_crossed_units_do_not_deadlock store_4_opening_fails_when_overloaded
                commit_signals_what_it_publishes commit_2_a_refused_commit_did_not_happen
                contexts_open_their_own_plane
            }
            isolation {
                one_address_is_a_user_on_each_plane a_user_is_nowhere_else a_session_is_nowhere_else
                an_event_is_nowhere_else an_audit_record_is_nowhere_else a_consumed_event_is_not_consumed_elsewhere hidden_rows_refuse_nothing
                many_tenants_at_once_see_their_own
            }
            cancellation {
                registering signing_in refreshing signing_out updating_a_profile creating_an_organization
                switching provisioning deprovisioning migrating looking_at_the_fleet opening_to_write opening_to_read writing
                writing_the_registry suspending activating committing reading reading_the_registry settling_events
                rotating_and_revoking storm
            }
        }
    };
}

/// As [`__store_cases`], for stores that outlive their process.
#[doc(hidden)]
#[macro_export]
macro_rules! __durable_cases {
    ([$($then:tt)*] $($with:tt)*) => {
        $($then)* ! { $($with)*
            durable {
                users_and_sessions_last the_registry_lasts nothing_uncommitted_lasts the_outbox_lasts
                sequences_rise_through_a_restart consumed_events_last provisioning_lasts suspensions_last
                local_secret_2_lasts
            }
        }
    };
}

/// As [`__store_cases`], for mailers.
#[doc(hidden)]
#[macro_export]
macro_rules! __mailer_cases {
    ([$($then:tt)*] $($with:tt)*) => {
        $($then)* ! { $($with)*
            mailer {
                send_1_hands_the_message_over send_2_sends_each_key_once send_3_a_passing_failure_is_retryable
                send_3_a_final_failure_is_not_retryable
            }
        }
    };
}

/// As [`__store_cases`], for event buses.
#[doc(hidden)]
#[macro_export]
macro_rules! __bus_cases {
    ([$($then:tt)*] $($with:tt)*) => {
        $($then)* ! { $($with)*
            bus {
                publish_1_reaches_who_wants_it publish_1_brings_a_failed_event_again
                publish_2_keeps_subscribers_apart publish_3_is_done_without_a_subscriber
                subscribe_refuses_a_taken_name publish_brings_the_context
            }
        }
    };
}
