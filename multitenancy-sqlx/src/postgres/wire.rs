//! The messages that begin, commit and roll back. Each is several statements in one message (decision 17).
//!
//! | Message | Statements | For |
//! |---|---|---|
//! | adopt | `COMMIT` | sqlx assumes from now on that a transaction is open: this crate owns the outer one |
//! | | resets | a connection that a pooler gave may have been used before (S30) |
//! | begin | `ROLLBACK` | ends the transaction that the previous unit left open, if any |
//! | | `BEGIN ISOLATION LEVEL …` | before the resets, which would be part of the rolled back transaction |
//! | | `RESET ALL`, `RESET ROLE`, `CLOSE ALL` | reset the previous unit's settings: its rollback restored them (S30) |
//! | | `DEALLOCATE ALL` | where connections keep no prepared statements |
//! | | `SELECT tag, set_config('app.tenant_id', …, true), …` | the tenant and the limits, for this transaction (S13) |
//! | commit | `SELECT tag, 1 / (tenant is ours)` | fails in a failed transaction, and in one that is not this unit's (S32) |
//! | | `… multitenancy.pass_fence()` | fails in a closed tenant (S117) |
//! | | `… pg_notify(…)` | notifies other processes of the changed tenants |
//! | | `COMMIT` | once it is answered, it has happened |
//! | | resets | the next unit finds the session's defaults (S30) |
//! | roll back | `ROLLBACK`, `SELECT tag`, resets | the tag says that the answer is to this message (S28) |

use std::{borrow::Cow, fmt};

use multitenancy_core::{Plane, TenantId};
use sqlx::PgConnection;

use super::{
    engine::Statement,
    listen,
    tagged_query::{Answer, TaggedQuery},
};

/// Reset the session settings, which a rollback does not cover (S30). A cursor that outlives its transaction (WITH
/// HOLD) has rows that no policy checks again. Not `DISCARD ALL`: it would drop prepared statements that sqlx still
/// expects.
const RESETS: [&str; 6] = [
    "RESET ALL",
    "RESET ROLE",
    "CLOSE ALL",
    "UNLISTEN *",
    "DISCARD SEQUENCES",
    "SELECT pg_advisory_unlock_all()",
];

const COMMIT: &str = "COMMIT";

/// Several statements in one message, with a tag that identifies the answer.
pub(super) struct Message {
    statements: Vec<Cow<'static, str>>,
    query: TaggedQuery,
}

impl Message {
    /// Begins a unit; rolls back the previous unit when it was `left_open`. A rollback of this unit restores the
    /// settings that the resets cleared, and the next unit's begin clears them again.
    pub fn begin(Statement { begin, database, local, forget }: Statement, left_open: bool) -> Self {
        let query = TaggedQuery::new(database);
        let mut select = format!("SELECT {}, {local}", query.tag);
        let mut statements = vec![begin.into()];
        if left_open {
            statements.insert(0, "ROLLBACK".into());
            statements.extend(["RESET ALL", "RESET ROLE", "CLOSE ALL"].map(Cow::from));
            select.push_str(", pg_advisory_unlock_all()");
        }
        if forget {
            statements.push("DEALLOCATE ALL".into());
        }
        statements.push(select.into());
        Self { statements, query }
    }

    /// Commits a unit on `plane`. PostgreSQL answers a COMMIT with success also for a failed transaction and outside
    /// any transaction. So the SELECT before it fails in both cases, and when the transaction is not the one that
    /// began on this plane.
    pub fn commit(plane: Plane, changed: &[TenantId], fenced: bool) -> Self {
        let query = TaggedQuery::new(None);
        let mut select = format!(
            "SELECT {}, 1 / (current_setting('app.tenant_id', true) IS NOT DISTINCT FROM '{}')::int",
            query.tag,
            plane.scope()
        );
        if fenced {
            select.push_str(", multitenancy.pass_fence()");
        }
        if !changed.is_empty() {
            select.push_str(&format!(", ({})", listen::notify(changed)));
        }
        let statements = [select.into(), COMMIT.into()].into_iter().chain(RESETS.map(Cow::from));
        Self { statements: statements.collect(), query }
    }

    /// Rolls back.
    pub fn roll_back() -> Self {
        let query = TaggedQuery::new(None);
        let select = format!("SELECT {}", query.tag);
        let statements = ["ROLLBACK".into(), select.into()].into_iter().chain(RESETS.map(Cow::from));
        Self { statements: statements.collect(), query }
    }

    /// Sends the message and waits for its answer.
    pub async fn send(&self, connection: &mut PgConnection) -> Answer {
        self.query.ask(connection, self.to_string()).await
    }

    /// Whether the message's COMMIT has completed, also when the connection failed afterwards.
    pub fn has_committed(&self, answer: &Answer) -> bool {
        let commit = self.statements.iter().position(|statement| statement == COMMIT);
        answer.matches && commit.is_some_and(|index| answer.done > index)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.statements.join("; "))
    }
}

/// The message for a new connection.
pub(super) fn adopt() -> String {
    format!("{COMMIT}; {}", RESETS.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: &str =
        "RESET ALL; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD SEQUENCES; SELECT pg_advisory_unlock_all()";

    fn rendered(message: &Message) -> String {
        message.to_string().replace(&message.query.tag, "tag")
    }

    fn statement(database: Option<&str>, forget: bool) -> Statement {
        Statement { begin: "BEGIN", database: database.map(str::to_owned), local: "set".to_owned(), forget }
    }

    #[test]
    fn s30_begin_resets_what_was_left_open() {
        assert_eq!(rendered(&Message::begin(statement(None, false), false)), "BEGIN; SELECT tag, set");
        assert_eq!(
            rendered(&Message::begin(statement(Some("tenant"), true), true)),
            "ROLLBACK; BEGIN; RESET ALL; RESET ROLE; CLOSE ALL; DEALLOCATE ALL; \
             SELECT tag, set, pg_advisory_unlock_all()"
        );
    }

    #[test]
    fn s117_commit_passes_the_fence_before_it_commits() {
        let ours = "1 / (current_setting('app.tenant_id', true) IS NOT DISTINCT FROM \
                    '00000000-0000-0000-0000-000000000000')::int";
        assert_eq!(
            rendered(&Message::commit(Plane::Control, &[], false)),
            format!("SELECT tag, {ours}; COMMIT; {AFTER}")
        );
        assert_eq!(
            rendered(&Message::commit(Plane::Control, &[], true)),
            format!("SELECT tag, {ours}, multitenancy.pass_fence(); COMMIT; {AFTER}")
        );
        let tenant = TenantId::from_uuid(uuid::Uuid::max());
        let notifying = rendered(&Message::commit(Plane::Control, &[tenant], false));
        assert!(notifying.contains(&format!(", ({}); COMMIT", listen::notify(&[tenant]))), "{notifying}");
    }

    #[test]
    fn s32_commit_has_happened_once_it_is_answered() {
        let message = Message::commit(Plane::Control, &[], true);
        let answered = |matches, done| message.has_committed(&Answer { matches, done, error: None });
        assert!(answered(true, 2) && answered(true, 8));
        assert!(!answered(true, 1), "the SELECT alone");
        assert!(!answered(false, 8), "the answer to another message");
        let rolled_back = Answer { matches: true, done: 8, error: None };
        assert!(!Message::roll_back().has_committed(&rolled_back));
    }

    #[test]
    fn s28_roll_back_tags_its_answer() {
        assert_eq!(rendered(&Message::roll_back()), format!("ROLLBACK; SELECT tag; {AFTER}"));
        assert_eq!(adopt(), format!("COMMIT; {AFTER}"));
    }
}
