//! E3: PostgreSQL's error text stays in the report.

use multitenancy_core::{
    Environment, UnitOfWork, User, UserId,
    user::{Email, Role},
};

use super::*;

/// One of each class of the manual's appendix A that a statement can end with.
const CODES: [&str; 45] = [
    "08006", "09000", "0A000", "0B000", "0F000", "0L000", "0P000", "0Z002", "20000", "21000", "22012",
    "22001", "22P02", "23502", "23503", "23505", "23514", "23P01", "24000", "25006", "25P02", "26000",
    "27000", "28000", "2B000", "2D000", "2F005", "34000", "38000", "39000", "3B001", "3D000", "3F000",
    "40001", "40P01", "42501", "42601", "42P01", "44000", "53100", "53300", "54000", "55P03", "57014",
    "XX000",
];

/// A trigger raises each of them, with a secret in every field that an error can carry.
#[tokio::test]
async fn e3_no_error_shows_what_the_server_said() {
    for isolation in ISOLATIONS {
        let pair = Pair::new(isolation).await;
        let raise = "CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN \
                RAISE EXCEPTION USING ERRCODE = upper(substr(NEW.email, 2, 5)), MESSAGE = ''canary message'', \
                    DETAIL = ''canary detail'', HINT = ''canary hint'', CONSTRAINT = ''canary_key'', TABLE = ''canary_table'', \
                    COLUMN = ''canary_column''; END'; \
            CREATE TRIGGER raise BEFORE INSERT ON multitenancy_users FOR EACH ROW EXECUTE FUNCTION raise()";
        run(&mut pair.owner(&pair.a).await, raise).await.unwrap();
        for sqlstate in CODES {
            let environment = Environment::system();
            let email: Email = format!("c{sqlstate}@example.com").parse().unwrap();
            let user =
                User::new(UserId::generate(&environment), email, vec![Role::MEMBER], environment.now());
            let mut tx = pair.stage.store.begin(&context(&pair.a)).await.unwrap();
            let error = tx.users().insert(&user, None).await.unwrap_err();
            let told = format!("{error} {} {:?}", error.code(), error.fields());
            for hidden in
                ["canary", "multitenancy_users", sqlstate, "PL/pgSQL", &pair.a.id.as_uuid().to_string()]
            {
                assert!(!told.contains(hidden), "{sqlstate}: {told}");
            }
            assert!(
                format!("{error:?}").contains("canary message"),
                "the control: the report has it: {error:?}"
            );
        }
    }
}
