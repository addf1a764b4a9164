//! Messages whose answer is known to be theirs.
//!
//! sqlx does not count what COPY is answered: on a connection where one has failed, or was cut off, each message gets the
//! answer to an earlier one. So a message on which something hangs has a number, which its answer must have too.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Either, PgConnection, Row};

pub(super) struct TaggedQuery {
    /// The first column to select in the message.
    pub tag: String,
    expected: String,
}

/// What a message was answered.
pub(super) struct Answer {
    /// Whether the question was answered; otherwise this may be the answer to something else.
    pub matches: bool,
    /// How many statements were done.
    pub done: usize,
    pub error: Option<sqlx::Error>,
}

impl TaggedQuery {
    /// A new number; with the name of the database that the connection is to, if that matters.
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
    /// An error unless everything in the message was done.
    pub fn into_result(self) -> sqlx::Result<()> {
        match self {
            Self { error: Some(error), .. } => Err(error),
            Self { matches: true, .. } => Ok(()),
            Self { .. } => Err(desynchronized()),
        }
    }
}

/// The connection can not be used again.
pub(super) fn desynchronized() -> sqlx::Error {
    sqlx::Error::Protocol("what is answered is not what was tag".to_owned())
}
