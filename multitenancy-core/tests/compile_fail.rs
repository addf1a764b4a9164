//! S7: programs that forget the tenant, or make one up, do not compile.

#[test]
fn s7_what_forgets_the_tenant_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
