//! Messages with a tag that proves which answer belongs to them.
//!
//! sqlx does not count the answers to COPY: on a connection where a COPY failed, or was cut off, each message gets
//! the answer to an earlier one. So a critical message carries a number, and its answer must carry the same number.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Either, PgConnection, Row};

pub(super) struct TaggedQuery {
    /// The first column to select in the message.
    pub tag: String,
    expected: String,
}

/// The answer to a message.
pub(super) struct Answer {
    /// Whether the answer carries the tag; otherwise it may belong to another message.
    pub matches: bool,
    /// The number of completed statements.
    pub done: usize,
    pub error: Option<sqlx::Error>,
}

impl TaggedQuery {
    /// A new number, with the database name of the connection if it matters.
    pub fn new(database: Option<String>) -> Self {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        match database {
            None => Self { tag: format!("'{number}'"), expected: number.to_string() },
            Some(database) => Self {
                tag: format!("current_database() || ' {number}'"),
                expected: format!("{database} {number}"),
            },
        }
    }

    /// Sends `message`, of several statements, by the simple protocol.
    pub async fn ask(&self, connection: &mut PgConnection, message: String) -> Answer {
        let mut answers = sqlx::raw_sql(AssertSqlSafe(message)).fetch_many(connection);
        let mut answer = Answer { matches: false, done: 0, error: None };
        while let Some(next) = answers.next().await {
            match next {
                Ok(Either::Left(_)) => answer.done += 1,
                Ok(Either::Right(row)) => {
                    answer.matches |= row.try_get::<&str, _>(0).is_ok_and(|said| said == self.expected);
                }
                Err(error) => {
                    answer.error = Some(error);
                    break;
                }
            }
        }
        answer
    }
}

impl Answer {
    /// An error unless every statement of the message completed.
    pub fn into_result(self) -> sqlx::Result<()> {
        match self {
            Self { error: Some(error), .. } => Err(error),
            Self { matches: true, .. } => Ok(()),
            Self { .. } => Err(desynchronized()),
        }
    }
}

/// The error of a connection that cannot be used again.
pub(super) fn desynchronized() -> sqlx::Error {
    sqlx::Error::Protocol("what is answered is not what was tag".to_owned())
}
