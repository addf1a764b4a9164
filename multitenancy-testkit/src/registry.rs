//! The cases that concern the registry and the platform alone. Their tables are the same in every isolation of an engine,
//! so once per engine is enough. A case that is not listed here runs with each isolation.

/// Makes a module of tests of a module of cases, without those of the registry.
#[doc(hidden)]
#[macro_export]
macro_rules! __isolation_tests {
    ($($module:ident { $($case:ident)* })*) => {$(
        mod $module {
            $($crate::__isolation_test! { $module $case })*
        }
    )*};
}

#[doc(hidden)]
#[macro_export]
macro_rules! __isolation_test {
    (membership $case:ident) => {};
    (tenant insert_keeps_every_field) => {};
    (tenant insert_1_refuses_a_taken_slug) => {};
    (tenant insert_1_refuses_a_taken_domain) => {};
    (tenant insert_1_gives_a_slug_to_one_of_many_at_once) => {};
    (tenant insert_2_is_visible_once_committed) => {};
    (tenant find_1_is_none_for_none) => {};
    (tenant find_2_matches_exactly) => {};
    (tenant set_status_1_compares_and_sets) => {};
    (tenant set_status_2_is_signalled_on_commit) => {};
    (tenant withdraw_1_spares_what_has_become_active) => {};
    (tenant withdraw_2_takes_memberships_and_frees_the_slug) => {};
    (tenant list_gives_all_by_id_page_by_page) => {};
    (store a_read_refuses_to_write_the_registry) => {};
    (store ping_succeeds) => {};
    (store local_secret_2_is_the_same_at_every_call) => {};
    (cancellation writing_the_registry) => {};
    (cancellation reading_the_registry) => {};
    ($module:ident $case:ident) => {
        $crate::__store_test! { $module $case }
    };
}
